"""Heads that cannot be trusted, folders, and tokens; a real head's life is in tests/integration."""

from __future__ import annotations

import socket

import psutil
import pytest

from deploy.cluster.folder import ClusterFolder
from deploy.cluster.head import start_head
from deploy.cluster.program import HeadSettings
from deploy.cluster.target import find_target
from gaelp_rl.errors import ConfigError, ResourceError


@pytest.mark.integration
@pytest.mark.parametrize(
    ("mode", "message"),
    [("--die", "this head dies at once"), ("--open", "without a token"), ("--silent", "not ready within 2 s")],
)
def test_head__that_cannot_be_trusted_is_ended(start_faulty_head, tmp_path, mode, message):
    folder = ClusterFolder(tmp_path / "cluster")
    before = set(psutil.pids())
    with pytest.raises(ResourceError, match=message):
        start_faulty_head(mode, ready_within_s=2.0 if mode == "--silent" else 20.0)
    assert not folder.state.exists()
    assert not folder.token.exists()
    left = [process for process in psutil.process_iter() if process.pid not in before and _is_faulty_head(process)]
    assert not left


def _is_faulty_head(process: psutil.Process) -> bool:
    try:
        return "faulty_head.py" in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def test_head__on_a_busy_port_says_so_before_anything_starts(tmp_path):
    folder = ClusterFolder(tmp_path / "cluster")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with folder.locked(), pytest.raises(ResourceError, match="--dashboard-port 0"):
            start_head(folder, HeadSettings(port=0, dashboard_port=port))
    assert not folder.token.exists()
    with folder.locked(), pytest.raises(ConfigError, match="10002-19999"):
        start_head(folder, HeadSettings(port=12_345, dashboard_port=0))


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
