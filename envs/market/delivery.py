"""How the platforms deliver a plan for one hour: pacing, auctions, clicks, conversions.

At aggregate fidelity each cell (channel, device) is the sum of its auctions: wins, clicks and
conversions of Poisson demand are binomial thinnings, prices are the competing bids below the bid;
at auction fidelity ``auctions`` holds every one of them. Budgets bind twice: each platform paces to
its own daily budget (with its over-delivery), and the account's spending limit stops everything at
the advertiser's daily budget to the micro.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.market.auctions import run_auctions
from envs.market.audience import AudienceState
from envs.market.delivery_state import (
    ATTRIBUTION_HOURS,
    DELAY_RING_HOURS,
    LAG_RING_HOURS,
    CellArrays,
    DeliveryParams,
    DeliveryState,
)
from envs.market.exogenous import CREATIVES, ExogenousState, MarketTables
from envs.market.noise import compute_inverse_normal, sample_binomial, sample_normal, sample_poisson, sample_uniform
from envs.market.outcome import Outcome
from gaelp_rl.domain.channels import NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.landscape import compute_win_moments
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.reports import FloatArray

__all__ = ["deliver_hour"]

_DAILY_SLOT, _CELL_SLOT, _SHARE_SLOT, _DELAY_SLOT, _PRICE_SLOT = 64, 128, 256, 512, 2048
_DELAY_DRAWS = 64
_PRICE_DRAWS = 8
_CATCH_UP = 1.5
_CENT = 0.01


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
        state.pacing_factor[w, c] = min(math.exp(sd * noise), float(params.over_delivery[c]))


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
            outcome.edit_size[w, c] = abs(math.log(max(float(bid[w, c]), _CENT) / max(float(old_bid), _CENT)))
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
            cells.median[w, i] = median
            cells.share[w, i] = share
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
def _sample_spend(
    key: np.uint64, hour: int, cell: int, clicks: int, cells: CellArrays, world: int, sigma: float
) -> float:
    """What that many won clicks cost: each its competing bid below the bid, many their normal sum."""
    bid, mean = cells.bid[world, cell], cells.price[world, cell]
    if cells.price_variance[world, cell] <= 0.0:
        return clicks * mean
    if clicks > _PRICE_DRAWS:
        noise = sample_normal(key, hour, _CELL_SLOT + cell * 4 + 2)
        amount = clicks * mean + math.sqrt(clicks * cells.price_variance[world, cell]) * noise
        return min(max(amount, 0.2 * clicks * mean), clicks * bid)
    total = 0.0
    median, share = cells.median[world, cell], cells.share[world, cell]
    for n in range(clicks):
        u = sample_uniform(key, hour, _PRICE_SLOT + cell * _PRICE_DRAWS + n)
        total += min(median * math.exp(sigma * compute_inverse_normal(u * share)), bid)
    return total


@njit(cache=True, error_model="numpy")
def _limit_to_account(clicks: int, amount: float, left_micros: int) -> tuple[int, int]:
    """Clicks and spend in micros once the account's limit has cut what it cannot pay."""
    micros = amount * MICROS
    if micros <= left_micros:
        return clicks, min(int(micros + 0.5), left_micros)
    kept = int(clicks * (left_micros / micros))
    return kept, int(micros * (kept / clicks))


