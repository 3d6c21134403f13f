"""One store per backend for all tests here: making its tables takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.policy import ControllerSpec, Provenance, save_policy
from gaelp_rl.tracking import Tracker, connect, start_run


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def tracking_config(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TrackingConfig:
    """The contract holds on SQLite and on PostgreSQL; without samples of the machine, which only some tests want."""
    root = tmp_path_factory.mktemp("tracking")
    uri_file = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql")
        uri_file = root / "uri"
        uri_file.write_text(server.create_database(root.name))
    config = TrackingConfig(
        database=root / "runs" / "mlflow.db",
        artifact_root=root / "runs" / "artifacts",
        tracking_uri_file=uri_file,
        system_metrics=False,
    )
    connect(config)
    return config


@pytest.fixture
def tracker(tracking_config: TrackingConfig) -> Iterator[Tracker]:
    with start_run(tracking_config, "test") as tracker:
        yield tracker


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """A champion may be a controller: the smallest artefact there is, unlike any other test's."""
    controller = ControllerSpec(name="bayesian_resolving", parameters={"made_in": tmp_path.name})
    provenance = Provenance(run_id="run-1", git_commit="unknown", created_at=datetime(2026, 11, 22, tzinfo=UTC))
    save_policy(tmp_path / "policy", controller=controller, provenance=provenance)
    return tmp_path / "policy"
