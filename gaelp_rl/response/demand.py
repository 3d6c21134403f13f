"""Volume and competition of one channel: how much is for sale, and what it takes to win it.

The model is ``demand_model``. Curves are deviations from the default ones, smooth and shrunk towards
them; the days' drifts are AR(1), their size and that of the hourly noise found by expectation
maximisation. Everything is one posterior, so that what the data leave open in one place widens the
others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.config.calibration import ChannelCalibration
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.channels import NUM_DEVICES
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.response.demand_model import (
    DemandData,
    DemandLayout,
    Hyper,
    compute_demand,
    compute_response,
    compute_terms,
    fill_bids,
    make_demand_data,
)
from gaelp_rl.response.observations import HOURS_PER_DAY, ChannelObservations
from gaelp_rl.response.posterior import (
    Posterior,
    Prior,
    Scores,
    compute_ar1_precision,
    find_quasi_mode,
    make_circular_precision,
    score_terms,
    update_variance,
)
from gaelp_rl.response.ridge import integrate_over

__all__ = ["CURVE_LENGTH_HOURS", "DEMAND_PRIOR_SD", "HYPER_STRENGTH", "DemandFit", "fit_demand"]

DEMAND_PRIOR_SD = {"volume": 0.5, "price": 0.4, "sigma": 0.2, "bid": 0.5}
"""Log-sds of the priors around the default calibration: those of a world of the default family, or wider."""

CURVE_LENGTH_HOURS = 3.0
"""Over how many hours a curve's deviation from the default keeps its sign."""

HYPER_STRENGTH = 4.0
"""Degrees of freedom behind the default family's drifts and noise."""

_TRAFFIC_SD, _PRICE_CURVE_SD, _WEEKDAY_SD = 0.4, 0.1, 0.15
_UNKNOWN_BID_DRIFT_SD = 0.3
_FIXED = 1e8
_ROUNDS = 18
_PACED_SPEND_SHARE = 0.6
_DEVICE_SHARE_COUNTS = 50.0


@dataclass(frozen=True, slots=True)
class DemandFit:
    """What one channel's impressions and prices say.

    Attributes:
        layout: of the posterior.
        posterior: of logs and log-deviations.
        prior: the same before the data.
        hyper: drift and noise.
        device_share: float64 [devices]; of eligible impressions.
        device_share_sd: float64 [devices]; standard error.
        num_paced_hours: hours left out because the budget limited them.
    """

    layout: DemandLayout
    posterior: Posterior
    prior: Prior
    hyper: Hyper
    device_share: FloatArray
    device_share_sd: FloatArray
    num_paced_hours: int


def fit_demand(
    observed: ChannelObservations,
    first_weekday: int,
    num_days: int,
    centre: ChannelCalibration,
    family: FamilyConfig,
) -> DemandFit:
    """Fits volume, competition, their curves and their drift.

    Args:
        observed: the channel's hours.
        first_weekday: of day 0, Monday is 0.
        num_days: days that the drifts span.
        centre: the channel's default calibration: what the prior is centred on.
        family: gives persistence, season and the guesses of drift and noise.
    """
    layout = DemandLayout(num_days, has_bids=observed.has_bids or centre.first_price)
    bid = fill_bids(observed, centre)
    entered, usable = _compute_entered(observed)
    usable &= np.isfinite(bid).all(axis=1)
    share, counted = _estimate_device_share(observed, centre)
    data = make_demand_data(observed, layout, first_weekday, centre, family, entered, usable, share, bid)
    strength = (HYPER_STRENGTH,) * 3
    hyper = Hyper(family.volume_drift_sd, family.price_drift_sd, family.hourly_volume_sd, *strength)
    prior = _make_prior(layout, centre, family, hyper)
    posterior = _find(layout, data, hyper, _pin_sigma(layout, prior), _find_start(layout, data, prior), 40)
    for _ in range(_ROUNDS):
        hyper = _update_hyper(posterior, layout, data, hyper, family)
        prior = _make_prior(layout, centre, family, hyper)
        posterior = _find(layout, data, hyper, _pin_sigma(layout, prior), posterior.mean, 2)
    posterior = _integrate_ridge(posterior, layout, data, hyper, prior)
    win_sd = np.zeros(NUM_DEVICES)
    if observed.has_devices and not observed.has_share:
        if usable.any():
            share, win_sd = _correct_for_wins(share, posterior, layout, data)
        else:  # what each device wins is not known either: a share of impressions says little
            counted = _DEVICE_SHARE_COUNTS
    share_sd = np.sqrt(share * (1.0 - share) / counted + win_sd**2)
    return DemandFit(layout, posterior, prior, hyper, share, share_sd, int((~usable).sum()))


