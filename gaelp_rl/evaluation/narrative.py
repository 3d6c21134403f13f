"""The report's findings in plain words, for people who buy ads and do not read intervals."""

from __future__ import annotations

from gaelp_rl.evaluation.claim import ClaimVerdict
from gaelp_rl.evaluation.comparison import FamilyComparison, PolicySummary
from gaelp_rl.evaluation.volume import VolumeCurve, compute_budget_for_volume, compute_volume_at_budget

__all__ = ["compute_cpa_text", "describe_champion", "describe_feasibility"]


def describe_champion(champion: str, comparison: FamilyComparison, verdict: ClaimVerdict | None) -> str:
    """Who should run the account and why, in two or three sentences.

    Args:
        champion: the policy to ship.
        comparison: the family that decides.
        verdict: the claim rule's finding on a trained policy; None where there was none.

    Returns:
        Plain text.
    """
    summary = comparison.find(champion)
    result = (
        f"In {len(comparison.world_seeds):,} simulated campaigns of the family {comparison.family!r} it bought "
        f"{summary.conversions_per_day:.1f} conversions a day at {compute_cpa_text(summary, comparison)} each, "
        f"{100 * summary.fho_iqm:.1f} % of what perfect hindsight would have bought "
        f"({100 * summary.fho_ci.low:.1f} to {100 * summary.fho_ci.high:.1f} %)."
    )
    if len(summary.training_seeds) == 1:
        result += " It was trained once: the interval covers luck over campaigns, not luck in training."
    return f"The champion is {champion}, because {_describe_reason(champion, comparison, verdict)}. {result}"


def describe_feasibility(curve: VolumeCurve, daily_budget: float, weekly_goal: float, currency: str) -> str:
    """Whether a weekly volume is for sale at all, on this budget and at any.

    Args:
        curve: the volume curve.
        daily_budget: today's, currency units.
        weekly_goal: conversions a week wanted.
        currency: ISO 4217 code.

    Returns:
        Plain text.
    """
    conversions, spend = compute_volume_at_budget(curve, daily_budget)
    needed_cpa = 7 * daily_budget / weekly_goal
    cpa = f", at {spend / conversions:,.2f} {currency} each" if conversions > 0 else ""
    bound = (
        f"On {daily_budget:,.0f} {currency} a day even perfect knowledge buys about {conversions:,.0f} conversions a "
        f"week in the median market{cpa}."
    )
    if conversions >= weekly_goal:
        return f"{bound} The goal of {weekly_goal:,.0f} a week is within reach of the market."
    goal = (
        f"The goal of {weekly_goal:,.0f} a week would need {needed_cpa:,.2f} {currency} per conversion; "
        f"{100 * conversions / weekly_goal:.0f} % of it is for sale."
    )
    budget = compute_budget_for_volume(curve, weekly_goal)
    target = f"a CPA of at most {curve.cpa_target:,.0f} {currency}"
    if budget is None:
        top = f"{curve.daily_budget[-1]:,.0f} {currency} a day"
        return f"{bound} {goal} No budget up to {top} buys it at {target}."
    return f"{bound} {goal} It would take about {budget:,.0f} {currency} a day at {target}."


def compute_cpa_text(summary: PolicySummary, comparison: FamilyComparison) -> str:
    """A policy's expected CPA over all worlds, or that it is undefined."""
    conversions = float(summary.channel_conversions.sum())
    if conversions <= 0:
        return "an undefined CPA (no conversions)"
    return f"{float(summary.channel_spend.sum()) / conversions:,.2f} {comparison.objective.currency}"


def _describe_reason(champion: str, comparison: FamilyComparison, verdict: ClaimVerdict | None) -> str:
    best = comparison.best_comparator
    if verdict is not None and verdict.better:
        return (
            f"it beat the best classical controller ({best}) on {' and '.join(verdict.better_on)} by more than chance "
            "explains, lost more than a point nowhere, and broke neither CPA target nor budget more often"
        )
    if verdict is not None and verdict.policy != champion:
        findings = "; ".join(f"{family}: {', '.join(reasons)}" for family, reasons in verdict.reasons.items())
        return f"the policy {verdict.policy} has not been shown to be better than it ({findings})"
    kind = "classical controllers" if champion == best else "policies"
    return f"it has the highest score of the {kind} compared"
