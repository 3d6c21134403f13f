"""The evaluation as a JSON file: the stable interface for scripts, dashboards and registries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaelp_rl.domain.channels import CHANNELS
from gaelp_rl.evaluation.comparison import FamilyComparison, PolicySummary
from gaelp_rl.evaluation.fidelity import FidelityCheck
from gaelp_rl.evaluation.statistics import Interval

__all__ = ["RESULTS_SCHEMA", "ResultsMeta", "make_results", "write_json"]

RESULTS_SCHEMA = "gaelp.evaluation/1"
"""Name and major version of the file's layout; fields may be added within a version."""


@dataclass(frozen=True, slots=True)
class ResultsMeta:
    """Where the figures come from.

    Attributes:
        git_sha: commit of the code that made them; "-dirty" at its end where it was changed.
        fidelity: fidelity of the market, e.g. ``aggregate``.
        created_at: aware UTC time as ISO 8601 text.
    """

    git_sha: str
    fidelity: str
    created_at: str


def make_results(
    comparisons: Sequence[FamilyComparison], meta: ResultsMeta, check: FidelityCheck | None = None
) -> dict[str, Any]:
    """The comparisons as plain JSON types.

    Layout (shares and FHO from 0 to 1, money in currency units, null where undefined)::

        schema                        "gaelp.evaluation/1"
        meta                          git_sha, fidelity, created_at
        families.<family>
          worlds, world_seeds, seed, bootstrap_resamples, confidence, best_comparator
          daily_budget, cpa_target, currency, optimum_conversions_per_day
          policies.<policy>
            fho_iqm, fho_ci [low, high], fho_p10, fho_worst
            fho                       [worlds]; mean over training seeds, in the order of world_seeds
            fho_by_training_seed      [training_seeds][worlds]; one row where untrained
            training_seeds            [] where untrained
            paired_diff_to_best_comparator, paired_ci, probability_of_improvement
            cpa_violation_share, realised_cpa_violation_share, budget_breach_share, budget_use
            conversions_per_day, conversions_per_week, soft_score
            plan_changes, mean_abs_change, is_comparator, knows_truth
            channels.<channel>        conversions_per_day, spend_per_day
        fidelity_check                null, or: family, worlds, confidence
          policies.<policy>           aggregate_fho_iqm, auction_fho_iqm, difference, difference_ci,
                                      aggregate_conversions_per_day, auction_conversions_per_day

    Args:
        comparisons: one per family.
        meta: where the figures come from.
        check: policies at both fidelities; None where none was made.

    Returns:
        The tree.
    """
    return {
        "schema": RESULTS_SCHEMA,
        "meta": {"git_sha": meta.git_sha, "fidelity": meta.fidelity, "created_at": meta.created_at},
        "families": {comparison.family: _make_family(comparison) for comparison in comparisons},
        "fidelity_check": None if check is None else _make_check(check),
    }


def write_json(
    path: Path, comparisons: Sequence[FamilyComparison], meta: ResultsMeta, check: FidelityCheck | None = None
) -> None:
    """Writes ``make_results`` to a file, whole or not at all.

    Args:
        path: where; its folder is made if missing.
        comparisons: one per family.
        meta: where the figures come from.
        check: policies at both fidelities; None where none was made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    content = json.dumps(make_results(comparisons, meta, check), indent=1, allow_nan=False)
    partial.write_text(content + "\n", encoding="utf-8")
    partial.replace(path)


def _make_family(comparison: FamilyComparison) -> dict[str, Any]:
    return {
        "worlds": len(comparison.world_seeds),
        "world_seeds": list(comparison.world_seeds),
        "seed": comparison.seed,
        "bootstrap_resamples": comparison.resamples,
        "confidence": comparison.confidence,
        "best_comparator": comparison.best_comparator,
        "daily_budget": comparison.objective.daily_budget,
        "cpa_target": comparison.objective.cpa_target,
        "currency": comparison.objective.currency,
        "optimum_conversions_per_day": comparison.optimum_conversions_per_day,
        "policies": {summary.policy: _make_policy(summary) for summary in comparison.policies},
    }


def _make_policy(summary: PolicySummary) -> dict[str, Any]:
    paired = summary.paired
    channels = zip(CHANNELS, summary.channel_conversions, summary.channel_spend, strict=True)
    return {
        "fho_iqm": summary.fho_iqm,
        "fho_ci": _make_interval(summary.fho_ci),
        "fho_p10": summary.fho_p10,
        "fho_worst": summary.fho_worst,
        "fho": summary.fho.mean(axis=0).tolist(),
        "fho_by_training_seed": summary.fho.tolist(),
        "training_seeds": list(summary.training_seeds),
        "paired_diff_to_best_comparator": None if paired is None else paired.difference,
        "paired_ci": None if paired is None else _make_interval(paired.interval),
        "probability_of_improvement": summary.probability_of_improvement,
        "cpa_violation_share": summary.cpa_violation_share,
        "realised_cpa_violation_share": summary.realised_cpa_violation_share,
        "budget_breach_share": summary.budget_breach_share,
        "budget_use": summary.budget_use,
        "conversions_per_day": summary.conversions_per_day,
        "conversions_per_week": 7 * summary.conversions_per_day,
        "soft_score": summary.soft_score,
        "plan_changes": summary.plan_changes,
        "mean_abs_change": summary.mean_abs_change,
        "is_comparator": summary.is_comparator,
        "knows_truth": summary.knows_truth,
        "channels": {
            channel.value: {"conversions_per_day": float(conversions), "spend_per_day": float(spend)}
            for channel, conversions, spend in channels
        },
    }


def _make_check(check: FidelityCheck) -> dict[str, Any]:
    return {
        "family": check.family,
        "worlds": check.num_worlds,
        "confidence": check.confidence,
        "policies": {
            row.policy: {
                "aggregate_fho_iqm": row.aggregate_fho,
                "auction_fho_iqm": row.auction_fho,
                "difference": row.difference.difference,
                "difference_ci": _make_interval(row.difference.interval),
                "aggregate_conversions_per_day": row.aggregate_conversions_per_day,
                "auction_conversions_per_day": row.auction_conversions_per_day,
            }
            for row in check.rows
        },
    }


def _make_interval(interval: Interval) -> list[float]:
    return [interval.low, interval.high]
