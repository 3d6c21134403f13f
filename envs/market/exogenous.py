"""What happens in a world whatever the advertiser does: demand, competition, conversion rates.

Persistent factors are drawn once per world; daily AR(1) drift, competition shocks, a four-week
season, hourly noise, creative replacement and outages move them. No plan changes any of it, so the
hindsight optimum and every policy meet the same hours.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.market.noise import sample_normal, sample_uniform
from gaelp_rl.config.calibration import MarketCalibration, make_calibration_arrays
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.channels import NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.reports import FloatArray, IntArray

__all__ = [
    "ADVANCED_FIELDS",
    "CREATIVES",
    "ExogenousParams",
    "ExogenousState",
    "MarketTables",
    "advance_exogenous",
    "make_exogenous_params",
    "make_exogenous_state",
    "make_tables",
    "start_worlds",
]

CREATIVES = 2
"""Creatives that a channel serves side by side, replaced in turn."""

_VOLUME, _PRICE, _CONVERSION = 0, 1, 2
_HOURLY_SLOT, _DAILY_SLOT = 0, 64
_PERSISTENT_HOUR, _CREATIVE_HOUR = 900_000, 1_000_000


class MarketTables(NamedTuple):
    """Calibration arrays; see ``gaelp_rl.config.calibration``. Device ratios are normalised."""

    ctr: FloatArray
    conversion_rate: FloatArray
    price_median: FloatArray
    sigma: FloatArray
    first_price: NDArray[np.bool_]
    click_volume: FloatArray
    impressions_per_day: FloatArray
    audience_size: FloatArray
    device_share: FloatArray
    device_ctr: FloatArray
    device_conversion: FloatArray
    device_price: FloatArray
    hour_traffic: FloatArray
    hour_traffic_left: FloatArray
    hour_conversion: FloatArray
    hour_price: FloatArray
    weekday_traffic: FloatArray


class ExogenousParams(NamedTuple):
    """The numbers of a family that the exogenous process needs; see ``FamilyConfig``."""

    conversion_log_sd: float
    price_log_sd: float
    volume_log_sd: float
    ctr_log_sd: float
    device_conversion_log_sd: float
    conversion_drift_sd: float
    price_drift_sd: float
    volume_drift_sd: float
    drift_persistence: float
    hourly_volume_sd: float
    hourly_price_sd: float
    shock_rate_per_day: float
    shock_log_size: float
    shock_mean_hours: float
    season_amplitude: float
    delay_scale: float
    delay_scale_log_sd: float
    creative_quality_log_sd: float
    creative_life_days: int
    price_factor: float
    conversion_factor: float
    outage_hours: int
    days: int


class ExogenousState(NamedTuple):
    """Per world: what persists, what drifts, and this hour's outcome of both.

    Shapes: [worlds, channels] unless said; ``drift`` [worlds, channels, 3];
    ``device_conversion`` [worlds, channels, devices]; ``creative_quality`` and
    ``creative_generation`` [worlds, channels, creatives].
    """

    key: NDArray[np.uint64]
    volume: FloatArray
    ctr: FloatArray
    price: FloatArray
    conversion: FloatArray
    device_conversion: FloatArray
    delay_scale: FloatArray
    season_phase: FloatArray
    outage_channel: IntArray
    outage_start: IntArray
    drift: FloatArray
    shock_hours: FloatArray
    creative_quality: FloatArray
    creative_generation: IntArray
    hour_impressions: FloatArray
    hour_price: FloatArray
    hour_conversion: FloatArray


ADVANCED_FIELDS = (
    "drift",
    "shock_hours",
    "creative_quality",
    "creative_generation",
    "hour_impressions",
    "hour_price",
    "hour_conversion",
)
"""The arrays of an ``ExogenousState`` that ``advance_exogenous`` writes; it reads the others."""


def make_tables(calibration: MarketCalibration) -> MarketTables:
    """The calibration as the compiled kernels take it; device CTR and CVR have impression-weighted mean 1."""
    centre = make_calibration_arrays(calibration)
    share, traffic = centre.device_share, centre.hour_traffic
    ctr_ratio, conversion_ratio = centre.device_ctr_ratio, centre.device_conversion_ratio
    return MarketTables(
        ctr=centre.ctr,
        conversion_rate=centre.conversion_rate,
        price_median=centre.price_median,
        sigma=centre.price_sigma,
        first_price=centre.first_price,
        click_volume=centre.click_volume_per_day,
        impressions_per_day=centre.click_volume_per_day / centre.ctr,
        audience_size=centre.audience_size,
        device_share=share,
        device_ctr=ctr_ratio / (share * ctr_ratio).sum(axis=1, keepdims=True),
        device_conversion=conversion_ratio / (share * conversion_ratio).sum(axis=1, keepdims=True),
        device_price=centre.device_price_ratio,
        hour_traffic=traffic,
        hour_traffic_left=np.ascontiguousarray(traffic[:, ::-1].cumsum(axis=1)[:, ::-1]),
        hour_conversion=centre.hour_conversion_ratio,
        hour_price=centre.hour_price_ratio,
        weekday_traffic=centre.weekday_traffic,
    )


def make_exogenous_params(family: FamilyConfig) -> ExogenousParams:
    """Picks the family's numbers by name."""
    return ExogenousParams(**{name: getattr(family, name) for name in ExogenousParams._fields})


