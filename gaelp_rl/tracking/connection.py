"""Opening MLflow: embedded SQLite or a URL, telemetry and unpickling off, no global state, no password shown."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from gaelp_rl.config.redaction import redact
from gaelp_rl.config.tracking import TRACKING_URI_VARIABLE, TrackingConfig
from gaelp_rl.errors import ConfigError, ResourceError

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = [
    "SAFE_ENVIRONMENT",
    "connect",
    "make_tracking_uri",
    "mlflow_errors_mapped",
    "tracking_uri_hidden",
]

SAFE_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
"""Environment variables under which every MLflow client and server of ours runs.

Source: https://mlflow.org/docs/latest/api_reference/python_api/mlflow.environment_variables.html
"""

_POSTGRESQL = ("postgres://", "postgresql://")
_DRIVER = "postgresql+psycopg://"
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Lets MLflow's UI open on charts of training runs instead of on its pages for language models."""

_CONNECT_TIMEOUT_S = 10
_SERVERS = ("http://", "https://")


def make_tracking_uri(config: TrackingConfig) -> SecretStr:
    """Finds where runs are recorded.

    Args:
        config: where to record.

    Returns:
        The URL in ``tracking_uri_file``, else ``tracking_uri``, else that of the environment variable
        ``GAELP_TRACKING_URI``, else that of the SQLite file with an absolute path. PostgreSQL gets the driver
        that is installed.

    Raises:
        ConfigError: ``tracking_uri_file`` cannot be read or is empty.
    """
    if config.tracking_uri_file is not None:
        uri = _load_uri(config.tracking_uri_file)
    else:
        uri = config.tracking_uri or os.environ.get(TRACKING_URI_VARIABLE, "").strip()
    for scheme in _POSTGRESQL:
        if uri.startswith(scheme):
            uri = _DRIVER + uri.removeprefix(scheme)
    return SecretStr(uri or f"sqlite:///{config.database.resolve()}")


def connect(config: TrackingConfig) -> MlflowClient:
    """Opens the tracking store and makes the configured experiment if there is none of that name.

    The first connection to an empty database creates its tables, which takes some seconds.

    Args:
        config: where to record.

    Returns:
        A client bound to that store; ``mlflow``'s global tracking URI is left alone.

    Raises:
        ConfigError: the file that holds the URL cannot be read.
        ResourceError: the store cannot be opened.
    """
    os.environ.update(SAFE_ENVIRONMENT)
    from mlflow import MlflowClient  # takes seconds, and reads the environment

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It would print every failed statement with its traceback; what fails is raised as an error of ours.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    uri = make_tracking_uri(config).get_secret_value()
    with mlflow_errors_mapped(f"open {uri}"):
        if uri.startswith("sqlite:///"):
            Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        elif uri.startswith(_DRIVER):
            _check_reachable(uri)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        if client.get_experiment_by_name(config.experiment) is None:
            _make_experiment(client, config, None if uri.startswith(_SERVERS) else config.artifact_root)
    return client


@contextmanager
def mlflow_errors_mapped(action: str) -> Iterator[None]:
    """Turns what MLflow and its database raise into ``ResourceError``, without the passwords of URLs.

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
        found = str(error)
        shown = redact(f"MLflow could not {action}: {_find_first_lines(found)}")
        message = f"{shown}; check the tracking settings, that the store is reachable, and that its disk has room"
        # A traceback prints causes too: one that holds a password is left out.
        raise ResourceError(message) from (error if redact(found) == found else None)


@contextmanager
def tracking_uri_hidden() -> Iterator[None]:
    """Takes ``GAELP_TRACKING_URI`` out of the environment while processes are started that must not inherit it."""
    uri = os.environ.pop(TRACKING_URI_VARIABLE, None)
    try:
        yield
    finally:
        if uri is not None:
            os.environ[TRACKING_URI_VARIABLE] = uri


def _load_uri(path: Path) -> str:
    try:
        uri = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"tracking_uri_file {str(path)!r} cannot be read ({error}): name a file with one URL"
        ) from error
    if not uri or len(uri.split()) > 1:
        raise ConfigError(f"tracking_uri_file {str(path)!r} must hold one URL and nothing else, such as {_DRIVER}...")
    return uri


def _check_reachable(uri: str) -> None:
    """Connects once: MLflow itself would go on trying in silence for minutes."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri, connect_args={"connect_timeout": _CONNECT_TIMEOUT_S})
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def _make_experiment(client: MlflowClient, config: TrackingConfig, artifact_root: Path | None) -> None:
    """Makes the experiment, unless another process was faster."""
    from mlflow.exceptions import MlflowException

    location = None if artifact_root is None else artifact_root.resolve().as_uri()
    try:
        client.create_experiment(config.experiment, artifact_location=location, tags=_EXPERIMENT_TAGS)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _find_first_lines(text: str, lines: int = 4) -> str:
    """The head of a message: SQLAlchemy appends the statement, with every parameter of it."""
    return "\n".join(text.strip().splitlines()[:lines])
