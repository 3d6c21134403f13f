"""What a job takes along: the checkout without what it does not need and must not show."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from gaelp_rl.errors import ResourceError

__all__ = ["Upload", "list_upload_files", "stage_upload"]

MIB = 2**20
MAX_UPLOAD_BYTES = 50 * MIB
"""Ray's own limit is ten times as much; code is a hundredth of it."""

LEFT_OUT_FOLDERS = frozenset(
    ("__pycache__", "build", "dist", "docs", "gates", "htmlcov", "mlartifacts", "mlruns", "runs", "tests")
)
LEFT_OUT_FILES = ("*.db*", "*.key", "*.log", "*.pem", "*.pyc", "*credential*", "*secret*", "*token*")
"""Names that stay here, except Python sources: a module may be named after the secrets it handles."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A staged copy of what a job takes along.

    Attributes:
        folder: the copy.
        files: how many files.
        bytes: their size, before compression.
    """

    folder: Path
    files: int
    bytes: int

    @property
    def size(self) -> str:
        """The size, for people."""
        return f"{self.files} files, {self.bytes / MIB:.1f} MiB"


def list_upload_files(checkout: Path) -> list[Path]:
    """The files that travel, relative to the checkout.

    Hidden files, virtual environments, runs, caches, tests, logs, databases and whatever is named like
    a key, token, secret or credential stay; so does every link. Python sources travel whatever their name.

    Args:
        checkout: the folder.

    Returns:
        Paths in a fixed order.
    """
    return sorted(path.relative_to(checkout) for path in _walk(checkout))


def stage_upload(checkout: Path, folder: Path, max_bytes: int = MAX_UPLOAD_BYTES) -> Upload:
    """Copies what travels to an empty folder.

    Args:
        checkout: where from.
        folder: where to; it must not exist.
        max_bytes: the most that may travel.

    Returns:
        The copy.

    Raises:
        ResourceError: it is too large; the message names the largest files.
    """
    files = list_upload_files(checkout)
    sizes = {path: (checkout / path).stat().st_size for path in files}
    total = sum(sizes.values())
    if total > max_bytes:
        largest = sorted(files, key=lambda path: -sizes[path])[:3]
        named = ", ".join(f"{path} ({sizes[path] / MIB:.0f} MiB)" for path in largest)
        raise ResourceError(
            f"the checkout would send {total / MIB:.0f} MiB, and at most {max_bytes / MIB:.0f} are sent. Largest: "
            f"{named}. Move data under runs/, which stays here."
        )
    for path in files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(checkout / path, folder / path)
    return Upload(folder, len(files), total)


def _walk(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if entry.name.startswith(".") or entry.is_symlink():
            continue
        if entry.is_dir():
            if not _is_left_out_folder(Path(entry.path)):
                yield from _walk(Path(entry.path))
        elif entry.is_file() and not _is_left_out_file(entry.name.lower()):
            yield Path(entry.path)


def _is_left_out_folder(folder: Path) -> bool:
    is_environment = (folder / "pyvenv.cfg").is_file()
    return is_environment or folder.name in LEFT_OUT_FOLDERS or folder.name.endswith(".egg-info")


def _is_left_out_file(name: str) -> bool:
    return not name.endswith(".py") and any(fnmatch(name, pattern) for pattern in LEFT_OUT_FILES)