def make_exogenous_state(num_worlds: int) -> ExogenousState:
    """Empty state for that many worlds; ``start_worlds`` fills it."""
    grid = (num_worlds, NUM_CHANNELS)
    return ExogenousState(
        key=np.zeros(num_worlds, dtype=np.uint64),
        volume=np.zeros(grid),
        ctr=np.zeros(grid),
        price=np.zeros(grid),
        conversion=np.zeros(grid),
        device_conversion=np.zeros((*grid, NUM_DEVICES)),
        delay_scale=np.zeros(grid),
        season_phase=np.zeros(num_worlds),
        outage_channel=np.zeros(num_worlds, dtype=np.int64),
        outage_start=np.zeros(num_worlds, dtype=np.int64),
        drift=np.zeros((*grid, 3)),
        shock_hours=np.zeros(grid),
        creative_quality=np.ones((*grid, CREATIVES)),
        creative_generation=np.zeros((*grid, CREATIVES), dtype=np.int64),
        hour_impressions=np.zeros(grid),
        hour_price=np.zeros(grid),
        hour_conversion=np.zeros(grid),
    )


@njit(cache=True)
def start_worlds(state: ExogenousState, params: ExogenousParams, tables: MarketTables) -> None:
    """Draws the persistent factors of every world from its key; factors have median 1."""
    when = _PERSISTENT_HOUR
    for w in range(state.key.shape[0]):
        key = state.key[w]
        state.season_phase[w] = 2.0 * math.pi * sample_uniform(key, when, 0)
        state.outage_channel[w] = int(sample_uniform(key, when, 1) * NUM_CHANNELS)
        state.outage_start[w] = int(sample_uniform(key, when, 2) * max(params.days - 2, 1) * 24)
        for c in range(NUM_CHANNELS):
            slot = 16 + c * 16
            state.volume[w, c] = tables.impressions_per_day[c] * math.exp(
                params.volume_log_sd * sample_normal(key, when, slot)
            )
            state.ctr[w, c] = tables.ctr[c] * math.exp(params.ctr_log_sd * sample_normal(key, when, slot + 1))
            state.price[w, c] = (
                tables.price_median[c]
                * params.price_factor
                * math.exp(params.price_log_sd * sample_normal(key, when, slot + 2))
            )
            state.conversion[w, c] = (
                tables.conversion_rate[c]
                * params.conversion_factor
                * math.exp(params.conversion_log_sd * sample_normal(key, when, slot + 3))
            )
            state.delay_scale[w, c] = params.delay_scale * math.exp(
                params.delay_scale_log_sd * sample_normal(key, when, slot + 4)
            )
            for kind in range(3):
                sd = _select_drift_sd(params, kind)
                state.drift[w, c, kind] = sd * sample_normal(key, when, slot + 5 + kind)
            for d in range(NUM_DEVICES):
                factor = math.exp(params.device_conversion_log_sd * sample_normal(key, when, slot + 8 + d))
                state.device_conversion[w, c, d] = tables.device_conversion[c, d] * factor
            state.shock_hours[w, c] = 0.0
            for k in range(CREATIVES):
                state.creative_generation[w, c, k] = -1


