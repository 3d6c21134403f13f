from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import ResourceError
from gaelp_rl.tracking.connection import connect, make_tracking_uri


def test_make_tracking_uri__absolute_file_or_the_configured_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert make_tracking_uri(TrackingConfig()) == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert make_tracking_uri(TrackingConfig(tracking_uri="http://localhost:5000")) == "http://localhost:5000"


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
