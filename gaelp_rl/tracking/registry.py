"""The model registry: versions of the bidder, who challenges, who is champion, and on what evidence.

A version is a policy artefact among a run's artefacts, under ``policies/<identity>``; it is loaded by
``gaelp_rl.policy`` alone and never through MLflow's model flavours.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import ConfigError
from gaelp_rl.policy import ArtifactTrust, LoadedPolicy, load_policy
from gaelp_rl.tracking.connection import connect, mlflow_errors_mapped
from gaelp_rl.tracking.references import load_artifact_reference

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["CHALLENGER", "CHAMPION", "ModelRegistry", "RegisteredPolicy"]

CHALLENGER = "challenger"
"""Alias of the newest registered version."""

CHAMPION = "champion"
"""Alias of the version that bids."""

_MAX_TAG_CHARACTERS = 100_000
"""Source: ``mlflow.utils.validation.MAX_MODEL_REGISTRY_TAG_VALUE_LENGTH``."""


@dataclass(frozen=True, slots=True)
class RegisteredPolicy:
    """One version in the registry.

    Attributes:
        version: counts from 1.
        uri: the reference that always means this version.
        sha256: the artefact's identity.
    """

    version: int
    uri: str
    sha256: str


class ModelRegistry:
    """Registers, promotes and resolves versions of one registered model."""

    def __init__(self, config: TrackingConfig, trust: ArtifactTrust | None = None) -> None:
        """Opens the registry.

        Args:
            config: where it is, and the name of the model.
            trust: what an artefact must prove before it is registered or promoted.

        Raises:
            ResourceError: the store cannot be opened.
        """
        self._config = config
        self._trust = trust
        self._client: MlflowClient = connect(config)

    def register(self, artifact: Path, run_id: str, card: str = "") -> RegisteredPolicy:
        """Copies a policy artefact to a run and registers it as the challenger.

        Args:
            artifact: a directory written by ``save_policy``; it is verified first.
            run_id: the run that made it.
            card: its model card in Markdown.

        Returns:
            The new version.

        Raises:
            ArtifactError: the artefact does not verify.
            ResourceError: the store cannot be written.
        """
        policy = load_policy(artifact, trust=self._trust)
        name, folder = self._config.model_name, f"policies/{policy.sha256[:16]}"
        with mlflow_errors_mapped(f"register {artifact} as a version of {name!r}"):
            self._client.log_artifacts(run_id, str(artifact), folder)
            if card:
                self._client.log_text(run_id, card, f"model_cards/{policy.sha256[:16]}.md")
            root = self._client.get_run(run_id).info.artifact_uri
            self._make_registered_model()
            version = self._client.create_model_version(
                name,
                source=posixpath.join(root, folder),
                run_id=run_id,
                tags=_make_version_tags(policy),
                description=card or None,
            )
            self._client.set_registered_model_alias(name, CHALLENGER, str(version.version))
        return RegisteredPolicy(int(version.version), f"models:/{name}/{version.version}", policy.sha256)

    def promote(self, version: int, evidence: Mapping[str, object]) -> None:
        """Makes a version the champion, once its artefact has been fetched and verified again.

        Args:
            version: the version.
            evidence: why, as JSON types: the verdict of the claim rule. Kept as the version's tag
                ``evidence``, beside ``replaced_version``.

        Raises:
            ConfigError: the evidence is empty, no JSON, or above 100,000 characters.
            UnknownReferenceError: there is no such version, or its files are gone.
            ArtifactError: its artefact does not verify.
            ResourceError: the store cannot be written.
        """
        text = _make_evidence(evidence)
        name = self._config.model_name
        load_policy(self.resolve(f"models:/{name}/{version}"), trust=self._trust)
        with mlflow_errors_mapped(f"promote version {version} of {name!r}"):
            previous = self._client.get_registered_model(name).aliases.get(CHAMPION)
            self._client.set_model_version_tag(name, str(version), "evidence", text)
            self._client.set_model_version_tag(name, str(version), "replaced_version", str(previous or "none"))
            self._client.set_registered_model_alias(name, CHAMPION, str(version))

    def resolve(self, reference: str, download_to: Path | None = None) -> Path:
        """Finds the artefact directory that a reference means.

        Args:
            reference: ``models:/NAME@ALIAS``, ``models:/NAME/VERSION``, ``models:/NAME/latest``,
                ``runs:/RUN_ID`` (its newest registered version) or ``runs:/RUN_ID/PATH``.
            download_to: folder for artefacts that lie on a server; None for a temporary one.

        Returns:
            A directory for ``load_policy``. It is not verified yet.

        Raises:
            UnknownReferenceError: the reference means nothing here; suggests what would.
            ResourceError: the store cannot be read.
        """
        return load_artifact_reference(self._client, self._config, reference, download_to)

    def _make_registered_model(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(self._config.model_name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def _make_version_tags(policy: LoadedPolicy) -> dict[str, str]:
    manifest = policy.manifest
    tags = {
        "policy.kind": manifest.kind.value,
        "policy.sha256": policy.sha256,
        "policy.controller": manifest.controller.name,
        "git.commit": manifest.provenance.git_commit,
    }
    if policy.network is not None:
        schema = policy.network.schema
        tags |= {"schema.version": str(schema.version), "schema.hash": schema.hash}
    return tags


def _make_evidence(evidence: Mapping[str, object]) -> str:
    if not evidence:
        raise ConfigError("a promotion needs evidence and was given none: pass the verdict of the claim rule")
    try:
        text = json.dumps(evidence, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the evidence of a promotion must be JSON: {error}; convert it to plain numbers") from error
    if len(text) > _MAX_TAG_CHARACTERS:
        raise ConfigError(
            f"the evidence has {len(text)} characters as JSON, and at most {_MAX_TAG_CHARACTERS} fit: pass the verdict "
            "without per-world numbers, and log those as an artefact of the run"
        )
    return text
