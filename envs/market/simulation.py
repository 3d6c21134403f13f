"""Runs a planner through whole worlds and keeps the books that judgement needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from envs.market.market import BatchedMarket
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.control.change_limits import limit_changes
from gaelp_rl.control.planner import Planner
from gaelp_rl.domain.channels import NUM_CHANNELS
from gaelp_rl.domain.ledger import HOURS_PER_DAY, ReportLedger
from gaelp_rl.domain.reports import FloatArray, IntArray

__all__ = ["NeedsMarket", "WorldBooks", "make_ledger", "simulate_planner"]


@runtime_checkable
class NeedsMarket(Protocol):
    """A diagnostic planner that reads the market's hidden state; never a comparator."""

    def attach(self, market: BatchedMarket) -> None:
        """Gives it the market that it will plan for."""
        ...


@dataclass(frozen=True, slots=True)
class WorldBooks:
    """What one planner did in each world, by day.

    Attributes:
        expected_conversions: float64 [worlds, days, channels]; realised clicks x true CVR.
        conversions: float64 [worlds, days, channels]; drawn.
        spend_micros: int64 [worlds, days, channels].
        clicks: int64 [worlds, days, channels].
        edits: int64 [worlds, days, channels]; hours in which bid or budget changed.
        edit_size: float64 [worlds, days, channels]; sum of absolute log changes of the bid.
        learning_hours: int64 [worlds, days, channels].
    """

    expected_conversions: FloatArray
    conversions: FloatArray
    spend_micros: IntArray
    clicks: IntArray
    edits: IntArray
    edit_size: FloatArray
    learning_hours: IntArray


def make_ledger(market: BatchedMarket) -> ReportLedger:
    """An empty ledger for the market's worlds; its delay is the family's published one."""
    family = market.family
    return ReportLedger(market.num_worlds, market.profile, family.delay.scale(family.delay_scale))


def simulate_planner(
    planner: Planner,
    family: FamilyConfig,
    keys: NDArray[np.uint64],
    on_hour: Callable[[int, int], None] | None = None,
) -> WorldBooks:
    """Runs one planner through the worlds of ``keys``, 28 days each.

    Args:
        planner: decides from reports alone; its plans pass the platforms' change limits.
        family: the worlds' family.
        keys: uint64 [worlds]; see ``noise.make_world_keys``.
        on_hour: called with (hours so far, hours in all) for progress.

    Returns:
        The books of all worlds.
    """
    market = BatchedMarket(family, len(keys))
    ledger = make_ledger(market)
    report = market.reset(keys)
    if isinstance(planner, NeedsMarket):
        planner.attach(market)
    ledger.observe(report)
    ledger.record_plan(market.make_initial_plan())
    planner.reset(ledger)
    shape = (len(keys), family.days, NUM_CHANNELS)
    books = WorldBooks(
        expected_conversions=np.zeros(shape),
        conversions=np.zeros(shape),
        spend_micros=np.zeros(shape, dtype=np.int64),
        clicks=np.zeros(shape, dtype=np.int64),
        edits=np.zeros(shape, dtype=np.int64),
        edit_size=np.zeros(shape),
        learning_hours=np.zeros(shape, dtype=np.int64),
    )
    for hour in range(market.num_hours):
        plan = limit_changes(planner.plan(ledger), ledger)
        report, outcome = market.step(plan)
        ledger.record_plan(plan)
        ledger.observe(report)
        day = hour // HOURS_PER_DAY
        books.expected_conversions[:, day] += outcome.expected_conversions
        books.conversions[:, day] += outcome.conversions
        books.spend_micros[:, day] += outcome.spend_micros
        books.clicks[:, day] += outcome.clicks
        books.edits[:, day] += outcome.edits
        books.edit_size[:, day] += outcome.edit_size
        books.learning_hours[:, day] += outcome.learning
        if on_hour is not None:
            on_hour(hour + 1, market.num_hours)
    return books
