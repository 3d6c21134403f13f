"""Reports of a small account, for the tests of ledger and assembler."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gaelp_rl.domain.channels import NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.reports import ReportBatch, ReportingProfile


@pytest.fixture(scope="session")
def profile() -> ReportingProfile:
    """Google at once, Meta an hour late without device split, TikTok at once, Microsoft two hours late."""
    return ReportingProfile(
        lag_hours=np.array([0, 1, 0, 2]),
        conversion_lag_hours=np.array([3, 0, 0, 3]),
        device_split=np.array([True, False, False, True]),
        hourly_conversions=np.array([True, False, True, True]),
        impression_share=np.array([True, False, False, True]),
    )


@pytest.fixture(scope="session")
def make_random_batch(profile: ReportingProfile) -> Callable[[int, int, np.random.Generator], ReportBatch]:
    """Makes any reports of one hour: nothing from hours before the first, shares published at 6."""

    def make(hour: int, worlds: int, rng: np.random.Generator) -> ReportBatch:
        known = hour - 1 - profile.lag_hours >= 0
        shape = (worlds, NUM_CHANNELS)
        impressions = rng.poisson(200.0, shape) * known
        clicks = rng.binomial(impressions, 0.05)
        devices = rng.poisson(50.0, (*shape, NUM_DEVICES)).astype(np.float64) * known[:, None]
        devices[:, ~profile.device_split] = np.nan
        share = np.full(shape, np.nan)
        if hour % 24 == 6:
            share[:, profile.impression_share] = rng.uniform(0.1, 1.0, (worlds, 2))
        return ReportBatch(
            hour=hour,
            impressions=impressions,
            clicks=clicks,
            spend_micros=clicks * 1_250_000,
            conversions=rng.binomial(clicks, 0.1).astype(np.float64),
            conversion_value_micros=clicks * 0,
            device_impressions=devices,
            device_clicks=np.floor(devices * 0.1),
            impression_share=share,
            lost_share_budget=share / 4,
            lost_share_rank=share / 3,
        )

    return make
