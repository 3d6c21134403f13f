"""What an export says about rates and delays: each number with its interval and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.bootstrap.conversion_rates import Rate, compute_effective_clicks, compute_effective_sd, estimate_rate
from gaelp_rl.bootstrap.delay_curve import DelayCurve, WatchedClicks, estimate_delay_curve, watch_clicks
from gaelp_rl.bootstrap.facts import AttributedExport
from gaelp_rl.bootstrap.ga4_events import FACT_DEVICES
from gaelp_rl.config.ga4 import Ga4Config
from gaelp_rl.config.market import FAMILIES
from gaelp_rl.domain.channels import CHANNELS, NUM_DEVICES, Channel
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.response.delay import DelayFit, fit_delay, make_delay
from gaelp_rl.response.observations import Arrivals, ChannelObservations
from gaelp_rl.response.posterior import Posterior, compute_transformed

__all__ = ["CONFIDENCE", "DelayEstimate", "Ga4Estimates", "estimate_all"]

CONFIDENCE = 0.9
"""Coverage of every interval."""

_STEP = 1e-3
_Z = 1.6448536269514722
_NUM_SHAPE = 4
_MIN_CLICKS = 50


@dataclass(frozen=True, slots=True)
class DelayEstimate:
    """The delay of one channel, or of all.

    Attributes:
        curve: product limit; among conversions inside ``horizon_hours``.
        horizon_hours: oldest age that a tenth of the clicks reached, at most the look-back window.
        parameters: of ``ConversionDelay`` (``immediate``, ``weight_0``, ``mean_hours_0``, ...): estimate, low, high.
        fitted_share: float64 [ages]; the fitted delay at the curve's ages, among conversions inside the horizon;
            NaN below an hour, of which ``ConversionDelay`` says nothing.
    """

    curve: DelayCurve
    horizon_hours: float
    parameters: Mapping[str, tuple[float, float, float]]
    fitted_share: FloatArray


@dataclass(frozen=True, slots=True)
class Ga4Estimates:
    """All that is estimated.

    Attributes:
        delays: by channel name, and ``all``.
        rates: by (channel, device): conversions per landed click inside the look-back window.
    """

    delays: Mapping[str, DelayEstimate]
    rates: Mapping[tuple[str, str], Rate]


def estimate_all(attributed: AttributedExport, settings: Ga4Config) -> Ga4Estimates:
    """Estimates delays and rates of all channels with landed clicks.

    Args:
        attributed: the export.
        settings: window and zones.
    """
    clicks = attributed.clicks
    watched = watch_clicks(attributed, settings.lookback_days)
    by_channel = {
        channel: watched.select(clicks.channel == code)
        for code, channel in enumerate(CHANNELS)
        if int((clicks.channel == code).sum()) >= _MIN_CLICKS
    }
    if not by_channel:
        return Ga4Estimates({}, {})
    fit = fit_delay({channel: _observe(own) for channel, own in by_channel.items()}, FAMILIES["campaign"])
    delays = {"all": _describe_delay(watched, fit, None, settings)}
    delays |= {str(channel): _describe_delay(own, fit, channel, settings) for channel, own in by_channel.items()}
    rates = {}
    for channel in by_channel:
        for code in range(NUM_DEVICES):
            own = (clicks.channel == CHANNELS.index(channel)) & (clicks.device == code)
            rates[str(channel), FACT_DEVICES[code]] = _estimate_rate(attributed, own, watched, fit, channel, settings)
    return Ga4Estimates(delays, rates)


def _observe(clicks: WatchedClicks) -> ChannelObservations:
    """Clicks as spans of age: who was watched through each, and how many converted in it."""
    edges = np.concatenate((np.arange(1.0, 49.0), np.arange(54.0, 24.0 * 91.0, 6.0)))
    edges = edges[edges <= max(float(clicks.watched_hours.max(initial=0.0)), 1.0)]
    watched = np.sort(clicks.watched_hours)
    exposed = watched.size - np.searchsorted(watched, edges, side="left")
    before = np.concatenate(([-1.0], edges[:-1]))
    span = np.searchsorted(edges, clicks.delay_hours, side="left")
    seen = np.isfinite(clicks.delay_hours) & (span < edges.size)
    seen &= clicks.watched_hours >= edges[np.minimum(span, edges.size - 1)]
    came = np.bincount(span[seen], minlength=edges.size).astype(np.float64)
    zero = np.zeros(edges.size, dtype=np.int64)
    arrivals = Arrivals(zero, zero, before, edges, exposed.astype(np.float64), came)
    grid = np.zeros((1, NUM_DEVICES))
    return ChannelObservations(
        hour=np.zeros(1, dtype=np.int64),
        has_devices=True,
        impressions=grid,
        clicks=grid,
        spend=grid,
        eligible=np.full_like(grid, np.nan),
        lost_to_budget=np.full(1, np.nan),
        arrivals=arrivals,
        bid=np.full_like(grid, np.nan),
        daily_budget=np.full(1, np.nan),
        active=np.ones(1, dtype=np.bool_),
    )


def _pick_posterior(fit: DelayFit, channel: Channel | None) -> Posterior:
    """Shape of the delay, float64 [4], the channel's factor on the means included."""

    def transform(theta: FloatArray) -> FloatArray:
        shape = theta[:_NUM_SHAPE].copy()
        if channel is not None:
            shape[2:] += theta[_NUM_SHAPE + 2 * fit.channels.index(channel)]
        return shape

    return compute_transformed(fit.posterior, transform)


