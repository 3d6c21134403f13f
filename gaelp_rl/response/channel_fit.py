"""One channel's fits put together: from posteriors to the numbers of its calibration table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gaelp_rl.config.calibration import ChannelCalibration
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.channels import DEVICES, NUM_DEVICES, Channel
from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.response.demand import DemandFit, fit_demand
from gaelp_rl.response.demand_model import fill_bids
from gaelp_rl.response.observations import HOURS_PER_DAY, ChannelObservations
from gaelp_rl.response.parameters import FittedParameter, make_log_parameter, make_share_parameter
from gaelp_rl.response.posterior import Posterior, Prior, compute_transformed
from gaelp_rl.response.rates import DEVICE_RATIO_SD, ClickFit, ConversionFit, fit_clicks, fit_conversions

__all__ = ["WEEKDAYS", "ChannelFit", "compute_exposure_sd", "fit_channel", "list_parameters", "make_channel_table"]

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_Logs = tuple[FloatArray, FloatArray]
_Transform = Callable[[FloatArray], FloatArray]
_HOURS = tuple(f"{hour:02d}" for hour in range(24))
_DEVICE_NAMES = tuple(str(device) for device in DEVICES)
_FIRST_DEVICE, _FIRST_EFFECT = 1, 1 + NUM_DEVICES


@dataclass(frozen=True, slots=True)
class ChannelFit:
    """All that one channel's reports say.

    Attributes:
        observed: the reports.
        demand: volume and competition.
        clicks: CTR.
        conversions: CVR.
        delay_log_sd: what the delay's uncertainty adds to that of the CVR, in logs.
        device_share: float64 [devices]; of eligible impressions.
        centre: the default calibration of the channel.
    """

    observed: ChannelObservations
    demand: DemandFit
    clicks: ClickFit
    conversions: ConversionFit
    delay_log_sd: float
    device_share: FloatArray
    centre: ChannelCalibration

    def estimate_bids(self) -> FloatArray:
        """Bids of all hours, float64 [hours, devices]: in force, what was paid (first price), or as fitted."""
        bid, layout, theta = fill_bids(self.observed, self.centre), self.demand.layout, self.demand.posterior.mean
        if not layout.has_bids:
            day = self.observed.hour // HOURS_PER_DAY
            bid = bid * np.exp(theta[layout.BID] + theta[layout.bid_drift][day])[:, None]
        return np.where(np.isfinite(bid), bid, np.nanmedian(bid))


def fit_channel(
    observed: ChannelObservations,
    first_weekday: int,
    num_days: int,
    delay: ConversionDelay,
    delay_log_sd: float,
    centre: ChannelCalibration,
    family: FamilyConfig,
) -> ChannelFit:
    """Fits one channel.

    Args:
        observed: its reports.
        first_weekday: of day 0, Monday is 0.
        num_days: days that the account's reports span.
        delay: of its conversions.
        delay_log_sd: see ``ChannelFit``.
        centre: its default calibration.
        family: gives everything that is not per channel.
    """
    demand = fit_demand(observed, first_weekday, num_days, centre, family)
    return ChannelFit(
        observed=observed,
        demand=demand,
        clicks=fit_clicks(observed, centre, family),
        conversions=fit_conversions(observed, num_days, delay, centre, family),
        delay_log_sd=delay_log_sd,
        device_share=demand.device_share,
        centre=centre,
    )


def list_parameters(channel: Channel, fit: ChannelFit) -> list[FittedParameter]:
    """Every number of the channel's table, in its order."""
    click_volume, price, sigma, curves = _list_demand(channel, fit)
    ctr, ctr_ratios = _list_clicks(channel, fit)
    rate, rate_ratios, rate_curve = _list_conversions(channel, fit)
    device_share = [
        make_share_parameter((channel, "device_share", name), float(share), float(sd), _explain_devices(fit))
        for name, share, sd in zip(_DEVICE_NAMES, fit.device_share, fit.demand.device_share_sd, strict=True)
    ]
    single = [ctr, rate, price, sigma, click_volume]
    return [*single, *device_share, *ctr_ratios, *rate_ratios, *curves, *rate_curve]


