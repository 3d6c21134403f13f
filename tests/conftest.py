"""What every test shares: a quiet offline process, hypothesis profiles, one local Ray."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

from tests.postgresql import PrivatePostgreSQL, serve_postgresql

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("GAELP_TRACKING_URI", None)  # tests write to no store of yours

# The gate is reproducible; HYPOTHESIS_PROFILE=explore looks for new counterexamples.
hypothesis.settings.register_profile("gate", deadline=None, derandomize=True, max_examples=60, print_blob=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A Ray of two cores for the whole session; tests that use it are integration tests."""
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=200 * 1024**2,
        log_to_driver=False,
        logging_level="ERROR",
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PrivatePostgreSQL]:
    """A real PostgreSQL server, or a loud skip; tests that use it are integration tests."""
    yield from serve_postgresql()
