"""How much volume, prices and conversion rates move from day to day, over all channels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import linalg

from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.channels import Channel
from gaelp_rl.response.channel_fit import ChannelFit
from gaelp_rl.response.demand import HYPER_STRENGTH
from gaelp_rl.response.observations import HOURS_PER_DAY
from gaelp_rl.response.parameters import FittedParameter, make_sd_parameter
from gaelp_rl.response.posterior import compute_ar1_precision

__all__ = ["DRIFTS", "compute_shock_roughness", "list_drifts"]

DRIFTS = ("volume_drift_sd", "price_drift_sd", "conversion_drift_sd", "hourly_volume_sd")
"""Settings of the family that are pooled over the channels."""

_Found = list[tuple[float, float]]
"""Standard deviations with their degrees of freedom, one for each channel."""


def list_drifts(fits: Mapping[Channel, ChannelFit], base: FamilyConfig) -> list[FittedParameter]:
    """Drifts and noise, pooled over the channels by their degrees of freedom.

    Volume moves on its own only where eligible impressions are reported; elsewhere it is seen
    through the wins, which prices move too, so that such channels count only if there is no other.
    Prices move on their own only where bids are known.

    Args:
        fits: by channel.
        base: what is kept where the channels say too little.
    """
    hypers = [fit.demand.hyper for fit in fits.values()]
    direct = [fit.demand.hyper for fit in fits.values() if fit.observed.has_share] or hypers
    priced = [fit.demand.hyper for fit in fits.values() if fit.demand.layout.has_bids]
    found: dict[str, _Found] = {
        "volume_drift_sd": [(hyper.volume_drift_sd, hyper.volume_drift_freedom) for hyper in direct],
        "price_drift_sd": [(hyper.price_drift_sd, hyper.price_drift_freedom) for hyper in priced],
        "conversion_drift_sd": [(fit.conversions.drift_sd, fit.conversions.drift_freedom) for fit in fits.values()],
        "hourly_volume_sd": [(hyper.hourly_volume_sd, hyper.hourly_volume_freedom) for hyper in direct],
    }
    days = max(fit.demand.layout.num_days for fit in fits.values())
    parameters = []
    for name in DRIFTS:
        stock = getattr(base, name)
        sd, freedom = _pool(found[name], stock)
        why = "too few days and counts to tell it from chance"
        if name == "price_drift_sd":
            sd, freedom = _take_out_shocks(sd, freedom, base, days, len(found[name]))
            if len(priced) < len(fits):
                why = "not identified on channels without the bids in force (--plans), too faint on the others"
        prior_freedom = HYPER_STRENGTH / 2.0 if found[name] else HYPER_STRENGTH
        parameters.append(make_sd_parameter(("account", name, ""), sd, (freedom, prior_freedom), stock, why))
    return parameters


def _take_out_shocks(
    sd: float, freedom: float, base: FamilyConfig, num_days: int, num_channels: int
) -> tuple[float, float]:
    """The drift of prices without competition shocks, whose number is itself left to chance."""
    shocks = compute_shock_roughness(base, num_days)
    if num_channels == 0:
        return sd, freedom
    expected = max(base.shock_rate_per_day * num_days * num_channels, 1e-9)
    variance = max(sd**2 - shocks, 0.1 * sd**2)
    uncertainty = 2.0 * sd**4 / freedom + shocks**2 / expected
    return float(np.sqrt(variance)), max(2.0 * variance**2 / uncertainty, 1.0)


def compute_shock_roughness(family: FamilyConfig, num_days: int) -> float:
    """What competition shocks add to the variance of an AR(1) that is fitted to daily prices.

    A shock is on with probability p = rate x mean length, and lasts an exponential time: its
    autocovariance at lag h hours is size^2 p (1 - p) exp(-h / length). Its daily means b have
    E[b' Q b] / days, with Q the AR(1) precision of unit variance.

    Args:
        family: gives the shocks and the persistence.
        num_days: days of the fit.
    """
    share = min(family.shock_rate_per_day * family.shock_mean_hours / HOURS_PER_DAY, 0.5)
    hours = np.arange(num_days * HOURS_PER_DAY)
    decay = np.exp(-hours / family.shock_mean_hours)
    by_hour = family.shock_log_size**2 * share * (1.0 - share) * linalg.toeplitz(decay)
    by_day = by_hour.reshape(num_days, HOURS_PER_DAY, num_days, HOURS_PER_DAY).mean(axis=(1, 3))
    precision = compute_ar1_precision(num_days, family.drift_persistence)
    return float(np.sum(precision * by_day)) / num_days


def _pool(found: _Found, stock: float) -> tuple[float, float]:
    """One standard deviation from several, the prior counted once; with its degrees of freedom."""
    sds, freedoms = np.array(found).reshape(-1, 2).T
    total = float(np.maximum(freedoms - HYPER_STRENGTH, 0.0).sum()) + HYPER_STRENGTH
    own = (freedoms * sds**2 - HYPER_STRENGTH * stock**2).clip(min=0.0).sum()
    return float(np.sqrt((own + HYPER_STRENGTH * stock**2) / total)), total
