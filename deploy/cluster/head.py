"""A Ray head on this machine: started with a token of its own, seen ready, ended without a trace."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deploy.cluster.dashboard import Dashboard
from deploy.cluster.folder import ClusterFolder, ClusterState
from deploy.cluster.processes import MARK, check_port, find_free_port, find_processes, stop_processes
from gaelp_rl.errors import ResourceError

__all__ = [
    "HeadSettings",
    "check_dashboard_packages",
    "make_head_command",
    "make_head_environment",
    "read_token",
    "start_head",
    "stop_head",
]

MIB = 2**20
SESSION_PREFIX = "gaelp-ray-"
STOP_WAIT_S = 60
"""Seconds from SIGTERM to SIGKILL for a job that is stopped: a sprint ends its iteration and saves."""

_LONGEST_BASE = 24  # Unix sockets take paths of 107 bytes at most, and Ray's part of them is long
_DASHBOARD_PACKAGES = ("aiohttp", "aiohttp_cors", "colorful", "grpc", "opencensus", "prometheus_client", "smart_open")
_PASSED = ("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_PASSED_PREFIXES = ("LC_", "PYTHON", "OMP_", "MKL_", "CUDA_", "NVIDIA_", "RAY_", "SSL_")
_OWN = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN", "RAY_JOB_HEADERS")


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """How a head is started.

    Attributes:
        port: of the control store on 127.0.0.1; 0 chooses a free one.
        dashboard_port: of the dashboard and the Jobs API on 127.0.0.1; 0 chooses a free one.
        num_cpus: CPUs that Ray may promise; None counts the cores.
        memory_mib: memory that Ray may promise, MiB; None takes what is free.
        object_store_mib: limit of the object store, MiB.
        passed_variables: environment variables that jobs see, beside the harmless ones.
    """

    port: int = 6379
    dashboard_port: int = 8265
    num_cpus: int | None = None
    memory_mib: int | None = None
    object_store_mib: int = 512
    passed_variables: tuple[str, ...] = ()


def check_dashboard_packages() -> None:
    """Checks that Ray's dashboard, which holds the Jobs API, is installed.

    Raises:
        ResourceError: packages of ``ray[default]`` are missing.
    """
    missing = [name for name in _DASHBOARD_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ResourceError(
            f"Ray's Jobs API needs packages of ray[default] that are not installed: {', '.join(missing)}. "
            "Run `make setup` in an up-to-date checkout."
        )


def make_head_command(settings: HeadSettings, session_folder: Path) -> list[str]:
    """The program that is the head; it stays in the foreground and ends the others when it ends."""
    options = {
        "--node-ip-address": "127.0.0.1",
        "--port": settings.port,
        "--include-dashboard": "true",
        "--dashboard-host": "127.0.0.1",
        "--dashboard-port": settings.dashboard_port,
        "--dashboard-agent-listen-port": 0,
        "--metrics-export-port": 0,
        "--min-worker-port": 0,
        "--max-worker-port": 0,
        "--object-store-memory": settings.object_store_mib * MIB,
        "--temp-dir": session_folder,
    }
    if settings.num_cpus is not None:
        options["--num-cpus"] = settings.num_cpus
    if settings.memory_mib is not None:
        options["--memory"] = settings.memory_mib * MIB
    flags = [part for name, setting in options.items() for part in (name, str(setting))]
    return [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats", *flags]


def make_head_environment(
    environment: Mapping[str, str], cluster_id: str, token_file: Path, passed: Sequence[str] = ()
) -> dict[str, str]:
    """What every process of the cluster finds in its environment.

    Who holds the token runs code in these processes, so a password that lies in a shell's environment
    must not get there: harmless names pass, others only when named.

    Args:
        environment: of this process.
        cluster_id: the mark.
        token_file: absolute path of the token.
        passed: more names to pass.

    Returns:
        The variables.

    Raises:
        ResourceError: a variable to be passed is not set.
    """
    unset = [name for name in passed if name not in environment]
    if unset:
        raise ResourceError(f"--pass-env {unset[0]}: this variable is not set; export it first")
    kept = {
        name: text
        for name, text in environment.items()
        if name in {*_PASSED, *passed} or (name.startswith(_PASSED_PREFIXES) and name not in _OWN)
    }
    return kept | {
        MARK: cluster_id,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_file),
        "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONUNBUFFERED": "1",
    }


def start_head(
    folder: ClusterFolder,
    settings: HeadSettings,
    command: Sequence[str] | None = None,
    on_wait: Callable[[float], None] = lambda _seconds: None,
    ready_within_s: float = 120.0,
) -> ClusterState:
    """Starts a head and waits until it takes jobs from the holder of the token, and from nobody else.

    Args:
        folder: where token, state and log go; nothing of it may run.
        settings: how to start it.
        command: the head's program; None for Ray's own.
        on_wait: hears the seconds waited so far.
        ready_within_s: how long to wait.

    Returns:
        Its state, which is also saved.

    Raises:
        ConfigError: a port lies among those of Ray's workers.
        ResourceError: a port is busy, or the head does not start; nothing of it is left running then.
    """
    port = settings.port or find_free_port()
    dashboard_port = settings.dashboard_port or find_free_port([port])
    check_port(port, "--port")
    check_port(dashboard_port, "--dashboard-port")
    cluster_id = secrets.token_hex(8)
    environment = make_head_environment(os.environ, cluster_id, folder.token, settings.passed_variables)
    folder.write_token()
    session = _make_session_folder()
    chosen = HeadSettings(port, dashboard_port, settings.num_cpus, settings.memory_mib, settings.object_store_mib)
    program = list(command) if command else make_head_command(chosen, session)
    with folder.log.open("wb") as log:
        process = subprocess.Popen(
            program,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder.root,
            start_new_session=True,
            umask=0o077,
        )
    state = ClusterState(
        cluster_id=cluster_id,
        pid=process.pid,
        port=port,
        dashboard_port=dashboard_port,
        token_file=folder.token,
        session_folder=session,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    folder.save(state)
    try:
        _wait_until_ready(process, state, folder, on_wait, ready_within_s)
    except BaseException:
        stop_head(folder, state)
        raise
    state = state.model_copy(update={"pids": tuple(sorted(item.pid for item in find_processes(cluster_id)))})
    folder.save(state)
    return state


def stop_head(folder: ClusterFolder, state: ClusterState) -> int:
    """Ends every process of a cluster, keeps its jobs' logs, and forgets it.

    Args:
        folder: of the cluster.
        state: as loaded from it.

    Returns:
        How many processes there were; 0 after a crash that left none.

    Raises:
        ResourceError: some survive.
    """
    count = stop_processes(state.cluster_id, state.pid)
    if state.session_folder.name.startswith(SESSION_PREFIX) and state.session_folder.is_dir():
        for log in state.session_folder.glob("session_2*/logs/job-driver-*.log"):
            folder.job_logs.mkdir(exist_ok=True)
            shutil.copyfile(log, folder.job_logs / log.name.removeprefix("job-driver-"))
        shutil.rmtree(state.session_folder, ignore_errors=True)
    folder.forget()
    return count


def read_token(path: Path) -> str:
    """The token in a file.

    Raises:
        ResourceError: it cannot be read, or is empty.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ResourceError(f"token file {path} cannot be read: {error}") from error
    if not token:
        raise ResourceError(f"token file {path} is empty: it must hold the cluster's token")
    return token


