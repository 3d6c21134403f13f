"""Opening MLflow: embedded SQLite by default, telemetry and unpickling off, no global state."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import ResourceError

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["SAFE_ENVIRONMENT", "connect", "make_tracking_uri", "mlflow_errors_mapped"]

SAFE_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
"""Environment variables under which every MLflow client and server of ours runs.

Source: https://mlflow.org/docs/latest/api_reference/python_api/mlflow.environment_variables.html
"""


def make_tracking_uri(config: TrackingConfig) -> str:
    """Returns the configured URI, or that of the SQLite file with an absolute path."""
    return config.tracking_uri or f"sqlite:///{config.database.resolve()}"


def connect(config: TrackingConfig) -> MlflowClient:
    """Opens the tracking store and makes the configured experiment if there is none of that name.

    The first connection to a new SQLite file creates its tables, which takes some seconds.

    Args:
        config: where to record.

    Returns:
        A client bound to that store; ``mlflow``'s global tracking URI is left alone.

    Raises:
        ResourceError: the store cannot be opened.
    """
    os.environ.update(SAFE_ENVIRONMENT)
    from mlflow import MlflowClient  # takes seconds, and reads the environment

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    uri = make_tracking_uri(config)
    with mlflow_errors_mapped(f"open {uri}"):
        if not config.tracking_uri:
            config.database.resolve().parent.mkdir(parents=True, exist_ok=True)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        if client.get_experiment_by_name(config.experiment) is None:
            location = None if config.tracking_uri else config.artifact_root.resolve().as_uri()
            client.create_experiment(config.experiment, artifact_location=location)
    return client


@contextmanager
def mlflow_errors_mapped(action: str) -> Iterator[None]:
    """Turns what MLflow and its database raise into ``ResourceError``.

    Args:
        action: what was being done, as in "MLflow could not ...".

    Raises:
        ResourceError: instead of an error of MLflow, SQLAlchemy or the file system.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise ResourceError(
            f"MLflow could not {action}: {error}; check the tracking settings, that the store is reachable, and that "
            "its disk has room"
        ) from error
