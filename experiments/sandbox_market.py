"""The simulated market as the sandbox takes it: a campaign on each channel per world."""

from __future__ import annotations

import numpy as np

from connectors.sandbox.market import HourOutcome
from envs.market.market import BatchedMarket
from envs.market.noise import make_world_keys
from envs.market.recorder import MarketRecorder
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.money import MICROS, Micros
from gaelp_rl.domain.plans import PlanBatch

__all__ = ["SimulatedCampaigns"]


class SimulatedCampaigns:
    """``num_campaigns`` worlds side by side; campaign i of every channel lives in world i.

    With one campaign a channel the account is exactly the one that policies are trained on.
    """

    def __init__(self, family: FamilyConfig, num_campaigns: int = 1, seed: int = 0) -> None:
        """Starts the worlds.

        Args:
            family: of the worlds; its daily budget is that of each world.
            num_campaigns: on each channel.
            seed: of the worlds, drawn from those for validation.
        """
        self.num_campaigns = num_campaigns
        self.conversion_value_micros: Micros = family.objective.conversion_value_micros
        self._market = BatchedMarket(family, num_campaigns)
        self._market.reset(make_world_keys("validation", seed, num_campaigns))
        self._recorder = MarketRecorder(self._market, seed)

    def make_initial_plan(self) -> PlanBatch:
        """Median bids and an even split; see ``BatchedMarket.make_initial_plan``."""
        plan = self._market.make_initial_plan()
        cent = MICROS // 100
        return PlanBatch(
            np.maximum(plan.bid_micros // cent * cent, cent),
            plan.daily_budget_micros // cent * cent,
            plan.device_modifier,
            plan.active,
        )

    def step(self, plan: PlanBatch) -> HourOutcome:
        """Delivers the next hour."""
        self._recorder.step(plan)
        hour = self._recorder.read_last_hour()
        return HourOutcome(
            impressions=hour.impressions,
            clicks=hour.clicks,
            spend_micros=hour.spend_micros,
            eligible=hour.eligible,
            lost_to_budget=hour.lost_to_budget,
            conversions=hour.arrivals[:, [0, 2, 3, 4]],
        )
