"""Where compiled kernels are kept: one folder for each state of their sources.

numba keys a cached function by its own file alone, so that after an edit of a function it calls it would
go on running the old machine code. Naming the cache after a hash of every source that compiles kernels
makes a stale hit impossible.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

__all__ = ["compute_kernel_hash", "use_kernel_cache"]

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("gaelp_rl", "envs")


def compute_kernel_hash(root: Path) -> str:
    """Hash of all Python files under ``root``'s packages that mention ``njit``, names included."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            source = path.read_bytes()
            if b"njit" in source:
                digest.update(path.relative_to(root).as_posix().encode() + b"\0" + source)
    return digest.hexdigest()[:16]


def use_kernel_cache(root: Path = _ROOT) -> Path:
    """Points numba, which must not have been imported yet, to the folder of the present sources.

    An environment that sets ``NUMBA_CACHE_DIR`` itself is left alone.

    Returns:
        The folder: in the checkout, or in the system's temporary folder if that is read-only.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = root if os.access(root, os.W_OK) else Path(tempfile.gettempdir())
    folder = base / ".numba_cache" / compute_kernel_hash(root)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    return folder
