"""The claim rule: when a policy may be called better, and who is champion when it may not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gaelp_rl.errors import DataError
from gaelp_rl.evaluation.comparison import FamilyComparison, PolicySummary

__all__ = ["MAX_LOSS", "NOT_WORSE_MARGIN", "ClaimVerdict", "compute_claim_verdict", "is_not_worse"]

MAX_LOSS = 0.01
"""The most that a champion may lose, in FHO, to the best comparator on any family."""

NOT_WORSE_MARGIN = 0.005
"""How far below zero the paired interval may reach for a policy to count as not worse."""


@dataclass(frozen=True, slots=True)
class ClaimVerdict:
    """Whether a policy is better than the best comparators, and why.

    Attributes:
        policy: the policy that was judged.
        champion: who should be shipped: ``policy``, or the best comparator of the first family.
        better: whether it may be called better at all.
        better_on: families on which its paired interval lies above zero, if ``better``.
        reasons: for every family, in words, what was found.
    """

    policy: str
    champion: str
    better: bool
    better_on: tuple[str, ...]
    reasons: dict[str, tuple[str, ...]]


def compute_claim_verdict(policy: str, comparisons: Sequence[FamilyComparison]) -> ClaimVerdict:
    """Applies the claim rule.

    A policy is better on a family where the lower end of its paired interval against the *best*
    comparator is above 0, and only if on no family it loses more than ``MAX_LOSS`` (point estimate)
    and on no family its CPA violations or budget breaches are above the best comparator's.

    Args:
        policy: the policy to judge.
        comparisons: one per family; the first is the family that names the champion otherwise.

    Returns:
        The verdict with its reasons.

    Raises:
        UnknownReferenceError: a family was run without the policy.
        DataError: there is no family, or one without a comparator.
    """
    if not comparisons:
        msg = f"no family to judge {policy!r} on; evaluate it on at least one"
        raise DataError(msg)
    wins: list[str] = []
    is_refused = False
    reasons: dict[str, tuple[str, ...]] = {}
    for comparison in comparisons:
        best = _find_best(comparison)
        summary = comparison.find(policy)
        faults = _describe_faults(summary, best)
        gain, is_win = _describe_gain(summary, best)
        reasons[comparison.family] = (gain, *faults)
        is_refused |= bool(faults)
        if is_win:
            wins.append(comparison.family)
    better = bool(wins) and not is_refused
    champion = policy if better else _find_best(comparisons[0]).policy
    return ClaimVerdict(policy, champion, better, tuple(wins) if better else (), reasons)


def is_not_worse(policy: str, comparison: FamilyComparison) -> bool:
    """Whether the lower end of the paired interval is above ``-NOT_WORSE_MARGIN``.

    Raises:
        UnknownReferenceError: the policy was not compared.
        DataError: there was no comparator.
    """
    _find_best(comparison)
    paired = comparison.find(policy).paired
    return paired is not None and paired.interval.low > -NOT_WORSE_MARGIN


def _find_best(comparison: FamilyComparison) -> PolicySummary:
    if comparison.best_comparator is None:
        msg = f"family {comparison.family!r} was run without a comparator; a claim needs the best one beside it"
        raise DataError(msg)
    return comparison.find(comparison.best_comparator)


def _describe_gain(summary: PolicySummary, best: PolicySummary) -> tuple[str, bool]:
    """What the paired interval says, and whether it lies above zero."""
    if summary.policy == best.policy:
        return "it is the best comparator itself", False
    if summary.paired is None:
        return "it has no paired difference", False
    low, high = summary.paired.interval.low, summary.paired.interval.high
    interval = f"{100 * low:+.2f} to {100 * high:+.2f}"
    found = f"{100 * summary.paired.difference:+.2f} points against {best.policy} (interval {interval})"
    if summary.knows_truth:
        return f"{found}; it knows the truth, so that no claim can rest on it", False
    words = "better" if low > 0 else "worse" if high < 0 else "no clear difference"
    return f"{found}: {words}", low > 0


def _describe_faults(summary: PolicySummary, best: PolicySummary) -> tuple[str, ...]:
    """What forbids a claim on any family."""
    faults = []
    if summary.paired is not None and summary.paired.difference < -MAX_LOSS:
        faults.append(f"it loses {-100 * summary.paired.difference:.1f} points, more than {100 * MAX_LOSS:.0f}")
    for name, words in (("cpa_violation_share", "CPA above target"), ("budget_breach_share", "budget breached")):
        ours, theirs = getattr(summary, name), getattr(best, name)
        if ours > theirs:
            faults.append(f"{words} in {100 * ours:.1f} % of worlds, against {100 * theirs:.1f} % for {best.policy}")
    return tuple(faults)
