"""Worlds without surprises, plans and runs for the tests of the market."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from envs.market.market import BatchedMarket
from envs.market.noise import make_world_keys
from envs.market.outcome import Outcome
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.channels import CHANNELS, NUM_CHANNELS, Channel
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.reports import ReportBatch

__all__ = [
    "GOOGLE",
    "META",
    "MICROSOFT",
    "TIKTOK",
    "UNLIMITED",
    "Step",
    "make_flat_family",
    "make_plan",
    "run",
    "start",
]

GOOGLE, META, TIKTOK, MICROSOFT = (CHANNELS.index(c) for c in Channel)

UNLIMITED = 1e6
"""A daily budget that never binds, in currency units."""

Step = tuple[ReportBatch, Outcome]

_NO_SPREAD = dict.fromkeys(
    (name for name in FamilyConfig.model_fields if name.endswith(("_log_sd", "_drift_sd"))),
    0.0,
)


def make_flat_family(**overrides: Any) -> FamilyConfig:
    """A family in which every hour is exactly its calibrated expectation and no budget binds."""
    numbers: dict[str, Any] = {
        **_NO_SPREAD,
        "hourly_volume_sd": 0.0,
        "hourly_price_sd": 0.0,
        "shock_rate_per_day": 0.0,
        "season_amplitude": 0.0,
        "fatigue_per_exposure": 0.0,
        "daily_budget_micros": int(4 * UNLIMITED * MICROS),
    }
    return FamilyConfig(**{"name": "flat", **numbers, **overrides})


def make_plan(
    worlds: int,
    bid: Sequence[float] | float,
    budget: Sequence[float] | float = UNLIMITED,
    modifier: np.ndarray | None = None,
    paused: Sequence[int] = (),
) -> PlanBatch:
    """The same plan for every world; bids and budgets by channel, or one number for all."""
    active = np.ones((worlds, NUM_CHANNELS), dtype=np.bool_)
    active[:, list(paused)] = False
    shape = (worlds, NUM_CHANNELS)
    return PlanBatch.from_currency(np.broadcast_to(bid, shape), np.broadcast_to(budget, shape), modifier, active)


def start(family: FamilyConfig, worlds: int = 1, first_seed: int = 0) -> BatchedMarket:
    """A market with fresh worlds of the training split."""
    market = BatchedMarket(family, worlds)
    market.reset(make_world_keys("train", first_seed, worlds))
    return market


def run(market: BatchedMarket, plan: PlanBatch, hours: int) -> list[Step]:
    """Holds one plan for some hours."""
    return [market.step(plan) for _ in range(hours)]
