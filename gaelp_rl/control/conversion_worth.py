"""From a marginal cost per conversion to bids: what one click of each channel is worth.

The part that simple controllers share: conversion rates smoothed towards the prior, and the bid at
which the next conversion costs theta.
"""

from __future__ import annotations

import numpy as np

from gaelp_rl.control.market_model import GRID_LOW, GRID_SIZE, GRID_STEP, MarketModel
from gaelp_rl.domain.ledger import METRICS, ReportLedger
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.reports import FloatArray

__all__ = ["compute_conversion_rate", "compute_cpa_balance", "make_theta_plan"]

_CLICKS, _SPEND, _CONVERSIONS, _EXPOSURE = (
    METRICS.index(name) for name in ("clicks", "spend", "conversions", "exposure")
)
_MAX_BID_RATIO, _MIN_BID = 8.0, 0.02
_GRID = GRID_LOW + GRID_STEP * np.arange(GRID_SIZE)


def compute_conversion_rate(ledger: ReportLedger, model: MarketModel, prior_conversions: float) -> FloatArray:
    """Reported conversions per matured click, pulled towards the prior rate.

    rate = (n + conversions) / (n / prior rate + exposure), the posterior mean of a gamma prior of
    shape n under Poisson conversions. Source: Gelman et al., "Bayesian Data Analysis", 3rd ed., 2.6.

    Args:
        ledger: reports so far.
        model: prior rates.
        prior_conversions: n, weight of the prior in conversions.

    Returns:
        float64 [worlds, channels], above 0.
    """
    sums = ledger.sum_28d
    return np.asarray(
        (prior_conversions + sums[:, :, _CONVERSIONS])
        / (prior_conversions / model.conversion_rate + sums[:, :, _EXPOSURE])
    )


def compute_cpa_balance(ledger: ReportLedger, rate: FloatArray, cpa_aim: float) -> FloatArray:
    """Spend of 28 days above what its conversions may cost, float64 [worlds], currency units.

    Conversions are clicks times the smoothed rate, so that late ones count at once. Negative while
    the CPA is below the aim.
    """
    sums = ledger.sum_28d
    return np.asarray(sums[:, :, _SPEND].sum(axis=1) - cpa_aim * (sums[:, :, _CLICKS] * rate).sum(axis=1))


def make_theta_plan(
    theta: FloatArray, rate: FloatArray, ledger: ReportLedger, model: MarketModel, daily_budget: float
) -> PlanBatch:
    """Bids at which the next conversion costs theta in every channel; no channel budget binds.

    Args:
        theta: float64 [worlds]; marginal spend per conversion, currency units.
        rate: float64 [worlds, channels]; conversions per click.
        ledger: gives the hour.
        model: prior prices (for shading first-price bids), hourly profile and device modifiers.
        daily_budget: budget given to every channel, currency units; the account's limit adds them up.

    Returns:
        The plan.
    """
    bid = theta[:, None] * rate
    for c in np.flatnonzero(model.first_price):
        log_worth = np.log(bid[:, c] / model.price_median[c])
        bid[:, c] = model.price_median[c] * np.exp(np.interp(log_worth, _GRID, model.log_bid_of_worth[c]))
    bid *= model.bid_by_hour[:, ledger.hour_of_day]
    bid = np.clip(bid, _MIN_BID, _MAX_BID_RATIO * model.price_median)
    modifier = np.broadcast_to(model.device_modifier, (len(theta), *model.device_modifier.shape))
    return PlanBatch.from_currency(bid, np.full(bid.shape, daily_budget), modifier)
