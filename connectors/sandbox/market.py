"""What the sandbox needs of a market. It is handed one: connectors know no simulator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gaelp_rl.domain.money import Micros
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.reports import FloatArray, IntArray

__all__ = ["HourOutcome", "SandboxMarket"]


@dataclass(frozen=True, slots=True)
class HourOutcome:
    """What one hour brought to every campaign, as reports will show it in the end.

    Attributes:
        impressions: int64 [campaigns, channels, devices].
        clicks: int64 [campaigns, channels, devices].
        spend_micros: int64 [campaigns, channels, devices].
        eligible: int64 [campaigns, channels, devices]; impressions that could have been won.
        lost_to_budget: float64 [campaigns, channels]; share of eligible impressions.
        conversions: int64 [conversions, 4]; of each its campaign, channel, device, and the hours that
            pass after the first moment at which it could be reported.
    """

    impressions: IntArray
    clicks: IntArray
    spend_micros: IntArray
    eligible: IntArray
    lost_to_budget: FloatArray
    conversions: IntArray


class SandboxMarket(Protocol):
    """Campaigns on all channels, stepped hour by hour.

    Attributes:
        num_campaigns: on each channel; the leading axis of plans and outcomes.
        conversion_value_micros: what a conversion is worth.
    """

    num_campaigns: int
    conversion_value_micros: Micros

    def make_initial_plan(self) -> PlanBatch:
        """What runs before anybody changes it; ``worlds`` are campaigns."""
        ...

    def step(self, plan: PlanBatch) -> HourOutcome:
        """Delivers the next hour under a plan."""
        ...
