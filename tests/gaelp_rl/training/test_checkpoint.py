"""Checkpoints are complete or absent, and refused when they are not what was saved."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gaelp_rl.errors import CheckpointError
from gaelp_rl.training import checkpoint
from gaelp_rl.training.checkpoint import (
    find_latest_checkpoint,
    list_checkpoints,
    load_checkpoint,
    read_part_hashes,
    recover_checkpoints,
    save_checkpoint,
)

_STATE = {"weights": np.arange(6.0), "updates": 7, "betas": (0.9, 0.999), "moments": {0: {"step": np.array(3.0)}}}
_PICKLE = b"cos\nsystem\n(S'echo pwned'\ntR."
_DEAD_PROCESS = 4_194_305  # above the kernel's largest process number
_FILES = ("manifest.json", "state.json", "arrays.npz")


def _is_intact(path: Path) -> bool:
    state = load_checkpoint(path)
    return np.array_equal(state["weights"], _STATE["weights"]) and state["betas"] == (0.9, 0.999)


def test_checkpoint__round_trip_keeps_the_newest(tmp_path: Path) -> None:
    for number in (5, 200, 30):
        save_checkpoint(tmp_path, number, _STATE, kept=2)
    assert [folder.name for folder in list_checkpoints(tmp_path)] == ["checkpoint-0000000030", "checkpoint-0000000200"]
    assert _is_intact(find_latest_checkpoint(tmp_path))
    assert load_checkpoint(find_latest_checkpoint(tmp_path))["moments"][0]["step"] == 3.0
    assert sorted(tmp_path.iterdir()) == list_checkpoints(tmp_path)


@pytest.mark.parametrize("name", _FILES)
@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped", "pickle"])
def test_checkpoint__damage_to_any_file_is_refused_by_name(tmp_path: Path, name: str, damage: str) -> None:
    file = save_checkpoint(tmp_path, 1, _STATE) / name
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        middle = len(content) // 2
        file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    else:
        file.write_bytes(_PICKLE)
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "checkpoint-0000000001")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("operation", ["fsync", "write"])
def test_checkpoint__a_failing_disk_leaves_the_last_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, operation: str
) -> None:
    save_checkpoint(tmp_path, 1, _STATE)

    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(*((os, "fsync", fail) if operation == "fsync" else (np, "savez", fail)))
        with pytest.raises(CheckpointError, match="earlier ones are intact"):
            save_checkpoint(tmp_path, 2, _STATE)
    assert sorted(tmp_path.iterdir()) == list_checkpoints(tmp_path)
    assert _is_intact(find_latest_checkpoint(tmp_path))


def test_checkpoint__too_little_space_is_noticed_before_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000)
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(CheckpointError, match="MiB"):
        save_checkpoint(tmp_path, 1, _STATE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc refuses new folders even to root")
def test_checkpoint__a_read_only_place_is_a_typed_error() -> None:
    with pytest.raises(CheckpointError, match="could not be written"):
        save_checkpoint(Path("/proc/checkpoints"), 1, _STATE)


def test_checkpoint__a_killed_save_is_not_a_checkpoint(tmp_path: Path) -> None:
    """A folder without its manifest is what a process that died while copying leaves behind."""
    good = save_checkpoint(tmp_path, 1, _STATE)
    shutil.copytree(good, tmp_path / "checkpoint-0000000002")
    (tmp_path / "checkpoint-0000000002" / "manifest.json").unlink()
    assert find_latest_checkpoint(tmp_path) == good


def test_checkpoint__the_same_number_is_replaced(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, {"updates": 1})
    assert load_checkpoint(save_checkpoint(tmp_path, 1, {"updates": 2})) == {"updates": 2}


def test_checkpoint__an_empty_folder_has_none(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        find_latest_checkpoint(tmp_path / "nowhere")


def test_checkpoint__loading_never_unpickles(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 1, _STATE)
    seen: list[str] = []
    active = [True]
    sys.addaudithook(lambda event, _: seen.append(event) if active[0] and event == "pickle.find_class" else None)
    load_checkpoint(path)
    active[0] = False
    assert seen == []


def test_checkpoint__a_kill_between_the_renames_loses_nothing(tmp_path: Path) -> None:
    """Replacing renames the old one away first; if it is all there is, it has to come back."""
    path = save_checkpoint(tmp_path, 1, _STATE)
    path.rename(tmp_path / f".{path.name}.replaced-{_DEAD_PROCESS}")
    shutil.copytree(
        tmp_path / f".{path.name}.replaced-{_DEAD_PROCESS}", tmp_path / f".{path.name}.partial-{_DEAD_PROCESS}"
    )
    assert find_latest_checkpoint(tmp_path) == path
    assert _is_intact(path)
    assert list(tmp_path.iterdir()) == [path]


def test_checkpoint__leftovers_of_dead_processes_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    living, dead = (tmp_path / f".checkpoint-0000000009.partial-{pid}" for pid in (os.getppid(), _DEAD_PROCESS))
    living.mkdir()
    dead.mkdir()
    assert recover_checkpoints(tmp_path) == []
    assert list(tmp_path.iterdir()) == [living]


@pytest.mark.parametrize("renames", [0, 1])
def test_checkpoint__a_failed_replacement_leaves_the_one_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    save_checkpoint(tmp_path, 1, _STATE)
    left, rename = [renames], Path.rename

    def fail(path: Path, target: Path) -> Path:
        if left[0] == 0 and path.parent.is_relative_to(tmp_path):
            left[0] = -1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        left[0] -= 1
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        with pytest.raises(CheckpointError, match="earlier ones are intact"):
            save_checkpoint(tmp_path, 1, {"updates": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-0000000001"]
    assert _is_intact(tmp_path / "checkpoint-0000000001")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of a process")
def test_checkpoint__a_write_that_the_kernel_cuts_off_is_a_typed_error(tmp_path: Path) -> None:
    """A real failure in the middle of a file: RLIMIT_FSIZE, as a quota or a full disk would cut it."""
    good = save_checkpoint(tmp_path, 1, _STATE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(CheckpointError, match="File too large"):
            save_checkpoint(tmp_path, 2, {"weights": np.ones(1_000_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == [good]
    assert _is_intact(save_checkpoint(tmp_path, 3, _STATE))


def test_checkpoint__hashes_of_parts_come_back(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 1, _STATE, hashes={"learner": "ab"})
    assert read_part_hashes(path) == {"learner": "ab"}
