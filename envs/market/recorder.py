"""What an account would find in its reports about every past hour, noted while a market runs.

A ``ReportBatch`` tells what became known in an hour; a platform's report tells what is known about
one. The recorder stands beside a market and notes, hour by hour, what a row needs and the batch
does not hold: eligible impressions, and to which click hour each conversion belongs. What the market
keeps by channel only (spend, conversions) is split over devices in proportion to what each was
expected to bring.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.market.delivery_state import DELAY_RING_HOURS, LAG_RING_HOURS
from envs.market.market import BatchedMarket
from envs.market.outcome import Outcome
from gaelp_rl.domain.channels import NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.reports import FloatArray, IntArray, ReportBatch

__all__ = ["HourRecord", "MarketRecord", "MarketRecorder"]


@dataclass(frozen=True, slots=True)
class MarketRecord:
    """All hours of all worlds, as reports will show them once all conversions have come.

    Attributes:
        impressions: int64 [worlds, hours, channels, devices].
        clicks: int64 [worlds, hours, channels, devices].
        spend_micros: int64 [worlds, hours, channels, devices].
        eligible: int64 [worlds, hours, channels, devices]; impressions that could have been won.
        lost_to_budget: float64 [worlds, hours, channels]; share of eligible impressions.
        bid: float64 [worlds, hours, channels, devices]; in force, modifiers included, currency units.
        daily_budget: float64 [worlds, hours, channels]; in force.
        active: bool [worlds, hours, channels]; whether the plan in force lets the channel run.
        arrivals: int64 [conversions, 5]; of every conversion its world, click hour, channel, device
            and age: hours after the first moment at which it could have been reported.
    """

    impressions: IntArray
    clicks: IntArray
    spend_micros: IntArray
    eligible: IntArray
    lost_to_budget: FloatArray
    bid: FloatArray
    daily_budget: FloatArray
    active: NDArray[np.bool_]
    arrivals: IntArray


@dataclass(frozen=True, slots=True)
class HourRecord:
    """One hour of all worlds; fields as in ``MarketRecord``, without its axis of hours."""

    impressions: IntArray
    clicks: IntArray
    spend_micros: IntArray
    eligible: IntArray
    lost_to_budget: FloatArray
    arrivals: IntArray


class MarketRecorder:
    """Steps a market and notes its hours."""

    def __init__(self, market: BatchedMarket, seed: int = 0) -> None:
        """Takes a market that has been reset.

        Args:
            market: at hour 0; step it only through the recorder.
            seed: of the draws that split channels into devices and count impressions that were lost.
        """
        self._market = market
        self._rng = np.random.default_rng(seed)
        self._hours: list[dict[str, NDArray[Any]]] = []
        self._arrivals: list[IntArray] = []
        lags = market.profile.lag_hours + market.profile.conversion_lag_hours
        self._lags: IntArray = lags

    def step(self, plan: PlanBatch) -> tuple[ReportBatch, Outcome]:
        """Steps the market; see ``BatchedMarket.step``."""
        market, hour = self._market, self._market.hour
        before = market._delivery.arrivals.copy()
        report, outcome = market.step(plan)
        after = market._delivery.arrivals.astype(np.int64)
        after[:, market.hour % DELAY_RING_HOURS] = report.conversions
        self._note_hour(hour)
        self._note_arrivals(hour, after - before)
        return report, outcome

    def read_last_hour(self) -> HourRecord:
        """The hour that was stepped last."""
        hour = self._hours[-1]
        names = ("impressions", "clicks", "spend_micros", "eligible", "lost_to_budget")
        return HourRecord(**{name: hour[name] for name in names}, arrivals=self._arrivals[-1])

    def make_record(self) -> MarketRecord:
        """All hours that were stepped."""
        columns = {name: np.stack([hour[name] for hour in self._hours], axis=1) for name in self._hours[0]}
        return MarketRecord(**columns, arrivals=np.concatenate(self._arrivals))

    def _note_hour(self, hour: int) -> None:
        market = self._market
        cells, delivery, worlds = market._cells, market._delivery, market.num_worlds
        grid = (worlds, NUM_CHANNELS, NUM_DEVICES)
        rows = delivery.rows[:, hour % LAG_RING_HOURS]
        impressions, clicks = rows[:, :, 3 : 3 + NUM_DEVICES].copy(), rows[:, :, 3 + NUM_DEVICES :].copy()
        share, entered = cells.share.reshape(grid), cells.entered[:, :, None]
        demand = market._exogenous.hour_impressions[:, :, None] * market._tables.device_share
        lost = self._rng.poisson(demand * (1.0 - share * entered))
        won = (market._tables.device_share * share).sum(axis=2)
        self._hours.append(
            {
                "impressions": impressions,
                "clicks": clicks,
                "spend_micros": _split(rows[:, :, 2], clicks * cells.price.reshape(grid)),
                "eligible": impressions + lost,
                "lost_to_budget": won * (1.0 - entered[:, :, 0]),
                "bid": cells.bid.reshape(grid).copy(),
                "daily_budget": delivery.budget.copy(),
                "active": np.asarray(cells.bid.reshape(grid).any(axis=2)),
            }
        )

    def _note_arrivals(self, hour: int, new: IntArray) -> None:
        """Notes the conversions that this hour's clicks will bring, each with a device of its own."""
        market = self._market
        world, slot, channel = np.nonzero(new)
        count = new[world, slot, channel]
        world, slot, channel = (np.repeat(where, count) for where in (world, slot, channel))
        age = (slot - hour - 1) % DELAY_RING_HOURS - self._lags[channel]
        clicks = self._hours[-1]["clicks"]
        weight = clicks[world, channel] * market._exogenous.device_conversion[world, channel]
        reach = weight.cumsum(axis=1)
        drawn = self._rng.random(world.size) * reach[:, -1]
        device = (drawn[:, None] >= reach).sum(axis=1)
        self._arrivals.append(np.column_stack((world, np.full(world.size, hour), channel, device, age)))


def _split(total: IntArray, weight: FloatArray) -> IntArray:
    """Splits whole amounts over the last axis in proportion, exactly; all in the first where nothing weighs."""
    whole = weight.sum(axis=2, keepdims=True)
    part = np.floor(total[:, :, None] * weight / np.where(whole > 0.0, whole, 1.0)).astype(np.int64)
    heaviest = weight.argmax(axis=2)[:, :, None]
    rest = total - part.sum(axis=2)
    np.put_along_axis(part, heaviest, np.take_along_axis(part, heaviest, axis=2) + rest[:, :, None], axis=2)
    return part