@njit(cache=True, inline="always")
def _select_drift_sd(params: ExogenousParams, kind: int) -> float:
    if kind == _VOLUME:
        return params.volume_drift_sd
    if kind == _PRICE:
        return params.price_drift_sd
    return params.conversion_drift_sd


@njit(cache=True, error_model="numpy")
def _start_day(hour: int, state: ExogenousState, params: ExogenousParams) -> None:
    """Moves the daily drifts on and replaces the creatives whose time has come."""
    innovation = math.sqrt(1.0 - params.drift_persistence**2)
    for w, c in np.ndindex(state.volume.shape):
        key = state.key[w]
        for kind in range(3):
            sd = _select_drift_sd(params, kind)
            noise = sample_normal(key, hour, _DAILY_SLOT + c * 4 + kind)
            state.drift[w, c, kind] = params.drift_persistence * state.drift[w, c, kind] + sd * innovation * noise
        for k in range(CREATIVES):
            age = hour // 24 + k * params.creative_life_days // CREATIVES
            generation = age // params.creative_life_days
            if generation != state.creative_generation[w, c, k]:
                state.creative_generation[w, c, k] = generation
                slot = (c * CREATIVES + k) * 64 + generation
                z = sample_normal(key, _CREATIVE_HOUR, slot)
                state.creative_quality[w, c, k] = math.exp(params.creative_quality_log_sd * z)


@njit(cache=True, error_model="numpy")
def advance_exogenous(hour: int, state: ExogenousState, params: ExogenousParams, tables: MarketTables) -> None:
    """Computes the hour's eligible impressions, median competing bid and CVR of every world."""
    hour_of_day = hour % 24
    weekday = (hour // 24) % 7
    if hour_of_day == 0:
        _start_day(hour, state, params)
    for w in range(state.key.shape[0]):
        key = state.key[w]
        season = params.season_amplitude * math.sin(2.0 * math.pi * hour / (28.0 * 24.0) + state.season_phase[w])
        for c in range(NUM_CHANNELS):
            slot = _HOURLY_SLOT + c * 4
            if state.shock_hours[w, c] > 0.0:
                state.shock_hours[w, c] -= 1.0
            elif sample_uniform(key, hour, slot + 2) < params.shock_rate_per_day / 24.0:
                state.shock_hours[w, c] = -params.shock_mean_hours * math.log(sample_uniform(key, hour, slot + 3))
            shock = params.shock_log_size if state.shock_hours[w, c] > 0.0 else 0.0
            volume_noise = params.hourly_volume_sd * sample_normal(key, hour, slot)
            price_noise = params.hourly_price_sd * sample_normal(key, hour, slot + 1)
            traffic = state.volume[w, c] * tables.hour_traffic[c, hour_of_day] * tables.weekday_traffic[c, weekday]
            price = state.price[w, c] * tables.hour_price[c, hour_of_day]
            rate = state.conversion[w, c] * tables.hour_conversion[c, hour_of_day]
            state.hour_impressions[w, c] = traffic * math.exp(state.drift[w, c, _VOLUME] + season + volume_noise)
            state.hour_price[w, c] = price * math.exp(state.drift[w, c, _PRICE] + 0.5 * season + price_noise + shock)
            state.hour_conversion[w, c] = rate * math.exp(state.drift[w, c, _CONVERSION])
        if 0 <= hour - state.outage_start[w] < params.outage_hours:
            state.hour_impressions[w, state.outage_channel[w]] = 0.0