def _make_session_folder() -> Path:
    base = tempfile.gettempdir()
    if len(base) > _LONGEST_BASE:
        base = "/tmp"  # noqa: S108 - the folder in it is made anew, for its owner only
    return Path(tempfile.mkdtemp(prefix=SESSION_PREFIX, dir=base))


def _wait_until_ready(
    process: subprocess.Popen[bytes],
    state: ClusterState,
    folder: ClusterFolder,
    on_wait: Callable[[float], None],
    ready_within_s: float,
) -> None:
    dashboard = Dashboard(state.address, read_token(folder.token))
    started = time.monotonic()
    while not dashboard.is_ready():
        waited = time.monotonic() - started
        if process.poll() is not None:
            raise ResourceError(f"the Ray head ended while it started. {_quote_log(folder.log)}")
        if waited > ready_within_s:
            message = f"the Ray head was not ready within {ready_within_s:g} s and was ended"
            raise ResourceError(f"{message}. {_quote_log(folder.log)}")
        on_wait(waited)
        time.sleep(0.2)
    if not dashboard.refuses_strangers():
        raise ResourceError(
            f"the Jobs API at {state.address} took a request without a token, so anyone on this machine could run "
            "code in it; the head was ended. Unset RAY_AUTH_MODE and try again."
        )


def _quote_log(path: Path, lines: int = 12) -> str:
    last = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-lines:]
    return "\n".join([f"Last lines of {path}:", *last])
