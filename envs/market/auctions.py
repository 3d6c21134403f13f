"""Auction fidelity: every impression opportunity is a person, and an auction in the engine.

An opportunity comes from a user of the channel. All bidders' bids are per click of our ad: platforms
rank by bid times click probability, so that what a rival needs to outrank us is a price per click of
ours, whoever the user is. The auction engine clears it; a winner's ad is seen, clicked by the
journey's logit choice, and paid for by the click. Each auction has two participants, as in AuctionGym's
own experiments: us, and the highest of the others, log-normal in each cell. So the mean and the
variance of what an hour brings are those of the aggregate fidelity.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.auction.mechanism import clear_auction
from envs.journey.ad_response import compute_ad_score, compute_click_probability, drift_interest, solve_log_odds
from envs.market.audience import INTEREST_SCALE, MAX_EXPOSURES, AudienceState, refresh_creatives
from envs.market.delivery_state import LAG_RING_HOURS, CellArrays, DeliveryParams, DeliveryState
from envs.market.exogenous import CREATIVES, ExogenousState, MarketTables
from envs.market.noise import (
    compute_inverse_normal,
    derive_stream,
    sample_from_stream,
    sample_poisson,
    sample_uniform,
)
from envs.market.outcome import Outcome
from gaelp_rl.domain.channels import NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.reports import FloatArray

__all__ = ["INTEREST_STEP", "INTEREST_WEIGHT", "run_auctions"]

INTEREST_WEIGHT = 1.0
"""Log-odds of a click per unit of interest."""

INTEREST_STEP = 0.1
"""How far one exposure moves a person's interest."""

_CELL_SLOT = 3000
_DRAWS = 8
_CREATIVE, _PERSON, _ENTRY, _CLICK, _DRIFT, _RIVAL = 0, 1, 2, 3, 4, 5
_MAX_CTR, _MAX_FATIGUE = 0.95, 0.999


class _Desk(NamedTuple):
    """Workspace of one auction: our bid, the rival's, and what the engine says."""

    bids: FloatArray
    winners: NDArray[np.int64]
    prices: FloatArray
    second_prices: FloatArray


class _Cell(NamedTuple):
    """One channel and device in one hour of one world."""

    stream: np.uint64
    log_bid: float
    log_median: float
    sigma: float
    first_price: bool
    entered: float
    fatigue: float
    first_person: int
    num_people: int


class _Tally(NamedTuple):
    """What a cell's opportunities came to."""

    shown: int
    lost_to_budget: int
    clicks: int
    spend_micros: int


@njit(cache=True, error_model="numpy")
def _make_cell(
    hour: int,
    w: int,
    c: int,
    d: int,
    exogenous: ExogenousState,
    audience: AudienceState,
    params: DeliveryParams,
    tables: MarketTables,
    cells: CellArrays,
) -> _Cell:
    i = c * NUM_DEVICES + d
    return _Cell(
        derive_stream(exogenous.key[w], hour, _CELL_SLOT + i),
        math.log(cells.bid[w, i]) if cells.bid[w, i] > 0.0 else -math.inf,
        math.log(cells.median[w, i]),
        tables.sigma[c],
        tables.first_price[c],
        cells.entered[w, c],
        min(params.fatigue_per_exposure, _MAX_FATIGUE),
        audience.first_person[c],
        audience.first_person[c + 1] - audience.first_person[c],
    )


@njit(cache=True, error_model="numpy")
def _hold_auction(cell: _Cell, draw: int, desk: _Desk) -> float:
    """Clears one auction; bids are logs of USD per click of our ad.

    Returns:
        The log price of a click if we won, else infinity.
    """
    desk.bids[0] = cell.log_bid
    noise = compute_inverse_normal(sample_from_stream(cell.stream, draw + _RIVAL))
    desk.bids[1] = cell.log_median + cell.sigma * noise
    clear_auction(desk.bids, 1, cell.first_price, -math.inf, True, desk.winners, desk.prices, desk.second_prices)
    return desk.prices[0] if desk.winners[0] == 0 else math.inf


