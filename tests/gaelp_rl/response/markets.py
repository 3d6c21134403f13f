"""Markets with known parameters, drawn at random, and what an account in them would have recorded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.market.noise import make_world_keys
from envs.market.recorder import MarketRecord
from experiments.report_rows import record_market, sample_varied_bids
from gaelp_rl.config.calibration import ChannelCalibration, MarketCalibration
from gaelp_rl.config.market import FamilyConfig, load_family
from gaelp_rl.domain.channels import CHANNELS, NUM_CHANNELS
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.reports import FloatArray

__all__ = ["Drawn", "draw_market", "draw_smooth", "make_varied_record"]


_DRIFTS = ("volume_drift_sd", "price_drift_sd", "conversion_drift_sd", "hourly_volume_sd")


@dataclass(frozen=True)
class Drawn:
    """A market and the bids that an account made in it, float64 [days, channels]."""

    family: FamilyConfig
    bids: FloatArray


def draw_smooth(rng: np.random.Generator, sd: float, size: int = 24, length: float = 3.0) -> FloatArray:
    """A smooth curve on a circle: the same law as the fit's prior."""
    gap = np.abs(np.arange(size)[:, None] - np.arange(size))
    covariance = sd**2 * np.exp(-np.minimum(gap, size - gap) / length)
    return np.linalg.cholesky(covariance) @ rng.standard_normal(size)


def _draw_channel(rng: np.random.Generator, stock: ChannelCalibration) -> ChannelCalibration:
    def vary(number: float, sd: float) -> float:
        return float(number * np.exp(sd * rng.standard_normal()))

    traffic = np.array(stock.hour_traffic) * np.exp(draw_smooth(rng, 0.3))
    traffic /= traffic.sum()
    price = np.array(stock.hour_price_ratio) * np.exp(draw_smooth(rng, 0.08))
    curve = np.array(stock.hour_conversion_ratio) * np.exp(draw_smooth(rng, 0.12))
    weekday = np.array(stock.weekday_traffic) * np.exp(0.12 * rng.standard_normal(7))
    share = np.array(stock.device_share) * np.exp(0.1 * rng.standard_normal(3))
    changed = {
        "ctr": vary(stock.ctr, 0.3),
        "conversion_rate": vary(stock.conversion_rate, 0.4),
        "price_median": vary(stock.price_median, 0.4),
        "price_sigma": vary(stock.price_sigma, 0.2),
        "click_volume_per_day": vary(stock.click_volume_per_day, 0.4),
        "device_share": tuple((share / share.sum()).tolist()),
        "device_ctr_ratio": tuple(vary(ratio, 0.15) for ratio in stock.device_ctr_ratio),
        "device_conversion_ratio": tuple(vary(ratio, 0.15) for ratio in stock.device_conversion_ratio),
        "hour_traffic": tuple(traffic.tolist()),
        "hour_price_ratio": tuple((price / price.mean()).tolist()),
        "hour_conversion_ratio": tuple((curve / (curve @ traffic)).tolist()),
        "weekday_traffic": tuple((weekday / weekday.mean()).tolist()),
    }
    return ChannelCalibration.model_validate(stock.model_dump() | changed)


def draw_market(seed: int) -> Drawn:
    """A market around the default one, whose worlds all are exactly its centre: no persistent spread.

    The bids walk around the default prices: an account that does not know its market yet.
    """
    rng = np.random.default_rng(seed)
    stock = load_family("campaign")
    tables = {channel: _draw_channel(rng, getattr(stock.calibration, channel)) for channel in CHANNELS}
    immediate = rng.uniform(0.25, 0.5)
    fast = (1.0 - immediate) * rng.uniform(0.1, 0.3)
    delay = type(stock.delay)(
        immediate,
        (fast, 1.0 - immediate - fast),
        (10.0 * np.exp(rng.normal(0, 0.3)), 120.0 * np.exp(rng.normal(0, 0.3))),
    )
    spreads = ("conversion", "price", "volume", "ctr", "device_conversion", "delay_scale")
    family = stock.model_copy(
        update={
            "name": f"drawn-{seed}",
            "calibration": MarketCalibration.model_validate(tables),
            "delay": delay,
            "daily_budget_micros": 20_000 * MICROS,
            **{name: float(getattr(stock, name) * np.exp(rng.normal(0.0, 0.35))) for name in _DRIFTS},
            **{f"{name}_log_sd": 0.0 for name in spreads},
        }
    )
    centre = np.array([getattr(stock.calibration, channel).price_median for channel in CHANNELS])
    return Drawn(family, sample_varied_bids(rng, centre, family.days))


def make_varied_record(drawn: Drawn, seed: int, budget: float = 5_000.0) -> MarketRecord:
    """One world of the market under the drawn bids and budgets that never bind."""

    def plan_hour(hour: int) -> PlanBatch:
        bids = drawn.bids[hour // 24][None, :]
        return PlanBatch.from_currency(bids, np.full((1, NUM_CHANNELS), budget))

    return record_market(drawn.family, make_world_keys("validation", seed, 1), plan_hour)
