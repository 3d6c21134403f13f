"""A market small enough to check by hand, and sandbox servers over it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from connectors.calls import Timer
from connectors.hours import ReportWindow
from connectors.platform import PlatformConnector
from connectors.registry import make_connector
from connectors.sandbox.faults import Fault, FaultKind, FaultScript
from connectors.sandbox.market import HourOutcome
from connectors.sandbox.servers import SandboxServers
from connectors.sandbox.world import SandboxWorld
from connectors.settings import WriteMode
from gaelp_rl.domain.bid_plan import BidPlan, ChannelPlan, PlanStatus
from gaelp_rl.domain.channels import CHANNEL_BID_KIND, CHANNELS, DEVICES, Device
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.plans import PlanBatch

PLATFORMS = ("google", "meta", "tiktok", "microsoft", "ga4")
CHANNEL_PLATFORMS = PLATFORMS[:4]
FIRST_DAY = date(2026, 11, 2)
NO_WAIT = Timer(sleep=lambda _: None)


class TinyMarket:
    """Poisson clicks at half the bid; conversions up to 30 hours late. A function of its seed and the plans."""

    conversion_value_micros = 100 * MICROS

    def __init__(self, num_campaigns: int = 2, seed: int = 0) -> None:
        self.num_campaigns = num_campaigns
        self._rng = np.random.default_rng(seed)

    def make_initial_plan(self) -> PlanBatch:
        shape = (self.num_campaigns, len(CHANNELS))
        return PlanBatch.from_currency(np.full(shape, 1.5), np.full(shape, 60.0))

    def step(self, plan: PlanBatch) -> HourOutcome:
        shape = (self.num_campaigns, len(CHANNELS), len(DEVICES))
        active = plan.active[:, :, None] & (plan.daily_budget_micros[:, :, None] > 0)
        eligible = self._rng.poisson(40.0, shape)
        impressions = np.where(active, self._rng.binomial(eligible, 0.6), 0)
        clicks = self._rng.binomial(impressions, 0.2)
        price = plan.bid_micros[:, :, None] * plan.device_modifier / 2
        spend = (clicks * price).astype(np.int64) + clicks * 7
        conversions = self._rng.binomial(clicks, 0.2)
        campaign, channel, device = (np.repeat(at, conversions[conversions > 0]) for at in conversions.nonzero())
        age = self._rng.integers(0, 31, campaign.size)
        return HourOutcome(
            impressions=impressions,
            clicks=clicks,
            spend_micros=spend,
            eligible=eligible,
            lost_to_budget=np.full(shape[:2], 0.1),
            conversions=np.column_stack((campaign, channel, device, age)),
        )


def make_world(
    hours: int = 30, *, campaigns: int = 2, zone: str = "UTC", first_day: date = FIRST_DAY, seed: int = 0
) -> SandboxWorld:
    world = SandboxWorld(TinyMarket(campaigns, seed), first_day, ZoneInfo(zone))
    world.advance(hours)
    return world


def connect(servers: SandboxServers, name: str, **options: Any) -> PlatformConnector:
    options = {
        "writes": WriteMode.SANDBOX,
        "timer": NO_WAIT,
        "clock": lambda: servers.world.now,
        **options,
    }
    return make_connector(name, servers.config, servers.make_source(), **options)


def make_plan(world: SandboxWorld, change: Callable[[ChannelPlan], ChannelPlan] | None = None) -> BidPlan:
    """One plan for all channels: $2.34 a click, $150 a day, mobile +10 %."""
    channels = {}
    for channel in CHANNELS:
        plan = ChannelPlan(
            bid_micros=2_345_678,
            kind=CHANNEL_BID_KIND[channel],
            daily_budget_micros=150_000_000,
            device_modifiers={Device.MOBILE: 1.1, Device.DESKTOP: 0.9, Device.TABLET: 1.0},
            status=PlanStatus.ENABLED,
        )
        channels[channel] = change(plan) if change else plan
    return BidPlan("acme", world.now, world.now, "USD", channels)


def whole_window(world: SandboxWorld) -> ReportWindow:
    return ReportWindow(world.start, world.now)


def script(kind: FaultKind, calls: str = "any", **fault: Any) -> FaultScript:
    settings = {"probability": 0.0, "wait_s": 0.01, "stall_s": 0.0, **fault}
    return FaultScript(faults=(Fault(kind=kind, calls=calls, **settings),))
