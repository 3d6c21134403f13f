"""Bid plans as arrays: the only thing that a policy ever says to a market.

``BidPlan`` (``bid_plan.py``) is one account's plan as a live platform takes it; ``PlanBatch`` is
the same for many accounts at once. The former knows no numpy, so that connectors load fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.domain.bid_plan import BidPlan, ChannelPlan, PlanStatus
from gaelp_rl.domain.channels import CHANNEL_BID_KIND, CHANNELS, DEVICES, NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.reports import FloatArray, IntArray

__all__ = ["PlanBatch", "make_bid_plan", "make_plan_batch"]


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


def make_bid_plan(
    batch: PlanBatch,
    world: int,
    *,
    account: str,
    currency: str,
    made_at: datetime,
    valid_for_hour: datetime,
) -> BidPlan:
    """Takes one world out of a batch of plans.

    Args:
        batch: plans of all worlds.
        world: index on the leading axis.
        account: the advertiser's account.
        currency: ISO 4217 code in which the batch's micros are counted.
        made_at: aware UTC.
        valid_for_hour: aware UTC.

    Returns:
        The plan, with each channel's own kind of bid. ``make_plan_batch`` is the inverse.

    Raises:
        PlanError: the world's plan cannot be carried out; it names the channel and field.
    """
    channels = {
        channel: ChannelPlan(
            bid_micros=int(batch.bid_micros[world, c]),
            kind=CHANNEL_BID_KIND[channel],
            daily_budget_micros=int(batch.daily_budget_micros[world, c]),
            device_modifiers={device: float(batch.device_modifier[world, c, d]) for d, device in enumerate(DEVICES)},
            status=PlanStatus.ENABLED if batch.active[world, c] else PlanStatus.PAUSED,
        )
        for c, channel in enumerate(CHANNELS)
    }
    return BidPlan(account, made_at, valid_for_hour, currency, channels)


def make_plan_batch(plan: BidPlan) -> PlanBatch:
    """Writes one account's plan as arrays with ``worlds = 1``; the inverse of ``make_bid_plan``.

    Args:
        plan: any valid plan.

    Returns:
        The batch.
    """
    plans = [plan.channels[channel] for channel in CHANNELS]
    return PlanBatch(
        bid_micros=np.array([[p.bid_micros for p in plans]], dtype=np.int64),
        daily_budget_micros=np.array([[p.daily_budget_micros for p in plans]], dtype=np.int64),
        device_modifier=np.array([[[p.device_modifiers[device] for device in DEVICES] for p in plans]]),
        active=np.array([[p.status is PlanStatus.ENABLED for p in plans]]),
    )
