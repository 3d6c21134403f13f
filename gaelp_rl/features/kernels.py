"""Compiled blocks of an observation: each fills a few neighbouring entries of every channel.

Every block takes the observation, float32 [worlds, features], and ``start``, the place of its first
entry for the first channel; channels follow each other ``STRIDE`` entries apart. Sums are float64
[worlds, channels, metrics] of the report ledger, priors float64 [channels].

Every rate is a log-ratio to its prior, smoothed by a few pseudo-observations at the prior, so that
a channel without data reads 0 and evidence pulls it away: ln((events + k) / (expected + k)) is the
log posterior mean of a Gamma prior of shape k around the prior rate (Gelman et al., "Bayesian Data
Analysis", section 2.6).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_rl.domain.channels import DEVICES, NUM_CHANNELS, Device
from gaelp_rl.domain.ledger import HOURS_PER_DAY, METRICS
from gaelp_rl.domain.reports import FloatArray, IntArray
from gaelp_rl.features.catalogue import CHANNEL_FEATURES, COUNT_SCALING, SHARE_AGE_SCALING_HOURS
from gaelp_rl.features.schema import Float32Array

__all__ = [
    "PSEUDO_CLICKS",
    "PSEUDO_CONVERSIONS",
    "clip_observation",
    "fill_account_pacing",
    "fill_counts",
    "fill_cpa",
    "fill_devices",
    "fill_pacing",
    "fill_plan",
    "fill_rates",
    "fill_shares",
]

PSEUDO_CLICKS = 5.0
"""Clicks' worth of belief in the prior CTR and CPC, and in one CTR for all devices."""

PSEUDO_CONVERSIONS = 2.0
"""Conversions' worth of belief in the prior CVR: a relative sd of 0.7 between accounts."""

STRIDE = len(CHANNEL_FEATURES) // NUM_CHANNELS
"""Entries per channel."""

_IMPRESSIONS = METRICS.index("impressions")
_CLICKS = METRICS.index("clicks")
_SPEND = METRICS.index("spend")
_CONVERSIONS = METRICS.index("conversions")
_EXPOSURE = METRICS.index("exposure")
_NUM_COUNTS = 4
_MOBILE, _DESKTOP = DEVICES.index(Device.MOBILE), DEVICES.index(Device.DESKTOP)
_MIN_BID = 1e-6


@njit(cache=True)
def fill_rates(
    observation: Float32Array,
    start: int,
    sums: FloatArray,
    ctr: FloatArray,
    cpc: FloatArray,
    conversion_rate: FloatArray,
) -> None:
    """CTR, CPC, CVR and CPA of one period; CVR per exposure, so that late conversions do not bias it."""
    for w in range(observation.shape[0]):
        for c in range(NUM_CHANNELS):
            i = start + c * STRIDE
            clicks = sums[w, c, _CLICKS]
            cpc_ratio = _compute_log_ratio(sums[w, c, _SPEND] / cpc[c], clicks, PSEUDO_CLICKS)
            matured = sums[w, c, _EXPOSURE] * conversion_rate[c]
            cvr_ratio = _compute_log_ratio(sums[w, c, _CONVERSIONS], matured, PSEUDO_CONVERSIONS)
            observation[w, i] = _compute_log_ratio(clicks, sums[w, c, _IMPRESSIONS] * ctr[c], PSEUDO_CLICKS)
            observation[w, i + 1] = cpc_ratio
            observation[w, i + 2] = cvr_ratio
            observation[w, i + 3] = cpc_ratio - cvr_ratio


@njit(cache=True)
def fill_counts(
    observation: Float32Array, start: int, sum_28d: FloatArray, last_hour: FloatArray, today: FloatArray
) -> None:
    """Evidence of 28 days, then impressions, clicks, spend and conversions of last hour and today."""
    for w in range(observation.shape[0]):
        for c in range(NUM_CHANNELS):
            i = start + c * STRIDE
            observation[w, i] = _scale_count(sum_28d[w, c, _CLICKS])
            observation[w, i + 1] = _scale_count(sum_28d[w, c, _CONVERSIONS])
            for metric in range(_NUM_COUNTS):
                observation[w, i + 2 + metric] = _scale_count(last_hour[w, c, metric])
                observation[w, i + 2 + _NUM_COUNTS + metric] = _scale_count(today[w, c, metric])


@njit(cache=True)
def fill_shares(
    observation: Float32Array,
    start: int,
    impression_share: FloatArray,
    lost_share_budget: FloatArray,
    lost_share_rank: FloatArray,
    share_age_hours: FloatArray,
) -> None:
    """Impression share, its losses, age and mask; NaN, hence neutral, before the first publication."""
    for w in range(observation.shape[0]):
        for c in range(NUM_CHANNELS):
            i = start + c * STRIDE
            known = not math.isnan(impression_share[w, c])
            observation[w, i] = impression_share[w, c]
            observation[w, i + 1] = lost_share_budget[w, c]
            observation[w, i + 2] = lost_share_rank[w, c]
            observation[w, i + 3] = share_age_hours[w, c] / SHARE_AGE_SCALING_HOURS if known else math.nan
            observation[w, i + 4] = 1.0 if known else 0.0


