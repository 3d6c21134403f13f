"""Writing an artefact is all or nothing; reading one takes known plain files of bounded size only."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gaelp_rl.errors import ArtifactError
from gaelp_rl.policy import files
from gaelp_rl.policy.files import load_artifact_files, write_artifact_files

OLD = {"manifest.json": b"old", "manifest.sha256": b"old digest"}
NEW = {"manifest.json": b"new" * 1000, "weights.safetensors": b"new weights" * 1000}


@contextmanager
def limited_file_size(limit_bytes: int) -> Iterator[None]:
    """The kernel refuses writes beyond the limit, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_write_artifact_files__round_trip_and_parents(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "policy"
    write_artifact_files(path, NEW)
    assert load_artifact_files(path) == NEW
    assert [child.name for child in path.parent.iterdir()] == ["policy"]


def test_write_artifact_files__replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "policy"
    write_artifact_files(path, OLD)
    write_artifact_files(path, NEW)
    assert load_artifact_files(path) == NEW
    assert [child.name for child in tmp_path.iterdir()] == ["policy"]


def test_write_artifact_files__write_refused_by_the_kernel_keeps_the_previous(tmp_path: Path) -> None:
    path = tmp_path / "policy"
    write_artifact_files(path, OLD)
    with limited_file_size(100), pytest.raises(ArtifactError, match=r"File too large.*before is intact: free disk"):
        write_artifact_files(path, NEW)
    assert load_artifact_files(path) == OLD
    assert [child.name for child in tmp_path.iterdir()] == ["policy"]


@pytest.mark.parametrize("failing_call", range(4))
def test_write_artifact_files__disk_full_at_any_sync_keeps_a_whole_artefact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing_call: int
) -> None:
    """Two files, their directory, then the parent: only after the last is the new one in place."""
    path = tmp_path / "policy"
    write_artifact_files(path, OLD)
    calls = iter(range(100))

    def fail_sometimes(descriptor: int) -> None:
        if next(calls) == failing_call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", fail_sometimes)
    with pytest.raises(ArtifactError, match="No space left"):
        write_artifact_files(path, NEW)
    assert load_artifact_files(path) == (NEW if failing_call == 3 else OLD)


def test_write_artifact_files__failed_move_brings_the_previous_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "policy"
    write_artifact_files(path, OLD)
    rename = Path.rename

    def refuse_second(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse_second)
    with pytest.raises(ArtifactError, match="could not be written"):
        write_artifact_files(path, NEW)
    assert load_artifact_files(path) == OLD
    assert [child.name for child in tmp_path.iterdir()] == ["policy"]


def test_write_artifact_files__place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtifactError, match="choose a writable path"):
        write_artifact_files(tmp_path / "file" / "policy", NEW)


def test_write_artifact_files__does_not_replace_what_is_no_artefact(tmp_path: Path) -> None:
    """A slip such as ``--out .`` must not delete somebody's folder."""
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ArtifactError, match=r"no policy artefact \(it holds thesis.txt\): choose another"):
        write_artifact_files(tmp_path, NEW)
    with pytest.raises(ArtifactError, match="already exists"):
        write_artifact_files(tmp_path / "thesis.txt", NEW)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_load_artifact_files__missing_directory(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"nowhere cannot be read \(No such file.*written by save_policy"):
        load_artifact_files(tmp_path / "nowhere")


def test_load_artifact_files__unknown_file_link_and_directory(tmp_path: Path) -> None:
    write_artifact_files(tmp_path / "policy", OLD)
    for name in ("policy.pkl", "weights.safetensors"):
        intruder = tmp_path / "policy" / name
        if name == "policy.pkl":
            intruder.write_bytes(b"x")
        else:
            intruder.symlink_to("/etc/hostname")
        with pytest.raises(ArtifactError, match=rf"{name} does not belong in a policy artefact"):
            load_artifact_files(tmp_path / "policy")
        intruder.unlink()
    (tmp_path / "policy" / "golden.safetensors").mkdir()
    with pytest.raises(ArtifactError, match="does not belong"):
        load_artifact_files(tmp_path / "policy")


def test_load_artifact_files__size_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_artifact_files(tmp_path / "policy", OLD)
    monkeypatch.setattr(files, "MAX_BYTES", {**files.MAX_BYTES, "manifest.json": 3})
    assert load_artifact_files(tmp_path / "policy") == OLD
    monkeypatch.setattr(files, "MAX_BYTES", {**files.MAX_BYTES, "manifest.json": 2})
    with pytest.raises(ArtifactError, match=r"manifest\.json is larger than the 2 bytes"):
        load_artifact_files(tmp_path / "policy")
