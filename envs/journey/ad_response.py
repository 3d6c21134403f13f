"""How one user answers one ad: interest, fatigue, a logit choice, and interests that drift.

A user's interest in an ad's topic is a number in [-1, 1], uniform over users. It enters the log-odds
of a click, which fall with every exposure to the same creative. Each exposure moves the interest a
step up or down, reflected at the bounds: the walk keeps the uniform distribution, so that the mean
click probability over users has a closed form at any time.

Source: multinomial-logit choice with a no-click option, McFadden 1974, as in RecSim's
``MultinomialLogitChoiceModel``; interests in [-1, 1] by topic, Ie et al. 2019, "RecSim: a
configurable simulation platform for recommender systems", section 4.
"""

from __future__ import annotations

import math

from numba import njit

__all__ = ["compute_ad_score", "compute_click_probability", "drift_interest", "solve_log_odds"]


@njit(cache=True, inline="always")
def compute_ad_score(
    log_odds: float, interest: float, interest_weight: float, exposures: float, fatigue: float
) -> float:
    """Log-odds of a click: s = log_odds + interest_weight * interest + exposures * ln(1 - fatigue).

    Over users with Poisson(m) exposures the odds fall on average by exp(-fatigue * m).

    Args:
        log_odds: of a user without interest or exposures.
        interest: of the user in the ad's topic, -1 to 1.
        interest_weight: log-odds per unit of interest, > 0.
        exposures: how often the user has seen the creative.
        fatigue: share of the odds lost per exposure, 0 to below 1.
    """
    return log_odds + interest_weight * interest + exposures * math.log1p(-fatigue)


@njit(cache=True, inline="always")
def compute_click_probability(score: float) -> float:
    """Multinomial logit over one ad and no click, whose score is 0: 1 / (1 + exp(-score))."""
    return 1.0 / (1.0 + math.exp(-score))


@njit(cache=True)
def solve_log_odds(mean_probability: float, interest_weight: float) -> float:
    """The ``log_odds`` at which users of uniform interest click with this probability on average.

    With A = exp(w), B = exp(b) and p the mean of 1 / (1 + exp(-b - w u)) over u in [-1, 1],
    p = ln((1 + A B) / (1 + B / A)) / (2 w), hence B = (e^{2 w p} - 1) / (A - e^{2 w p} / A).

    Args:
        mean_probability: p, strictly between 0 and 1.
        interest_weight: w, > 0.
    """
    growth = math.exp(2.0 * interest_weight * mean_probability)
    spread = math.exp(interest_weight)
    return math.log((growth - 1.0) / (spread - growth / spread))


@njit(cache=True, inline="always")
def drift_interest(interest: float, step: float, uniform: float) -> float:
    """One exposure's step of the reflected walk on [-1, 1]; keeps a uniform distribution uniform.

    Args:
        interest: before the exposure.
        step: size of the step, 0 to 1.
        uniform: from (0, 1); below one half the interest falls, else it rises.
    """
    moved = interest - step if uniform < 0.5 else interest + step
    if moved > 1.0:
        return 2.0 - moved
    if moved < -1.0:
        return -2.0 - moved
    return moved
