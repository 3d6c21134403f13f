"""What the reference controller believes about a market before it has seen a report.

The belief is a family's prior (calibrated medians, log-sds) and the shape of its days. Response
curves are tabulated once over x = ln(bid / median competing bid): what is left of them in a running
controller is one interpolation per question.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_rl.config.calibration import CalibrationArrays, make_calibration_arrays
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.control.change_limits import INERTIAL
from gaelp_rl.domain.channels import CHANNELS, NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.landscape import compute_bid_for_marginal_cost, compute_win_moments
from gaelp_rl.domain.ledger import HOURS_PER_DAY
from gaelp_rl.domain.platform_rules import PLATFORM_RULES
from gaelp_rl.domain.priors import ChannelPriors
from gaelp_rl.domain.reports import FloatArray, IntArray

__all__ = [
    "GRID_LOW",
    "GRID_SIZE",
    "GRID_STEP",
    "MarketModel",
    "locate",
    "make_channel_priors",
    "make_market_model",
]

GRID_LOW, GRID_STEP, GRID_SIZE = -5.0, 0.05, 181
_TYPICAL_LOG_BID = -0.5
_GRID = GRID_LOW + GRID_STEP * np.arange(GRID_SIZE)


class MarketModel(NamedTuple):
    """Priors [channels] and tables over the grid of x = ln(bid / median competing bid).

    Attributes:
        conversion_rate: prior median, conversions per click.
        price_median: prior median of the competing bid, currency units.
        first_price: bool [channels]; whether winners pay their own bid.
        click_volume: prior median of the clicks for sale on an average day.
        conversion_log_sd: of the persistent conversion rate.
        price_log_sd: of the persistent price.
        volume_log_sd: of the persistent click volume (impressions and CTR together).
        conversion_drift: variance per hour of a random walk that stands for the drift.
        price_drift: likewise.
        volume_drift: likewise.
        hourly_volume_sd: log-sd of one hour's volume around its expectation.
        hourly_price_sd: likewise for prices.
        weekday_traffic: [channels, 7].
        hour_traffic: [channels, 24].
        hour_price: [channels, 24].
        bid_by_hour: [channels, 24]; factor on the day's base bid; 1 on inertial channels.
        device_modifier: [channels, devices]; bid modifiers that follow the prior device CVR.
        bought_ratio: CVR of the clicks that the plan buys over that of all clicks: bids follow hour
            and device.
        clicks_now: [channels, grid]; clicks won per click for sale within one hour.
        spend_now: [channels, grid]; spend per click for sale and unit of median price.
        day_left: [channels, 24, grid, 2]; sums over the hours left of the day per click of the day:
            spend in units of the median price, and clicks weighted by hourly and device CVR.
        log_bid_of_worth: [channels, grid]; ln(bid / median) at which the next click costs e^x medians.
        inertial: bool as int64 [channels].
        lag_hours: int64 [channels].
        plan_delay_hours: int64 [channels].
    """

    conversion_rate: FloatArray
    price_median: FloatArray
    first_price: NDArray[np.bool_]
    click_volume: FloatArray
    conversion_log_sd: float
    price_log_sd: float
    volume_log_sd: float
    conversion_drift: float
    price_drift: float
    volume_drift: float
    hourly_volume_sd: float
    hourly_price_sd: float
    weekday_traffic: FloatArray
    hour_traffic: FloatArray
    hour_price: FloatArray
    bid_by_hour: FloatArray
    device_modifier: FloatArray
    bought_ratio: FloatArray
    clicks_now: FloatArray
    spend_now: FloatArray
    day_left: FloatArray
    log_bid_of_worth: FloatArray
    inertial: IntArray
    lag_hours: IntArray
    plan_delay_hours: IntArray


@njit(cache=True, inline="always")
def locate(x: float) -> tuple[int, float]:
    """Left grid point of x and the weight of its right neighbour; constant beyond the ends."""
    position = min(max((x - GRID_LOW) / GRID_STEP, 0.0), GRID_SIZE - 1.001)
    left = int(position)
    return left, position - left


def make_channel_priors(family: FamilyConfig) -> ChannelPriors:
    """The calibrated medians as the observation's reference points."""
    centre = make_calibration_arrays(family.calibration)
    return ChannelPriors(ctr=centre.ctr, cpc=centre.price_median, conversion_rate=centre.conversion_rate)