def _find(
    layout: DemandLayout, data: DemandData, hyper: Hyper, prior: Prior, start: FloatArray, max_steps: int
) -> Posterior:
    return find_quasi_mode(lambda theta: compute_terms(theta, layout, data, hyper), prior, start, max_steps)


def _pin_sigma(layout: DemandLayout, prior: Prior) -> Prior:
    """The prior, with sigma fixed where bids are unknown."""
    if layout.has_bids:
        return prior
    precision = prior.precision.copy()
    precision[layout.SIGMA, layout.SIGMA] = _FIXED
    return Prior(prior.mean, precision)


def _integrate_ridge(
    posterior: Posterior, layout: DemandLayout, data: DemandData, hyper: Hyper, prior: Prior
) -> Posterior:
    """The mass along the ridge of sigma, and where clicks do not tell prices of price, with volume.

    All points are compared on the variances of the mode. Without bids, sigma would be read from how
    shares and prices move together within a day, which unseen bid changes and hourly noise do too:
    then it stays as the prior has it, and the others follow.
    """
    if not layout.has_bids:
        covariance = posterior.covariance.copy()
        covariance[layout.SIGMA, layout.SIGMA] = DEMAND_PRIOR_SD["sigma"] ** 2
        posterior = Posterior(posterior.mean, covariance)
    variances = [term.variance for term in compute_terms(posterior.mean, layout, data, hyper)]

    def compute_scores(theta: FloatArray) -> Scores:
        return score_terms(compute_terms(theta, layout, data, hyper), variances)

    indices = (layout.SIGMA, layout.PRICE) if data.first_price else (layout.SIGMA,)
    return integrate_over(compute_scores, prior, posterior, indices, learn=layout.has_bids)


