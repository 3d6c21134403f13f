"""Which share of a day's budget should have been spent by which hour: what pacing aims at."""

from __future__ import annotations

import math

import numpy as np

from gaelp_rl.control.market_model import GRID_LOW, GRID_SIZE, GRID_STEP, MarketModel, locate
from gaelp_rl.domain.channels import NUM_CHANNELS
from gaelp_rl.domain.ledger import HOURS_PER_DAY
from gaelp_rl.domain.reports import FloatArray, IntArray

__all__ = [
    "compute_planned_reported_share",
    "compute_planned_share_of_reports",
    "make_optimal_profile",
    "make_uniform_profile",
    "solve_prior_theta",
]

_GRID = GRID_LOW + GRID_STEP * np.arange(GRID_SIZE)
_THETA_BOUNDS = (0.5, 5000.0)
_BISECTIONS = 60


def _compute_prior_spend_left(theta: float, model: MarketModel) -> FloatArray:
    """Spend of the prior median world from each hour to midnight at theta, [channels, 24]."""
    left = np.empty((NUM_CHANNELS, HOURS_PER_DAY))
    for c in range(NUM_CHANNELS):
        log_worth = math.log(theta * model.conversion_rate[c] / model.price_median[c])
        g, weight = locate(float(np.interp(log_worth, _GRID, model.log_bid_of_worth[c])))
        left[c] = model.day_left[c, :, g, 0] * (1.0 - weight) + model.day_left[c, :, g + 1, 0] * weight
    return np.asarray(left * (model.click_volume * model.price_median)[:, None])


def solve_prior_theta(model: MarketModel, daily_budget: float) -> float:
    """The marginal spend per conversion at which the prior median world spends the daily budget.

    Args:
        model: priors and tables.
        daily_budget: currency units.

    Returns:
        Theta in currency units, between 0.5 and 5000.
    """
    low, high = _THETA_BOUNDS
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        if _compute_prior_spend_left(middle, model)[:, 0].sum() > daily_budget:
            high = middle
        else:
            low = middle
    return low


def make_optimal_profile(model: MarketModel, daily_budget: float) -> FloatArray:
    """The optimal plan of the prior median world: equal marginal cost in every channel and hour.

    Returns:
        Shares of the day's spend, float64 [channels, 24], that add up to 1.
    """
    left = _compute_prior_spend_left(solve_prior_theta(model, daily_budget), model)
    spend = -np.diff(left, axis=1, append=0.0)
    return np.asarray(spend / spend.sum())


def make_uniform_profile(model: MarketModel, daily_budget: float) -> FloatArray:
    """The same spend in every hour, split over channels as the optimal profile splits it.

    Returns:
        Shares of the day's spend, float64 [channels, 24], that add up to 1.
    """
    by_channel = make_optimal_profile(model, daily_budget).sum(axis=1, keepdims=True)
    return np.tile(by_channel / HOURS_PER_DAY, (1, HOURS_PER_DAY))


def compute_planned_share_of_reports(profile: FloatArray, lag_hours: IntArray, hour: int) -> float:
    """Planned share of the hours that the newest reports cover, each channel's lag included.

    Args:
        profile: float64 [channels, 24].
        lag_hours: int64 [channels].
        hour: hour at which the reports are read.
    """
    return float(profile[np.arange(NUM_CHANNELS), (hour - 1 - lag_hours) % HOURS_PER_DAY].sum())


def compute_planned_reported_share(profile: FloatArray, lag_hours: IntArray) -> FloatArray:
    """Planned share of the day that should have been reported by each hour of it.

    Args:
        profile: float64 [channels, 24].
        lag_hours: int64 [channels].

    Returns:
        float64 [24].
    """
    by_hour = np.concatenate((np.zeros((NUM_CHANNELS, 1)), profile.cumsum(axis=1)), axis=1)
    reported = np.maximum(np.arange(HOURS_PER_DAY)[:, None] - lag_hours, 0)
    return np.asarray(by_hour[np.arange(NUM_CHANNELS), reported].sum(axis=1))
