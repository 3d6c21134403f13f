"""The files of a policy artefact on disk: read whole under a size limit, written all or nothing.

::

    manifest.json         what the artefact is, and the sha256 of the other files
    manifest.sha256       sha256 of manifest.json, in the format of ``sha256sum``
    manifest.sig          optional Ed25519 signature of manifest.json, 64 bytes
    weights.safetensors   the network's layers (kind ``network`` only)
    golden.safetensors    64 observations and the actions they must give (likewise)
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from gaelp_rl.errors import ArtifactError

__all__ = [
    "DIGEST_FILE",
    "GOLDEN_FILE",
    "MANIFEST_FILE",
    "MAX_BYTES",
    "SIGNATURE_FILE",
    "WEIGHTS_FILE",
    "compute_sha256",
    "load_artifact_files",
    "write_artifact_files",
]

MANIFEST_FILE = "manifest.json"
DIGEST_FILE = "manifest.sha256"
SIGNATURE_FILE = "manifest.sig"
WEIGHTS_FILE = "weights.safetensors"
GOLDEN_FILE = "golden.safetensors"

MAX_BYTES: Mapping[str, int] = {
    MANIFEST_FILE: 4 << 20,
    DIGEST_FILE: 256,
    SIGNATURE_FILE: 64,
    WEIGHTS_FILE: 256 << 20,
    GOLDEN_FILE: 16 << 20,
}
"""The files an artefact may hold, and the largest size of each that is read."""


def compute_sha256(content: bytes) -> str:
    """Returns the sha256 of some bytes in lower-case hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def load_artifact_files(path: Path) -> dict[str, bytes]:
    """Reads every file of an artefact once, so that the bytes checked are the bytes used.

    Args:
        path: the artefact directory.

    Returns:
        Content by file name.

    Raises:
        ArtifactError: no such directory, a file that does not belong there, a link, a file above
            its size limit, or a file that cannot be read.
    """
    try:
        with os.scandir(path) as entries:
            return {entry.name: _load_file(entry) for entry in entries}
    except OSError as error:
        raise ArtifactError(
            f"policy artefact {path} cannot be read ({error.strerror or error}): "
            "give the path of a directory written by save_policy"
        ) from error


def _load_file(entry: os.DirEntry[str]) -> bytes:
    limit = MAX_BYTES.get(entry.name)
    if limit is None or not entry.is_file(follow_symlinks=False):
        raise ArtifactError(
            f"{entry.path} does not belong in a policy artefact, which holds only the plain files "
            f"{', '.join(MAX_BYTES)}: export the policy again"
        )
    with Path(entry.path).open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ArtifactError(
            f"{entry.path} is larger than the {limit} bytes a policy artefact's {entry.name} may have: "
            "it was not written by save_policy; export the policy again"
        )
    return content


def write_artifact_files(path: Path, files: Mapping[str, bytes]) -> None:
    """Writes an artefact beside its final place, makes it durable, and moves it there.

    An artefact already at ``path`` is replaced, and stays or comes back whole if anything fails.

    Args:
        path: the artefact directory; its parents are made as needed.
        files: content by file name.

    Raises:
        ArtifactError: the disk is full or the place cannot be written, or holds something that is
            no artefact.
    """
    staging: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_replaceable(path)
        staging = path.parent / f".{path.name}.{uuid.uuid4().hex}.partial"
        staging.mkdir()
        for name, content in files.items():
            _write_durably(staging / name, content)
        _sync_directory(staging)
        _swap(staging, path)
    except OSError as error:
        raise ArtifactError(
            f"policy artefact {path} could not be written ({error.strerror or error}); what was there "
            "before is intact: free disk space or choose a writable path, and save again"
        ) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def _check_replaceable(path: Path) -> None:
    if not path.exists():
        return
    names = {entry.name for entry in path.iterdir()} if path.is_dir() else {path.name}
    if not names <= MAX_BYTES.keys():
        raise ArtifactError(
            f"{path} already exists and is no policy artefact (it holds {min(names - MAX_BYTES.keys())}): "
            "choose another path"
        )


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _swap(staging: Path, path: Path) -> None:
    """Moves ``staging`` to ``path``; a directory in the way steps aside and returns on failure."""
    if not path.exists():
        staging.rename(path)
        _sync_directory(path.parent)
        return
    previous = Path(f"{staging}.previous")
    path.rename(previous)
    try:
        staging.rename(path)
    except OSError:
        previous.rename(path)
        raise
    _sync_directory(path.parent)
    shutil.rmtree(previous, ignore_errors=True)
