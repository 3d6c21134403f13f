from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest

from deploy.cluster.processes import MARK, WORKER_PORTS, check_port, find_free_port, find_processes, stop_processes
from gaelp_rl.errors import ConfigError, ResourceError

ORPHAN_MAKER = (
    "import subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
    "time.sleep({seconds})\n"
)


def start_tree(cluster_id: str, seconds: int) -> subprocess.Popen:
    """A parent that lives for some seconds and a child, in a session of its own, that outlives it."""
    code = ORPHAN_MAKER.format(seconds=seconds)
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, MARK: cluster_id})


def wait_for(count: int, cluster_id: str) -> None:
    deadline = time.monotonic() + 20
    while len(find_processes(cluster_id)) != count:
        assert time.monotonic() < deadline, find_processes(cluster_id)
        time.sleep(0.05)


def test_stop__ends_orphans_of_a_crash_and_no_other_cluster():
    """A head that was killed leaves children behind that no process tree shows any more."""
    crashed = start_tree("test-crashed", 0)
    other = start_tree("test-other", 60)
    crashed.wait()
    wait_for(1, "test-crashed")
    wait_for(2, "test-other")
    assert stop_processes("test-crashed", crashed.pid) == 1
    assert not find_processes("test-crashed")
    assert len(find_processes("test-other")) == 2
    assert stop_processes("test-other", other.pid, grace_s=0.2) == 2
    other.wait()


def test_stop__of_nothing_counts_nothing():
    assert stop_processes("test-never-started", 1) == 0


@pytest.mark.parametrize("port", [WORKER_PORTS.start, 15_000, 19_999])
def test_port__among_those_of_the_workers_is_refused(port):
    with pytest.raises(ConfigError, match="10002-19999"):
        check_port(port, "--port")


def test_port__that_is_busy_is_named_with_its_option():
    with socket.create_server(("127.0.0.1", find_free_port())) as server:
        port = server.getsockname()[1]
        with pytest.raises(ResourceError, match=rf"port {port} .*--dashboard-port 0"):
            check_port(port, "--dashboard-port")
    check_port(port, "--dashboard-port")


def test_free_port__avoids_the_workers_and_what_is_taken():
    first = find_free_port()
    assert first not in WORKER_PORTS
    assert find_free_port([first]) != first
