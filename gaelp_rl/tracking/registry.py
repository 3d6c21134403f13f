"""The model registry: versions of the bidder, who challenges, who is champion, and on what evidence.

A version is a policy artefact among a run's artefacts, under ``policies/<identity>``; it is loaded by
``gaelp_rl.policy`` alone and never through MLflow's model flavours.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import ConfigError, UnknownReferenceError
from gaelp_rl.policy import ArtifactTrust, LoadedPolicy, load_policy
from gaelp_rl.tracking.connection import connect, mlflow_errors_mapped
from gaelp_rl.tracking.evidence import Evidence, dump_tag, find_objection
from gaelp_rl.tracking.references import load_artifact_reference
from gaelp_rl.tracking.versions import EVALUATION_TAG, REPLACED_TAG, VersionRecord, fetch_versions

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["CHALLENGER", "CHAMPION", "ModelRegistry", "RegisteredPolicy"]

CHALLENGER = "challenger"
"""Alias of the newest registered version."""

CHAMPION = "champion"
"""Alias of the version that bids."""


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

    @property
    def model_name(self) -> str:
        """The registered model."""
        return self._config.model_name

    def register(
        self, artifact: Path, run_id: str, card: str = "", evidence: Evidence | None = None
    ) -> RegisteredPolicy:
        """Copies a policy artefact to a run and registers it as the challenger.

        Args:
            artifact: a directory written by ``save_policy``; it is verified first.
            run_id: the run that made it.
            card: its model card in Markdown.
            evidence: of its evaluation; None where it was not judged.

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
                tags=_make_version_tags(policy, evidence),
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
        text = dump_tag(evidence)
        name = self._config.model_name
        load_policy(self.resolve(f"models:/{name}/{version}"), trust=self._trust)
        with mlflow_errors_mapped(f"promote version {version} of {name!r}"):
            previous = self._client.get_registered_model(name).aliases.get(CHAMPION)
            self._client.set_model_version_tag(name, str(version), "evidence", text)
            if str(previous) != str(version):
                self._client.set_model_version_tag(name, str(version), REPLACED_TAG, str(previous or "none"))
            self._client.set_registered_model_alias(name, CHAMPION, str(version))

    def promote_by_evidence(self, version: int) -> VersionRecord:
        """Makes a version the champion on the evaluation that it was registered with.

        Args:
            version: the version.

        Returns:
            Its record before the promotion.

        Raises:
            ConfigError: its evidence does not pass; says why, and what would.
            UnknownReferenceError: there is no such version, or its files are gone.
            ArtifactError: its artefact does not verify.
            ResourceError: the store cannot be written.
        """
        records = self.list_versions()
        record = self._find(records, version)
        if CHAMPION in record.aliases:
            raise ConfigError(f"version {version} of {self._config.model_name!r} is the champion already")
        present = next((other for other in records if CHAMPION in other.aliases), None)
        champion = None if present is None else (present.version, present.is_trained)
        objection = find_objection(record.evidence, record.sha256, champion)
        if objection or record.evidence is None:
            raise ConfigError(
                f"version {version} of {self._config.model_name!r} may not become champion: {objection}. "
                f"Judge it now with `gaelp promote {version} --judge`"
            )
        self.promote(version, record.evidence.to_mapping())
        return record

    def record_evidence(self, version: int, evidence: Evidence) -> None:
        """Keeps the evaluation of a version, in place of an earlier one.

        Raises:
            ResourceError: the store cannot be written.
        """
        with mlflow_errors_mapped(f"record the evaluation of version {version}"):
            text = dump_tag(evidence.to_mapping())
            self._client.set_model_version_tag(self._config.model_name, str(version), EVALUATION_TAG, text)

    def roll_back(self) -> tuple[int, int]:
        """Makes the champion's predecessor champion again; needs no evidence, since it was champion before.

        Returns:
            The version that was champion, and the one that is now.

        Raises:
            UnknownReferenceError: there is no champion, none before it, or its files are gone.
            ArtifactError: its artefact does not verify.
            ResourceError: the store cannot be written.
        """
        name, records = self._config.model_name, self.list_versions()
        present = next((record for record in records if CHAMPION in record.aliases), None)
        if present is None:
            raise UnknownReferenceError(
                f"{name!r} has no champion to roll back from: `gaelp models` lists what there is"
            )
        if present.replaced is None:
            raise UnknownReferenceError(
                f"version {present.version} of {name!r} is the first champion: there is none before it to go back to"
            )
        before = self._find(records, present.replaced).version
        load_policy(self.resolve(f"models:/{name}/{before}"), trust=self._trust)
        with mlflow_errors_mapped(f"roll {name!r} back to version {before}"):
            at = datetime.now(UTC).isoformat(timespec="seconds")
            self._client.set_model_version_tag(name, str(present.version), "rolled_back_at", at)
            self._client.set_registered_model_alias(name, CHAMPION, str(before))
        return present.version, before

    def list_versions(self) -> list[VersionRecord]:
        """Every version, newest first; empty where nothing is registered.

        Raises:
            ResourceError: the store cannot be read.
        """
        with mlflow_errors_mapped(f"list the versions of {self._config.model_name!r}"):
            return fetch_versions(self._client, self._config.model_name)

    def find_version(self, version: int) -> VersionRecord:
        """One version's record.

        Raises:
            UnknownReferenceError: there is no such version; names those that are.
        """
        return self._find(self.list_versions(), version)

    def find_champion(self) -> VersionRecord | None:
        """The champion's record; None where there is none."""
        return next((record for record in self.list_versions() if CHAMPION in record.aliases), None)

    def _find(self, records: Sequence[VersionRecord], version: int) -> VersionRecord:
        for record in records:
            if record.version == version:
                return record
        known = [str(record.version) for record in records]
        hint = f" Known: {', '.join(known)}." if known else " Nothing is registered yet: run `gaelp sprint`."
        raise UnknownReferenceError(f"{self._config.model_name!r} has no version {version}.{hint}")

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


def _make_version_tags(policy: LoadedPolicy, evidence: Evidence | None) -> dict[str, str]:
    manifest = policy.manifest
    tags = {
        "policy.kind": manifest.kind.value,
        "policy.sha256": policy.sha256,
        "policy.controller": manifest.controller.name,
        "git.commit": manifest.provenance.git_commit,
    }
    if evidence is not None:
        tags[EVALUATION_TAG] = dump_tag(evidence.to_mapping())
    if policy.network is not None:
        schema = policy.network.schema
        tags |= {"schema.version": str(schema.version), "schema.hash": schema.hash}
    return tags
