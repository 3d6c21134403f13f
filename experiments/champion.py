"""From chosen weights to registered policies: export, challenger, champion."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from experiments.candidates import Candidate
from experiments.evaluate import Judgement
from experiments.planners import NamedPlanner, load_comparators, make_controller_spec, make_policy_planner
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.control.registry import COMPARATORS
from gaelp_rl.errors import ArtifactError, SchemaError, UnknownReferenceError
from gaelp_rl.evaluation.claim import ClaimVerdict, compute_claim_verdict
from gaelp_rl.features.actions import ACTION_NAMES
from gaelp_rl.features.catalogue import OBSERVATION_SCHEMA
from gaelp_rl.policy import (
    ActionDecode,
    NetworkExport,
    PolicyKind,
    Provenance,
    load_policy,
    load_signing_key,
    make_artifact_trust,
    sample_golden_observations,
    save_policy,
)
from gaelp_rl.tracking import CHAMPION, ModelRegistry, Tracker, load_git_state, make_model_card

__all__ = [
    "INCUMBENT",
    "SprintResult",
    "compute_sprint_verdict",
    "export_policy",
    "find_incumbent",
    "settle_champion",
]

INCUMBENT = "champion-so-far"
"""A trained policy that an earlier sprint made champion: who would replace it has to beat it too."""

_PROJECT = Path(__file__).resolve().parents[1]
_LIMITS = (
    "Judged in simulated worlds; nothing here was measured on a live platform.",
    "One training seed: the intervals cover the worlds, not the luck of the training run.",
    "Falls back to its reference controller wherever the network cannot be trusted.",
)


@dataclass(frozen=True, slots=True)
class SprintResult:
    """What a sprint leaves behind.

    Attributes:
        policy_path: the trained policy's artefact.
        challenger_uri: the same in the registry.
        champion_uri: who should be shipped.
        verdict: of the claim rule on test worlds.
        plain_words: the verdict for somebody who reads no tables.
        report_path: the HTML report.
    """

    policy_path: Path
    challenger_uri: str
    champion_uri: str
    verdict: ClaimVerdict
    plain_words: str
    report_path: Path


def export_policy(path: Path, config: SprintConfig, candidate: Candidate, run_id: str) -> None:
    """Writes the candidate as an artefact."""
    rng = np.random.default_rng(config.training.seed)
    save_policy(
        path,
        controller=make_controller_spec("reference", load_comparators()),
        provenance=_make_provenance(run_id),
        network=NetworkExport(
            network=candidate.policy.network,
            schema=OBSERVATION_SCHEMA,
            action_names=ACTION_NAMES,
            decode=ActionDecode(max_log_bid=config.max_log_bid, max_logit=config.max_logit),
            residual_scale=candidate.policy.scale,
            golden_observation=sample_golden_observations(OBSERVATION_SCHEMA, rng),
        ),
        signing_key=load_signing_key(config.trust),
    )


def find_incumbent(config: SprintConfig, console: Console) -> NamedPlanner | None:
    """The registry's champion if it is a trained policy; controllers are judged anyway, as tuned today.

    Returns:
        None where there is none, or where it cannot be run any more; the console then says why.
    """
    trust = make_artifact_trust(config.trust)
    try:
        path = ModelRegistry(config.tracking, trust).resolve(_make_champion_uri(config))
        policy = load_policy(path, OBSERVATION_SCHEMA, trust)
    except UnknownReferenceError:
        return None
    except (ArtifactError, SchemaError) as error:
        console.print(f"the champion so far cannot be judged, and is replaced: {error}")
        return None
    return make_policy_planner(INCUMBENT, policy) if policy.kind is PolicyKind.NETWORK else None


def compute_sprint_verdict(judgement: Judgement, candidate: Candidate) -> ClaimVerdict:
    """The claim rule on test worlds, for a candidate that was above action zero on validation worlds.

    One that was not is never better, whatever it scored in the test worlds: that would be luck chosen afterwards.
    """
    verdict = compute_claim_verdict("policy", judgement.comparisons)
    if not verdict.better or candidate.validation.score > 0.0:
        return verdict
    first = judgement.comparisons[0]
    reason = (
        f"it scored {100 * candidate.validation.score:+.2f} points on validation worlds, so no claim may rest on it"
    )
    reasons = {**verdict.reasons, first.family: (*verdict.reasons[first.family], reason)}
    return replace(verdict, champion=first.best_comparator or "reference", better=False, better_on=(), reasons=reasons)


def settle_champion(
    config: SprintConfig,
    policy_path: Path,
    candidate: Candidate,
    judgement: Judgement,
    verdict: ClaimVerdict,
    tracker: Tracker,
    report_path: Path,
) -> SprintResult:
    """Registers the policy as challenger and whoever the claim rule names as champion."""
    registry = ModelRegistry(config.tracking, make_artifact_trust(config.trust))
    evidence = {"verdict": asdict(verdict), "families": list(config.evaluation.families), "training_seeds": 1}
    champion_uri = _make_champion_uri(config) if verdict.champion == INCUMBENT else ""
    if verdict.champion in COMPARATORS:
        path = policy_path.with_name(f"champion-{verdict.champion}")
        save_policy(
            path,
            controller=make_controller_spec(verdict.champion, load_comparators()),
            provenance=_make_provenance(tracker.run_id),
            signing_key=load_signing_key(config.trust),
        )
        card = _make_card(f"{verdict.champion}, a classical controller", config, judgement, verdict, {})
        controller = registry.register(path, tracker.run_id, card)
        registry.promote(controller.version, evidence)
        champion_uri = controller.uri
    chosen = {
        "chosen weights": f"{candidate.name}, {candidate.policy.scale:g} of the trained action",
        "validation score": f"{100 * candidate.validation.score:+.3f} points vs the reference controller",
    }
    challenger = registry.register(
        policy_path, tracker.run_id, _make_card("trained residual policy", config, judgement, verdict, chosen)
    )
    if not champion_uri:
        registry.promote(challenger.version, evidence)
        champion_uri = challenger.uri
    tracker.set_tags({"champion": verdict.champion, "challenger_version": str(challenger.version)})
    return SprintResult(policy_path, challenger.uri, champion_uri, verdict, _describe(judgement, verdict), report_path)


def _make_champion_uri(config: SprintConfig) -> str:
    return f"models:/{config.tracking.model_name}@{CHAMPION}"


def _make_provenance(run_id: str) -> Provenance:
    return Provenance(
        run_id=run_id, git_commit=load_git_state(_PROJECT).label, created_at=datetime.now(UTC).replace(microsecond=0)
    )


def _make_card(
    title: str, config: SprintConfig, judgement: Judgement, verdict: ClaimVerdict, chosen: dict[str, Any]
) -> str:
    scores = [
        {
            "family": comparison.family,
            "policy": summary.policy,
            "FHO": f"{100 * summary.fho_iqm:.2f}",
            "CPA violations": f"{100 * summary.cpa_violation_share:.1f} %",
            "conversions a day": f"{summary.conversions_per_day:.2f}",
        }
        for comparison in judgement.comparisons
        for summary in comparison.policies
        if summary.policy in ("policy", comparison.best_comparator)
    ]
    return make_model_card(
        title,
        {
            "summary": _describe(judgement, verdict),
            "policy": {
                "trained on": f"{config.training.episodes:,} simulated days of {', '.join(config.families)}",
                **chosen,
            },
            "worlds": f"{config.evaluation.worlds} held-out worlds per family, first seed {config.evaluation.seed}",
            "scores": scores,
            "verdict": {family: "; ".join(reasons) for family, reasons in verdict.reasons.items()},
            "limits": list(_LIMITS),
        },
    )


def _describe(judgement: Judgement, verdict: ClaimVerdict) -> str:
    """The verdict in plain words."""
    first = judgement.comparisons[0]
    policy = first.find("policy")
    gain = 0.0 if policy.paired is None else 100 * policy.paired.difference
    if verdict.better:
        return (
            f"The trained policy is champion: on {' and '.join(verdict.better_on)} it beats every classical controller "
            f"and any champion so far ({gain:+.2f} points on {first.family}, one training seed)."
        )
    if verdict.champion == INCUMBENT:
        return (
            "The champion stays the trained policy of an earlier sprint: this one "
            f"({gain:+.2f} points on {first.family}) is not better than it by the claim rule, so it is registered as "
            "challenger only."
        )
    return (
        f"The champion is {verdict.champion!r}, a classical controller: the trained policy ({gain:+.2f} points on "
        f"{first.family}) is not better than it by the claim rule, so it is registered as challenger only."
    )
