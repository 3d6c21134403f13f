"""Training checkpoints on disk: complete or absent, verified before use, free of pickle.

A checkpoint is written into a hidden folder, synced to disk file by file, and renamed. Where one of the
same number exists it is renamed out of the way first; a process killed between the two renames leaves the
old one hidden, and ``recover_checkpoints`` brings it back. Old ones are renamed before they are deleted, so
that none is ever seen half deleted.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.errors import CheckpointError
from gaelp_rl.training.state_codec import decode_state, encode_state

__all__ = [
    "find_latest_checkpoint",
    "list_checkpoints",
    "load_checkpoint",
    "read_part_hashes",
    "recover_checkpoints",
    "save_checkpoint",
]

_FORMAT = 2
_PREFIX = "checkpoint-"
_MANIFEST, _DOCUMENT, _ARRAYS = "manifest.json", "state.json", "arrays.npz"
_FREE_SPACE_MARGIN_BYTES = 16 << 20


def save_checkpoint(
    root: Path, number: int, state: Mapping[str, Any], *, hashes: Mapping[str, str] | None = None, kept: int = 2
) -> Path:
    """Writes ``root/checkpoint-<number>``: into a hidden folder first, synced to disk, then renamed.

    Args:
        root: folder of the run's checkpoints; made if missing.
        number: orders checkpoints; an existing one of the same number is replaced.
        state: as ``encode_state`` takes it.
        hashes: sha256 of parts of the state, by name; kept in the manifest for ``read_part_hashes``.
        kept: how many of the newest checkpoints stay.

    Returns:
        The checkpoint's folder.

    Raises:
        CheckpointError: disk full, read-only or the like; every earlier checkpoint is intact.
    """
    document, arrays = encode_state(state)
    final = root / f"{_PREFIX}{number:010d}"
    partial, replaced = (root / f".{final.name}.{kind}-{os.getpid()}" for kind in ("partial", "replaced"))
    try:
        _make_folder(root)
        recover_checkpoints(root)
        _check_free_space(root, arrays)
        partial.mkdir()
        _write_files(partial, document, arrays, dict(hashes or {}))
        if final.exists():
            final.rename(replaced)
        partial.rename(final)
        _sync_folder(root)
    except OSError as error:
        _undo(final, partial, replaced)
        msg = f"checkpoint {final} could not be written ({error}): free space or move it; earlier ones are intact"
        raise CheckpointError(msg) from error
    _remove_old(root, kept)
    return final


def recover_checkpoints(root: Path) -> list[Path]:
    """Clears away what a killed process left under a folder; a checkpoint it was about to replace comes back.

    Returns:
        The checkpoints that came back. What a living process is writing stays, and so does everything in
        a folder that cannot be written.
    """
    recovered = []
    for hidden in sorted(root.glob(f".{_PREFIX}*")) if root.is_dir() else []:
        final = root / hidden.name[1:].split(".", 1)[0]
        try:
            if ".replaced-" in hidden.name and not final.exists() and (hidden / _MANIFEST).is_file():
                hidden.rename(final)
                recovered.append(final)
            elif _is_orphan(hidden):
                shutil.rmtree(hidden)
        except OSError:
            continue
    return recovered


def load_checkpoint(path: Path) -> Any:
    """Reads a checkpoint after checking every file against the manifest.

    Args:
        path: a checkpoint's folder.

    Returns:
        The state given to ``save_checkpoint``.

    Raises:
        CheckpointError: a file is missing, unreadable, or not what the manifest says.
    """
    manifest = _read_manifest(path)
    for name in (_DOCUMENT, _ARRAYS):
        if _hash_file(path / name) != manifest.get(name):
            msg = f"{path / name} is not what was saved (sha256 differs from {_MANIFEST}): take another checkpoint"
            raise CheckpointError(msg)
    try:
        document = json.loads((path / _DOCUMENT).read_text(encoding="utf-8"))
        with np.load(path / _ARRAYS, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        msg = f"{path} cannot be read ({error}): take another checkpoint"
        raise CheckpointError(msg) from error
    return decode_state(document, arrays)


def read_part_hashes(path: Path) -> dict[str, str]:
    """The ``hashes`` given to ``save_checkpoint``.

    Raises:
        CheckpointError: the folder holds no readable manifest.
    """
    return {str(name): str(digest) for name, digest in dict(_read_manifest(path).get("parts", {})).items()}


def list_checkpoints(root: Path) -> list[Path]:
    """Complete checkpoints under a folder, oldest first; empty where there are none."""
    folders = root.glob(f"{_PREFIX}*") if root.is_dir() else []
    return sorted(folder for folder in folders if (folder / _MANIFEST).is_file())


def find_latest_checkpoint(root: Path) -> Path:
    """The newest checkpoint under a folder, after ``recover_checkpoints``.

    Raises:
        CheckpointError: there is none.
    """
    recover_checkpoints(root)
    found = list_checkpoints(root)
    if not found:
        msg = f"{root} holds no checkpoint: start a new run, or name the folder of an earlier one"
        raise CheckpointError(msg)
    return found[-1]


class _HashedFile:
    """A file that is hashed as it is written, in one pass; it cannot seek."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, chunk: bytes) -> int:
        self.digest.update(chunk)
        return self._file.write(chunk)

    def flush(self) -> None:
        self._file.flush()

    def read(self, size: int = -1) -> bytes:
        """Only here because numpy takes what has no ``read`` for a path."""
        raise OSError(errno.EBADF, f"the file is open for writing; {size} bytes cannot be read")