@njit(cache=True)
def fill_pacing(
    observation: Float32Array,
    start: int,
    today: FloatArray,
    daily_budget: FloatArray,
    lag_hours: IntArray,
    hour_of_day: int,
) -> None:
    """Budget utilisation, and how far it is ahead of the reported part of the day; 0 without a budget."""
    for w in range(observation.shape[0]):
        for c in range(NUM_CHANNELS):
            i = start + c * STRIDE
            if daily_budget[w, c] > 0.0:
                utilisation = today[w, c, _SPEND] / daily_budget[w, c]
                observation[w, i] = utilisation
                observation[w, i + 1] = utilisation - _compute_elapsed_share(hour_of_day, lag_hours[c])
            else:
                observation[w, i] = 0.0
                observation[w, i + 1] = 0.0


@njit(cache=True)
def fill_devices(
    observation: Float32Array,
    start: int,
    device_impressions: FloatArray,
    device_clicks: FloatArray,
    device_split: NDArray[np.bool_],
    ctr: FloatArray,
) -> None:
    """Mobile over desktop CTR, each smoothed towards the CTR of all devices together, and the mask."""
    for w in range(observation.shape[0]):
        for c in range(NUM_CHANNELS):
            i = start + c * STRIDE
            observation[w, i] = 0.0
            observation[w, i + 1] = 0.0
            if device_split[c]:
                impressions = device_impressions[w, c]
                clicks = device_clicks[w, c]
                pooled = (max(clicks.sum(), 0.0) + PSEUDO_CLICKS) / (
                    max(impressions.sum(), 0.0) + PSEUDO_CLICKS / ctr[c]
                )
                observation[w, i] = _compute_log_ratio(
                    clicks[_MOBILE], impressions[_MOBILE] * pooled, PSEUDO_CLICKS
                ) - _compute_log_ratio(clicks[_DESKTOP], impressions[_DESKTOP] * pooled, PSEUDO_CLICKS)
                observation[w, i + 1] = 1.0


@njit(cache=True)
def fill_plan(
    observation: Float32Array,
    start: int,
    bid: FloatArray,
    daily_budget: FloatArray,
    active: NDArray[np.bool_],
    lag_hours: IntArray,
    cpc: FloatArray,
    total_budget: float,
) -> None:
    """The plan in force, and how late the channel's reports are; a bid of 0 reads as the lowest."""
    for w in range(observation.shape[0]):
        for c in range(NUM_CHANNELS):
            i = start + c * STRIDE
            observation[w, i] = math.log(max(bid[w, c], _MIN_BID) / cpc[c])
            observation[w, i + 1] = daily_budget[w, c] / total_budget
            observation[w, i + 2] = 1.0 if active[w, c] else 0.0
            observation[w, i + 3] = lag_hours[c] / HOURS_PER_DAY


@njit(cache=True)
def fill_account_pacing(
    observation: Float32Array,
    start: int,
    today: FloatArray,
    daily_budget: FloatArray,
    lag_hours: IntArray,
    total_budget: float,
    hour_of_day: int,
) -> None:
    """Share of the total budget left, and spend ahead of the part of the day that is reported.

    Channels report that part with different lags; they are weighted by their nominal budgets, which
    may leave headroom and so add up to more than the total.
    """
    for w in range(observation.shape[0]):
        spent = 0.0
        nominal = 0.0
        elapsed = 0.0
        for c in range(NUM_CHANNELS):
            spent += today[w, c, _SPEND]
            nominal += daily_budget[w, c]
            elapsed += daily_budget[w, c] * _compute_elapsed_share(hour_of_day, lag_hours[c])
        elapsed = elapsed / nominal if nominal > 0.0 else hour_of_day / HOURS_PER_DAY
        observation[w, start] = 1.0 - spent / total_budget
        observation[w, start + 1] = spent / total_budget - elapsed


@njit(cache=True)
def fill_cpa(
    observation: Float32Array, start: int, sums: FloatArray, conversion_rate: FloatArray, cpa_target: float
) -> None:
    """ln(CPA target / CPA of all channels) of one period, with conversions scaled up to maturity."""
    for w in range(observation.shape[0]):
        spend = 0.0
        conversions = 0.0
        for c in range(NUM_CHANNELS):
            reported = max(sums[w, c, _CONVERSIONS], 0.0) + PSEUDO_CONVERSIONS
            matured = max(sums[w, c, _EXPOSURE], 0.0) * conversion_rate[c] + PSEUDO_CONVERSIONS
            conversions += max(sums[w, c, _CLICKS], 0.0) * conversion_rate[c] * reported / matured
            spend += sums[w, c, _SPEND]
        observation[w, start] = _compute_log_ratio(conversions, spend / cpa_target, PSEUDO_CONVERSIONS)


@njit(cache=True)
def clip_observation(observation: Float32Array, low: Float32Array, high: Float32Array, neutral: Float32Array) -> None:
    """Puts every entry inside its range, and the neutral entry where there is none (NaN)."""
    for w in range(observation.shape[0]):
        for i in range(observation.shape[1]):
            entry = neutral[i] if math.isnan(observation[w, i]) else observation[w, i]
            observation[w, i] = min(max(entry, low[i]), high[i])


@njit(cache=True)
def _compute_log_ratio(events: float, expected: float, pseudo_events: float) -> float:
    """ln((events + k) / (expected + k)); a sum restated below 0 counts as 0."""
    return math.log((max(events, 0.0) + pseudo_events) / (max(expected, 0.0) + pseudo_events))


@njit(cache=True)
def _scale_count(count: float) -> float:
    """ln(1 + count) / COUNT_SCALING."""
    return math.log(1.0 + max(count, 0.0)) / COUNT_SCALING


@njit(cache=True)
def _compute_elapsed_share(hour_of_day: int, lag_hours: int) -> float:
    """Share of the day that a channel with this lag has reported on."""
    return max(hour_of_day - lag_hours, 0) / HOURS_PER_DAY