def _describe_delay(
    clicks: WatchedClicks, fit: DelayFit, channel: Channel | None, settings: Ga4Config
) -> DelayEstimate:
    horizon = clicks.find_horizon(settings.lookback_days)
    ages = np.unique(np.append(np.geomspace(0.25, horizon, 60), horizon)) if horizon > 1.0 else np.array([horizon])
    posterior = _pick_posterior(fit, channel)
    delay = make_delay(posterior.mean)
    curve = estimate_delay_curve(clicks, ages, CONFIDENCE)
    fitted = np.where(ages >= 1.0, delay.compute_cdf(ages) / delay.compute_cdf(np.array(horizon)), np.nan)
    return DelayEstimate(curve, horizon, _list_parameters(posterior), fitted)


def _list_parameters(posterior: Posterior) -> dict[str, tuple[float, float, float]]:
    """Estimates and intervals on the scale where each is normal: logits of shares, logs of means."""

    def transform(shape: FloatArray) -> FloatArray:
        delay = make_delay(shape)
        shares = np.array([delay.immediate, *delay.weights])
        return np.concatenate((np.log(shares / (1.0 - shares)), np.log(delay.mean_hours)))

    moved = compute_transformed(posterior, transform)
    sds = np.sqrt(np.maximum(np.diag(moved.covariance), 0.0))
    names = ("immediate", "weight_0", "weight_1", "mean_hours_0", "mean_hours_1")
    found = {}
    for name, centre, sd in zip(names, moved.mean, sds, strict=True):
        ends = np.array([centre, centre - _Z * sd, centre + _Z * sd])
        numbers = np.exp(ends) if name.startswith("mean") else 1.0 / (1.0 + np.exp(-ends))
        found[name] = (float(numbers[0]), float(numbers[1]), float(numbers[2]))
    return found


def _estimate_rate(
    attributed: AttributedExport,
    own: NDArray[np.bool_],
    watched: WatchedClicks,
    fit: DelayFit,
    channel: Channel,
    settings: Ga4Config,
) -> Rate:
    posterior = _pick_posterior(fit, channel)
    delays = [make_delay(posterior.mean)]
    delays += [make_delay(posterior.mean + _STEP * np.eye(_NUM_SHAPE)[k]) for k in range(_NUM_SHAPE)]
    hours, window = watched.select(own).watched_hours, 24.0 * settings.lookback_days
    at = attributed.click_of[attributed.click_of >= 0]
    conversions = float(own[at].sum())
    sd = compute_effective_sd(hours, delays, posterior.covariance, window, _STEP)
    return estimate_rate(conversions, compute_effective_clicks(hours, delays[0], window), sd, CONFIDENCE)
