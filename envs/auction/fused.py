"""Whole iterations in compiled code, for agents whose items and bids need no call back into Python.

Those are agents that know their items' click probabilities and bid truthfully or by one shading factor.
Auctions are simulated in chunks that stay in the processor's cache; only totals leave a chunk, and for
agents that shade the factor and the utility of each bid.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.auction.catalogue import Catalogue
from envs.auction.kernels import Bench, find_best_items, make_bench
from envs.auction.rounds import Rounds, Terms, draw_rounds, group_by_agent, make_rounds
from envs.auction.settlement import (
    Offers,
    Outcomes,
    add_log_totals,
    add_money_totals,
    make_offers,
    make_outcomes,
    settle_rounds,
)

__all__ = [
    "CHUNK_ROUNDS",
    "FusedDesk",
    "Shading",
    "ShadingLog",
    "choose_chunk_rounds",
    "make_desk",
    "offer_best_items",
    "simulate_worlds",
]

CHUNK_ROUNDS = 1024
"""Auctions that are simulated together, at least."""

_CHUNK_OFFERS_PER_AGENT = 128
_MAX_CHUNK_ROUNDS = 16384


class Shading(NamedTuple):
    """How agents choose their shading factors.

    Attributes:
        explores: bool [agents]; False bids the expected worth.
        mean: float64 [worlds, agents]; of the shading factor before it is clipped to 0 to 1.
        sigma: float64 [agents].
    """

    explores: NDArray[np.bool_]
    mean: NDArray[np.float64]
    sigma: NDArray[np.float64]


class ShadingLog(NamedTuple):
    """What those who shade learn from, one entry per participation; empty where nobody does.

    Attributes:
        agent: int64 [rounds * k].
        gamma: float64 [rounds * k].
        utility: float64 [rounds * k], USD.
    """

    agent: NDArray[np.int64]
    gamma: NDArray[np.float64]
    utility: NDArray[np.float64]


class FusedDesk(NamedTuple):
    """Workspace of one chunk."""

    rounds: Rounds
    offers: Offers
    outcomes: Outcomes
    starts: NDArray[np.int64]
    order: NDArray[np.int64]
    bench: Bench


def choose_chunk_rounds(terms: Terms, num_rounds: int) -> int:
    """Auctions to simulate together: enough of them for every agent to make its offers by the hundred."""
    enough = _CHUNK_OFFERS_PER_AGENT * terms.num_agents // terms.num_participants
    return min(num_rounds, _MAX_CHUNK_ROUNDS, max(CHUNK_ROUNDS, enough))


def make_desk(terms: Terms, capacity: int) -> FusedDesk:
    """Workspace for chunks of up to ``capacity`` auctions."""
    size = capacity * terms.num_participants
    return FusedDesk(
        make_rounds(terms, capacity),
        make_offers(size),
        make_outcomes(size),
        np.empty(terms.num_agents + 1, dtype=np.int64),
        np.empty(size, dtype=np.int64),
        make_bench(terms.embedding_size, capacity),
    )


@njit(cache=True, error_model="numpy")
def offer_best_items(count: int, terms: Terms, world: int, catalogue: Catalogue, desk: FusedDesk) -> None:
    """Every participant of ``count`` auctions offers its best item and knows its click probability.

    Args:
        count: auctions in ``desk.rounds``.
        terms: the rules.
        world: which catalogue.
        catalogue: of all worlds.
        desk: its ``offers`` are overwritten, but for bids and shading factors.
    """
    k, bench = terms.num_participants, desk.bench
    offers, order, starts = desk.offers, desk.order, desk.starts
    group_by_agent(desk.rounds.participants, count * k, starts, order)
    for a in range(terms.num_agents):
        first, last = starts[a], starts[a + 1]
        for n in range(last - first):
            r = order[first + n] // k
            for j in range(terms.embedding_size):
                bench.contexts[j, n] = desk.rounds.context[j, r]
        low, high = catalogue.first_item[a], catalogue.first_item[a + 1]
        item_values = catalogue.item_values[world, low:high]
        find_best_items(catalogue.weights[world, low:high], item_values, last - first, bench)
        for n in range(last - first):
            q = order[first + n]
            offers.item[q] = bench.item[n]
            offers.item_value[q] = item_values[bench.item[n]]
            offers.estimated_ctr[q] = bench.ctr[n]
            offers.true_ctr[q] = bench.ctr[n]
            offers.best_expected_value[q] = bench.ctr[n] * item_values[bench.item[n]]


@njit(cache=True, error_model="numpy")
def _shade_bids(size: int, world: int, shading: Shading, rounds: Rounds, offers: Offers) -> None:
    for q in range(size):
        a = rounds.participants[q]
        gamma = 1.0
        if shading.explores[a]:
            gamma = min(max(shading.mean[world, a] + shading.sigma[a] * rounds.gamma_noise[q], 0.0), 1.0)
        offers.gamma[q] = gamma
        offers.bid[q] = offers.item_value[q] * offers.estimated_ctr[q] * gamma


@njit(cache=True, error_model="numpy")
def _log_shading(first: int, size: int, rounds: Rounds, offers: Offers, outcomes: Outcomes, log: ShadingLog) -> None:
    for q in range(size):
        gain = offers.item_value[q] * outcomes.click[q] - outcomes.price[q]
        log.agent[first + q] = rounds.participants[q]
        log.gamma[first + q] = offers.gamma[q]
        log.utility[first + q] = gain if outcomes.won[q] else 0.0


@njit(cache=True, error_model="numpy")
def simulate_worlds(
    worlds: NDArray[np.int64],
    streams: NDArray[np.uint64],
    first_round: int,
    num_rounds: int,
    terms: Terms,
    catalogue: Catalogue,
    shading: Shading,
    desk: FusedDesk,
    log: ShadingLog,
    totals: NDArray[np.float64],
) -> None:
    """Simulates ``num_rounds`` auctions in each of some worlds.

    Args:
        worlds: int64 [any]; which.
        streams: uint64 [worlds].
        first_round: number of the first auction, over all iterations and runs.
        num_rounds: auctions per world.
        terms: the rules.
        catalogue: of all worlds.
        shading: of all agents.
        desk: workspace.
        log: overwritten if it has room; then ``worlds`` holds one world.
        totals: float64 [worlds, agents, len(Total)]; added to.
    """
    k, capacity = terms.num_participants, desk.rounds.num_slots.shape[0]
    any_explores = shading.explores.any()
    for world in worlds:
        for done in range(0, num_rounds, capacity):
            count = min(capacity, num_rounds - done)
            draw_rounds(streams[world], first_round + done, count, terms, any_explores, desk.rounds)
            offer_best_items(count, terms, world, catalogue, desk)
            _shade_bids(count * k, world, shading, desk.rounds, desk.offers)
            settle_rounds(count, terms, desk.rounds.num_slots, desk.rounds.click_noise, desk.offers, desk.outcomes)
            add_money_totals(count * k, desk.rounds.participants, desk.offers, desk.outcomes, totals[world])
            add_log_totals(count * k, desk.rounds.participants, desk.offers, desk.outcomes, totals[world])
            if log.gamma.shape[0] > 0:
                _log_shading(done * k, count * k, desk.rounds, desk.offers, desk.outcomes, log)
