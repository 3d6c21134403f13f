"""References to recorded policies: ``models:/NAME@ALIAS``, ``models:/NAME/VERSION``, ``runs:/RUN_ID/PATH``."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import UnknownReferenceError, suggest
from gaelp_rl.tracking.connection import make_tracking_uri, mlflow_errors_mapped

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

__all__ = ["is_reference", "load_artifact_reference"]

_MODEL = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[0-9]+|latest))")
_RUN = re.compile(r"runs:/(?P<run_id>[0-9a-f]{32})(?:/(?P<path>.+))?")
_FORMS = "models:/NAME@ALIAS, models:/NAME/VERSION, models:/NAME/latest, runs:/RUN_ID, runs:/RUN_ID/PATH"


def is_reference(text: str) -> bool:
    """Whether some text is meant as a reference to the registry or to a run, not as a path or a name."""
    return text.startswith(("models:", "runs:"))


def load_artifact_reference(
    client: MlflowClient, config: TrackingConfig, reference: str, download_to: Path | None
) -> Path:
    """Finds what a reference means and brings its files onto this machine; see ``ModelRegistry.resolve``."""
    if model := _MODEL.fullmatch(reference):
        with mlflow_errors_mapped(f"look up {reference}"):
            version = _find_version(client, reference, model)
            source = str(client.get_model_version_download_uri(version.name, str(version.version)))
    elif run := _RUN.fullmatch(reference):
        with mlflow_errors_mapped(f"look up {reference}"):
            source = _find_run_source(client, config, reference, run)
    else:
        raise UnknownReferenceError(f"{reference!r} is no reference to a recorded policy: write one of {_FORMS}")
    return _load_files(config, reference, source, download_to)


def _find_model(client: MlflowClient, reference: str, name: str) -> RegisteredModel:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        names = [model.name for model in client.search_registered_models()]
        hint = suggest(name, names) if names else " Nothing is registered yet: train and register a policy first."
        raise UnknownReferenceError(f"{reference}: there is no registered model {name!r}.{hint}") from error


def _find_version(client: MlflowClient, reference: str, parts: re.Match[str]) -> ModelVersion:
    model = _find_model(client, reference, parts["name"])
    versions = {str(v.version): v for v in client.search_model_versions(f"name = '{model.name}'")}
    wanted = parts["version"]
    if parts["alias"]:
        wanted = str(model.aliases.get(parts["alias"], ""))
        if not wanted:
            hint = suggest(parts["alias"], model.aliases) if model.aliases else " It has no alias at all."
            raise UnknownReferenceError(f"{reference}: {model.name!r} has no alias {parts['alias']!r}.{hint}")
    elif wanted == "latest" and versions:
        wanted = max(versions, key=int)
    if wanted not in versions:
        hint = suggest(wanted, versions) if versions else " It has no version at all."
        raise UnknownReferenceError(f"{reference}: {model.name!r} has no version {wanted}.{hint}")
    return versions[wanted]


def _find_run_source(client: MlflowClient, config: TrackingConfig, reference: str, parts: re.Match[str]) -> str:
    from mlflow.exceptions import MlflowException

    run_id, path = parts["run_id"], parts["path"]
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        experiment = client.get_experiment_by_name(config.experiment)
        recent = client.search_runs([experiment.experiment_id], max_results=5) if experiment else []
        hint = ", ".join(f"{other.info.run_id} ({other.info.run_name})" for other in recent) or "none"
        raise UnknownReferenceError(
            f"{reference}: there is no run {run_id}. Newest in {config.experiment!r}: {hint}."
        ) from error
    if path is None:
        versions = client.search_model_versions(f"name = '{config.model_name}' and run_id = '{run_id}'")
        if not versions:
            raise UnknownReferenceError(
                f"{reference}: that run registered no policy; name a path, as in {reference}/PATH"
            )
        return str(max(versions, key=lambda version: int(version.version)).source)
    if ".." in path.split("/"):
        raise UnknownReferenceError(f"{reference}: a path inside a run cannot contain '..': write it without")
    return posixpath.join(run.info.artifact_uri, path)


def _load_files(config: TrackingConfig, reference: str, source: str, download_to: Path | None) -> Path:
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    uri = make_tracking_uri(config).get_secret_value()
    try:
        found = download_artifacts(
            artifact_uri=source, dst_path=str(download_to) if download_to else None, tracking_uri=uri, registry_uri=uri
        )
    except (MlflowException, OSError) as error:
        raise UnknownReferenceError(
            f"{reference} means {source}, which cannot be fetched ({error}): "
            "restore those files, or use another version"
        ) from error
    return Path(found)
