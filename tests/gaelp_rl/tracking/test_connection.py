from __future__ import annotations

import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import ConfigError, ResourceError
from gaelp_rl.tracking.connection import connect, make_tracking_uri, tracking_uri_hidden
from tests.postgresql import PASSWORD, PrivatePostgreSQL


def read_uri(config: TrackingConfig) -> str:
    return make_tracking_uri(config).get_secret_value()


def test_make_tracking_uri__absolute_file_or_the_configured_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_uri(TrackingConfig()) == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert read_uri(TrackingConfig(tracking_uri="http://localhost:5000")) == "http://localhost:5000"


def test_make_tracking_uri__file_then_setting_then_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uri").write_text("postgres://u:pw@file/db\n")
    monkeypatch.setenv("GAELP_TRACKING_URI", "postgresql://u:pw@variable/db")
    assert read_uri(TrackingConfig(tracking_uri_file=tmp_path / "uri")) == "postgresql+psycopg://u:pw@file/db"
    assert read_uri(TrackingConfig(tracking_uri="postgresql://setting/db")) == "postgresql+psycopg://setting/db"
    assert read_uri(TrackingConfig()) == "postgresql+psycopg://u:pw@variable/db"
    assert "pw" not in repr(make_tracking_uri(TrackingConfig()))


@pytest.mark.parametrize("content", ["", "postgresql://u:secret@h/db second"])
def test_make_tracking_uri__file_that_holds_no_url(tmp_path: Path, content: str) -> None:
    (tmp_path / "uri").write_text(content)
    with pytest.raises(ConfigError, match="must hold one URL") as caught:
        make_tracking_uri(TrackingConfig(tracking_uri_file=tmp_path / "uri"))
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        make_tracking_uri(TrackingConfig(tracking_uri_file=tmp_path / "absent"))


def test_tracking_uri_hidden__from_processes_started_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAELP_TRACKING_URI", "postgresql://u:pw@h/db")
    with tracking_uri_hidden():
        assert "GAELP_TRACKING_URI" not in os.environ
    assert os.environ["GAELP_TRACKING_URI"] == "postgresql://u:pw@h/db"


def test_import__leaves_mlflow_alone_until_it_is_needed() -> None:
    code = "import sys, gaelp_rl.tracking; print(sorted({'mlflow', 'torch', 'ray'} & sys.modules.keys()))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.integration
def test_connect__safe_settings_and_no_global_state(tracking_config: TrackingConfig) -> None:
    import mlflow
    from mlflow.environment_variables import MLFLOW_ALLOW_PICKLE_DESERIALIZATION
    from mlflow.telemetry.utils import is_telemetry_disabled

    before = mlflow.get_tracking_uri()
    client = connect(tracking_config)
    assert mlflow.get_tracking_uri() == before
    assert is_telemetry_disabled()
    assert not MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get()
    experiment = client.get_experiment_by_name(tracking_config.experiment)
    assert experiment.artifact_location == tracking_config.artifact_root.as_uri()


@pytest.mark.integration
def test_connect__file_that_is_no_database(tmp_path: Path) -> None:
    broken = tmp_path / "mlflow.db"
    broken.write_bytes(b"not a database, but long enough to be looked at" * 50)
    with pytest.raises(ResourceError, match=r"MLflow could not open sqlite.*mlflow\.db.*not a database"):
        connect(TrackingConfig(database=broken))


@pytest.mark.integration
def test_connect__place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResourceError, match="check the tracking settings"):
        connect(TrackingConfig(database=tmp_path / "file" / "mlflow.db"))


@pytest.mark.integration
@pytest.mark.parametrize("wrong", ["password", "database", "port"])
def test_connect__never_shows_the_password(
    postgresql: PrivatePostgreSQL,
    wrong: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither in the error, nor in its traceback, nor in what MLflow and SQLAlchemy log."""
    uri = {
        "password": postgresql.make_url("postgres", f"wrong-{PASSWORD}"),
        "database": postgresql.make_url("absent"),
        "port": f"postgresql://gaelp:{PASSWORD}@127.0.0.1:9/db",
    }[wrong]
    (tmp_path / "uri").write_text(uri)
    with pytest.raises(ResourceError, match=r"MLflow could not open postgresql\+psycopg://gaelp:\*\*\*@127") as caught:
        connect(TrackingConfig(tracking_uri_file=tmp_path / "uri"))
    shown = "".join(traceback.format_exception(caught.value)) + "".join(capfd.readouterr()) + caplog.text
    assert PASSWORD not in shown
