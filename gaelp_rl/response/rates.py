"""Click and conversion rates of one channel: levels by device, hours, and what the days add.

    clicks_bd ~ Poisson(impressions_bd ctr_d fatigue_b exp(creative_b))
    conversions_td ~ Poisson(clicks_td F(age) cvr_d curve_h exp(drift_day))

``F(age)`` is the share of a click's conversions reported by the age of its newest reading, so that
young hours count by what they can have shown. Both are posteriors around the default calibration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gaelp_rl.config.calibration import ChannelCalibration
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.channels import NUM_DEVICES
from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.domain.reports import FloatArray, IntArray
from gaelp_rl.response.observations import HOURS_PER_DAY, ChannelObservations
from gaelp_rl.response.posterior import (
    Posterior,
    Prior,
    Scores,
    compute_ar1_precision,
    find_mode,
    make_circular_precision,
    update_variance,
)

__all__ = ["DEVICE_RATIO_SD", "RATE_PRIOR_SD", "ClickFit", "ConversionFit", "fit_clicks", "fit_conversions"]

RATE_PRIOR_SD = 1.0
"""Log-sd of the priors of CTR and CVR around the default calibration."""

DEVICE_RATIO_SD = 0.25
"""Log-sd of the priors of a device's rate over the channel's, likewise."""

_CURVE_SD, _CURVE_LENGTH_HOURS = 0.15, 3.0
_LEVEL, _FIRST_DEVICE, _FIRST_EFFECT = 0, 1, 1 + NUM_DEVICES
_CREATIVES = 2
_ROUNDS = 15
_HYPER_STRENGTH = 4.0


@dataclass(frozen=True, slots=True)
class ClickFit:
    """CTR of one channel.

    Attributes:
        posterior: log level, log ratio by device, then the creatives' log qualities.
        prior: the same before the data.
    """

    posterior: Posterior
    prior: Prior


@dataclass(frozen=True, slots=True)
class ConversionFit:
    """CVR of one channel.

    Attributes:
        posterior: log level, log ratio by device, 24 log hour ratios, then the days' log drifts.
        prior: the same before the data.
        drift_sd: of the days.
        drift_freedom: degrees of freedom behind it.
    """

    posterior: Posterior
    prior: Prior
    drift_sd: float
    drift_freedom: float


def fit_clicks(observed: ChannelObservations, centre: ChannelCalibration, family: FamilyConfig) -> ClickFit:
    """Fits CTR by device.

    A channel serves two creatives that are replaced in turn, every ``creative_life_days``, each with
    a quality of its own; what fatigue takes from them follows from the impressions and the audience.

    Args:
        observed: the channel's hours.
        centre: the channel's default calibration: the prior, and the audience.
        family: gives the creatives' life, quality and fatigue.
    """
    fatigue = _compute_fatigue(observed, centre, family)
    block = observed.hour // max(family.creative_life_days * HOURS_PER_DAY // _CREATIVES, 1)
    num_blocks = int(block.max()) + 1
    shown, clicks = np.zeros((2, num_blocks, NUM_DEVICES))
    np.add.at(shown, block, observed.impressions * fatigue[:, None])
    np.add.at(clicks, block, observed.clicks)
    basis = np.zeros((num_blocks, NUM_DEVICES, _FIRST_EFFECT + num_blocks + _CREATIVES))
    basis[:, :, _LEVEL] = 1.0
    for d in range(NUM_DEVICES):
        basis[:, d, _FIRST_DEVICE + d] = 1.0
    for b in range(num_blocks):
        for k in range(_CREATIVES):
            generation = (b + k) // _CREATIVES
            basis[b, :, _FIRST_EFFECT + generation * _CREATIVES + k] += 1.0 / _CREATIVES
    flat = basis.reshape(-1, basis.shape[2])
    quality_sd = max(family.creative_quality_log_sd, 1e-3)
    effects = np.eye(flat.shape[1] - _FIRST_EFFECT) / quality_sd**2
    log_mean_quality = 0.25 * quality_sd**2
    prior = _make_prior(np.log(centre.ctr) + log_mean_quality, centre.device_ctr_ratio, observed, effects)
    posterior = _fit_poisson(clicks.ravel(), shown.ravel(), flat, prior)
    mean = posterior.mean.copy()
    mean[_LEVEL] -= log_mean_quality
    prior.mean[_LEVEL] -= log_mean_quality
    return ClickFit(Posterior(mean, posterior.covariance), prior)


def _compute_fatigue(observed: ChannelObservations, centre: ChannelCalibration, family: FamilyConfig) -> FloatArray:
    """CTR factor of each hour by exposures so far, creatives fresh on the first day, [hours]."""
    factor = np.ones(observed.hour.size)
    if centre.audience_size <= 0.0:
        return factor
    seen = observed.impressions.sum(axis=1) / _CREATIVES / centre.audience_size
    before = np.concatenate(([0.0], np.cumsum(seen)[:-1]))
    total = np.zeros(observed.hour.size)
    life = family.creative_life_days * HOURS_PER_DAY
    for k in range(_CREATIVES):
        generation = (observed.hour + k * life // _CREATIVES) // life
        _, first = np.unique(generation, return_index=True)
        start = before[first][np.searchsorted(np.unique(generation), generation)]
        total += np.exp(-family.fatigue_per_exposure * (before - start))
    return total / _CREATIVES


def fit_conversions(
    observed: ChannelObservations,
    num_days: int,
    delay: ConversionDelay,
    centre: ChannelCalibration,
    family: FamilyConfig,
) -> ConversionFit:
    """Fits CVR by device, its hour curve and its drift.

    Args:
        observed: the channel's hours.
        num_days: days that the drift spans.
        delay: of this channel's conversions.
        centre: the channel's default calibration: what the prior is centred on.
        family: gives persistence and the guess of the drift.
    """
    exposure, conversions = _sum_exposure(observed, delay)
    hour, device = np.nonzero(exposure > 0.0)
    size = _FIRST_EFFECT + 24 + num_days
    basis = np.zeros((hour.size, size))
    rows = np.arange(hour.size)
    basis[:, _LEVEL] = 1.0
    basis[rows, _FIRST_DEVICE + device] = 1.0
    basis[rows, _FIRST_EFFECT + observed.hour[hour] % HOURS_PER_DAY] = 1.0
    basis[rows, _FIRST_EFFECT + 24 + observed.hour[hour] // HOURS_PER_DAY] = 1.0
    ar1 = compute_ar1_precision(num_days, family.drift_persistence)
    drift_sd, freedom = family.conversion_drift_sd, _HYPER_STRENGTH
    for _ in range(_ROUNDS):
        effects = np.zeros((24 + num_days, 24 + num_days))
        effects[:24, :24] = make_circular_precision(24, _CURVE_SD, _CURVE_LENGTH_HOURS)
        effects[24:, 24:] = ar1 / drift_sd**2
        prior = _make_prior(np.log(centre.conversion_rate), centre.device_conversion_ratio, observed, effects)
        prior.mean[_FIRST_EFFECT : _FIRST_EFFECT + 24] = np.log(centre.hour_conversion_ratio)
        posterior = _fit_poisson(conversions[hour, device], exposure[hour, device], basis, prior)
        drift = slice(_FIRST_EFFECT + 24, size)
        variance, freedom = update_variance(
            posterior.mean[drift], posterior.covariance[drift, drift], ar1, family.conversion_drift_sd, _HYPER_STRENGTH
        )
        drift_sd = float(np.sqrt(variance))
    return ConversionFit(posterior, prior, drift_sd, freedom)


def _sum_exposure(observed: ChannelObservations, delay: ConversionDelay) -> tuple[FloatArray, FloatArray]:
    """Clicks times the share of their conversions reported so far, and the conversions, [hours, devices]."""
    arrivals = observed.arrivals
    exposure, conversions = np.zeros((2, observed.hour.size, NUM_DEVICES))
    matured = delay.compute_cdf(arrivals.age_to) - np.where(
        arrivals.age_from >= 0.0, delay.compute_cdf(np.maximum(arrivals.age_from, 0.0)), 0.0
    )
    where: tuple[IntArray, IntArray] = (arrivals.hour_index, arrivals.device)
    np.add.at(exposure, where, arrivals.clicks * matured)
    np.add.at(conversions, where, arrivals.conversions)
    return exposure, conversions


def _make_prior(
    log_level: float, device_ratio: tuple[float, ...], observed: ChannelObservations, effects: FloatArray
) -> Prior:
    size = _FIRST_EFFECT + len(effects)
    mean, precision = np.zeros(size), np.zeros((size, size))
    mean[_LEVEL] = log_level
    precision[_LEVEL, _LEVEL] = 1.0 / RATE_PRIOR_SD**2
    devices = slice(_FIRST_DEVICE, _FIRST_DEVICE + NUM_DEVICES)
    if observed.has_devices:
        mean[devices] = np.log(device_ratio)
    precision[devices, devices] = np.eye(NUM_DEVICES) / (DEVICE_RATIO_SD**2 if observed.has_devices else 1e-8)
    precision[_FIRST_EFFECT:, _FIRST_EFFECT:] = effects
    return Prior(mean, precision)


def _fit_poisson(counts: FloatArray, exposure: FloatArray, basis: FloatArray, prior: Prior) -> Posterior:
    shown = exposure > 0.0
    counts, exposure, basis = counts[shown], exposure[shown], basis[shown]

    def compute_scores(theta: FloatArray) -> Scores:
        mean = exposure * np.exp(basis @ theta)
        return Scores(basis.T @ (counts - mean), (basis * mean[:, None]).T @ basis)

    start = prior.mean.copy()
    expected = (exposure * np.exp(basis @ start)).sum()
    start[_LEVEL] += np.log(max(counts.sum(), 0.5) / max(expected, 1e-12))
    return find_mode(compute_scores, prior, start)
