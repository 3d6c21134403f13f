"""The processes of one cluster, found by a mark in their environment, and ports.

Ray's own ``ray stop`` ends every Ray of the host. A process tree loses children whose parent died. A
mark in the environment is inherited by every descendant, survives any crash, and belongs to one cluster.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence

import psutil

from gaelp_rl.errors import ConfigError, ResourceError

__all__ = ["MARK", "check_port", "find_free_port", "find_processes", "stop_processes"]

MARK = "GAELP_CLUSTER_ID"
"""Environment variable that holds the cluster's identifier in each of its processes."""

WORKER_PORTS = range(10_002, 20_000)
"""Ray's workers choose from these: a server of ours there would fail on some later day."""

_POLL_S = 0.1
_STRAGGLERS_S = 1.0  # for what the head told to end as its last act


def find_processes(cluster_id: str) -> list[psutil.Process]:
    """All live processes of a cluster, this one excepted."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.environ().get(MARK) != cluster_id:
                continue
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def stop_processes(cluster_id: str, head_pid: int, grace_s: float = 15.0) -> int:
    """Ends every process of a cluster: asks its head, waits, then kills what is left.

    Args:
        cluster_id: the mark.
        head_pid: the process that ends the others when asked.
        grace_s: seconds between asking and killing.

    Returns:
        How many processes there were.

    Raises:
        ResourceError: some survive even that.
    """
    before = find_processes(cluster_id)
    for process in before:
        if process.pid == head_pid:
            _signal(process, kill=False)
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline and any(process.pid == head_pid for process in find_processes(cluster_id)):
        time.sleep(_POLL_S)
    if before:
        _wait_until_gone(cluster_id, _STRAGGLERS_S)
    for _ in range(3):  # a parent may start a child between the look and the kill
        for process in find_processes(cluster_id):
            _signal(process, kill=True)
        if _wait_until_gone(cluster_id, 3.0):
            return len(before)
    left = sorted(process.pid for process in find_processes(cluster_id))
    raise ResourceError(f"processes {left} do not end, even when killed: look at them with `ps -p {left[0]}`")


def check_port(port: int, option: str) -> None:
    """Checks that a server may listen on a port of this machine.

    Args:
        port: the port.
        option: what sets it, for the message.

    Raises:
        ConfigError: Ray's workers use that range.
        ResourceError: something listens there.
    """
    if port in WORKER_PORTS:
        rule = f"must lie outside {WORKER_PORTS.start}-{WORKER_PORTS[-1]}, where Ray's workers listen"
        raise ConfigError(f"{option} {port} {rule}; try {option} 0 for a free one")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            message = f"port {port} cannot be used ({error.strerror}): another Ray or server holds it"
            raise ResourceError(f"{message}. Pass another with {option}, or {option} 0 for a free one.") from error


def find_free_port(taken: Sequence[int] = ()) -> int:
    """A free port outside the workers' range."""
    for _ in range(200):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in WORKER_PORTS and port not in taken:
            return port
    raise ResourceError("no free port was found in 200 tries: close some servers of this machine")


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        if kill:
            process.kill()
        else:
            process.terminate()
    except psutil.NoSuchProcess:
        pass


def _wait_until_gone(cluster_id: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not find_processes(cluster_id):
            return True
        time.sleep(_POLL_S)
    return not find_processes(cluster_id)
