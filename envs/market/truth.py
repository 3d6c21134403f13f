"""What a world's reports can only hint at: the true factors behind the coming hour.

For diagnosis ("the same controller, given the true parameters"), never for a policy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envs.market.delivery_state import DeliveryParams, DeliveryState
from envs.market.exogenous import ADVANCED_FIELDS, ExogenousParams, ExogenousState, MarketTables, advance_exogenous
from gaelp_rl.domain.reports import FloatArray

__all__ = ["TrueFactors", "compute_true_factors"]

_VOLUME, _PRICE, _CONVERSION = 0, 1, 2


class TrueFactors(NamedTuple):
    """Natural logs of the true over the calibrated median, float64 [worlds, channels].

    Attributes:
        log_conversion: conversions per click: persistent factor, device mix and today's drift.
        log_price: median competing bid: persistent factor, drift, season and shock.
        log_volume: clicks for sale: persistent factors, drift, season, creatives and their fatigue.
    """

    log_conversion: FloatArray
    log_price: FloatArray
    log_volume: FloatArray


def compute_true_factors(
    hour: int,
    exogenous: ExogenousState,
    exogenous_params: ExogenousParams,
    delivery: DeliveryState,
    delivery_params: DeliveryParams,
    tables: MarketTables,
) -> TrueFactors:
    """The factors of the coming hour without its independent noise; changes nothing.

    Args:
        hour: the hour that the next plan is for.
        exogenous: state after the hour before.
        exogenous_params: the family's numbers.
        delivery: state after the hour before; gives exposures.
        delivery_params: gives the fatigue rate.
        tables: calibration.
    """
    now = exogenous._replace(**{name: getattr(exogenous, name).copy() for name in ADVANCED_FIELDS})
    advance_exogenous(hour, now, exogenous_params, tables)
    season = exogenous_params.season_amplitude * np.sin(2.0 * np.pi * hour / (28.0 * 24.0) + now.season_phase)[:, None]
    shock = np.where(now.shock_hours > 0.0, exogenous_params.shock_log_size, 0.0)
    is_fresh = now.creative_generation != delivery.generation_seen
    exposures = np.where(is_fresh, 0.0, delivery.exposures)
    quality = (now.creative_quality * np.exp(-delivery_params.fatigue_per_exposure * exposures)).mean(axis=2)
    click_weight = tables.device_share * tables.device_ctr
    conversion = now.conversion * (click_weight * now.device_conversion).sum(axis=2) / click_weight.sum(axis=1)
    clicks_for_sale = now.volume * now.ctr * quality
    return TrueFactors(
        log_conversion=np.log(conversion / tables.conversion_rate) + now.drift[:, :, _CONVERSION],
        log_price=np.log(now.price / tables.price_median) + now.drift[:, :, _PRICE] + 0.5 * season + shock,
        log_volume=np.log(clicks_for_sale / tables.click_volume) + now.drift[:, :, _VOLUME] + season,
    )
