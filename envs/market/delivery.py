"""How the platforms deliver a plan for one hour: pacing, auctions, clicks, conversions.

Each cell (channel, device) is the aggregate of its auctions: wins, clicks and conversions of
Poisson demand are binomial thinnings, prices are moments of the truncated competing bid. Budgets
bind twice: each platform paces to its own daily budget (with its over-delivery), and the account's
spending limit stops everything at the advertiser's daily budget to the micro.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.market.exogenous import CREATIVES, ExogenousState, MarketTables
from envs.market.noise import sample_binomial, sample_normal, sample_poisson, sample_uniform
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.channels import CHANNELS, NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.landscape import compute_win_moments
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.platform_rules import PLATFORM_RULES
from gaelp_rl.domain.reports import FloatArray, IntArray

__all__ = [
    "DELAY_RING_HOURS",
    "CellArrays",
    "DeliveryParams",
    "DeliveryState",
    "Outcome",
    "deliver_hour",
    "make_cell_arrays",
    "make_delivery_params",
    "make_delivery_state",
]

DELAY_RING_HOURS = 744
"""Hours ahead for which reported conversions are scheduled: 30 days of attribution and the lags."""

_ATTRIBUTION_HOURS = 720
_LAG_RING_HOURS = 4
_DAILY_SLOT, _CELL_SLOT, _DELAY_SLOT = 64, 128, 512
_CATCH_UP = 1.5
_CENT = 0.01


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
    ``rows`` [worlds, lag ring, channels, 3 + 2 devices]: recent impressions, clicks, spend micros,
    then impressions and clicks by device; ``share_sums`` and
    ``share_yesterday`` [worlds, channels, 3]: eligible, won and budget-lost impressions.
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

    A cell is a (channel, device) pair; ``impressions`` is expected, before pacing.
    """

    bid: FloatArray
    price: FloatArray
    price_variance: FloatArray
    ctr: FloatArray
    impressions: FloatArray
    clicks: IntArray
    expected_spend: FloatArray
    entered: FloatArray


class Outcome(NamedTuple):
    """What truly happened in the hour, for reward and judgement; never part of a report.

    Attributes:
        spend_micros: int64 [worlds, channels].
        expected_conversions: float64 [worlds, channels]; realised clicks times their true CVR.
        conversions: int64 [worlds, channels]; drawn, reported or not.
        clicks: int64 [worlds, channels].
        edits: int64 [worlds, channels]; 1 where bid or budget changed.
        edit_size: float64 [worlds, channels]; absolute log change of the bid.
        learning: int64 [worlds, channels]; 1 in a learning phase.
    """

    spend_micros: IntArray
    expected_conversions: FloatArray
    conversions: IntArray
    clicks: IntArray
    edits: IntArray
    edit_size: FloatArray
    learning: IntArray


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
        rows=np.zeros((num_worlds, _LAG_RING_HOURS, NUM_CHANNELS, 3 + 2 * NUM_DEVICES), dtype=np.int64),
        click_quality=np.ones(grid),
        share_sums=np.zeros((*grid, 3)),
        share_yesterday=np.zeros((*grid, 3)),
    )


def make_cell_arrays(num_worlds: int) -> CellArrays:
    """Uninitialised workspace for ``deliver_hour``."""
    cells, grid = (num_worlds, NUM_CHANNELS * NUM_DEVICES), (num_worlds, NUM_CHANNELS)
    return CellArrays(
        bid=np.empty(cells),
        price=np.empty(cells),
        price_variance=np.empty(cells),
        ctr=np.empty(cells),
        impressions=np.empty(cells),
        clicks=np.empty(cells, dtype=np.int64),
        expected_spend=np.empty(grid),
        entered=np.empty(grid),
    )


@njit(cache=True, error_model="numpy")
def _start_day(hour: int, keys: NDArray[np.uint64], state: DeliveryState, params: DeliveryParams) -> None:
    for w, c in np.ndindex(state.bid.shape):
        state.spend_today_micros[w, c] = 0
        state.highest_budget[w, c] = 0.0
        state.edits_today[w, c] = 0
        for i in range(3):
            state.share_yesterday[w, c, i] = state.share_sums[w, c, i]
            state.share_sums[w, c, i] = 0.0
        noise = sample_normal(keys[w], hour, _DAILY_SLOT + c * 4 + 3)
        sd = params.pacing_log_sd * math.log(params.over_delivery[c]) / math.log(2.0)
        state.pacing_factor[w, c] = min(math.exp(sd * noise), params.over_delivery[c])


