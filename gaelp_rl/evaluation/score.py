"""Scores of one policy, world by world: the fraction of the hindsight optimum and its guards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.domain.channels import NUM_CHANNELS
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.evaluation.outcomes import WorldOutcomes, check_outcomes

__all__ = ["WorldScores", "compute_cpa", "compute_soft_factor", "compute_world_scores"]

_TOLERANCE_MICROS = NUM_CHANNELS
"""Spend is whole micros per channel; one micro of each may be rounding."""


@dataclass(frozen=True, slots=True)
class WorldScores:
    """Scores of one policy in every world.

    Attributes:
        fho: float64 [worlds]; fraction of the hindsight optimum: expected conversions over the
            optimum's, 0 where ``is_above_cpa`` or ``is_above_budget``. May pass 1 by the noise of
            clicks.
        soft: float64 [worlds]; conversions min(1, (target / CPA)^2) over the optimum's.
        cpa: float64 [worlds]; spend over expected conversions, NaN without conversions.
        is_above_cpa: bool [worlds]; expected CPA of the whole life above the target.
        is_above_realised_cpa: bool [worlds]; the same with the conversions that happened.
        is_above_budget: bool [worlds]; some day's spend over all channels above the daily budget.
        budget_use: float64 [worlds]; spend over the days' budgets.
        conversions_per_day: float64 [worlds]; expected.
    """

    fho: FloatArray
    soft: FloatArray
    cpa: FloatArray
    is_above_cpa: NDArray[np.bool_]
    is_above_realised_cpa: NDArray[np.bool_]
    is_above_budget: NDArray[np.bool_]
    budget_use: FloatArray
    conversions_per_day: FloatArray


def compute_cpa(spend: FloatArray, conversions: FloatArray) -> FloatArray:
    """Spend per conversion, elementwise; NaN (undefined, never 0) without conversions."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(conversions > 0, spend / conversions, np.nan))


def compute_soft_factor(spend: FloatArray, conversions: FloatArray, cpa_target: float) -> FloatArray:
    """min(1, (target / CPA)^2), elementwise; 1 where nothing is spent.

    Source: AuctionNet score, NeurIPS 2024 auto-bidding competition, beta = 2.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(spend > 0, cpa_target * conversions / spend, 1.0)
    return np.asarray(np.minimum(1.0, ratio) ** 2)


def compute_world_scores(outcomes: WorldOutcomes, objective: Objective) -> WorldScores:
    """Scores every world.

    Args:
        outcomes: what the policy did.
        objective: daily budget and CPA target.

    Returns:
        The scores.

    Raises:
        DataError: the outcomes cannot be scored (``check_outcomes``).
    """
    check_outcomes(outcomes)
    spend = outcomes.spend.sum(axis=(1, 2))
    conversions = outcomes.expected_conversions.sum(axis=(1, 2))
    realised = outcomes.realised_conversions.sum(axis=(1, 2))
    day_spend_micros = np.rint(outcomes.spend * MICROS).astype(np.int64).sum(axis=2)
    is_above_budget = (day_spend_micros > objective.daily_budget_micros + _TOLERANCE_MICROS).any(axis=1)
    is_above_cpa = _is_above(spend, conversions, objective.cpa_target)
    fraction = conversions / outcomes.optimum
    return WorldScores(
        fho=np.where(is_above_cpa | is_above_budget, 0.0, fraction),
        soft=fraction * compute_soft_factor(spend, conversions, objective.cpa_target),
        cpa=compute_cpa(spend, conversions),
        is_above_cpa=is_above_cpa,
        is_above_realised_cpa=_is_above(spend, realised, objective.cpa_target),
        is_above_budget=is_above_budget,
        budget_use=spend / (objective.daily_budget * outcomes.num_days),
        conversions_per_day=conversions / outcomes.num_days,
    )


def _is_above(spend: FloatArray, conversions: FloatArray, cpa_target: float) -> NDArray[np.bool_]:
    """Whether spend / conversions is above the target; spend without conversions is."""
    return np.asarray(spend > cpa_target * conversions * (1.0 + 1e-9))
