"""`gaelp mlflow` up to the moment where MLflow's server takes over the process, and once beyond it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy import cli
from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.tracking import connect
from tests.postgresql import PASSWORD, PrivatePostgreSQL

Calls = list[tuple[str, list[str], dict[str, str]]]


def run(*arguments: str):
    return CliRunner().invoke(cli.app, list(arguments), prog_name="gaelp", env={"COLUMNS": "200", "TERM": "dumb"})


@pytest.fixture
def calls(monkeypatch) -> Calls:
    calls: Calls = []
    monkeypatch.setattr(os, "execve", lambda *arguments, **options: calls.append((*arguments, *options.values())))
    return calls


def test_mlflow__serves_this_machine_only_with_the_unsafe_parts_off(calls: Calls, tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    database.touch()
    assert run("mlflow", "--database", str(database), "--port", "5001").exit_code == 0
    [(_, command, environment)] = calls
    flags = dict(zip(command[4::2], command[5::2], strict=True))
    assert flags["--host"] == "127.0.0.1"
    assert flags["--port"] == "5001"
    assert flags["--workers"] == "1"
    assert flags["--allowed-hosts"] == "127.0.0.1:5001,localhost:5001"
    assert flags["--cors-allowed-origins"] == "http://127.0.0.1:5001,http://localhost:5001"
    assert flags["--x-frame-options"] == "DENY"
    assert environment["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{database}"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert environment["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"


def test_mlflow__database_by_url_stays_off_the_command_line(calls: Calls, monkeypatch) -> None:
    monkeypatch.setenv("GAELP_TRACKING_URI", f"postgresql://gaelp:{PASSWORD}@host/db")
    result = run("mlflow")
    assert result.exit_code == 0
    assert run("mlflow", "--uri", "postgresql://gaelp@host/db").exit_code == 0
    (_, command, environment), (_, _, without_password) = calls
    assert environment["MLFLOW_BACKEND_STORE_URI"] == f"postgresql+psycopg://gaelp:{PASSWORD}@host/db"
    assert without_password["MLFLOW_BACKEND_STORE_URI"] == "postgresql+psycopg://gaelp@host/db"
    assert "GAELP_TRACKING_URI" not in environment
    assert PASSWORD not in " ".join(command) + result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--database", "none.db"), "Run `gaelp sprint` first"),
        (("--uri", f"postgresql://gaelp:{PASSWORD}@host/db"), "GAELP_TRACKING_URI"),
        (("--uri", "http://mlflow.internal"), "open its URL in a browser"),
        (("--uri", "postgresql://host/db", "--database", "x.db"), "not both"),
    ],
)
def test_mlflow__says_what_to_do(calls: Calls, arguments: tuple[str, ...], message: str) -> None:
    result = run("mlflow", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert PASSWORD not in result.output
    assert calls == []


def test_mlflow__authentication_needs_the_extra_a_password_and_grants_nothing_by_itself(
    calls: Calls, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_AUTH_ADMIN_PASSWORD", raising=False)
    arguments = ("mlflow", "--uri", "postgresql://host/db", "--auth")
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "flask_wtf" else real(name))
    assert "pip install 'mlflow[auth]'" in run(*arguments).stderr
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: real("json" if name == "flask_wtf" else name))
    assert "MLFLOW_AUTH_ADMIN_PASSWORD" in run(*arguments).stderr
    monkeypatch.setenv("MLFLOW_AUTH_ADMIN_PASSWORD", PASSWORD)
    assert run(*arguments).exit_code == 0
    [(_, command, environment)] = calls
    assert command[-2:] == ["--app-name", "basic-auth"]
    written = Path(environment["MLFLOW_AUTH_CONFIG_PATH"]).read_text()
    assert "default_permission = NO_PERMISSIONS" in written
    assert PASSWORD not in written
    assert len(environment["MLFLOW_FLASK_SERVER_SECRET_KEY"]) == 64


@pytest.mark.integration
def test_mlflow__a_real_server_on_postgresql_answers_this_machine_alone(
    postgresql: PrivatePostgreSQL, tmp_path: Path
) -> None:
    """Runs are there; a foreign host header is refused; nobody who lists processes sees the password."""
    uri = postgresql.create_database("ui")
    (tmp_path / "uri").write_text(uri)
    connect(TrackingConfig(tracking_uri_file=tmp_path / "uri", artifact_root=tmp_path / "artifacts"))
    port = _find_port()
    command = [sys.executable, "-c", "from deploy.cli import main; main()", "mlflow", "--port", str(port)]
    environment = {**os.environ, "GAELP_TRACKING_URI": uri, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=tmp_path)
    try:
        body = b'{"max_results": 5}'
        assert '"name": "gaelp"' in _ask(server, port, "/api/2.0/mlflow/experiments/search", body)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            _ask(server, port, "/api/2.0/mlflow/experiments/search", body, host="evil.example")
        assert PASSWORD not in Path(f"/proc/{server.pid}/cmdline").read_text()
    finally:
        server.terminate()
        server.wait(timeout=30)
    assert PASSWORD not in (tmp_path / "log").read_text()


def _find_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ask(server: subprocess.Popen[bytes], port: int, path: str, body: bytes, host: str | None = None) -> str:
    """The answer to a request, once the server listens."""
    headers = {"Content-Type": "application/json", "Host": host or f"127.0.0.1:{port}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    deadline = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError:
            raise
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