@njit(cache=True, error_model="numpy")
def _take_plan(
    bid: FloatArray, budget: FloatArray, state: DeliveryState, params: DeliveryParams, outcome: Outcome
) -> None:
    """Puts bids and budgets in force; a large or frequent edit restarts the learning phase."""
    for w, c in np.ndindex(bid.shape):
        if state.learning_hours_left[w, c] > 0:
            state.learning_hours_left[w, c] -= 1
        old_bid, old_budget = state.bid[w, c], state.budget[w, c]
        if bid[w, c] != old_bid or budget[w, c] != old_budget:
            state.edits_today[w, c] += 1
            outcome.edits[w, c] = 1
            outcome.edit_size[w, c] = abs(math.log(max(bid[w, c], _CENT) / max(old_bid, _CENT)))
            ratio = params.max_edit_ratio[c]
            too_large = (
                abs(bid[w, c] - old_bid) > ratio * old_bid + _CENT
                or abs(budget[w, c] - old_budget) > ratio * old_budget + _CENT
            )
            if too_large or state.edits_today[w, c] > params.max_edits_per_day[c]:
                state.learning_hours_left[w, c] = params.learning_hours
        state.bid[w, c] = bid[w, c]
        state.budget[w, c] = budget[w, c]
        state.highest_budget[w, c] = max(state.highest_budget[w, c], budget[w, c])
        outcome.learning[w, c] = 1 if state.learning_hours_left[w, c] > 0 else 0


@njit(cache=True, error_model="numpy")
def _update_click_quality(exogenous: ExogenousState, state: DeliveryState, params: DeliveryParams) -> None:
    """Mean CTR factor of the creatives that are being served, fatigue included."""
    for w, c in np.ndindex(state.click_quality.shape):
        quality = 0.0
        for k in range(CREATIVES):
            if exogenous.creative_generation[w, c, k] != state.generation_seen[w, c, k]:
                state.generation_seen[w, c, k] = exogenous.creative_generation[w, c, k]
                state.exposures[w, c, k] = 0.0
            fatigue = 1.0
            if state.exposures[w, c, k] > 0.0:
                fatigue = math.exp(-params.fatigue_per_exposure * state.exposures[w, c, k])
            quality += exogenous.creative_quality[w, c, k] * fatigue
        state.click_quality[w, c] = quality / CREATIVES


@njit(cache=True, error_model="numpy")
def _price_cells(
    bid: FloatArray,
    modifier: FloatArray,
    active: NDArray[np.bool_],
    exogenous: ExogenousState,
    state: DeliveryState,
    params: DeliveryParams,
    tables: MarketTables,
    outcome: Outcome,
    cells: CellArrays,
) -> None:
    """Expected impressions, prices and CTR of every cell if the platform entered all auctions."""
    for w, c in np.ndindex(bid.shape):
        learning_price = params.learning_price_factor if outcome.learning[w, c] == 1 else 1.0
        sigma, first_price = tables.sigma[c], tables.first_price[c]
        expected = 0.0
        for d in range(NUM_DEVICES):
            i = c * NUM_DEVICES + d
            median = exogenous.hour_price[w, c] * tables.device_price[c, d] * learning_price
            cell_bid = bid[w, c] * modifier[w, c, d] if active[w, c] else 0.0
            share, mean, variance = compute_win_moments(cell_bid, median, sigma, first_price)
            cells.bid[w, i] = cell_bid
            cells.price[w, i] = mean
            cells.price_variance[w, i] = variance
            cells.ctr[w, i] = min(exogenous.ctr[w, c] * tables.device_ctr[c, d] * state.click_quality[w, c], 0.95)
            cells.impressions[w, i] = exogenous.hour_impressions[w, c] * tables.device_share[c, d] * share
            expected += cells.impressions[w, i] * cells.ctr[w, i] * mean
        cells.expected_spend[w, c] = expected


