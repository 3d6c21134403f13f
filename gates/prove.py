"""Proves that every gate can turn red: each one runs, with the project's own settings, on a known-bad fixture.

A gate that stays green there, or turns red for another reason than the planted one, fails the proof.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
FIXTURES = PROJECT / "gates" / "fixtures"
BIN = Path(sys.executable).parent
SETTINGS = str(PROJECT / "pyproject.toml")
PACKAGES = ("connectors", "deploy", "envs", "experiments", "gaelp_rl")

PLANTED_IMPORTS = {
    "imports run one way": ("gaelp_rl/domain/known_bad.py", "import gaelp_rl.config.strict"),
    "simulated markets know no framework": ("envs/known_bad.py", "import torch"),
    "settings load without Ray or torch": ("gaelp_rl/config/known_bad.py", "import ray"),
    "MLflow lives in gaelp_rl.tracking": ("experiments/known_bad.py", "import mlflow"),
}


@dataclass(frozen=True)
class Proof:
    """A gate on its known-bad fixture.

    Attributes:
        gate: the gate's name.
        command: what runs it there.
        expected: words of the planted fault that the output must hold.
        folder: where it runs.
        succeeds: True for a control, which must stay green.
    """

    gate: str
    command: tuple[str, ...]
    expected: tuple[str, ...]
    folder: Path = PROJECT
    succeeds: bool = False
    environment: dict[str, str] = field(default_factory=dict)


def main() -> int:
    """Runs every proof; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="gaelp-gates-") as scratch:
        failures = [proof.gate for proof in make_proofs(Path(scratch)) if not is_proven(proof)]
    if failures:
        print(f"gates not proven: {', '.join(failures)}", file=sys.stderr)
    return 1 if failures else 0


def is_proven(proof: Proof) -> bool:
    """Runs one proof and prints its verdict."""
    environment = {**os.environ, **proof.environment}
    result = subprocess.run(
        proof.command, cwd=proof.folder, env=environment, capture_output=True, text=True, check=False
    )
    output = result.stdout + result.stderr
    missing = [words for words in proof.expected if words not in output]
    if (result.returncode == 0) is proof.succeeds and not missing:
        verdict = "green on the tree as it is" if proof.succeeds else "red on known-bad, as it must"
        print(f"gate {proof.gate}: {verdict}", flush=True)
        return True
    print(f"gate {proof.gate}: NOT PROVEN (exit code {result.returncode}, missing {missing})", file=sys.stderr)
    print(output, file=sys.stderr)
    return False


def make_proofs(scratch: Path) -> Iterator[Proof]:
    """Yields one proof per gate and per import contract."""
    ruff = str(BIN / "ruff")
    lint = FIXTURES / "lint"
    yield Proof("lint", (ruff, "check", "--config", SETTINGS, str(lint / "unused_import.py")), ("F401",))
    rllib = (ruff, "check", "--config", SETTINGS, str(lint / "rllib_outside_training.py"))
    yield Proof("lint (RLlib lives in gaelp_rl.training)", rllib, ("TID251", "ray.rllib", "ray.tune"))
    yield Proof(
        "format", (ruff, "format", "--check", "--config", SETTINGS, str(lint / "unformatted.py")), ("reformatted",)
    )
    yield Proof(
        "types",
        (str(BIN / "mypy"), "--config-file", SETTINGS, "--cache-dir", str(scratch / "mypy"), str(FIXTURES / "types")),
        ("[no-untyped-def]", "[arg-type]"),
    )
    yield from _make_import_proofs(scratch)
    yield Proof(
        "tests",
        (sys.executable, "-m", "pytest", "-c", SETTINGS, "-p", "no:cacheprovider", "-q", str(FIXTURES / "tests")),
        ("2 failed", "[XPASS(strict)]"),
        environment={"PYTEST_ADDOPTS": ""},
    )
    yield from _make_coverage_proofs(scratch)
    for fixture in sorted((FIXTURES / "text").iterdir()):
        command = (sys.executable, str(PROJECT / "gates" / "check_text.py"), str(fixture))
        yield Proof(f"text ({fixture.stem.replace('_', ' ')})", command, (fixture.name,))


def _make_import_proofs(scratch: Path) -> Iterator[Proof]:
    """A copy of the tree, under the project's own contracts, with one forbidden import planted at a time."""
    for package in PACKAGES:
        shutil.copytree(PROJECT / package, scratch / package, ignore=lambda _, names: _drop_non_python(names))
    shutil.copy(SETTINGS, scratch)
    command = (str(BIN / "lint-imports"), "--no-logo", "--no-cache")
    yield Proof("imports", command, ("0 broken",), folder=scratch, succeeds=True)
    for contract, (module, statement) in PLANTED_IMPORTS.items():
        planted = scratch / module
        planted.write_text(f'"""Known-bad."""\n\n{statement}\n', encoding="utf-8")
        yield Proof(f"imports ({contract})", command, (f"{contract} BROKEN", "1 broken"), folder=scratch)
        planted.unlink()


def _drop_non_python(names: list[str]) -> set[str]:
    return {name for name in names if name == "__pycache__" or ("." in name and not name.endswith(".py"))}


def _make_coverage_proofs(scratch: Path) -> Iterator[Proof]:
    """The first step only collects; the second holds what was collected against the project's floor."""
    coverage = (sys.executable, "-m", "coverage")
    data = f"--data-file={scratch / 'half.coverage'}"
    collect = (*coverage, "run", f"--rcfile={SETTINGS}", f"--source={FIXTURES / 'coverage'}", data)
    subprocess.run((*collect, str(FIXTURES / "coverage" / "half_covered.py")), cwd=PROJECT, check=True)
    report = (*coverage, "report", f"--rcfile={SETTINGS}", data)
    yield Proof("coverage", report, ("Coverage failure", "fail-under"))


if __name__ == "__main__":
    sys.exit(main())