def make_channel_table(parameters: Sequence[FittedParameter], centre: ChannelCalibration) -> ChannelCalibration:
    """The channel's calibration table: the parameters' estimates, and the default's for the rest."""
    changed: dict[str, object] = {}
    for name in dict.fromkeys(parameter.name for parameter in parameters):
        own = [parameter.estimate for parameter in parameters if parameter.name == name]
        changed[name] = own[0] if len(own) == 1 else tuple(_normalise(name, np.array(own)).tolist())
    return ChannelCalibration.model_validate(centre.model_dump() | changed)


def _normalise(name: str, numbers: FloatArray) -> FloatArray:
    """Exactly what the table demands of shares and shapes, whose parts are rounded or kept one by one."""
    if name in {"device_share", "hour_traffic"}:
        return np.asarray(numbers / numbers.sum())
    return np.asarray(numbers / numbers.mean()) if name == "weekday_traffic" else numbers


def compute_exposure_sd(
    observed: ChannelObservations, delays: Sequence[ConversionDelay], covariance: FloatArray
) -> float:
    """What an uncertain delay adds to the log-sd of the CVR.

    Args:
        observed: a channel.
        delays: the delay at the mode, then with each of its parameters moved by 0.001.
        covariance: of those parameters.
    """
    arrivals = observed.arrivals
    newest = arrivals.age_to
    logs = []
    for delay in delays:
        before = np.where(arrivals.age_from >= 0.0, delay.compute_cdf(np.maximum(arrivals.age_from, 0.0)), 0.0)
        logs.append(np.log(max(float((arrivals.clicks * (delay.compute_cdf(newest) - before)).sum()), 1e-9)))
    slope = (np.array(logs[1:]) - logs[0]) / 1e-3
    return float(np.sqrt(max(slope @ covariance @ slope, 0.0)))


def _list_demand(
    channel: Channel, fit: ChannelFit
) -> tuple[FittedParameter, FittedParameter, FittedParameter, list[FittedParameter]]:
    layout = fit.demand.layout

    def transform(theta: FloatArray) -> FloatArray:
        traffic, price, weekday = (np.exp(theta[part]) for part in (layout.TRAFFIC, layout.PRICE_CURVE, layout.WEEKDAY))
        level = theta[layout.VOLUME] + np.log(traffic.sum() * weekday.mean())
        median = theta[layout.PRICE] + np.log(price.mean())
        curves = (traffic / traffic.sum(), price / price.mean(), weekday / weekday.mean())
        return np.concatenate(([level, median, theta[layout.SIGMA]], np.log(np.concatenate(curves))))

    found, before = _transform(fit.demand.posterior, fit.demand.prior, transform)
    clicks, clicks_before = _transform(fit.clicks.posterior, fit.clicks.prior, _make_rate_transform(fit.device_share))
    volume = _make_sum(found, clicks), _make_sum(before, clicks_before)
    unknown = _explain_competition(fit)
    curve_labels = [
        *((channel, "hour_traffic", hour) for hour in _HOURS),
        *((channel, "hour_price_ratio", hour) for hour in _HOURS),
        *((channel, "weekday_traffic", day) for day in WEEKDAYS),
    ]
    curves = [
        make_log_parameter(label, _pick(found, 3 + i), _pick(before, 3 + i), _explain_curve(label[1], fit))
        for i, label in enumerate(curve_labels)
    ]
    return (
        make_log_parameter((channel, "click_volume_per_day", ""), *volume, unknown),
        make_log_parameter((channel, "price_median", ""), _pick(found, 1), _pick(before, 1), unknown),
        make_log_parameter((channel, "price_sigma", ""), _pick(found, 2), _pick(before, 2), unknown),
        curves,
    )


def _list_clicks(channel: Channel, fit: ChannelFit) -> tuple[FittedParameter, list[FittedParameter]]:
    transform = _make_rate_transform(fit.device_share)
    found, before = _transform(fit.clicks.posterior, fit.clicks.prior, transform)
    level = make_log_parameter((channel, "ctr", ""), _pick(found, 0), _pick(before, 0), "too few impressions")
    return level, _list_ratios((channel, "device_ctr_ratio"), found, before, fit, "impressions")