@njit(cache=True, error_model="numpy")
def _pace(hour: int, state: DeliveryState, params: DeliveryParams, tables: MarketTables, cells: CellArrays) -> None:
    """Share of auctions entered: the platforms pace to their budgets, the account to its limit."""
    hour_of_day = hour % 24
    for w in range(state.bid.shape[0]):
        total_expected = 0.0
        left_micros = params.account_limit_micros
        for c in range(NUM_CHANNELS):
            left_micros -= state.spend_today_micros[w, c]
            expected = cells.expected_spend[w, c]
            target = min(
                state.budget[w, c] * state.pacing_factor[w, c], params.over_delivery[c] * state.highest_budget[w, c]
            )
            left = max(target - state.spend_today_micros[w, c] / MICROS, 0.0)
            share_of_rest = tables.hour_traffic[c, hour_of_day] / tables.hour_traffic_left[c, hour_of_day]
            allowance = min(left * share_of_rest * _CATCH_UP, left)
            cells.entered[w, c] = min(1.0, allowance / expected) if expected > 0.0 else 0.0
            total_expected += cells.entered[w, c] * expected
        if total_expected * MICROS > left_micros:
            for c in range(NUM_CHANNELS):
                cells.entered[w, c] *= left_micros / (total_expected * MICROS)


@njit(cache=True, error_model="numpy")
def _draw_clicks(
    hour: int,
    exogenous: ExogenousState,
    state: DeliveryState,
    params: DeliveryParams,
    cells: CellArrays,
    outcome: Outcome,
) -> None:
    """Draws impressions, clicks and spend of every cell; stops at the account's limit."""
    slot_of_row = hour % _LAG_RING_HOURS
    for w in range(state.bid.shape[0]):
        key = exogenous.key[w]
        left_micros = params.account_limit_micros
        for c in range(NUM_CHANNELS):
            left_micros -= state.spend_today_micros[w, c]
        for shift in range(NUM_CHANNELS):
            c = (hour + shift) % NUM_CHANNELS
            impressions_sum, clicks_sum, spend_sum = 0, 0, 0
            for d in range(NUM_DEVICES):
                i = c * NUM_DEVICES + d
                slot = _CELL_SLOT + i * 4
                rate = cells.impressions[w, i] * cells.entered[w, c]
                ctr = cells.ctr[w, i]
                clicks = sample_poisson(rate * ctr, sample_uniform(key, hour, slot))
                impressions = clicks + sample_poisson(rate * (1.0 - ctr), sample_uniform(key, hour, slot + 1))
                spend = 0
                if clicks > 0:
                    mean = clicks * cells.price[w, i]
                    amount = mean
                    if cells.price_variance[w, i] > 0.0:
                        noise = math.sqrt(clicks * cells.price_variance[w, i]) * sample_normal(key, hour, slot + 2)
                        amount = min(max(mean + noise, 0.2 * mean), clicks * cells.bid[w, i])
                    spend = int(amount * MICROS + 0.5)
                    if spend > left_micros:
                        kept = int(clicks * (left_micros / spend))
                        spend = int(spend * (kept / clicks))
                        clicks = kept
                left_micros -= spend
                impressions_sum += impressions
                clicks_sum += clicks
                spend_sum += spend
                cells.clicks[w, i] = clicks
                state.rows[w, slot_of_row, c, 3 + d] = impressions
                state.rows[w, slot_of_row, c, 3 + NUM_DEVICES + d] = clicks
            state.rows[w, slot_of_row, c, 0] = impressions_sum
            state.rows[w, slot_of_row, c, 1] = clicks_sum
            state.rows[w, slot_of_row, c, 2] = spend_sum
            outcome.clicks[w, c] = clicks_sum
            outcome.spend_micros[w, c] = spend_sum
            state.spend_today_micros[w, c] += spend_sum


