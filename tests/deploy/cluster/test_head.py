"""A head's life, with a small Jobs API in place of Ray's; the real one runs in tests/integration."""

from __future__ import annotations

import os
import signal
import stat
import time

import psutil
import pytest

from deploy.cluster.dashboard import Dashboard
from deploy.cluster.folder import ClusterFolder
from deploy.cluster.head import read_token, start_head, stop_head
from deploy.cluster.processes import find_processes
from deploy.cluster.program import HeadSettings
from deploy.cluster.status import make_report
from deploy.cluster.target import find_target, load_running_cluster
from gaelp_rl.errors import ConfigError, ResourceError

pytestmark = pytest.mark.integration


def test_head__is_opened_by_its_token_only(start_stub):
    folder, state = start_stub()
    token = read_token(folder.token)
    assert len(token) == 64
    assert stat.S_IMODE(folder.token.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.root.stat().st_mode) == 0o700
    assert token not in folder.state.read_text()
    assert Dashboard(state.address, token).is_ready()
    assert not Dashboard(state.address, "another").is_ready()
    assert Dashboard(state.address, "another").refuses_strangers()
    assert set(state.pids) >= {state.pid}
    report = make_report(folder)
    assert report["health"] == "healthy"
    assert report["resources"] == {"CPU": [1.0, 2.0], "memory": [0.0, 2.0**31]}
    assert token not in str(report)
    assert repr(find_target(None, folder)) == f"ClusterTarget({state.address})"


def test_down__leaves_no_process_and_no_token(start_stub):
    folder, state = start_stub()
    assert state.session_folder.is_dir()
    logs = state.session_folder / "session_2026-01-01" / "logs"
    logs.mkdir(parents=True)
    (logs / "job-driver-sprint-1.log").write_text("trained")
    assert stop_head(folder, state) >= 2
    assert not find_processes(state.cluster_id)
    assert not any(path.exists() for path in (folder.token, folder.state, state.session_folder))
    assert (folder.job_logs / "sprint-1.log").read_text() == "trained"
    assert make_report(folder)["health"] == "down"
    with pytest.raises(ResourceError, match="gaelp cluster up"):
        find_target(None, folder)


def test_down__never_deletes_a_folder_that_it_did_not_make(start_stub, tmp_path):
    """A damaged state must not cost somebody's data."""
    folder, state = start_stub()
    precious = tmp_path / "precious"
    precious.mkdir()
    stop_head(folder, state.model_copy(update={"session_folder": precious}))
    assert precious.is_dir()
    stop_head(folder, state)


def test_head__that_was_killed_is_reported_and_cleared(start_stub):
    folder, state = start_stub()
    os.kill(state.pid, signal.SIGKILL)
    psutil.Process(state.pid).wait(5)
    report = make_report(folder)
    assert report["health"] == "unhealthy"
    assert "has died" in report["detail"]
    assert find_processes(state.cluster_id), "its children live on"
    assert stop_head(folder, state) >= 1
    assert not find_processes(state.cluster_id)


def test_head__that_does_not_answer_is_reported(start_stub):
    folder, state = start_stub()
    os.kill(state.pid, signal.SIGSTOP)
    try:
        with pytest.raises(ResourceError, match="does not answer"):
            load_running_cluster(folder)
    finally:
        os.kill(state.pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("mode", "message"),
    [("--die", "this head dies at once"), ("--open", "without a token"), ("--silent", "not ready within 2 s")],
)
def test_head__that_cannot_be_trusted_is_ended(start_stub, tmp_path, mode, message):
    folder = ClusterFolder(tmp_path / "cluster")
    before = set(psutil.pids())
    with pytest.raises(ResourceError, match=message):
        start_stub(mode, ready_within_s=2.0 if mode == "--silent" else 20.0)
    assert not folder.state.exists()
    assert not folder.token.exists()
    left = [process for process in psutil.process_iter() if process.pid not in before and _is_stub(process)]
    assert not left


def _is_stub(process: psutil.Process) -> bool:
    try:
        return "jobs_server.py" in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def test_head__on_a_busy_port_says_so_before_anything_starts(start_stub, tmp_path):
    _, state = start_stub()
    other = ClusterFolder(tmp_path / "other")
    with other.locked(), pytest.raises(ResourceError, match="--dashboard-port 0"):
        start_head(other, HeadSettings(port=0, dashboard_port=state.dashboard_port))
    assert not other.token.exists()
    with other.locked(), pytest.raises(ConfigError, match="10002-19999"):
        start_head(other, HeadSettings(port=12_345, dashboard_port=0))


def test_folder__takes_one_command_at_a_time(tmp_path):
    folder = ClusterFolder(tmp_path / "cluster")
    with folder.locked(), pytest.raises(ResourceError, match="at work"), ClusterFolder(tmp_path / "cluster").locked():
        pass
    with folder.locked():
        pass


def test_folder__with_a_damaged_state_says_what_to_do(tmp_path):
    folder = ClusterFolder(tmp_path)
    folder.state.write_text('{"cluster_id": 3')
    with pytest.raises(ResourceError, match="then delete it"):
        folder.load()


def test_remote_target__takes_its_token_as_ray_does(tmp_path, monkeypatch):
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
    folder = ClusterFolder(tmp_path / "cluster")
    url = "https://ray.example.com"
    with pytest.raises(ConfigError, match="RAY_AUTH_TOKEN_PATH"):
        find_target(url, folder, {})
    (tmp_path / "token").write_text("abc\n")
    target = find_target(url, folder, {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")})
    assert (target.token, target.is_local, target.is_open_to_listeners) == ("abc", False, False)
    assert "abc" not in str(target.environment)
    both = {"RAY_AUTH_TOKEN": "first", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    assert find_target("10.0.0.5:8265", folder, both).token == "first"
    assert find_target("10.0.0.5:8265", folder, both).is_open_to_listeners
    for wrong in ("ftp://x", "http://", "http://user:pw@host", "http://host:port"):
        with pytest.raises(ConfigError, match="expected the dashboard's URL"):
            find_target(wrong, folder, both)


def test_dead_dashboard__is_a_clear_error(start_stub):
    folder, state = start_stub()
    dashboard = find_target(None, folder).dashboard
    stop_head(folder, state)
    time.sleep(0.1)
    with pytest.raises(ResourceError, match="does not answer"):
        dashboard.fetch_jobs()
    assert not dashboard.is_ready()