def _list_conversions(
    channel: Channel, fit: ChannelFit
) -> tuple[FittedParameter, list[FittedParameter], list[FittedParameter]]:
    by_device = _make_rate_transform(fit.device_share)
    layout = fit.demand.layout
    traffic = np.exp(fit.demand.posterior.mean[layout.TRAFFIC])
    traffic = traffic / traffic.sum()

    def transform(theta: FloatArray) -> FloatArray:
        curve = theta[_FIRST_EFFECT : _FIRST_EFFECT + 24]
        mean = np.log(traffic @ np.exp(curve))
        rates = by_device(theta)
        return np.concatenate(([rates[0] + mean], rates[1:], curve - mean))

    found, before = _transform(fit.conversions.posterior, fit.conversions.prior, transform)
    level = found[0][0], float(np.hypot(found[1][0], fit.delay_log_sd))
    rate = make_log_parameter((channel, "conversion_rate", ""), level, _pick(before, 0), "too few conversions")
    first = 1 + NUM_DEVICES
    curve = [
        make_log_parameter(
            (channel, "hour_conversion_ratio", hour),
            _pick(found, first + i),
            _pick(before, first + i),
            _FEW_CONVERSIONS,
        )
        for i, hour in enumerate(_HOURS)
    ]
    return rate, _list_ratios((channel, "device_conversion_ratio"), found, before, fit, "conversions"), curve


_FEW_CONVERSIONS = "too few conversions in this hour of day to tell it from the default curve"


def _make_rate_transform(share: FloatArray) -> _Transform:
    """Level and ratios by device of a rate, as logs; the ratios have mean 1 over eligible impressions."""

    def transform(theta: FloatArray) -> FloatArray:
        rates = theta[0] + theta[_FIRST_DEVICE : _FIRST_DEVICE + NUM_DEVICES]
        level = np.log(share @ np.exp(rates))
        return np.concatenate(([level], rates - level))

    return transform


def _transform(posterior: Posterior, prior: Prior, transform: _Transform) -> tuple[_Logs, _Logs]:
    """Means and sds of a function of the parameters, after and before the data."""
    before = Posterior(prior.mean, np.asarray(np.linalg.inv(prior.precision), dtype=np.float64))
    moved = [compute_transformed(one, transform) for one in (posterior, before)]
    after, first = ((one.mean, np.sqrt(np.maximum(np.diag(one.covariance), 0.0))) for one in moved)
    return after, first


def _pick(logs: _Logs, i: int) -> tuple[float, float]:
    return float(logs[0][i]), float(logs[1][i])


def _make_sum(first: _Logs, second: _Logs) -> tuple[float, float]:
    """Mean and sd of the sum of two independent levels."""
    return float(first[0][0] + second[0][0]), float(np.hypot(first[1][0], second[1][0]))


def _list_ratios(
    label: tuple[str, str], found: _Logs, before: _Logs, fit: ChannelFit, counted: str
) -> list[FittedParameter]:
    why = _explain_devices(fit)
    if why:
        default = np.array(getattr(fit.centre, label[1]))
        logs = np.log(default / (fit.device_share @ default))
        found, before = (
            (np.append(0.0, logs), np.full(1 + NUM_DEVICES, sd)) for sd in (2.0 * DEVICE_RATIO_SD, DEVICE_RATIO_SD)
        )
    why = why or f"too few {counted} on this device to tell it from the default ratio"
    return [
        make_log_parameter((*label, name), _pick(found, 1 + d), _pick(before, 1 + d), why)
        for d, name in enumerate(_DEVICE_NAMES)
    ]


def _explain_devices(fit: ChannelFit) -> str:
    return "" if fit.observed.has_devices else "not identified: the reports do not split this channel by device"


def _explain_competition(fit: ChannelFit) -> str:
    if not fit.observed.has_bids and not fit.observed.has_share:
        return "not identified: neither impression share nor bids in force (--plans) were given"
    if not fit.observed.has_bids:
        return "not identified without the bids in force (--plans)"
    return "not identified: the bids in force moved too little to tell volume, price and spread apart"


def _explain_curve(name: str, fit: ChannelFit) -> str:
    if name == "hour_price_ratio" and fit.observed.clicks.sum() > 0:
        return "too few clicks or too little impression share in this hour to tell it from the default curve"
    return "too few impressions to tell it from the default curve"
