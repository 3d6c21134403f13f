"""Disks that refuse while a sprint writes its checkpoints: full, read-only, cut off, and MLflow's own."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from experiments.fault_drills import Drill, check_checkpoints
from experiments.sprint_process import SprintProcess, list_numbers
from gaelp_rl.errors import ResourceError

__all__ = ["DISK_FAULTS", "can_mount", "drill_disk"]

_REFUSED = 2
_INTERRUPTED = 130
_MEBIBYTE = 2**20
_ROOMY = "size=256m,nr_inodes=20k"
_CUT_BYTES = 2_500_000
_PATIENCE_S = 60.0


def can_mount() -> bool:
    """Whether this process may mount file systems of its own, as root of a container often may."""
    with tempfile.TemporaryDirectory() as folder:
        is_mounted = _run("mount", "-t", "tmpfs", "tmpfs", folder)
        return is_mounted and _run("umount", folder)


def drill_disk(folder: Path, fault: str, on_trial: Callable[[int], None] = lambda _done: None) -> Drill:
    """Trains onto a disk, lets it refuse, checks what is left, gives it room again, and goes on.

    The sprint has to end with exit code 2 and a message that says what to do; every checkpoint on the disk
    has to load; with room again, ``--resume latest`` has to reach the next checkpoint.

    Args:
        folder: for the run; emptied first.
        fault: a key of ``DISK_FAULTS``. All but ``cut off`` need ``can_mount``.
        on_trial: called when it is over.
    """
    disk, records = folder / "disk", folder / "records"
    shutil.rmtree(folder, ignore_errors=True)
    disk.mkdir(parents=True)
    (records / "run-mlflow").mkdir(parents=True)
    drill = Drill(f"disk: {fault}", 1, 0, [])
    needs_mount = fault != "cut off"
    mounted = records / "run-mlflow" if fault == "MLflow's is full" else disk
    if needs_mount:
        _mount(mounted, _ROOMY)
    try:
        with SprintProcess(disk / "run", resume=False, records=records) as run:
            run.wait_until_under_way(0)
            DISK_FAULTS[fault](run, mounted)
            _check_refused(run, fault, drill)
        if needs_mount:
            _run("mount", "-o", f"remount,rw,{_ROOMY}", str(mounted))
            (mounted / "ballast").unlink(missing_ok=True)
        reached = list_numbers(run.checkpoints)[-1]
        with SprintProcess(disk / "run", resume=True, records=records) as run:
            drill.recovery_s.append(run.wait_until_under_way(reached))
    except ResourceError as error:
        drill.failures.append(str(error))
    finally:
        if needs_mount:
            _run("umount", "--lazy", str(mounted))
    on_trial(1)
    return drill


def _check_refused(run: SprintProcess, fault: str, drill: Drill) -> None:
    if fault == "MLflow's is full":
        before = list_numbers(run.checkpoints)[-1]
        code = run.wait_for_end(_PATIENCE_S)
        if code is None:
            drill.notes.append(f"{fault}: training goes on without its record")
            code = _REFUSED if run.stop() == _INTERRUPTED else None
        if list_numbers(run.checkpoints)[-1] < before:
            drill.failures.append(f"{fault}: a checkpoint was lost")
    else:
        code = run.wait_for_end()
        if code is None:
            run.kill()
    if code != _REFUSED:
        drill.failures.append(f"{fault}: ended with {code}, not {_REFUSED}:\n{run.printed[-1_000:]}")
    drill.failures.extend(check_checkpoints(run.checkpoints, fault))
    said = [line for line in run.printed.splitlines() if line.startswith("gaelp:")]
    drill.notes.extend(said[-1:])


def _fill(run: SprintProcess, disk: Path) -> None:
    """All but a mebibyte: too little for the next checkpoint, known before it is written."""
    del run
    _pour(disk, kept_bytes=_MEBIBYTE)


def _fill_completely(run: SprintProcess, disk: Path) -> None:
    del run
    _pour(disk, kept_bytes=0)


def _pour(disk: Path, kept_bytes: int) -> None:
    """Writes until only so much is free; the sprint writes at the same time, so the disk may be full before."""
    with (disk / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while kept_bytes == 0 or shutil.disk_usage(disk).free > kept_bytes:
            ballast.write(bytes(_MEBIBYTE // 16))


def _take_inodes(run: SprintProcess, disk: Path) -> None:
    """No file can be made any more, while bytes are free: ENOSPC by the kernel in the middle of a checkpoint."""
    del run
    used = sum(1 for _ in disk.rglob("*")) + 1
    _run("mount", "-o", f"remount,size=256m,nr_inodes={used + 3}", str(disk))


def _make_read_only(run: SprintProcess, disk: Path) -> None:
    """Retried, since a disk with files open for writing refuses."""
    del run
    deadline_s = time.monotonic() + _PATIENCE_S
    while not _run("mount", "-o", "remount,ro", str(disk)) and time.monotonic() < deadline_s:
        time.sleep(0.01)


def _cut_off(run: SprintProcess, disk: Path) -> None:
    del disk
    run.limit_files(_CUT_BYTES)


DISK_FAULTS: Mapping[str, Callable[[SprintProcess, Path], None]] = MappingProxyType(
    {
        "full": _fill,
        "no inodes": _take_inodes,
        "read-only": _make_read_only,
        "cut off": _cut_off,
        "MLflow's is full": _fill_completely,
    }
)
"""What can happen to a disk, by name; ``cut off`` is a write that the kernel ends in the middle of a file."""


def _mount(folder: Path, options: str) -> None:
    if not _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)):
        msg = f"{folder} cannot be mounted: run as a user who may, or leave out the drills that need it"
        raise ResourceError(msg)


def _run(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
