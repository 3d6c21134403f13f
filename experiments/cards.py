"""The model cards of a sprint's policy and of the controller that may be champion in its place."""

from __future__ import annotations

from typing import Any

from experiments.candidates import Candidate
from experiments.datasets import make_sprint_datasets
from experiments.evaluate import Judgement
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.evaluation.claim import ClaimVerdict
from gaelp_rl.evaluation.comparison import FamilyComparison, PolicySummary
from gaelp_rl.features.catalogue import OBSERVATION_SCHEMA
from gaelp_rl.tracking import make_model_card

__all__ = ["make_controller_card", "make_policy_card"]

_USE = (
    "Decides every hour, for one ad account with four channels, bids and the split of a daily budget, behind the "
    "guardrails.",
    "Shadow mode first: it may spend only after its plans were compared with the account's own.",
    "Not for accounts whose reports, currency or channels differ from the observation schema below, and not without "
    "guardrails.",
)
_LIMITS = (
    "Judged in simulated worlds; nothing here was measured on a live platform.",
    "One training seed: the intervals cover the worlds, not the luck of the training run.",
    "Falls back to its reference controller wherever the network cannot be trusted.",
)
_CONTROLLER_LIMITS = (
    "Judged in simulated worlds; nothing here was measured on a live platform.",
    "Tuned per family on validation worlds; an account that fits none of them takes the default family's parameters.",
)


def make_policy_card(
    config: SprintConfig, candidate: Candidate, judgement: Judgement, verdict: ClaimVerdict, summary: str
) -> str:
    """The card of the trained policy.

    Args:
        config: all settings of its sprint.
        candidate: the weights that were chosen.
        judgement: what the evaluation found.
        verdict: what the claim rule says of it.
        summary: the verdict in plain words.

    Returns:
        Markdown.
    """
    training = config.training
    policy = {
        "kind": "network: a residual on its reference controller; action zero is that controller",
        "algorithm": "SAC with prioritized replay",
        "hidden layers": " x ".join(map(str, training.hidden_sizes)),
        "chosen weights": f"{candidate.name}, {candidate.policy.scale:g} of the trained action",
        "validation score": f"{100 * candidate.validation.score:+.3f} points vs the reference controller",
        "reach of an action": f"log bid {config.max_log_bid:g}, budget logit {config.max_logit:g}",
        "observation schema": f"version {OBSERVATION_SCHEMA.version}, hash {OBSERVATION_SCHEMA.hash}",
    }
    data = {
        "simulated": f"{training.episodes:,} days of {', '.join(config.families)}",
        "training seed": training.seed,
        "history or bootstrap": getattr(config, "bootstrap", None) or "none: trained from scratch",
        "live data": "none",
    }
    facts = _make_facts("policy", judgement, verdict, summary)
    limits = [*_LIMITS, *_describe_unjudged(config)]
    return make_model_card(
        "trained residual policy",
        {**facts, "policy": policy, "data": data, "worlds": _describe_worlds(config), "limits": limits},
    )


def make_controller_card(
    name: str, config: SprintConfig, judgement: Judgement, verdict: ClaimVerdict, summary: str
) -> str:
    """The card of a classical controller; arguments as for ``make_policy_card``."""
    facts = _make_facts(name, judgement, verdict, summary)
    return make_model_card(
        f"{name}, a classical controller",
        {
            **facts,
            "policy": {"kind": "controller: nothing in it was learned by gradient", "controller": name},
            "data": "Parameters tuned on validation worlds (experiments/configs/comparators.toml); no other data.",
            "worlds": [row for row in _describe_worlds(config) if row["use"] == "test"],
            "limits": [*_CONTROLLER_LIMITS, *_describe_unjudged(config)],
        },
    )


def _make_facts(policy: str, judgement: Judgement, verdict: ClaimVerdict, summary: str) -> dict[str, Any]:
    scores = [
        _make_score(comparison, entry)
        for comparison in judgement.comparisons
        for entry in comparison.policies
        if entry.policy in ("policy", policy, comparison.best_comparator)
    ]
    named = "it is champion" if verdict.champion == policy else f"champion is {verdict.champion!r}"
    return {
        "summary": summary,
        "use": list(_USE),
        "scores": scores,
        "verdict": {"by the claim rule": named}
        | {family: "; ".join(reasons) for family, reasons in verdict.reasons.items()},
    }


def _make_score(comparison: FamilyComparison, entry: PolicySummary) -> dict[str, str]:
    return {
        "family": comparison.family,
        "policy": entry.policy,
        "FHO": f"{100 * entry.fho_iqm:.2f}",
        "FHO interval": f"{100 * entry.fho_ci.low:.2f} to {100 * entry.fho_ci.high:.2f}",
        "CPA violations": f"{100 * entry.cpa_violation_share:.1f} %",
        "budget breaches": f"{100 * entry.budget_breach_share:.1f} %",
        "conversions a day": f"{entry.conversions_per_day:.2f}",
    }


def _describe_worlds(config: SprintConfig) -> list[dict[str, str]]:
    rows = []
    for dataset in make_sprint_datasets(config):
        source = dataset.source
        seeds = f"{source['first_seed']} to {source['last_seed']}" if "first_seed" in source else source["seeds"]
        rows.append(
            {
                "family": source["family"],
                "use": dataset.context,
                "split": source["split"],
                "seeds": seeds,
                "family's settings": source["family_sha256"],
                "dataset": dataset.digest,
            }
        )
    return rows


def _describe_unjudged(config: SprintConfig) -> list[str]:
    """Families trained on that the evaluation left out."""
    missing = [name for name in config.families if name not in config.evaluation.families]
    return [f"Trained on {', '.join(missing)} and not judged there."] if missing else []
