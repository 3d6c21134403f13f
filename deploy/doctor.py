"""Checks of the machine a job will run on: pure functions of facts, and the facts of this machine."""

from __future__ import annotations

import enum
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

__all__ = [
    "CheckStatus",
    "Finding",
    "Machine",
    "check_machine",
    "load_locked_versions",
    "load_machine",
]

GIB = 1024**3
PYTHON_VERSION = (3, 11)
MIN_MEMORY_GIB = 6.0
MIN_DISK_GIB = 5.0
MIN_SHARED_MEMORY_GIB = 0.5
MIN_CORES = 2
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - its size is read, nothing is written there

_PIN = re.compile(r"^\s*\"?([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\",\\]+)")


class CheckStatus(enum.Enum):
    """How a check came out: `WARN` runs but poorly or unsafely, `FAIL` will not run."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One check's outcome.

    Attributes:
        name: what was checked.
        status: how it came out.
        detail: what was found.
        fix: what to do about it; empty where nothing is to be done.
    """

    name: str
    status: CheckStatus
    detail: str
    fix: str = ""


@dataclass(frozen=True)
class Machine:
    """The facts that the checks judge.

    Attributes:
        python: (major, minor) of the running interpreter.
        cores: CPU cores that this process may use.
        memory_gib: memory that is available now, in GiB.
        disk_gib: free disk under the runs folder, in GiB.
        shared_memory_gib: size of the shared-memory file system, in GiB; None where there is none.
        runs_error: why the runs folder cannot be written; empty where it can.
        installed: version by normalised package name.
        locked: the same, as the lock asks for.
        ray_auth_mode: the RAY_AUTH_MODE variable, empty where unset.
        ray_address: the RAY_ADDRESS variable, empty where unset.
        ray_token_file: the token file that Ray would read; None where it does not exist.
        ray_token_mode: permission bits of that file.
    """

    python: tuple[int, int]
    cores: float
    memory_gib: float
    disk_gib: float
    shared_memory_gib: float | None
    runs_error: str
    installed: Mapping[str, str]
    locked: Mapping[str, str]
    ray_auth_mode: str = ""
    ray_address: str = ""
    ray_token_file: Path | None = None
    ray_token_mode: int = 0o600


def check_machine(machine: Machine) -> list[Finding]:
    """Judges a machine.

    Args:
        machine: its facts.

    Returns:
        One finding per check, in a fixed order.
    """
    return [
        _judge_python(machine),
        _judge_cores(machine),
        _judge_memory(machine),
        _judge_disk(machine),
        _judge_shared_memory(machine),
        _judge_runs_folder(machine),
        _judge_versions(machine),
        _judge_ray_auth(machine),
    ]


def load_machine(runs: Path, lock: Path, project: Path) -> Machine:
    """Collects the facts of this machine.

    Args:
        runs: the folder that jobs write to; it is not created.
        lock: the requirements lock.
        project: the project's pyproject.toml, whose exact pins (torch) complete the lock.

    Returns:
        The facts.
    """
    nearest = next(folder for folder in (runs.absolute(), *runs.absolute().parents) if folder.is_dir())
    token_file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    has_token = token_file.is_file()
    return Machine(
        python=sys.version_info[:2],
        cores=_load_cores(),
        memory_gib=_load_available_memory() / GIB,
        disk_gib=shutil.disk_usage(nearest).free / GIB,
        shared_memory_gib=shutil.disk_usage(SHARED_MEMORY).total / GIB if SHARED_MEMORY.is_dir() else None,
        runs_error=_find_write_error(nearest),
        installed={_normalise(item.name): item.version for item in metadata.distributions()},
        locked=load_locked_versions([lock, project]),
        ray_auth_mode=os.environ.get("RAY_AUTH_MODE", ""),
        ray_address=os.environ.get("RAY_ADDRESS", ""),
        ray_token_file=token_file if has_token else None,
        ray_token_mode=token_file.stat().st_mode & 0o777 if has_token else 0o600,
    )


def load_locked_versions(files: Iterable[Path]) -> dict[str, str]:
    """Reads the exact pins (`name==version`) of requirement files; a missing file has none."""
    pins: dict[str, str] = {}
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
            if match := _PIN.match(line):
                pins[_normalise(match[1])] = match[2]
    return pins


def _judge_python(machine: Machine) -> Finding:
    found = ".".join(map(str, machine.python))
    wanted = ".".join(map(str, PYTHON_VERSION))
    if machine.python == PYTHON_VERSION:
        return Finding("python", CheckStatus.OK, found)
    return Finding(
        "python", CheckStatus.FAIL, f"{found}, and {wanted} is needed", f"install Python {wanted}, make setup"
    )