@njit(cache=True, error_model="numpy")
def _draw_clicks(
    hour: int,
    exogenous: ExogenousState,
    state: DeliveryState,
    params: DeliveryParams,
    tables: MarketTables,
    cells: CellArrays,
    outcome: Outcome,
) -> None:
    """Draws impressions, clicks and spend of every cell; stops at the account's limit."""
    slot_of_row = hour % LAG_RING_HOURS
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
                rate, ctr = cells.impressions[w, i] * cells.entered[w, c], cells.ctr[w, i]
                clicks = sample_poisson(rate * ctr, sample_uniform(key, hour, slot))
                impressions = clicks + sample_poisson(rate * (1.0 - ctr), sample_uniform(key, hour, slot + 1))
                if clicks > 0:
                    amount = _sample_spend(key, hour, i, clicks, cells, w, tables.sigma[c])
                    clicks, spend = _limit_to_account(clicks, amount, left_micros)
                    left_micros -= spend
                    clicks_sum += clicks
                    spend_sum += spend
                impressions_sum += impressions
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
def _sample_delay_hours(key: np.uint64, hour: int, slot: int, scale: float, params: DeliveryParams) -> int:
    """Whole hours from the report of a click's hour to that of its conversion."""
    u = sample_uniform(key, hour, slot)
    if u < params.delay_immediate:
        return 0
    threshold = params.delay_immediate
    component = 0
    for k in range(params.delay_weights.shape[0]):
        component = k
        threshold += params.delay_weights[k]
        if u < threshold:
            break
    mean = params.delay_mean_hours[component] * scale
    return 1 + int(-mean * math.log(sample_uniform(key, hour, slot + 1)))


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
        scale = exogenous.delay_scale[w, c]
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
                slot = _DELAY_SLOT + (i * _DELAY_DRAWS + n % _DELAY_DRAWS) * 2
                delay = _sample_delay_hours(key, hour, slot, scale, params)
                if delay <= ATTRIBUTION_HOURS:
                    state.arrivals[w, (first_report + delay) % DELAY_RING_HOURS, c] += 1
        outcome.expected_conversions[w, c] = expected
        outcome.conversions[w, c] = total


@njit(cache=True, error_model="numpy")
def _draw_lost_impressions(
    hour: int,
    active: NDArray[np.bool_],
    exogenous: ExogenousState,
    state: DeliveryState,
    cells: CellArrays,
) -> None:
    """Draws the impressions lost to budget and to rank; adds them and the shown to the day's shares."""
    for w, c in np.ndindex(state.bid.shape):
        if not active[w, c]:
            continue
        won = 0.0
        for d in range(NUM_DEVICES):
            won += cells.impressions[w, c * NUM_DEVICES + d]
        key, slot = exogenous.key[w], _SHARE_SLOT + c * 2
        shown = state.rows[w, hour % LAG_RING_HOURS, c, 0]
        lost_to_budget = sample_poisson(won * (1.0 - cells.entered[w, c]), sample_uniform(key, hour, slot))
        lost_to_rank = sample_poisson(exogenous.hour_impressions[w, c] - won, sample_uniform(key, hour, slot + 1))
        state.share_sums[w, c, 0] += shown + lost_to_budget + lost_to_rank
        state.share_sums[w, c, 1] += shown
        state.share_sums[w, c, 2] += lost_to_budget


@njit(cache=True, error_model="numpy")
def _count_exposures(slot_of_row: int, state: DeliveryState, tables: MarketTables) -> None:
    """Adds the hour's impressions per person to the mean exposures by which platforms forecast."""
    for w, c in np.ndindex(state.bid.shape):
        seen = state.rows[w, slot_of_row, c, 0] / CREATIVES / tables.audience_size[c]
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
    by_auction: bool,
    audience: AudienceState,
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
        by_auction: whether every impression is an auction, else each cell's auctions are integrated.
        audience: the people of the auctions; unused without them.
    """
    if hour % 24 == 0:
        _start_day(hour, exogenous.key, state, params)
    _take_plan(bid, budget, state, params, outcome)
    _update_click_quality(exogenous, state, params)
    _price_cells(bid, modifier, active, exogenous, state, params, tables, outcome, cells)
    _pace(hour, state, params, tables, cells)
    if by_auction:
        run_auctions(hour, active, exogenous, audience, state, params, tables, cells, outcome)
    else:
        _draw_clicks(hour, exogenous, state, params, tables, cells, outcome)
        _draw_lost_impressions(hour, active, exogenous, state, cells)
    _draw_conversions(hour, exogenous, state, params, cells, outcome)
    _count_exposures(hour % LAG_RING_HOURS, state, tables)
