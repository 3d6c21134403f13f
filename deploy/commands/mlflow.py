"""``gaelp mlflow``: runs and models in MLflow's UI, for this machine only."""

from __future__ import annotations

import importlib.util
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from gaelp_rl.config.loading import load_config
from gaelp_rl.config.tracking import TRACKING_URI_VARIABLE, TrackingConfig
from gaelp_rl.errors import ConfigError, ResourceError

__all__ = ["EPILOG", "open_mlflow"]

EPILOG = (
    "Examples: `gaelp mlflow` · `gaelp mlflow --port 5001` · "
    "`gaelp mlflow --uri postgresql://gaelp@db.internal/mlflow` (the password comes from ~/.pgpass, or put the whole "
    "URL into `GAELP_TRACKING_URI` and leave `--uri` out)"
)

_SQLITE = "sqlite:///"
_AUTH_CONFIG = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{database}
admin_username = admin
"""


def open_mlflow(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5000,
    database: Annotated[Path | None, typer.Option(metavar="FILE", help="SQLite file of the runs.")] = None,
    uri: Annotated[
        str | None, typer.Option(metavar="URL", help="Database of the runs, such as PostgreSQL; without password.")
    ] = None,
    auth: Annotated[
        bool, typer.Option("--auth", help="Ask for a name and password; needs the extra mlflow[auth].")
    ] = False,
) -> None:
    """Look at runs and models in the MLflow UI, for this machine only."""
    from gaelp_rl.tracking import make_tracking_uri

    if database and uri:
        raise ConfigError("give --database or --uri, not both")
    tracking = load_config(TrackingConfig, None, [f'tracking_uri="{uri}"'] if uri else [])
    store = f"{_SQLITE}{database.absolute()}" if database else make_tracking_uri(tracking).get_secret_value()
    _check_store(store)
    command, environment = _make_command(port, tracking), _make_environment(store)
    if auth:
        command += ["--app-name", "basic-auth"]
        environment |= _make_auth_environment(environment, tracking)
    typer.echo(f"http://127.0.0.1:{port}  (end with Ctrl-C)")
    sys.stdout.flush()
    _replace_process(command, environment)


def _check_store(uri: str) -> None:
    if uri.startswith(("http://", "https://")):
        raise ConfigError("runs are recorded on an MLflow server, which has a UI of its own: open its URL in a browser")
    if uri.startswith(_SQLITE) and not Path(uri.removeprefix(_SQLITE)).is_file():
        file = uri.removeprefix(_SQLITE)
        raise ConfigError(f"no runs are recorded in {file!r}. Run `gaelp sprint` first, or pass --database FILE.")


def _make_command(port: int, tracking: TrackingConfig) -> list[str]:
    """The server's command line, which everybody on the machine can read: the store's URL is not in it."""
    hosts = [f"{name}:{port}" for name in ("127.0.0.1", "localhost")]
    return [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--allowed-hosts", ",".join(hosts)),
        *("--cors-allowed-origins", ",".join(f"http://{host}" for host in hosts)),
        *("--x-frame-options", "DENY"),
        *("--artifacts-destination", str(tracking.artifact_root.absolute())),
    ]


def _make_environment(store: str) -> dict[str, str]:
    """This process's environment, with telemetry, job execution and pickle loading off."""
    from gaelp_rl.tracking import SAFE_ENVIRONMENT

    environment = {**os.environ, **SAFE_ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": store}
    environment.pop(TRACKING_URI_VARIABLE, None)
    return environment


def _make_auth_environment(environment: Mapping[str, str], tracking: TrackingConfig) -> dict[str, str]:
    """What MLflow's basic authentication needs; nobody may do anything that the administrator did not grant."""
    if importlib.util.find_spec("flask_wtf") is None:
        raise ConfigError(
            "--auth needs Flask-WTF, which is not installed: run `.venv/bin/python -m pip install 'mlflow[auth]'`"
        )
    if not environment.get("MLFLOW_AUTH_ADMIN_PASSWORD"):
        raise ConfigError(
            "--auth needs the administrator's password in the environment variable MLFLOW_AUTH_ADMIN_PASSWORD: MLflow "
            "has no default one"
        )
    folder = tracking.database.absolute().parent
    config = folder / "mlflow-auth.ini"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        config.write_text(_AUTH_CONFIG.format(database=folder / "mlflow-auth.db"), encoding="utf-8")
    except OSError as error:
        raise ResourceError(f"{config} cannot be written: {error}; free space, or make the folder writable") from error
    key = environment.get("MLFLOW_FLASK_SERVER_SECRET_KEY") or secrets.token_hex(32)
    return {"MLFLOW_AUTH_CONFIG_PATH": str(config), "MLFLOW_FLASK_SERVER_SECRET_KEY": key}


def _replace_process(command: list[str], environment: dict[str, str]) -> None:
    try:
        os.execve(command[0], command, environment)
    except OSError as error:
        raise ResourceError(f"{command[0]!r} cannot be started: {error}. Run `make setup`.") from error
