"""Ledgers fed with random reports and plans, for the tests of the observation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gaelp_rl.domain.channels import NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.domain.ledger import ReportLedger
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.priors import ChannelPriors
from gaelp_rl.domain.reports import ReportBatch, ReportingProfile

PROFILE = ReportingProfile(
    lag_hours=np.array([1, 0, 0, 2]),
    conversion_lag_hours=np.array([3, 4, 0, 3]),
    device_split=np.array([True, True, False, True]),
    hourly_conversions=np.array([True, False, True, True]),
    impression_share=np.array([True, False, False, True]),
)


@pytest.fixture(scope="session")
def priors() -> ChannelPriors:
    """Four channels that differ in everything."""
    return ChannelPriors(
        ctr=np.array([0.06, 0.012, 0.008, 0.03]),
        cpc=np.array([2.5, 1.2, 0.8, 1.6]),
        conversion_rate=np.array([0.06, 0.04, 0.02, 0.05]),
    )


@pytest.fixture(scope="session")
def make_ledger() -> Callable[..., ReportLedger]:
    """Makes a ledger of ``worlds`` that has observed ``hours`` of random reports."""

    def make(worlds: int = 5, hours: int = 0, seed: int = 0, volume: float = 300.0) -> ReportLedger:
        rng = np.random.default_rng(seed)
        ledger = ReportLedger(worlds, PROFILE, ConversionDelay())
        shape = (worlds, NUM_CHANNELS)
        for hour in range(hours):
            bid, budget = rng.uniform(0.2, 4.0, shape), rng.uniform(20.0, 200.0, shape)
            ledger.record_plan(PlanBatch.from_currency(bid, budget, active=rng.random(shape) < 0.9))
            ledger.observe(_make_batch(hour, shape, volume, rng))
        return ledger

    return make


def _make_batch(hour: int, shape: tuple[int, int], volume: float, rng: np.random.Generator) -> ReportBatch:
    impressions = rng.poisson(volume * rng.uniform(0.2, 2.0, shape))
    clicks = rng.binomial(impressions, 0.03)
    devices = rng.poisson(volume / 3, (*shape, NUM_DEVICES)).astype(np.float64)
    devices[:, ~PROFILE.device_split] = np.nan
    share = np.full(shape, np.nan)
    if hour % 24 == 6:
        share[:, PROFILE.impression_share] = rng.uniform(0.1, 1.0, (shape[0], 2))
    return ReportBatch(
        hour=hour,
        impressions=impressions,
        clicks=clicks,
        spend_micros=clicks * rng.integers(500_000, 3_000_000, shape),
        conversions=rng.binomial(clicks, 0.05).astype(np.float64),
        conversion_value_micros=clicks * 0,
        device_impressions=devices,
        device_clicks=np.floor(devices * rng.uniform(0.0, 0.1, devices.shape)),
        impression_share=share,
        lost_share_budget=share / 4,
        lost_share_rank=share / 3,
    )
