"""What delivery needs and remembers: platform and family numbers, state of the worlds, workspace."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.market.exogenous import CREATIVES
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.channels import CHANNELS, NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.platform_rules import PLATFORM_RULES
from gaelp_rl.domain.reports import FloatArray, IntArray

__all__ = [
    "ATTRIBUTION_HOURS",
    "DELAY_RING_HOURS",
    "LAG_RING_HOURS",
    "ROW_FIELDS",
    "CellArrays",
    "DeliveryParams",
    "DeliveryState",
    "make_cell_arrays",
    "make_delivery_params",
    "make_delivery_state",
]

ATTRIBUTION_HOURS = 720
"""A conversion that comes later than this after its click is never reported: 30 days."""

DELAY_RING_HOURS = 744
"""Hours ahead for which reported conversions are scheduled: the attribution window and the lags."""

LAG_RING_HOURS = 4
"""Hours that wait for their report; more than any channel's lag."""

ROW_FIELDS = 3 + 2 * NUM_DEVICES
"""Numbers in a report row: impressions, clicks, spend micros, then both counts by device."""


class DeliveryParams(NamedTuple):
    """The numbers of a family and of the platforms that delivery needs."""

    account_limit_micros: int
    over_delivery: FloatArray
    max_edits_per_day: IntArray
    max_edit_ratio: FloatArray
    lag_hours: IntArray
    conversion_lag_hours: IntArray
    pacing_log_sd: float
    fatigue_per_exposure: float
    learning_price_factor: float
    learning_conversion_factor: float
    learning_hours: int
    delay_immediate: float
    delay_weights: FloatArray
    delay_mean_hours: FloatArray


class DeliveryState(NamedTuple):
    """Per world: what delivery remembers. Shapes [worlds, channels] unless said.

    ``exposures`` [worlds, channels, creatives]: impressions per person of each creative;
    ``arrivals`` [worlds, ring, channels]: conversions by the hour in which they will be reported;
    ``rows`` [worlds, lag ring, channels, ``ROW_FIELDS``]: recent hours as reports will show them;
    ``share_sums`` and ``share_yesterday`` [worlds, channels, 3]: eligible, won and budget-lost
    impressions of the hours in which the channel was active.
    """

    spend_today_micros: IntArray
    highest_budget: FloatArray
    pacing_factor: FloatArray
    bid: FloatArray
    budget: FloatArray
    edits_today: IntArray
    learning_hours_left: IntArray
    exposures: FloatArray
    generation_seen: IntArray
    arrivals: NDArray[np.int32]
    rows: IntArray
    click_quality: FloatArray
    share_sums: FloatArray
    share_yesterday: FloatArray


class CellArrays(NamedTuple):
    """Workspace of one hour, float64 or int64 [worlds, cells], the last two [worlds, channels].

    A cell is a (channel, device) pair; ``impressions`` is expected, before pacing; ``median`` is of
    the highest competing bid, ``share`` what the bid wins, ``price`` the mean price of a won click.
    """

    bid: FloatArray
    median: FloatArray
    share: FloatArray
    price: FloatArray
    price_variance: FloatArray
    ctr: FloatArray
    impressions: FloatArray
    clicks: IntArray
    expected_spend: FloatArray
    entered: FloatArray


def make_delivery_params(family: FamilyConfig) -> DeliveryParams:
    """Collects the family's numbers and the platforms' rules."""
    rules = [PLATFORM_RULES[channel] for channel in CHANNELS]
    return DeliveryParams(
        account_limit_micros=family.daily_budget_micros,
        over_delivery=np.array([r.over_delivery for r in rules]),
        max_edits_per_day=np.array([r.max_edits_per_day for r in rules], dtype=np.int64),
        max_edit_ratio=np.array([r.max_edit_ratio for r in rules]),
        lag_hours=np.array([r.lag_hours for r in rules], dtype=np.int64),
        conversion_lag_hours=np.array([r.conversion_lag_hours for r in rules], dtype=np.int64),
        pacing_log_sd=family.pacing_log_sd,
        fatigue_per_exposure=family.fatigue_per_exposure,
        learning_price_factor=family.learning_price_factor,
        learning_conversion_factor=family.learning_conversion_factor,
        learning_hours=family.learning_hours,
        delay_immediate=family.delay.immediate,
        delay_weights=np.array(family.delay.weights),
        delay_mean_hours=np.array(family.delay.mean_hours),
    )


def make_delivery_state(num_worlds: int) -> DeliveryState:
    """State of worlds in which nothing has been delivered yet."""
    grid = (num_worlds, NUM_CHANNELS)
    return DeliveryState(
        spend_today_micros=np.zeros(grid, dtype=np.int64),
        highest_budget=np.zeros(grid),
        pacing_factor=np.ones(grid),
        bid=np.zeros(grid),
        budget=np.zeros(grid),
        edits_today=np.zeros(grid, dtype=np.int64),
        learning_hours_left=np.zeros(grid, dtype=np.int64),
        exposures=np.zeros((*grid, CREATIVES)),
        generation_seen=np.full((*grid, CREATIVES), -1, dtype=np.int64),
        arrivals=np.zeros((num_worlds, DELAY_RING_HOURS, NUM_CHANNELS), dtype=np.int32),
        rows=np.zeros((num_worlds, LAG_RING_HOURS, NUM_CHANNELS, ROW_FIELDS), dtype=np.int64),
        click_quality=np.ones(grid),
        share_sums=np.zeros((*grid, 3)),
        share_yesterday=np.zeros((*grid, 3)),
    )


def make_cell_arrays(num_worlds: int) -> CellArrays:
    """Uninitialised workspace for ``deliver_hour``."""
    cells, grid = (num_worlds, NUM_CHANNELS * NUM_DEVICES), (num_worlds, NUM_CHANNELS)
    return CellArrays(
        bid=np.empty(cells),
        median=np.empty(cells),
        share=np.empty(cells),
        price=np.empty(cells),
        price_variance=np.empty(cells),
        ctr=np.empty(cells),
        impressions=np.empty(cells),
        clicks=np.empty(cells, dtype=np.int64),
        expected_spend=np.empty(grid),
        entered=np.empty(grid),
    )
