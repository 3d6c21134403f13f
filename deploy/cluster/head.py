"""A Ray head on this machine: started with a token of its own, seen ready, ended without a trace."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from deploy.cluster.dashboard import Dashboard
from deploy.cluster.folder import ClusterFolder, ClusterState
from deploy.cluster.processes import check_port, find_free_port, find_processes, stop_processes
from deploy.cluster.program import HeadSettings, make_head_command, make_head_environment
from gaelp_rl.errors import ResourceError

__all__ = ["SESSION_PREFIX", "read_token", "start_head", "stop_head"]

SESSION_PREFIX = "gaelp-ray-"
"""Start of the name of every folder that a head's session lives in."""

_LONGEST_BASE = 24  # Unix sockets take paths of 107 bytes at most, and Ray's part of them is long


def start_head(
    folder: ClusterFolder,
    settings: HeadSettings,
    command: Sequence[str] | None = None,
    ready_within_s: float = 120.0,
) -> ClusterState:
    """Starts a head and waits until it takes jobs from the holder of the token, and from nobody else.

    Args:
        folder: where token, state and log go; nothing of it may run.
        settings: how to start it.
        command: the head's program; None for Ray's own.
        ready_within_s: how long to wait.

    Returns:
        Its state, which is also saved.

    Raises:
        ConfigError: a port lies among those of Ray's workers.
        ResourceError: a port is busy, or the head does not start; nothing of it is left running then.
    """
    chosen = _choose_ports(settings)
    cluster_id = secrets.token_hex(8)
    environment = make_head_environment(os.environ, cluster_id, folder.token, settings.passed_variables)
    folder.write_token()
    session = _make_session_folder()
    process = _launch(list(command) if command else make_head_command(chosen, session), folder, environment)
    state = ClusterState(
        cluster_id=cluster_id,
        pid=process.pid,
        port=chosen.port,
        dashboard_port=chosen.dashboard_port,
        token_file=folder.token,
        session_folder=session,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    folder.save(state)
    try:
        _wait_until_ready(process, state, folder, ready_within_s)
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


def _choose_ports(settings: HeadSettings) -> HeadSettings:
    port = settings.port or find_free_port()
    dashboard_port = settings.dashboard_port or find_free_port([port])
    check_port(port, "--port")
    check_port(dashboard_port, "--dashboard-port")
    return replace(settings, port=port, dashboard_port=dashboard_port)


def _launch(program: Sequence[str], folder: ClusterFolder, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Starts it in a session of its own, so that neither Ctrl-C nor a closed terminal reaches it."""
    with folder.log.open("wb") as log:
        return subprocess.Popen(
            program,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder.root,
            start_new_session=True,
            umask=0o077,
        )


def _make_session_folder() -> Path:
    base = tempfile.gettempdir()
    if len(base) > _LONGEST_BASE:
        base = "/tmp"  # noqa: S108 - the folder in it is made anew, for its owner only
    return Path(tempfile.mkdtemp(prefix=SESSION_PREFIX, dir=base))


def _wait_until_ready(
    process: subprocess.Popen[bytes],
    state: ClusterState,
    folder: ClusterFolder,
    ready_within_s: float,
) -> None:
    dashboard = Dashboard(state.address, read_token(folder.token), timeout_s=5.0)
    started = time.monotonic()
    while not dashboard.is_ready():
        waited = time.monotonic() - started
        if process.poll() is not None:
            raise ResourceError(f"the Ray head ended while it started. {_quote_log(folder.log)}")
        if waited > ready_within_s:
            message = f"the Ray head was not ready within {ready_within_s:g} s and was ended"
            raise ResourceError(f"{message}. {_quote_log(folder.log)}")
        time.sleep(0.2)
    if not dashboard.refuses_strangers():
        raise ResourceError(
            f"the Jobs API at {state.address} took a request without a token, so anyone on this machine could run "
            "code in it; the head was ended. Unset RAY_AUTH_MODE and try again."
        )


def _quote_log(path: Path, lines: int = 12) -> str:
    last = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-lines:]
    return "\n".join([f"Last lines of {path}:", *last])
