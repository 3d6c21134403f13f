"""The versions of the bidder as the registry lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gaelp_rl.errors import DataError
from gaelp_rl.tracking.evidence import Evidence

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["EVALUATION_TAG", "REPLACED_TAG", "VersionRecord", "fetch_versions"]

EVALUATION_TAG = "evaluation"
"""Tag of a version: its ``Evidence`` as JSON."""

REPLACED_TAG = "replaced_version"
"""Tag of a version that became champion: the champion before it, or ``none``."""

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """One version.

    Attributes:
        version: counts from 1.
        aliases: such as ``champion``.
        created_at: aware UTC time.
        run_id: the run that registered it.
        kind: ``network`` or ``controller``; empty where it was registered by other means.
        controller: the controller that it is, or that it corrects.
        sha256: identity of its artefact.
        evidence: of its evaluation; None where there is none, or none that can be read.
        replaced: the champion before it; None where it never was champion, or was the first.
        card: its model card in Markdown.
    """

    version: int
    aliases: tuple[str, ...]
    created_at: datetime
    run_id: str
    kind: str
    controller: str
    sha256: str
    evidence: Evidence | None
    replaced: int | None
    card: str

    @property
    def is_trained(self) -> bool:
        """Whether it is a trained policy."""
        return self.kind == "network"


def fetch_versions(client: MlflowClient, name: str) -> list[VersionRecord]:
    """Asks the registry for every version of a model, newest first; none where there is no such model."""
    found, token = [], None
    while True:
        page = client.search_model_versions(f"name = '{name}'", max_results=_PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            break
    if not found:
        return []
    aliases: dict[str, list[str]] = {}
    for alias, version in client.get_registered_model(name).aliases.items():
        aliases.setdefault(str(version), []).append(alias)
    records = []
    for entry in found:
        tags, replaced = entry.tags, str(entry.tags.get(REPLACED_TAG, ""))
        records.append(
            VersionRecord(
                version=int(entry.version),
                aliases=tuple(sorted(aliases.get(str(entry.version), []))),
                created_at=datetime.fromtimestamp(entry.creation_timestamp / 1000, UTC),
                run_id=str(entry.run_id or ""),
                kind=tags.get("policy.kind", ""),
                controller=tags.get("policy.controller", ""),
                sha256=tags.get("policy.sha256", ""),
                evidence=_find_evidence(tags),
                replaced=int(replaced) if replaced.isdigit() else None,
                card=entry.description or "",
            )
        )
    return sorted(records, key=lambda record: -record.version)


def _find_evidence(tags: Mapping[str, str]) -> Evidence | None:
    """One damaged entry must not hide the other versions; without evidence it cannot be promoted."""
    try:
        return Evidence.load(tags.get(EVALUATION_TAG, ""))
    except DataError:
        return None