def _make_device_tables(centre: CalibrationArrays) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Device modifiers and one-hour tables: (modifier, clicks, spend, conversions) [channels, ...]."""
    click_weight = centre.device_share * centre.device_ctr_ratio
    click_weight = click_weight / click_weight.sum(axis=1, keepdims=True)
    conversion = centre.device_conversion_ratio
    conversion = conversion / (click_weight * conversion).sum(axis=1, keepdims=True)
    modifiable = np.array([PLATFORM_RULES[channel].device_modifiers for channel in CHANNELS])
    modifier = np.where(modifiable[:, None], conversion, 1.0)
    tables = np.zeros((3, NUM_CHANNELS, GRID_SIZE))
    for c in range(NUM_CHANNELS):
        for d in range(NUM_DEVICES):
            price = centre.device_price_ratio[c, d]
            for g, x in enumerate(_GRID):
                won, mean, _ = compute_win_moments(
                    np.exp(x) * modifier[c, d], price, centre.price_sigma[c], centre.first_price[c]
                )
                tables[:, c, g] += click_weight[c, d] * won * np.array([1.0, mean, conversion[c, d]])
    return modifier, tables[0], tables[1], tables[2]


def _sum_over_hours_left(
    now: FloatArray, bid_by_hour: FloatArray, hour_price: FloatArray, weights: FloatArray
) -> FloatArray:
    """Tables [channels, 24, grid] of sums from each hour to midnight of ``weights * now(shifted)``."""
    hourly = np.empty((NUM_CHANNELS, HOURS_PER_DAY, GRID_SIZE))
    for c in range(NUM_CHANNELS):
        for hour in range(HOURS_PER_DAY):
            shift = np.log(bid_by_hour[c, hour] / hour_price[c, hour])
            hourly[c, hour] = weights[c, hour] * np.interp(_GRID + shift, _GRID, now[c])
    return np.ascontiguousarray(hourly[:, ::-1].cumsum(axis=1)[:, ::-1])


def _make_log_bid_of_worth(centre: CalibrationArrays) -> FloatArray:
    return np.array(
        [
            [
                np.log(compute_bid_for_marginal_cost(np.exp(x), 1.0, centre.price_sigma[c], centre.first_price[c]))
                for x in _GRID
            ]
            for c in range(NUM_CHANNELS)
        ]
    )


def make_market_model(family: FamilyConfig) -> MarketModel:
    """The prior belief about worlds of a family, tables included.

    The model knows the family's published centre and spread, never a world's own draw, nor the
    shifts that a family applies to all worlds (``price_factor``, ``conversion_factor``).
    """
    centre = make_calibration_arrays(family.calibration)
    modifier, clicks, spend, conversions = _make_device_tables(centre)
    bid_by_hour = np.where(INERTIAL[:, None], 1.0, centre.hour_conversion_ratio)
    traffic, hour_price = centre.hour_traffic, centre.hour_price_ratio
    clicks_of_day = _sum_over_hours_left(clicks, bid_by_hour, hour_price, traffic)[:, 0]
    worth_left = _sum_over_hours_left(conversions, bid_by_hour, hour_price, traffic * centre.hour_conversion_ratio)
    typical, _ = locate(_TYPICAL_LOG_BID)
    innovation = (1.0 - family.drift_persistence**2) / HOURS_PER_DAY
    rules = [PLATFORM_RULES[channel] for channel in CHANNELS]
    return MarketModel(
        conversion_rate=centre.conversion_rate,
        price_median=centre.price_median,
        first_price=centre.first_price,
        click_volume=centre.click_volume_per_day,
        conversion_log_sd=float(np.hypot(family.conversion_log_sd, family.conversion_drift_sd)),
        price_log_sd=float(np.hypot(family.price_log_sd, family.price_drift_sd)),
        volume_log_sd=float(np.hypot(np.hypot(family.volume_log_sd, family.ctr_log_sd), family.volume_drift_sd)),
        conversion_drift=family.conversion_drift_sd**2 * innovation,
        price_drift=family.price_drift_sd**2 * innovation,
        volume_drift=family.volume_drift_sd**2 * innovation,
        hourly_volume_sd=family.hourly_volume_sd,
        hourly_price_sd=family.hourly_price_sd,
        weekday_traffic=centre.weekday_traffic,
        hour_traffic=traffic,
        hour_price=hour_price,
        bid_by_hour=bid_by_hour,
        device_modifier=modifier,
        bought_ratio=worth_left[:, 0, typical] / clicks_of_day[:, typical],
        clicks_now=clicks,
        spend_now=spend,
        day_left=np.stack(
            (
                _sum_over_hours_left(spend, bid_by_hour, hour_price, traffic * hour_price),
                worth_left,
            ),
            axis=-1,
        ),
        log_bid_of_worth=_make_log_bid_of_worth(centre),
        inertial=INERTIAL.astype(np.int64),
        lag_hours=np.array([r.lag_hours for r in rules], dtype=np.int64),
        plan_delay_hours=np.array([r.plan_delay_hours for r in rules], dtype=np.int64),
    )
