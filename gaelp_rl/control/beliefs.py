"""What reports have taught about each channel: Gaussian beliefs over three log-quantities.

Per world and channel: the conversion rate, the median competing bid, and the clicks for sale per
day. Each report row moves them by one extended Kalman step on counts: a Poisson count n with mean
m(x) has score (n - m) dlnm/dx and information m (dlnm/dx)^2; extra noise of log-sd s turns the
information into m^2 / (m + s^2 m^2). A random walk stands for the market's drift.

Source: extended Kalman filters for Poisson observations, Smith and Brown, "Estimating a state-space
model from point process observations", Neural Computation 2003.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_rl.control.market_model import GRID_SIZE, GRID_STEP, MarketModel, locate
from gaelp_rl.domain.channels import NUM_CHANNELS
from gaelp_rl.domain.ledger import METRICS
from gaelp_rl.domain.reports import FloatArray

__all__ = ["Beliefs", "make_beliefs", "update_beliefs"]

_CLICKS, _SPEND, _CONVERSIONS, _EXPOSURE = (METRICS.index(m) for m in ("clicks", "spend", "conversions", "exposure"))
_PRICE_VARIANCE_PER_CLICK = 0.25
_LEAST_CLICKS, _LEAST_VARIANCE, _LARGEST_ERROR = 0.05, 1e-6, 2.0


class Beliefs(NamedTuple):
    """Means and (co)variances of log-quantities relative to the prior median, [worlds, channels]."""

    log_conversion: FloatArray
    conversion_variance: FloatArray
    log_price: FloatArray
    log_volume: FloatArray
    price_variance: FloatArray
    volume_variance: FloatArray
    covariance: FloatArray


def make_beliefs(num_worlds: int, model: MarketModel, prior_strength: float) -> Beliefs:
    """The prior: no report seen.

    Args:
        num_worlds: worlds.
        model: prior log-sds.
        prior_strength: divides the prior variances; 1 believes the family.
    """
    grid = (num_worlds, NUM_CHANNELS)
    return Beliefs(
        log_conversion=np.zeros(grid),
        conversion_variance=np.full(grid, model.conversion_log_sd**2 / prior_strength + 1e-6),
        log_price=np.zeros(grid),
        log_volume=np.zeros(grid),
        price_variance=np.full(grid, model.price_log_sd**2 / prior_strength + 1e-6),
        volume_variance=np.full(grid, model.volume_log_sd**2 / prior_strength + 1e-6),
        covariance=np.zeros(grid),
    )


@njit(cache=True, error_model="numpy")
def update_beliefs(
    hour: int,
    rows: FloatArray,
    bids: FloatArray,
    is_free: NDArray[np.bool_],
    beliefs: Beliefs,
    model: MarketModel,
    drift_gain: float,
) -> None:
    """One filter step on the newest reported hour of every channel.

    Args:
        hour: hour at which the rows were read.
        rows: float64 [worlds, channels, metrics]; see ``ledger.METRICS``.
        bids: float64 [ring, worlds, channels]; base bid in force by hour modulo the ring.
        is_free: bool [worlds]; False where a budget stopped delivery, so that few clicks say
            nothing about demand.
        beliefs: updated in place.
        model: the prior and its tables.
        drift_gain: multiplies the drift variances.
    """
    ring = bids.shape[0]
    for w in range(rows.shape[0]):
        for c in range(NUM_CHANNELS):
            beliefs.conversion_variance[w, c] += drift_gain * model.conversion_drift
            beliefs.price_variance[w, c] += drift_gain * model.price_drift
            beliefs.volume_variance[w, c] += drift_gain * model.volume_drift
            exposure = rows[w, c, _EXPOSURE]
            if exposure > 0.0 or rows[w, c, _CONVERSIONS] > 0.0:
                _update_conversion(w, c, rows[w, c, _CONVERSIONS], exposure, beliefs, model)
            reported = hour - 1 - model.lag_hours[c]
            if reported < model.plan_delay_hours[c]:
                continue
            bid = bids[(reported - model.plan_delay_hours[c]) % ring, w, c]
            _update_demand(w, c, reported, bid, rows[w, c, _CLICKS], rows[w, c, _SPEND], is_free[w], beliefs, model)


@njit(cache=True, inline="always")
def _update_conversion(
    w: int, c: int, conversions: float, exposure: float, beliefs: Beliefs, model: MarketModel
) -> None:
    rate = model.conversion_rate[c] * model.bought_ratio[c] * math.exp(beliefs.log_conversion[w, c])
    mean = rate * max(exposure, 1e-3)
    variance = 1.0 / (1.0 / beliefs.conversion_variance[w, c] + mean)
    move = variance * (conversions - mean)
    beliefs.log_conversion[w, c] += min(max(move, -1.0), 1.0)
    beliefs.conversion_variance[w, c] = variance


@njit(cache=True, inline="always")
def _update_demand(
    w: int,
    c: int,
    reported: int,
    bid: float,
    clicks: float,
    spend: float,
    is_free: bool,
    beliefs: Beliefs,
    model: MarketModel,
) -> None:
    """Price and volume, jointly: what was paid per click, then how many clicks came."""
    hour_of_day, weekday = reported % 24, (reported // 24) % 7
    price = model.price_median[c] * model.hour_price[c, hour_of_day]
    g, weight = locate(math.log(max(bid, 0.01) / price) - beliefs.log_price[w, c])
    g = min(g, GRID_SIZE - 3)
    won = model.clicks_now[c, g] * (1.0 - weight) + model.clicks_now[c, g + 1] * weight
    paid = model.spend_now[c, g] * (1.0 - weight) + model.spend_now[c, g + 1] * weight
    if won <= 1e-9 or paid <= 1e-9:
        return
    won_up = model.clicks_now[c, g + 1] * (1.0 - weight) + model.clicks_now[c, g + 2] * weight
    paid_up = model.spend_now[c, g + 1] * (1.0 - weight) + model.spend_now[c, g + 2] * weight
    won_slope = math.log(won_up / won) / GRID_STEP
    if clicks > 0.0 and spend > 0.0:
        mean_price = price * math.exp(beliefs.log_price[w, c]) * paid / won
        slope = 1.0 - (math.log(paid_up / paid) / GRID_STEP - won_slope)
        noise = _PRICE_VARIANCE_PER_CLICK / clicks + model.hourly_price_sd**2
        _move(w, c, slope, 0.0, math.log(spend / clicks / mean_price), noise, beliefs)
    if is_free:
        for_sale = model.click_volume[c] * math.exp(beliefs.log_volume[w, c])
        share = model.hour_traffic[c, hour_of_day] * model.weekday_traffic[c, weekday] * won
        mean = max(for_sale * share, _LEAST_CLICKS)
        noise = 1.0 / mean + model.hourly_volume_sd**2
        _move(w, c, -won_slope, 1.0, (clicks - mean) / mean, noise, beliefs)


@njit(cache=True, inline="always")
def _move(w: int, c: int, to_price: float, to_volume: float, error: float, noise: float, beliefs: Beliefs) -> None:
    """One Kalman step on (log price, log volume) for an observation with those two slopes."""
    price_variance, volume_variance = beliefs.price_variance[w, c], beliefs.volume_variance[w, c]
    covariance = beliefs.covariance[w, c]
    with_price = to_price * price_variance + to_volume * covariance
    with_volume = to_price * covariance + to_volume * volume_variance
    gain = 1.0 / (to_price * with_price + to_volume * with_volume + noise)
    error = min(max(error, -_LARGEST_ERROR), _LARGEST_ERROR)
    beliefs.log_price[w, c] += with_price * gain * error
    beliefs.log_volume[w, c] += with_volume * gain * error
    beliefs.price_variance[w, c] = max(price_variance - with_price * with_price * gain, _LEAST_VARIANCE)
    beliefs.volume_variance[w, c] = max(volume_variance - with_volume * with_volume * gain, _LEAST_VARIANCE)
    beliefs.covariance[w, c] = covariance - with_price * with_volume * gain
