"""Policies side by side in the same worlds of one family."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from gaelp_rl.config.evaluation import EvaluationConfig
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.errors import DataError, UnknownReferenceError, suggest
from gaelp_rl.evaluation.outcomes import WorldOutcomes
from gaelp_rl.evaluation.score import WorldScores, compute_world_scores
from gaelp_rl.evaluation.statistics import (
    Interval,
    PairedDifference,
    compute_iqm,
    compute_probability_of_improvement,
    sample_iqm_interval,
    sample_paired_difference,
)

__all__ = ["FamilyComparison", "PolicySummary", "compare"]


@dataclass(frozen=True, slots=True)
class PolicySummary:
    """One policy on one family, over all its training seeds and worlds.

    Attributes:
        policy: its name.
        is_comparator: whether it may be the best comparator.
        knows_truth: whether it was given what reports do not hold.
        training_seeds: the seeds that trained it; empty for one that is not trained.
        fho: float64 [training_seeds, worlds] (one row where untrained); fraction of the optimum.
        fho_iqm: interquartile mean of ``fho``.
        fho_ci: its bootstrap interval.
        fho_p10: 10th percentile of ``fho``.
        fho_worst: lowest ``fho``.
        paired: IQM minus that of the best comparator in the same worlds; None without comparators.
        probability_of_improvement: P(better than the best comparator in a world); None likewise.
        soft_score: interquartile mean of the soft score.
        cpa_violation_share: share of worlds whose expected CPA is above the target.
        realised_cpa_violation_share: the same with the conversions that happened.
        budget_breach_share: share of worlds with a day above the daily budget.
        budget_use: mean share of the budget spent.
        conversions_per_day: mean expected conversions.
        plan_changes: mean changes of a bid or budget per channel and day.
        mean_abs_change: mean size of a change, abs(ln(new / old)).
        channel_conversions: float64 [channels]; mean expected conversions per day.
        channel_spend: float64 [channels]; mean spend per day, currency units.
        daily_spend: float64 [3, days]; 10th percentile, median and 90th of a day's spend over worlds.
    """

    policy: str
    is_comparator: bool
    knows_truth: bool
    training_seeds: tuple[int, ...]
    fho: FloatArray
    fho_iqm: float
    fho_ci: Interval
    fho_p10: float
    fho_worst: float
    paired: PairedDifference | None
    probability_of_improvement: float | None
    soft_score: float
    cpa_violation_share: float
    realised_cpa_violation_share: float
    budget_breach_share: float
    budget_use: float
    conversions_per_day: float
    plan_changes: float
    mean_abs_change: float
    channel_conversions: FloatArray
    channel_spend: FloatArray
    daily_spend: FloatArray


@dataclass(frozen=True, slots=True)
class FamilyComparison:
    """All policies on one family.

    Attributes:
        family: its name.
        objective: what everybody was judged by.
        world_seeds: the worlds' seeds, in the order of every ``fho``.
        seed: of the bootstrap.
        resamples: behind every interval.
        confidence: coverage of every interval.
        best_comparator: the comparator with the highest ``fho_iqm``; None where there is none.
        optimum_conversions_per_day: mean over the worlds of what hindsight could have bought.
        policies: summaries, highest ``fho_iqm`` first.
    """

    family: str
    objective: Objective
    world_seeds: tuple[int, ...]
    seed: int
    resamples: int
    confidence: float
    best_comparator: str | None
    optimum_conversions_per_day: float
    policies: tuple[PolicySummary, ...]

    def find(self, policy: str) -> PolicySummary:
        """The summary of one policy.

        Raises:
            UnknownReferenceError: it was not compared here.
        """
        for summary in self.policies:
            if summary.policy == policy:
                return summary
        known = [summary.policy for summary in self.policies]
        msg = f"policy {policy!r} was not compared on family {self.family!r}.{suggest(policy, known)}"
        raise UnknownReferenceError(msg)


@dataclass(frozen=True, slots=True)
class _Scored:
    """All training seeds of one policy, scored."""

    outcomes: tuple[WorldOutcomes, ...]
    scores: tuple[WorldScores, ...]
    is_comparator: bool

    @property
    def fho(self) -> FloatArray:
        return np.stack([score.fho for score in self.scores])

    def compute_mean(self, name: str) -> float:
        return float(np.mean([getattr(score, name) for score in self.scores]))


def compare(
    outcomes: Sequence[WorldOutcomes],
    comparators: Collection[str],
    objective: Objective,
    config: EvaluationConfig,
) -> FamilyComparison:
    """Scores every policy and compares it with the best comparator.

    Args:
        outcomes: of one family, the same worlds for all; one entry per policy and training seed.
        comparators: names of the policies that a claim must beat. Those that know the truth and
            those without outcomes are left aside.
        objective: daily budget and CPA target.
        config: seed, resamples and confidence of the intervals.

    Returns:
        The comparison, best policy first.

    Raises:
        DataError: families or worlds differ, a policy comes twice with one training seed, there
            are no outcomes, or some cannot be scored.
    """
    _check_same_worlds(outcomes)
    scored = _score_policies(outcomes, comparators, objective)
    iqm = {name: float(compute_iqm(policy.fho.ravel())) for name, policy in scored.items()}
    candidates = [name for name, policy in scored.items() if policy.is_comparator]
    best = max(candidates, key=lambda name: iqm[name], default=None)
    best_fho = scored[best].fho if best else None
    summaries = [_summarise(name, policy, best_fho, config) for name, policy in scored.items()]
    first = outcomes[0]
    return FamilyComparison(
        family=first.family,
        objective=objective,
        world_seeds=tuple(int(seed) for seed in first.seeds),
        seed=config.seed,
        resamples=config.bootstrap_resamples,
        confidence=config.confidence,
        best_comparator=best,
        optimum_conversions_per_day=float(first.optimum.mean() / first.num_days),
        policies=tuple(sorted(summaries, key=lambda summary: -summary.fho_iqm)),
    )


def _score_policies(
    outcomes: Sequence[WorldOutcomes], comparators: Collection[str], objective: Objective
) -> dict[str, _Scored]:
    by_policy: dict[str, list[WorldOutcomes]] = {}
    for one in outcomes:
        by_policy.setdefault(one.policy, []).append(one)
    scored = {}
    for name, runs in by_policy.items():
        scores = tuple(compute_world_scores(run, objective) for run in runs)
        is_comparator = name in comparators and not any(run.knows_truth for run in runs)
        scored[name] = _Scored(tuple(runs), scores, is_comparator)
    return scored


def _summarise(name: str, policy: _Scored, best_fho: FloatArray | None, config: EvaluationConfig) -> PolicySummary:
    fho = policy.fho
    sampling = (config.bootstrap_resamples, config.confidence)
    rng = np.random.default_rng(config.seed)
    paired = None if best_fho is None else sample_paired_difference(fho, best_fho, rng, *sampling)
    spend = np.stack([run.spend for run in policy.outcomes])
    conversions = np.stack([run.expected_conversions for run in policy.outcomes])
    return PolicySummary(
        policy=name,
        is_comparator=policy.is_comparator,
        knows_truth=any(run.knows_truth for run in policy.outcomes),
        training_seeds=tuple(run.training_seed for run in policy.outcomes if run.training_seed is not None),
        fho=fho,
        fho_iqm=float(compute_iqm(fho.ravel())),
        fho_ci=sample_iqm_interval(fho, np.random.default_rng(config.seed), *sampling),
        fho_p10=float(np.quantile(fho, 0.1)),
        fho_worst=float(fho.min()),
        paired=paired,
        probability_of_improvement=None if best_fho is None else compute_probability_of_improvement(fho, best_fho),
        soft_score=float(compute_iqm(np.concatenate([score.soft for score in policy.scores]))),
        cpa_violation_share=policy.compute_mean("is_above_cpa"),
        realised_cpa_violation_share=policy.compute_mean("is_above_realised_cpa"),
        budget_breach_share=policy.compute_mean("is_above_budget"),
        budget_use=policy.compute_mean("budget_use"),
        conversions_per_day=policy.compute_mean("conversions_per_day"),
        plan_changes=float(np.mean([run.plan_changes for run in policy.outcomes])),
        mean_abs_change=float(np.mean([run.mean_abs_change for run in policy.outcomes])),
        channel_conversions=conversions.mean(axis=(0, 1, 2)),
        channel_spend=spend.mean(axis=(0, 1, 2)),
        daily_spend=np.quantile(spend.sum(axis=3), (0.1, 0.5, 0.9), axis=(0, 1)),
    )


def _check_same_worlds(outcomes: Sequence[WorldOutcomes]) -> None:
    if not outcomes:
        msg = "there are no outcomes to compare; name at least one policy"
        raise DataError(msg)
    first = outcomes[0]
    seen: set[tuple[str, int | None]] = set()
    for one in outcomes:
        if one.family != first.family or one.num_days != first.num_days or not np.array_equal(one.seeds, first.seeds):
            msg = (
                f"{one.policy!r} ({one.family!r}, {one.num_worlds} worlds of {one.num_days} days) and "
                f"{first.policy!r} ({first.family!r}, {first.num_worlds} of {first.num_days}) did not meet the same "
                "worlds; run both on the same family, seeds and days"
            )
            raise DataError(msg)
        if (one.policy, one.training_seed) in seen:
            msg = f"policy {one.policy!r} comes twice with training seed {one.training_seed}; names must be distinct"
            raise DataError(msg)
        seen.add((one.policy, one.training_seed))
