"""Bid plans as arrays: the only thing that a policy ever says to a market.

``BidPlan`` (``bid_plan.py``) is one account's plan as a live platform takes it; ``PlanBatch`` is
the same for many accounts at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.domain.channels import NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.reports import FloatArray, IntArray

__all__ = ["PlanBatch"]


@dataclass(frozen=True, slots=True)
class PlanBatch:
    """Absolute bids and budgets for the coming hour, for every world.

    Attributes:
        bid_micros: int64 [worlds, channels]; most to pay for one click, before modifiers.
        daily_budget_micros: int64 [worlds, channels]; nominal daily budget of the channel.
        device_modifier: float64 [worlds, channels, devices]; multiplies the bid; 1 where the
            platform has no device bid modifiers.
        active: bool [worlds, channels]; False pauses the channel.
    """

    bid_micros: IntArray
    daily_budget_micros: IntArray
    device_modifier: FloatArray
    active: NDArray[np.bool_]

    @property
    def num_worlds(self) -> int:
        """The length of the leading axis."""
        return int(self.bid_micros.shape[0])

    @staticmethod
    def from_currency(
        bid: FloatArray,
        daily_budget: FloatArray,
        device_modifier: FloatArray | None = None,
        active: NDArray[np.bool_] | None = None,
    ) -> PlanBatch:
        """Rounds bids and budgets in currency units to whole cents, in micros.

        Args:
            bid: float64 [worlds, channels], currency units per click.
            daily_budget: float64 [worlds, channels], currency units per day.
            device_modifier: float64 [worlds, channels, devices], or None for 1.
            active: bool [worlds, channels], or None for True.

        Returns:
            The plan. Cents are the smallest unit that every platform accepts.
        """
        worlds = bid.shape[0]
        if device_modifier is None:
            device_modifier = np.ones((worlds, NUM_CHANNELS, NUM_DEVICES))
        if active is None:
            active = np.ones((worlds, NUM_CHANNELS), dtype=np.bool_)
        cents = 10_000
        return PlanBatch(
            bid_micros=np.rint(bid * 100).astype(np.int64) * cents,
            daily_budget_micros=np.rint(daily_budget * 100).astype(np.int64) * cents,
            device_modifier=device_modifier,
            active=active,
        )
