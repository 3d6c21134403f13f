"""Training checkpoints on disk: complete or absent, verified before use, free of pickle."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.errors import CheckpointError
from gaelp_rl.training.state_codec import decode_state, encode_state

__all__ = ["find_latest_checkpoint", "list_checkpoints", "load_checkpoint", "save_checkpoint"]

_FORMAT = 1
_PREFIX = "checkpoint-"
_MANIFEST, _DOCUMENT, _ARRAYS = "manifest.json", "state.json", "arrays.npz"
_FREE_SPACE_MARGIN_BYTES = 16 << 20


def save_checkpoint(root: Path, number: int, state: Mapping[str, Any], *, kept: int = 2) -> Path:
    """Writes ``root/checkpoint-<number>``: into a hidden folder first, synced to disk, then renamed.

    Args:
        root: folder of the run's checkpoints; made if missing.
        number: orders checkpoints; an existing one of the same number is replaced.
        state: as ``encode_state`` takes it.
        kept: how many of the newest checkpoints stay.

    Returns:
        The checkpoint's folder.

    Raises:
        CheckpointError: disk full, read-only or the like; every earlier checkpoint is intact.
    """
    document, arrays = encode_state(state)
    final = root / f"{_PREFIX}{number:010d}"
    partial = root / f".{final.name}.partial-{os.getpid()}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        _check_free_space(root, arrays)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        _write_files(partial, document, arrays)
        if final.exists():
            final.rename(root / f".{final.name}.replaced-{os.getpid()}")
        partial.rename(final)
        _sync_folder(root)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        msg = f"checkpoint {final} could not be written ({error}): free space or move it; earlier ones are intact"
        raise CheckpointError(msg) from error
    _remove_old(root, kept)
    return final


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


def list_checkpoints(root: Path) -> list[Path]:
    """Complete checkpoints under a folder, oldest first; empty where there are none."""
    folders = root.glob(f"{_PREFIX}*") if root.is_dir() else []
    return sorted(folder for folder in folders if (folder / _MANIFEST).is_file())


def find_latest_checkpoint(root: Path) -> Path:
    """The newest checkpoint under a folder.

    Raises:
        CheckpointError: there is none.
    """
    found = list_checkpoints(root)
    if not found:
        msg = f"{root} holds no checkpoint: start a new run, or name the folder of an earlier one"
        raise CheckpointError(msg)
    return found[-1]


def _write_files(folder: Path, document: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    with (folder / _DOCUMENT).open("w", encoding="utf-8") as file:
        json.dump(document, file)
    with (folder / _ARRAYS).open("wb") as binary:
        np.savez(binary, allow_pickle=False, **arrays)
    manifest = {name: _hash_file(folder / name) for name in (_DOCUMENT, _ARRAYS)} | {"format": _FORMAT}
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    for name in (_DOCUMENT, _ARRAYS, _MANIFEST):
        with (folder / name).open("rb") as written:
            os.fsync(written.fileno())
    _sync_folder(folder)


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
    for folder in [*list_checkpoints(root)[:-kept], *root.glob(f".{_PREFIX}*")]:
        shutil.rmtree(folder, ignore_errors=True)


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
