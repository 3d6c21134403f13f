"""The observation builder: from the report ledger to the vector of ``OBSERVATION_SCHEMA``."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.domain.channels import CHANNELS
from gaelp_rl.domain.ledger import HOURS_PER_DAY, RING_DAYS, ReportLedger
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.priors import ChannelPriors
from gaelp_rl.errors import SchemaError
from gaelp_rl.features import kernels
from gaelp_rl.features.catalogue import CONTROLLER_FEATURES, NUM_CONTROLLER_FEATURES, OBSERVATION_SCHEMA
from gaelp_rl.features.schema import Float32Array

__all__ = ["build_observation"]

_DAYS_PER_WEEK = 7
_NUM_CLOCK = 5

_FIRST = CHANNELS[0].value
_RATES_7D = OBSERVATION_SCHEMA.index(f"{_FIRST}.ctr_7d_log_ratio")
_RATES_28D = OBSERVATION_SCHEMA.index(f"{_FIRST}.ctr_28d_log_ratio")
_COUNTS = OBSERVATION_SCHEMA.index(f"{_FIRST}.clicks_28d_evidence")
_SHARES = OBSERVATION_SCHEMA.index(f"{_FIRST}.impression_share")
_PACING = OBSERVATION_SCHEMA.index(f"{_FIRST}.budget_utilisation_today")
_DEVICES = OBSERVATION_SCHEMA.index(f"{_FIRST}.mobile_to_desktop_ctr_log_ratio")
_PLAN = OBSERVATION_SCHEMA.index(f"{_FIRST}.bid_log_ratio")
_CLOCK = OBSERVATION_SCHEMA.index("global.hour_sin")
_ACCOUNT_PACING = OBSERVATION_SCHEMA.index("global.budget_left_today")
_CPA_7D = OBSERVATION_SCHEMA.index("global.cpa_target_to_cpa_7d_log_ratio")
_CPA_28D = OBSERVATION_SCHEMA.index("global.cpa_target_to_cpa_28d_log_ratio")
_HISTORY = OBSERVATION_SCHEMA.index("global.history_filled")
_CONTROLLER_START = OBSERVATION_SCHEMA.index(CONTROLLER_FEATURES[0].name)


def build_observation(
    ledger: ReportLedger,
    objective: Objective,
    priors: ChannelPriors,
    controller_features: NDArray[np.floating] | None = None,
    out: Float32Array | None = None,
) -> Float32Array:
    """Builds what the policy sees at the start of hour ``ledger.hour``.

    Args:
        ledger: every report up to now and the plan in force; the only source of facts.
        objective: daily budget and CPA target.
        priors: what rates and prices are relative to.
        controller_features: float [worlds, 20] in the order of ``CONTROLLER_FEATURES``; None for
            neutral entries.
        out: float32 [worlds, features], contiguous; written and returned if given.

    Returns:
        float32 [worlds, features]; every entry is finite and inside its declared range.

    Raises:
        SchemaError: ``controller_features`` or ``out`` has another shape or type, or a controller
            feature is not finite.
    """
    observation = _check_out(out, ledger.num_worlds)
    _fill_performance(observation, ledger, priors)
    _fill_plan(observation, ledger, objective, priors)
    _fill_account(observation, ledger, objective, priors)
    _fill_controller(observation, controller_features)
    kernels.clip_observation(observation, OBSERVATION_SCHEMA.low, OBSERVATION_SCHEMA.high, OBSERVATION_SCHEMA.neutral)
    return observation


def _fill_performance(observation: Float32Array, ledger: ReportLedger, priors: ChannelPriors) -> None:
    """What the reports say of each channel."""
    for start, sums in ((_RATES_7D, ledger.sum_7d), (_RATES_28D, ledger.sum_28d)):
        kernels.fill_rates(observation, start, sums, priors.ctr, priors.cpc, priors.conversion_rate)
    kernels.fill_counts(observation, _COUNTS, ledger.sum_28d, ledger.last_hour, ledger.today)
    kernels.fill_shares(
        observation,
        _SHARES,
        ledger.impression_share,
        ledger.lost_share_budget,
        ledger.lost_share_rank,
        ledger.share_age_hours,
    )
    split = ledger.profile.device_split
    kernels.fill_devices(observation, _DEVICES, ledger.device_impressions, ledger.device_clicks, split, priors.ctr)


def _fill_plan(observation: Float32Array, ledger: ReportLedger, objective: Objective, priors: ChannelPriors) -> None:
    """The plan in force in each channel, and how its budget is being used."""
    budget, lag_hours = np.ascontiguousarray(ledger.daily_budget), ledger.profile.lag_hours
    kernels.fill_pacing(observation, _PACING, ledger.today, budget, lag_hours, ledger.hour_of_day)
    kernels.fill_plan(
        observation,
        _PLAN,
        np.ascontiguousarray(ledger.bid),
        budget,
        np.ascontiguousarray(ledger.active),
        lag_hours,
        priors.cpc,
        objective.daily_budget,
    )


def _fill_account(observation: Float32Array, ledger: ReportLedger, objective: Objective, priors: ChannelPriors) -> None:
    """Clock, budget and CPA of all channels together."""
    observation[:, _CLOCK : _CLOCK + _NUM_CLOCK] = _compute_clock(ledger)
    kernels.fill_account_pacing(
        observation,
        _ACCOUNT_PACING,
        ledger.today,
        np.ascontiguousarray(ledger.daily_budget),
        ledger.profile.lag_hours,
        objective.daily_budget,
        ledger.hour_of_day,
    )
    for start, sums in ((_CPA_7D, ledger.sum_7d), (_CPA_28D, ledger.sum_28d)):
        kernels.fill_cpa(observation, start, sums, priors.conversion_rate, objective.cpa_target)
    observation[:, _HISTORY] = min(max(ledger.day, 0) / RING_DAYS, 1.0)


def _compute_clock(ledger: ReportLedger) -> Float32Array:
    """Hour and weekday as points on a circle, and the share of the day that is left; float32 [5]."""
    hour = 2.0 * math.pi * ledger.hour_of_day / HOURS_PER_DAY
    weekday = 2.0 * math.pi * (ledger.day % _DAYS_PER_WEEK) / _DAYS_PER_WEEK
    left = 1.0 - ledger.hour_of_day / HOURS_PER_DAY
    return np.array([math.sin(hour), math.cos(hour), math.sin(weekday), math.cos(weekday), left], dtype=np.float32)


def _check_out(out: Float32Array | None, num_worlds: int) -> Float32Array:
    shape = (num_worlds, OBSERVATION_SCHEMA.size)
    if out is None:
        return np.empty(shape, dtype=np.float32)
    if out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        msg = (
            f"buffer of shape {out.shape} and type {out.dtype} for observations; it must be contiguous float32 {shape}"
        )
        raise SchemaError(msg)
    return out


def _fill_controller(observation: Float32Array, controller_features: NDArray[np.floating] | None) -> None:
    if controller_features is None:
        observation[:, _CONTROLLER_START:] = OBSERVATION_SCHEMA.neutral[_CONTROLLER_START:]
        return
    shape = (observation.shape[0], NUM_CONTROLLER_FEATURES)
    if controller_features.shape != shape:
        msg = f"controller features of shape {controller_features.shape}; the observation schema needs {shape}"
        raise SchemaError(msg)
    finite = np.isfinite(controller_features)
    if not finite.all():
        world, i = np.argwhere(~finite)[0]
        msg = f"controller feature {CONTROLLER_FEATURES[i].name!r} of world {world} is {controller_features[world, i]}"
        raise SchemaError(msg)
    observation[:, _CONTROLLER_START:] = controller_features
