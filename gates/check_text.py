"""Rules about text that no other tool has: `python gates/check_text.py PATH...` exits 1 on a breach."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TEXT_SUFFIXES = {
    "", ".cfg", ".css", ".html", ".ini", ".j2", ".js", ".json", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml",
}  # fmt: skip
SKIPPED_FOLDERS = {"__pycache__", "build", "dist", "htmlcov", "mlartifacts", "mlruns", "runs"}
KNOWN_BAD = Path(__file__).parent.resolve() / "fixtures"
KEPT_HIDDEN = {".ci", ".github", ".gitignore", ".pre-commit-config.yaml"}


@dataclass(frozen=True)
class TextRule:
    """A pattern that no line may hold.

    Attributes:
        name: the rule, in the words of its message.
        pattern: what a breach looks like.
        code_only: whether it binds the code alone, and neither tests nor prose.
    """

    name: str
    pattern: re.Pattern[str]
    code_only: bool = False


RULES = (
    TextRule("no reference outside the repository", re.compile(r"\.\./sh[a]red\b")),
    TextRule(
        "no registry host and no index option",
        re.compile(
            r"--(extra-)?index-[u]rl\b|--find-[l]inks\b|pypi\.org/[s]imple|files\.python[h]osted|download\.py[t]orch"
        ),
    ),
    TextRule("no path of one machine", re.compile(r"(?<![\w.:/-])/(home|Users|root|work|opt)/\w")),
    TextRule(
        "no pickle",
        re.compile(
            r"^\s*(import|from)\s+(pickle|cloudpickle|dill|joblib|shelve)\b|\ballow_pickle\s*=\s*True|weights_only\s*=\s*False"
        ),
        code_only=True,
    ),
)


def find_breaches(path: Path, *, is_code: bool) -> Iterator[str]:
    """Yields one `file:line: rule` message per breach in a file."""
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        for rule in RULES:
            if (is_code or not rule.code_only) and rule.pattern.search(line):
                yield f"{path}:{number}: {rule.name}: {line.strip()[:100]}"


def find_files(root: Path) -> Iterator[Path]:
    """Yields the text files under a folder, without generated ones; a file given by name is always read."""
    if root.is_file():
        yield root
        return
    for entry in sorted(root.iterdir()):
        is_hidden = entry.name.startswith(".") and entry.name not in KEPT_HIDDEN
        if is_hidden or entry.is_symlink() or entry.resolve() == KNOWN_BAD:
            continue
        if entry.is_dir() and entry.name not in SKIPPED_FOLDERS and not entry.name.endswith(".egg-info"):
            yield from find_files(entry)
        elif entry.is_file() and entry.suffix in TEXT_SUFFIXES:
            yield entry


def main(roots: list[str]) -> int:
    """Checks files and folders; returns the exit code."""
    breaches = [
        breach
        for root in roots
        for path in find_files(Path(root))
        for breach in find_breaches(path, is_code=path.suffix == ".py" and "tests" not in path.parts)
    ]
    print("\n".join(breaches) if breaches else "text rules: nothing found")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