def _write_files(folder: Path, document: Any, arrays: Mapping[str, NDArray[Any]], parts: Mapping[str, str]) -> None:
    manifest: dict[str, Any] = {"format": _FORMAT, "parts": dict(parts)}
    manifest[_DOCUMENT] = _write_synced(
        folder / _DOCUMENT, lambda file: file.write(json.dumps(document).encode("utf-8"))
    )
    manifest[_ARRAYS] = _write_synced(folder / _ARRAYS, lambda file: np.savez(file, allow_pickle=False, **arrays))
    text = json.dumps(manifest, indent=2).encode("utf-8")
    _write_synced(folder / _MANIFEST, lambda file: file.write(text))
    _sync_folder(folder)


def _write_synced(path: Path, write: Callable[[Any], object]) -> str:
    """Writes a file through to the disk; returns its sha256."""
    with path.open("wb") as file:
        hashed = _HashedFile(file)
        write(hashed)
        file.flush()
        os.fsync(file.fileno())
    return hashed.digest.hexdigest()


def _make_folder(root: Path) -> None:
    if not root.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        _sync_folder(root.parent)


def _undo(final: Path, partial: Path, replaced: Path) -> None:
    """After a failure: the checkpoint that was to be replaced stands again, the new one is gone."""
    with contextlib.suppress(OSError):
        if replaced.exists() and not final.exists():
            replaced.rename(final)
    shutil.rmtree(partial, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_free_space(root: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    needed = sum(array.nbytes for array in arrays.values()) + _FREE_SPACE_MARGIN_BYTES
    free = shutil.disk_usage(root).free
    if free < needed:
        msg = f"a checkpoint under {root} needs {needed >> 20} MiB, {free >> 20} are free; earlier ones are intact"
        raise CheckpointError(msg)


def _remove_old(root: Path, kept: int) -> None:
    """Drops all but the newest, each hidden before it is deleted; what cannot be deleted stays."""
    for folder in list_checkpoints(root)[:-kept]:
        with contextlib.suppress(OSError):
            folder.rename(root / f".{folder.name}.old-{os.getpid()}")
    recover_checkpoints(root)


def _is_orphan(hidden: Path) -> bool:
    """Whether the process that made a hidden folder is this one or no longer lives; its number ends the name."""
    pid = int(hidden.name.rsplit("-", 1)[1])
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path} holds no readable {_MANIFEST} ({error}): it is no checkpoint, or was cut short; take another"
        raise CheckpointError(msg) from error
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        msg = f"{path / _MANIFEST} is not of format {_FORMAT}: it was written by another version"
        raise CheckpointError(msg)
    return manifest


def _hash_file(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