def _compute_entered(observed: ChannelObservations) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Share of auctions entered, and which hours can be used for volume."""
    impressions, eligible = observed.impressions.sum(axis=1), observed.eligible.sum(axis=1)
    won = impressions / np.where(eligible > 0.0, eligible, np.nan)
    lost = observed.lost_to_budget
    with np.errstate(invalid="ignore"):
        entered = np.where(np.isfinite(lost) & (won + lost > 0.0), won / (won + lost), 1.0)
    day = observed.hour // HOURS_PER_DAY
    spend = np.bincount(day, observed.spend.sum(axis=1))[day]
    with np.errstate(invalid="ignore"):
        paced = ~np.isfinite(lost) & (spend > _PACED_SPEND_SHARE * observed.daily_budget)
    return entered, observed.active & ~paced & (entered > 0.0)


def _estimate_device_share(observed: ChannelObservations, centre: ChannelCalibration) -> tuple[FloatArray, float]:
    """From eligible impressions, else impressions, and how many counts are behind it; else the default."""
    default = np.array(centre.device_share)
    if not observed.has_devices:
        return default, _DEVICE_SHARE_COUNTS
    counts = np.nansum(observed.eligible, axis=0) if observed.has_share else observed.impressions.sum(axis=0)
    counts = counts + _DEVICE_SHARE_COUNTS * default
    return counts / counts.sum(), float(counts.sum())


def _correct_for_wins(
    share: FloatArray, posterior: Posterior, layout: DemandLayout, data: DemandData
) -> tuple[FloatArray, FloatArray]:
    """Shares of eligible impressions from shares of impressions: each over what its device wins.

    The standard errors are those that uncertain price and sigma bring in.
    """
    demand = np.exp(data.volume_basis @ posterior.mean)

    def correct(theta: FloatArray) -> FloatArray:
        alone = [replace(data, device_share=np.eye(NUM_DEVICES)[d]) for d in range(NUM_DEVICES)]
        offered = share / np.array([demand @ compute_response(theta, layout, one).share for one in alone])
        return np.asarray(offered / offered.sum())

    where = [layout.PRICE, layout.SIGMA]
    corrected, step = correct(posterior.mean), 1e-3
    slope = np.column_stack(
        [(correct(posterior.mean + step * np.eye(layout.size)[i]) - corrected) / step for i in where]
    )
    variance = ((slope @ posterior.covariance[np.ix_(where, where)]) * slope).sum(axis=1)
    return corrected, np.sqrt(variance)


def _make_prior(
    layout: DemandLayout,
    centre: ChannelCalibration,
    family: FamilyConfig,
    hyper: Hyper,
) -> Prior:
    mean, precision = np.zeros(layout.size), np.zeros((layout.size, layout.size))
    mean[layout.VOLUME] = np.log(centre.click_volume_per_day / centre.ctr)
    mean[layout.PRICE] = np.log(centre.price_median)
    mean[layout.SIGMA] = np.log(centre.price_sigma)
    mean[layout.BID] = np.log(centre.price_median)
    mean[layout.TRAFFIC] = np.log(centre.hour_traffic)
    mean[layout.PRICE_CURVE] = np.log(centre.hour_price_ratio)
    mean[layout.WEEKDAY] = np.log(centre.weekday_traffic)
    sds = (*(DEMAND_PRIOR_SD[name] for name in ("volume", "price", "sigma")), DEMAND_PRIOR_SD["bid"])
    for i, sd in zip((layout.VOLUME, layout.PRICE, layout.SIGMA, layout.BID), sds, strict=True):
        precision[i, i] = 1.0 / sd**2
    season_sd = max(family.season_amplitude, 1e-3) / np.sqrt(2.0)
    precision[layout.SEASON, layout.SEASON] = np.eye(2) / season_sd**2
    precision[layout.TRAFFIC, layout.TRAFFIC] = make_circular_precision(24, _TRAFFIC_SD, CURVE_LENGTH_HOURS)
    precision[layout.PRICE_CURVE, layout.PRICE_CURVE] = make_circular_precision(24, _PRICE_CURVE_SD, CURVE_LENGTH_HOURS)
    precision[layout.WEEKDAY, layout.WEEKDAY] = np.eye(7) / _WEEKDAY_SD**2
    ar1 = compute_ar1_precision(layout.num_days, family.drift_persistence)
    precision[layout.volume_drift, layout.volume_drift] = ar1 / hyper.volume_drift_sd**2
    precision[layout.price_drift, layout.price_drift] = ar1 / hyper.price_drift_sd**2
    if not layout.has_bids:
        precision[layout.bid_drift, layout.bid_drift] = ar1 / _UNKNOWN_BID_DRIFT_SD**2
    return Prior(mean, precision)


def _find_start(layout: DemandLayout, data: DemandData, prior: Prior) -> FloatArray:
    """The prior with the volume that the first look at the counts suggests."""
    start = prior.mean.copy()
    known = np.isfinite(data.eligible)
    demand = np.exp(data.volume_basis @ start)
    if known.any():
        ratio = data.eligible[known].sum() / demand[known].sum()
    else:
        won = demand * compute_response(start, layout, data).share * data.entered
        ratio = data.impressions.sum() / max(float(won.sum()), 1.0)
    start[layout.VOLUME] += np.log(max(ratio, 1e-6))
    return start


def _update_hyper(
    posterior: Posterior, layout: DemandLayout, data: DemandData, hyper: Hyper, family: FamilyConfig
) -> Hyper:
    ar1 = compute_ar1_precision(layout.num_days, family.drift_persistence)
    found = []
    for where, guess in (
        (layout.volume_drift, family.volume_drift_sd),
        (layout.price_drift, family.price_drift_sd),
    ):
        covariance = posterior.covariance[where, where]
        found.append(update_variance(posterior.mean[where], covariance, ar1, guess, HYPER_STRENGTH))
    noise, freedom = _estimate_hourly_noise(posterior, layout, data, hyper, family.hourly_volume_sd)
    (volume, volume_freedom), (price, price_freedom) = found
    return Hyper(np.sqrt(volume), np.sqrt(price), noise, volume_freedom, price_freedom, freedom)


def _estimate_hourly_noise(
    posterior: Posterior, layout: DemandLayout, data: DemandData, hyper: Hyper, guess: float
) -> tuple[float, float]:
    """Log-sd of an hour's volume by moments: what squared residuals exceed of Poisson and price noise.

    Squares of log-normal residuals scatter 1 + 8 sd^2 times as much as those of normal ones (their
    excess kurtosis is about 16 sd^2).
    """
    response = compute_response(posterior.mean, layout, data)
    demand = compute_demand(posterior.mean, data, hyper)
    known = np.isfinite(data.eligible)
    share = np.where(known, 1.0, response.share * data.entered)
    mean = demand * share
    counted = np.where(known, data.eligible, data.impressions)
    price_noise = np.where(known, 0.0, data.hourly_price_sd * demand * data.entered * response.share_by_price)
    variance = mean + (hyper.hourly_volume_sd * mean) ** 2 + price_noise**2
    basis = data.volume_basis
    leverage = ((basis @ posterior.covariance) * basis).sum(axis=1) * mean**2 / variance
    fair = (counted - mean) ** 2 / np.maximum(1.0 - leverage, 0.2) - mean - price_noise**2
    weight = (mean / variance) ** 2
    prior_weight = HYPER_STRENGTH / guess**4
    precision = float((weight * mean**2).sum())
    estimate = (float((weight * fair).sum()) + prior_weight * guess**2) / (precision + prior_weight)
    estimate = max(estimate, 1e-4)
    heavy_tail = 1.0 + 8.0 * estimate
    return float(np.sqrt(estimate)), (precision + prior_weight) * estimate**2 / heavy_tail
