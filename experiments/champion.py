"""From chosen weights to registered policies: export, challenger, champion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console

from experiments.candidates import Candidate
from experiments.cards import make_controller_card, make_policy_card
from experiments.evaluate import Judgement
from experiments.planners import NamedPlanner, load_comparators, make_controller_spec, make_policy_planner
from gaelp_rl.config.evaluation import EvaluationConfig
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.config.tracking import ArtifactTrustConfig, TrackingConfig
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
from gaelp_rl.tracking import Evidence, ModelRegistry, RegisteredPolicy, Tracker, load_git_state

__all__ = [
    "INCUMBENT",
    "Incumbent",
    "SprintResult",
    "compute_sprint_verdict",
    "describe_verdict",
    "export_policy",
    "find_incumbent",
    "make_evidence",
    "settle_champion",
]

INCUMBENT = "champion-so-far"
"""A trained policy that an earlier sprint made champion: who would replace it has to beat it too."""

_PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Incumbent:
    """A trained policy that is champion, and has to be beaten.

    Attributes:
        planner: under the name ``INCUMBENT``.
        version: in the registry.
    """

    planner: NamedPlanner
    version: int


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


def find_incumbent(tracking: TrackingConfig, trust: ArtifactTrustConfig, console: Console) -> Incumbent | None:
    """The registry's champion if it is a trained policy; controllers are judged anyway, as tuned today.

    Returns:
        None where there is none, or where it cannot be run any more; the console then says why.
    """
    artifact_trust = make_artifact_trust(trust)
    registry = ModelRegistry(tracking, artifact_trust)
    champion = registry.find_champion()
    if champion is None:
        return None
    try:
        path = registry.resolve(f"models:/{tracking.model_name}/{champion.version}")
        policy = load_policy(path, OBSERVATION_SCHEMA, artifact_trust)
    except (ArtifactError, SchemaError, UnknownReferenceError) as error:
        console.print(f"the champion so far cannot be judged, and is replaced: {error}")
        return None
    if policy.kind is not PolicyKind.NETWORK:
        return None
    return Incumbent(make_policy_planner(INCUMBENT, policy), champion.version)


def make_evidence(
    policy: str,
    sha256: str,
    judgement: Judgement,
    verdict: ClaimVerdict,
    evaluation: EvaluationConfig,
    incumbent: Incumbent | None,
) -> Evidence:
    """An evaluation and its verdict as the registry keeps them.

    Args:
        policy: the name under which the artefact was judged.
        sha256: the artefact's identity.
        judgement: what was found.
        verdict: what the claim rule says of it.
        evaluation: the worlds.
        incumbent: the trained champion that was judged beside it, if any.
    """
    return Evidence(
        sha256=sha256,
        policy=policy,
        champion=verdict.champion,
        better=verdict.better and verdict.policy == policy,
        better_on=verdict.better_on if verdict.policy == policy else (),
        reasons=verdict.reasons,
        families=evaluation.families,
        worlds=evaluation.worlds,
        first_seed=evaluation.seed,
        fho_iqm={comparison.family: comparison.find(policy).fho_iqm for comparison in judgement.comparisons},
        judged_against=None if incumbent is None else incumbent.version,
        git_commit=load_git_state(_PROJECT).label,
    )


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
    incumbent: Incumbent | None,
    tracker: Tracker,
    report_path: Path,
) -> SprintResult:
    """Registers the policy as challenger and whoever the claim rule names as champion."""
    registry = ModelRegistry(config.tracking, make_artifact_trust(config.trust))
    summary = describe_verdict(judgement, verdict)
    champion_uri = ""
    if verdict.champion == INCUMBENT and incumbent is not None:
        champion_uri = f"models:/{config.tracking.model_name}/{incumbent.version}"

    def register(name: str, path: Path, card: str) -> RegisteredPolicy:
        sha256 = load_policy(path).sha256
        evidence = make_evidence(name, sha256, judgement, verdict, config.evaluation, incumbent)
        registered = registry.register(path, tracker.run_id, card, evidence)
        if name == verdict.champion:
            registry.promote(registered.version, evidence.to_mapping())
        return registered

    if verdict.champion in COMPARATORS:
        path = policy_path.with_name(f"champion-{verdict.champion}")
        save_policy(
            path,
            controller=make_controller_spec(verdict.champion, load_comparators()),
            provenance=_make_provenance(tracker.run_id),
            signing_key=load_signing_key(config.trust),
        )
        card = make_controller_card(verdict.champion, config, judgement, verdict, summary)
        champion_uri = register(verdict.champion, path, card).uri
    card = make_policy_card(config, candidate, judgement, verdict, summary)
    challenger = register("policy", policy_path, card)
    tracker.set_tags(
        {"champion": verdict.champion, "challenger_version": str(challenger.version), "mlflow.note.content": summary}
    )
    return SprintResult(policy_path, challenger.uri, champion_uri or challenger.uri, verdict, summary, report_path)


def _make_provenance(run_id: str) -> Provenance:
    return Provenance(
        run_id=run_id, git_commit=load_git_state(_PROJECT).label, created_at=datetime.now(UTC).replace(microsecond=0)
    )


def describe_verdict(judgement: Judgement, verdict: ClaimVerdict) -> str:
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