@njit(cache=True, error_model="numpy")
def _draw_conversions(
    hour: int,
    exogenous: ExogenousState,
    state: DeliveryState,
    params: DeliveryParams,
    cells: CellArrays,
    outcome: Outcome,
) -> None:
    """Draws each cell's conversions and books each into the hour of its report."""
    for w, c in np.ndindex(state.bid.shape):
        key = exogenous.key[w]
        channel_rate = exogenous.hour_conversion[w, c]
        if outcome.learning[w, c] == 1:
            channel_rate *= params.learning_conversion_factor
        first_report = hour + 1 + params.lag_hours[c] + params.conversion_lag_hours[c]
        expected, total = 0.0, 0
        for d in range(NUM_DEVICES):
            i = c * NUM_DEVICES + d
            if cells.clicks[w, i] == 0:
                continue
            rate = min(channel_rate * exogenous.device_conversion[w, c, d], 1.0)
            count = sample_binomial(cells.clicks[w, i], rate, sample_uniform(key, hour, _CELL_SLOT + i * 4 + 3))
            expected += cells.clicks[w, i] * rate
            total += count
            for n in range(count):
                slot = _DELAY_SLOT + i * 128 + (n % 64) * 2
                u = sample_uniform(key, hour, slot)
                delay = 0
                if u >= params.delay_immediate:
                    threshold = params.delay_immediate
                    component = 0
                    for k in range(params.delay_weights.shape[0]):
                        component = k
                        threshold += params.delay_weights[k]
                        if u < threshold:
                            break
                    mean = params.delay_mean_hours[component] * exogenous.delay_scale[w, c]
                    delay = 1 + int(-mean * math.log(sample_uniform(key, hour, slot + 1)))
                if delay <= _ATTRIBUTION_HOURS:
                    state.arrivals[w, (first_report + delay) % DELAY_RING_HOURS, c] += 1
        outcome.expected_conversions[w, c] = expected
        outcome.conversions[w, c] = total


@njit(cache=True, error_model="numpy")
def _remember(exogenous: ExogenousState, state: DeliveryState, tables: MarketTables, cells: CellArrays, slot: int) -> None:
    """Adds the hour to the day's impression shares and to the creatives' exposures."""
    for w, c in np.ndindex(state.bid.shape):
        won = 0.0
        for d in range(NUM_DEVICES):
            won += cells.impressions[w, c * NUM_DEVICES + d]
        state.share_sums[w, c, 0] += exogenous.hour_impressions[w, c]
        state.share_sums[w, c, 1] += won * cells.entered[w, c]
        state.share_sums[w, c, 2] += won * (1.0 - cells.entered[w, c])
        seen = state.rows[w, slot, c, 0] / CREATIVES / tables.audience_size[c]
        for k in range(CREATIVES):
            state.exposures[w, c, k] += seen


@njit(cache=True)
def deliver_hour(
    hour: int,
    bid: FloatArray,
    budget: FloatArray,
    modifier: FloatArray,
    active: NDArray[np.bool_],
    exogenous: ExogenousState,
    state: DeliveryState,
    params: DeliveryParams,
    tables: MarketTables,
    cells: CellArrays,
    outcome: Outcome,
) -> None:
    """Delivers one hour's plan in every world; fills ``outcome`` and the state's report rows.

    Args:
        hour: hours since the worlds' start.
        bid: float64 [worlds, channels]; currency units per click.
        budget: float64 [worlds, channels]; currency units per day.
        modifier: float64 [worlds, channels, devices].
        active: bool [worlds, channels].
        exogenous: advanced to ``hour``.
        state: updated in place.
        params: family and platform numbers.
        tables: calibration.
        cells: overwritten.
        outcome: written; ``edits`` and ``edit_size`` must be 0 before.
    """
    if hour % 24 == 0:
        _start_day(hour, exogenous.key, state, params)
    _take_plan(bid, budget, state, params, outcome)
    _update_click_quality(exogenous, state, params)
    _price_cells(bid, modifier, active, exogenous, state, params, tables, outcome, cells)
    _pace(hour, state, params, tables, cells)
    _draw_clicks(hour, exogenous, state, params, cells, outcome)
    _draw_conversions(hour, exogenous, state, params, cells, outcome)
    _remember(exogenous, state, tables, cells, hour % _LAG_RING_HOURS)