def _judge_cores(machine: Machine) -> Finding:
    detail = f"{machine.cores:g} usable"
    if machine.cores >= MIN_CORES:
        return Finding("cores", CheckStatus.OK, detail)
    return Finding("cores", CheckStatus.WARN, detail, f"give this process {MIN_CORES} cores, or expect half the speed")


def _judge_memory(machine: Machine) -> Finding:
    detail = f"{machine.memory_gib:.1f} GiB available"
    if machine.memory_gib >= MIN_MEMORY_GIB:
        return Finding("memory", CheckStatus.OK, detail)
    fix = f"close other programs until {MIN_MEMORY_GIB:g} GiB are free, or lower training.replay_capacity"
    return Finding("memory", CheckStatus.FAIL, detail, fix)


def _judge_disk(machine: Machine) -> Finding:
    detail = f"{machine.disk_gib:.1f} GiB free for runs/"
    if machine.disk_gib >= MIN_DISK_GIB:
        return Finding("disk", CheckStatus.OK, detail)
    fix = f"free {MIN_DISK_GIB:g} GiB, delete old folders under runs/, or pass --out on another disk"
    return Finding("disk", CheckStatus.FAIL, detail, fix)


def _judge_shared_memory(machine: Machine) -> Finding:
    if machine.shared_memory_gib is None:
        return Finding("shared memory", CheckStatus.OK, f"no {SHARED_MEMORY} here; Ray uses temporary files")
    detail = f"{SHARED_MEMORY} holds {machine.shared_memory_gib:.2f} GiB"
    if machine.shared_memory_gib >= MIN_SHARED_MEMORY_GIB:
        return Finding("shared memory", CheckStatus.OK, detail)
    fix = "in a container, start it with --shm-size=2g; Ray falls back to disk and slows down"
    return Finding("shared memory", CheckStatus.WARN, detail, fix)


def _judge_runs_folder(machine: Machine) -> Finding:
    if not machine.runs_error:
        return Finding("runs folder", CheckStatus.OK, "writable")
    return Finding("runs folder", CheckStatus.FAIL, machine.runs_error, "chown or chmod it, or pass --out DIR")


def _judge_versions(machine: Machine) -> Finding:
    if not machine.locked:
        return Finding("versions", CheckStatus.WARN, "no lock found", "run gaelp from its checkout")
    wrong = [
        f"{name} {machine.installed.get(name, 'missing')} (lock: {version})"
        for name, version in sorted(machine.locked.items())
        if machine.installed.get(name, "").partition("+")[0] != version
    ]
    if not wrong:
        return Finding("versions", CheckStatus.OK, f"all {len(machine.locked)} as locked")
    shown = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
    return Finding("versions", CheckStatus.FAIL, shown, "make setup (after rm -rf .venv if it does nothing)")


def _judge_ray_auth(machine: Machine) -> Finding:
    """Ray's job port runs any code it is sent: without a token only a cluster of this process is safe.

    Source: https://docs.ray.io/en/latest/ray-security/token-auth.html
    """
    local = machine.ray_address in {"", "local"}
    if machine.ray_auth_mode == "disabled":
        status = CheckStatus.WARN if local else CheckStatus.FAIL
        return Finding("ray auth", status, "RAY_AUTH_MODE=disabled", "export RAY_AUTH_MODE=token")
    if not local and machine.ray_auth_mode != "token":
        detail = f"RAY_ADDRESS={machine.ray_address} without RAY_AUTH_MODE=token"
        return Finding(
            "ray auth", CheckStatus.FAIL, detail, "export RAY_AUTH_MODE=token; ray get-auth-token --generate"
        )
    if machine.ray_token_file and machine.ray_token_mode & 0o077:
        detail = f"{machine.ray_token_file} is readable by others ({machine.ray_token_mode:04o})"
        return Finding("ray auth", CheckStatus.WARN, detail, f"chmod 600 {machine.ray_token_file}")
    return Finding("ray auth", CheckStatus.OK, "token" if machine.ray_token_file else "token, made at the first start")


def _normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _load_cores() -> float:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.is_file():
        limit, period = quota.read_text().split()
        if limit != "max":
            return min(float(allowed), int(limit) / int(period))
    return float(allowed)


def _load_available_memory() -> float:
    import psutil  # not at import: `gaelp --help` must not wait for it

    available = float(psutil.virtual_memory().available)
    limit = Path("/sys/fs/cgroup/memory.max")
    used = Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and used.is_file() and (text := limit.read_text().strip()) != "max":
        return min(available, float(int(text) - int(used.read_text())))
    return available


def _find_write_error(folder: Path) -> str:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"{folder}: {error.strerror or error}"
