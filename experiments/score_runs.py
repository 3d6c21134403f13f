"""An evaluation in MLflow: the sprint's own scores, and one child run for everybody who was judged."""

from __future__ import annotations

from experiments.evaluate import Judgement
from gaelp_rl.tracking import Tracker

__all__ = ["JUDGED_METRICS", "log_scores"]

JUDGED_METRICS = (
    "fho_iqm",
    "fho_p10",
    "soft_score",
    "cpa_violation_share",
    "budget_breach_share",
    "conversions_per_day",
)
"""What each judged policy's child run holds per family, as ``test/<family>/<name>``."""


def log_scores(judgement: Judgement, tracker: Tracker, policy: str = "policy") -> None:
    """Records an evaluation.

    Args:
        judgement: what was found.
        tracker: of the run that trained the policy. The policy's own scores go there; children with the same
            metric names, one per policy and comparator, put all of them side by side in MLflow's charts.
        policy: the name under which the trained policy was judged.
    """
    metrics: dict[str, float] = {}
    for comparison in judgement.comparisons:
        summary = comparison.find(policy)
        metrics[f"test/{comparison.family}/fho_iqm"] = summary.fho_iqm
        if summary.paired is not None:
            metrics[f"test/{comparison.family}/difference_to_best_comparator"] = summary.paired.difference
    if judgement.fidelity_check is not None:
        row = judgement.fidelity_check.rows[0]
        metrics["cross_check/aggregate_fho_iqm"] = row.aggregate_fho
        metrics["cross_check/auction_fho_iqm"] = row.auction_fho
    tracker.log_metrics(metrics, 0)
    for summary in judgement.comparisons[0].policies:
        kind = "diagnosis" if summary.knows_truth else "comparator" if summary.is_comparator else "policy"
        with tracker.start_child(f"judged: {summary.policy}", {"policy": summary.policy, "judged.as": kind}) as child:
            child.log_metrics(_collect(judgement, summary.policy), 0)


def _collect(judgement: Judgement, policy: str) -> dict[str, float]:
    return {
        f"test/{comparison.family}/{name}": getattr(comparison.find(policy), name)
        for comparison in judgement.comparisons
        for name in JUDGED_METRICS
    }
