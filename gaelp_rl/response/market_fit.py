"""An account's market: all channels fitted, and the family that an environment loads.

The family's spreads are what the data leave open: a channel's persistent factors vary over worlds as
its estimates may be wrong, so that training on the family covers every market that the reports allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gaelp_rl.config.calibration import MarketCalibration
from gaelp_rl.config.market import DEFAULT_FAMILY, FAMILIES, FamilyConfig
from gaelp_rl.domain.channels import CHANNELS, Channel
from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.errors import DataError
from gaelp_rl.response.channel_fit import (
    ChannelFit,
    compute_exposure_sd,
    fit_channel,
    list_parameters,
    make_channel_table,
)
from gaelp_rl.response.delay import DELAY_PRIOR_SD, DelayFit, fit_delay, make_delay
from gaelp_rl.response.drifts import DRIFTS, list_drifts
from gaelp_rl.response.observations import HOURS_PER_DAY, AccountObservations, ChannelObservations
from gaelp_rl.response.parameters import (
    FittedParameter,
    make_log_parameter,
    make_share_parameter,
)

__all__ = ["KEPT_SETTINGS", "MIN_CLICKS", "MIN_HOURS", "MarketFit", "fit_market"]

MIN_HOURS, MIN_CLICKS = 168, 50
"""Hours and clicks that a channel needs to be fitted."""

KEPT_SETTINGS: Mapping[str, str] = {
    "drift_persistence": "four weeks are too few days to tell it from the size of the drift",
    "season_amplitude": "a four-week swing cannot be told from a drift in a few weeks; the fit allows for it",
    "shock_rate_per_day, shock_log_size, shock_mean_hours": "rare: too few in one account to count",
    "hourly_price_sd": "cannot be told from the chance of single clicks' prices",
    "audience_size": "no report tells how many people a creative can reach",
    "fatigue_per_exposure, creative_quality_log_sd, creative_life_days": "rows are not followed by creative",
    "device_price_ratio": "enters prices and win shares only through the channel's level",
    "learning_*": "the reports do not say when a channel was in its learning phase",
    "pacing_log_sd": "seen only on days that the budget limited, which the fit leaves out",
    "cpa_target_micros": "is the advertiser's to choose: set it in the file",
}
"""Settings that no fit touches, and why."""


@dataclass(frozen=True, slots=True)
class MarketFit:
    """What an account's reports say about its market.

    Attributes:
        family: centre, delay, drifts and spreads; ready for a market TOML.
        parameters: every number with its interval and source.
        channels: the fits behind them, by channel.
        left_out: channels that keep their defaults altogether, and why.
        delay: the fit of the delay.
    """

    family: FamilyConfig
    parameters: tuple[FittedParameter, ...]
    channels: Mapping[Channel, ChannelFit]
    left_out: Mapping[Channel, str]
    delay: DelayFit


def fit_market(observed: AccountObservations, name: str, stock: FamilyConfig | None = None) -> MarketFit:
    """Fits all channels of an account.

    Args:
        observed: its reports and, where known, plans.
        name: of the family.
        stock: what is kept where the data say nothing; the default family if not given.

    Returns:
        The fit.

    Raises:
        DataError: no channel has enough hours and clicks.
    """
    base = stock or FAMILIES[DEFAULT_FAMILY]
    left_out = {channel: reason for channel in CHANNELS if (reason := _find_shortage(observed.channels.get(channel)))}
    usable = {channel: one for channel, one in observed.channels.items() if channel not in left_out}
    if not usable:
        found = "; ".join(f"{channel}: {reason}" for channel, reason in left_out.items())
        msg = f"no channel can be fitted: it takes rows of {MIN_HOURS} hours and {MIN_CLICKS} clicks. Found {found}"
        raise DataError(msg)
    delay = fit_delay(usable, base)
    fits = {channel: _fit_one(channel, one, observed, delay, base) for channel, one in usable.items()}
    by_channel = {channel: list_parameters(channel, fit) for channel, fit in fits.items()}
    account = [*_list_delay(delay), *list_drifts(fits, base)]
    tables = {
        channel: make_channel_table(parameters, getattr(base.calibration, channel))
        for channel, parameters in by_channel.items()
    }
    settings = {
        "name": name,
        "calibration": MarketCalibration.model_validate(base.calibration.model_dump() | tables),
        "delay": _make_stated_delay(account),
        "delay_scale": 1.0,
        "delay_scale_log_sd": _compute_delay_spread(delay),
        "daily_budget_micros": _find_budget(usable, base),
        **{parameter.name: parameter.estimate for parameter in account if parameter.name in DRIFTS},
        **_compute_spreads(by_channel),
    }
    family = FamilyConfig.model_validate(base.model_dump() | {"delay": base.delay} | settings)
    parameters = [*account, *(parameter for own in by_channel.values() for parameter in own)]
    return MarketFit(family, tuple(parameters), fits, left_out, delay)


def _find_shortage(observed: ChannelObservations | None) -> str:
    """Why a channel cannot be fitted; empty if it can."""
    if observed is None:
        return "no rows"
    hours, clicks = observed.hour.size, int(observed.clicks.sum())
    return "" if hours >= MIN_HOURS and clicks >= MIN_CLICKS else f"{clicks} clicks in {hours} hours"


def _fit_one(
    channel: Channel, one: ChannelObservations, observed: AccountObservations, delay: DelayFit, base: FamilyConfig
) -> ChannelFit:
    i = 4 + 2 * delay.channels.index(channel)
    where = [0, 1, 2, 3, i]
    local = delay.posterior.mean[where]
    moved = [make_delay(local[:4], float(local[4]))]
    for k in range(len(where)):
        shifted = local.copy()
        shifted[k] += 1e-3
        moved.append(make_delay(shifted[:4], float(shifted[4])))
    delay_log_sd = compute_exposure_sd(one, moved, delay.posterior.covariance[np.ix_(where, where)])
    centre = getattr(base.calibration, channel)
    return fit_channel(
        one, observed.first_weekday, observed.num_days, delay.by_channel[channel], delay_log_sd, centre, base
    )


def _list_delay(delay: DelayFit) -> list[FittedParameter]:
    why = "not identified: it takes readings of the same rows at several ages (as_of), or more conversions"
    mean, sd = delay.posterior.mean[:4], np.sqrt(np.diag(delay.posterior.covariance)[:4])
    stock = delay.prior.mean[:4]
    parameters = []
    for i, (name, index) in enumerate((("delay.immediate", ""), ("delay.fast_share_of_rest", ""))):
        is_kept = sd[i] > 0.8 * DELAY_PRIOR_SD[i]
        centre, width = (stock[i], DELAY_PRIOR_SD[i]) if is_kept else (mean[i], sd[i])
        share, low, high = 1.0 / (1.0 + np.exp(-(centre + np.array([0.0, -1.0, 1.0]) * 1.645 * width)))
        known = make_share_parameter(("account", name, index), float(share), 0.0, why if is_kept else "")
        parameters.append(FittedParameter(*("account", name, index), known.estimate, low, high, known.source))
    for i, index in ((2, "fast"), (3, "slow")):
        fitted, prior = (float(mean[i]), float(sd[i])), (float(stock[i]), DELAY_PRIOR_SD[i])
        parameters.append(make_log_parameter(("account", "delay.mean_hours", index), fitted, prior, why))
    return parameters


def _make_stated_delay(account: list[FittedParameter]) -> ConversionDelay:
    """The delay with every number that the parameters state."""
    immediate, fast, short, long = (parameter.estimate for parameter in account[:4])
    return ConversionDelay(
        immediate, ((1.0 - immediate) * fast, 1.0 - immediate - (1.0 - immediate) * fast), (short, long)
    )


def _compute_delay_spread(delay: DelayFit) -> float:
    """How far a channel's delay may lie from the account's, in logs: point estimates and their errors."""
    scales = delay.posterior.mean[4::2]
    errors = np.diag(delay.posterior.covariance)[4::2]
    return float(min(np.sqrt(np.mean(scales**2 + errors)), 1.0))


def _find_budget(observed: Mapping[Channel, ChannelObservations], base: FamilyConfig) -> int:
    """The account's usual daily budget in micros: its channels' where plans tell, else its dearest day."""
    known = [one.daily_budget[np.isfinite(one.daily_budget)] for one in observed.values()]
    total = sum(float(np.median(budgets)) for budgets in known if budgets.size)
    if total <= 0.0:
        days = max(int(one.hour.max()) for one in observed.values()) // HOURS_PER_DAY + 1
        spend = sum(np.bincount(one.hour // HOURS_PER_DAY, one.spend.sum(axis=1), days) for one in observed.values())
        total = float(np.max(spend))
    return round(total * MICROS) if total > 0.0 else base.daily_budget_micros


def _compute_spreads(by_channel: Mapping[Channel, list[FittedParameter]]) -> dict[str, float]:
    """The family's spreads: for every factor the standard error of the channel that is known least."""

    def find_largest(name: str) -> float:
        errors: FloatArray = np.array([p.log_sd for own in by_channel.values() for p in own if p.name == name])
        return float(min(errors.max(), 1.0))

    return {
        "conversion_log_sd": find_largest("conversion_rate"),
        "price_log_sd": find_largest("price_median"),
        "volume_log_sd": find_largest("click_volume_per_day"),
        "ctr_log_sd": find_largest("ctr"),
        "device_conversion_log_sd": find_largest("device_conversion_ratio"),
    }