@njit(cache=True, error_model="numpy")
def _run_cell(
    cell: _Cell,
    eligible: int,
    left_micros: int,
    log_odds: FloatArray,
    people: NDArray[np.int16],
    desk: _Desk,
) -> _Tally:
    """Auctions one cell's opportunities until the account has nothing left.

    Args:
        cell: its terms.
        eligible: how many opportunities.
        left_micros: what the account may still spend today.
        log_odds: float64 [creatives]; of a click on each.
        people: int16 [people, 1 + creatives] of the world, see ``AudienceState``; who sees the ad
            drifts and is counted.
        desk: overwritten.
    """
    shown, lost_to_budget, clicks, spend = 0, 0, 0, 0
    for n in range(eligible if cell.log_bid > -math.inf else 0):
        draw = n * _DRAWS
        log_price = _hold_auction(cell, draw, desk)
        if log_price == math.inf:
            continue
        k = int(sample_from_stream(cell.stream, draw + _CREATIVE) * CREATIVES)
        u = sample_from_stream(cell.stream, draw + _PERSON)
        person, taste, seen = -1, 2.0 * u - 1.0, 0
        if cell.num_people > 0:
            person = cell.first_person + int(u * cell.num_people)
            taste, seen = people[person, 0] / INTEREST_SCALE, int(people[person, 1 + k])
        score = compute_ad_score(log_odds[k], taste, INTEREST_WEIGHT, seen, cell.fatigue)
        is_clicked = sample_from_stream(cell.stream, draw + _CLICK) < compute_click_probability(score)
        price_micros = int(math.exp(log_price) * MICROS + 0.5) if is_clicked else 0
        is_entered = sample_from_stream(cell.stream, draw + _ENTRY) < cell.entered
        if not is_entered or spend + price_micros > left_micros:
            lost_to_budget += 1
            continue
        shown += 1
        clicks += 1 if is_clicked else 0
        spend += price_micros
        if person >= 0:
            people[person, 1 + k] = min(seen + 1, MAX_EXPOSURES)
            drift = sample_from_stream(cell.stream, draw + _DRIFT)
            people[person, 0] = round(drift_interest(taste, INTEREST_STEP, drift) * INTEREST_SCALE)
    return _Tally(shown, lost_to_budget, clicks, spend)


@njit(cache=True, error_model="numpy")
def _solve_log_odds(
    w: int, c: int, d: int, exogenous: ExogenousState, tables: MarketTables, log_odds: FloatArray
) -> None:
    """Of each creative, so that users who have not seen it click on average at the cell's rate."""
    for k in range(CREATIVES):
        mean = exogenous.ctr[w, c] * tables.device_ctr[c, d] * exogenous.creative_quality[w, c, k]
        log_odds[k] = solve_log_odds(min(mean, _MAX_CTR), INTEREST_WEIGHT)


@njit(cache=True, error_model="numpy")
def run_auctions(
    hour: int,
    active: NDArray[np.bool_],
    exogenous: ExogenousState,
    audience: AudienceState,
    state: DeliveryState,
    params: DeliveryParams,
    tables: MarketTables,
    cells: CellArrays,
    outcome: Outcome,
) -> None:
    """Runs one hour's auctions of every world; fills report rows, clicks and spend.

    Args:
        hour: hours since the worlds' start.
        active: bool [worlds, channels].
        exogenous: advanced to ``hour``.
        audience: exposures and interests move.
        state: ``rows``, ``spend_today_micros`` and ``share_sums`` are updated.
        params: family and platform numbers.
        tables: calibration.
        cells: bids, medians and shares of auctions entered; ``clicks`` is overwritten.
        outcome: ``clicks`` and ``spend_micros`` are written.
    """
    refresh_creatives(audience, exogenous)
    log_odds = np.empty(CREATIVES)
    desk = _Desk(np.empty(2), np.zeros(1, dtype=np.int64), np.zeros(1), np.zeros(1))
    for w in range(state.bid.shape[0]):
        left_micros = params.account_limit_micros
        for c in range(NUM_CHANNELS):
            left_micros -= state.spend_today_micros[w, c]
        for shift in range(NUM_CHANNELS):
            c = (hour + shift) % NUM_CHANNELS
            row = state.rows[w, hour % LAG_RING_HOURS, c]
            row[:3] = 0
            for d in range(NUM_DEVICES):
                _solve_log_odds(w, c, d, exogenous, tables, log_odds)
                cell = _make_cell(hour, w, c, d, exogenous, audience, params, tables, cells)
                demand = exogenous.hour_impressions[w, c] * tables.device_share[c, d]
                noise = sample_uniform(exogenous.key[w], hour, _CELL_SLOT + c * NUM_DEVICES + d)
                eligible = sample_poisson(demand, noise)
                tally = _run_cell(cell, eligible, left_micros, log_odds, audience.people[w], desk)
                left_micros -= tally.spend_micros
                cells.clicks[w, c * NUM_DEVICES + d] = tally.clicks
                row[0] += tally.shown
                row[1] += tally.clicks
                row[2] += tally.spend_micros
                row[3 + d] = tally.shown
                row[3 + NUM_DEVICES + d] = tally.clicks
                if active[w, c]:
                    state.share_sums[w, c, 0] += eligible
                    state.share_sums[w, c, 1] += tally.shown
                    state.share_sums[w, c, 2] += tally.lost_to_budget
            outcome.clicks[w, c] = row[1]
            outcome.spend_micros[w, c] = row[2]
            state.spend_today_micros[w, c] += row[2]
