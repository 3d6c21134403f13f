"""``gaelp models`` and ``gaelp promote``: the registry as a table, and promotion by evidence only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from experiments.champion import find_incumbent, make_evidence
from experiments.evaluate import evaluate_families
from experiments.planners import make_comparator_planner, make_policy_planner
from experiments.progress import make_console
from gaelp_rl.config.evaluation import EvaluationConfig
from gaelp_rl.config.tracking import ArtifactTrustConfig, TrackingConfig
from gaelp_rl.control.registry import COMPARATORS
from gaelp_rl.evaluation.claim import compute_claim_verdict
from gaelp_rl.features.catalogue import OBSERVATION_SCHEMA
from gaelp_rl.policy import PolicyKind, load_policy, make_artifact_trust
from gaelp_rl.tracking import Evidence, ModelRegistry, VersionRecord

__all__ = ["make_rows", "print_models", "run_promote"]


def make_rows(records: Sequence[VersionRecord]) -> list[dict[str, Any]]:
    """Versions as JSON types, in the order given.

    Returns:
        ``version``, ``aliases``, ``kind``, ``controller``, ``created_at``, ``run_id``, ``sha256``, ``verdict``,
        ``fho_iqm`` by family (0 to 1), ``worlds``, ``judged_against``, ``replaced``; null where it was not judged.
    """
    rows = []
    for record in records:
        evidence = record.evidence
        rows.append(
            {
                "version": record.version,
                "aliases": list(record.aliases),
                "kind": record.kind,
                "controller": record.controller,
                "created_at": record.created_at.isoformat(timespec="seconds"),
                "run_id": record.run_id,
                "sha256": record.sha256,
                "verdict": None if evidence is None else evidence.verdict,
                "fho_iqm": None if evidence is None else dict(evidence.fho_iqm),
                "worlds": None if evidence is None else evidence.worlds,
                "judged_against": None if evidence is None else evidence.judged_against,
                "replaced": record.replaced,
            }
        )
    return rows


def print_models(tracking: TrackingConfig, records: Sequence[VersionRecord], console: Console | None = None) -> None:
    """Prints one line per version, newest first."""
    show = console or make_console()
    if not records:
        show.print(f"No version of {tracking.model_name!r} is registered yet: run `gaelp sprint`.")
        return
    table = Table("version", "alias", "policy", "FHO", "verdict", "run", "registered (UTC)", box=None)
    for record in records:
        evidence = record.evidence
        scores = "" if evidence is None else ", ".join(f"{k} {100 * fho:.2f}" for k, fho in evidence.fho_iqm.items())
        table.add_row(
            str(record.version),
            " ".join(record.aliases),
            "trained" if record.is_trained else record.controller,
            scores or "not judged",
            escape(evidence.verdict) if evidence else "",
            record.run_id[:8],
            f"{record.created_at:%Y-%m-%d %H:%M}",
        )
    show.print(table)
    show.print("More: gaelp models --card VERSION · gaelp promote VERSION · gaelp rollback")


def run_promote(
    tracking: TrackingConfig,
    version: int,
    evaluation: EvaluationConfig | None = None,
    trust: ArtifactTrustConfig | None = None,
    console: Console | None = None,
) -> None:
    """Makes a version champion on evidence.

    Args:
        tracking: where the registry is.
        version: which one.
        evaluation: the worlds to judge it on first; None for the evidence that it was registered with.
        trust: what an artefact must prove.
        console: shows what was found.

    Raises:
        ConfigError: the evidence does not pass; says why.
        UnknownReferenceError: there is no such version, or its files are gone.
        ArtifactError: its artefact does not verify.
    """
    show, trusted = console or make_console(), trust or ArtifactTrustConfig()
    registry = ModelRegistry(tracking, make_artifact_trust(trusted))
    if evaluation is not None:
        registry.record_evidence(version, _judge(registry, tracking, trusted, version, evaluation, show))
    record = registry.promote_by_evidence(version)
    verdict = record.evidence.verdict if record.evidence else ""
    show.print(f"version {version} of {tracking.model_name!r} is champion ({verdict}). Undo: gaelp rollback")


def _judge(
    registry: ModelRegistry,
    tracking: TrackingConfig,
    trust: ArtifactTrustConfig,
    version: int,
    evaluation: EvaluationConfig,
    console: Console,
) -> Evidence:
    """The version, every controller and a trained champion in the same worlds."""
    registry.find_version(version)
    path = registry.resolve(f"models:/{tracking.model_name}/{version}")
    loaded = load_policy(path, OBSERVATION_SCHEMA, make_artifact_trust(trust))
    name = loaded.manifest.controller.name if loaded.kind is PolicyKind.CONTROLLER else "policy"
    rivals = [make_comparator_planner(rival) for rival in COMPARATORS if rival != name]
    incumbent = find_incumbent(tracking, trust, console)
    if incumbent is not None and incumbent.version == version:
        incumbent = None
    if incumbent is not None:
        rivals.append(incumbent.planner)
    planner = make_policy_planner(name, loaded)
    comparators = {rival.name for rival in rivals} | ({name} & set(COMPARATORS))
    judgement = evaluate_families([planner, *rivals], evaluation, comparators, console)
    verdict = compute_claim_verdict(name, judgement.comparisons)
    return make_evidence(name, loaded.sha256, judgement, verdict, evaluation, incumbent)
