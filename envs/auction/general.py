"""Whole iterations with agents of any kind: each is asked for all its offers of a chunk at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.auction.advertisers import Advertiser
from envs.auction.agents import AgentRecords
from envs.auction.kernels import compute_click_probabilities, find_best_items, make_bench
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

__all__ = ["GENERAL_CHUNK_ROUNDS", "GeneralDesk", "learn_from_logs", "simulate_world"]

GENERAL_CHUNK_ROUNDS = 8192
"""Auctions that are simulated together."""


class GeneralDesk:
    """Workspace of one chunk.

    Args:
        terms: the rules.
        capacity: auctions in a chunk.
    """

    def __init__(self, terms: Terms, capacity: int) -> None:
        size = capacity * terms.num_participants
        self.terms = terms
        self.capacity = capacity
        self.rounds: Rounds = make_rounds(terms, capacity)
        self.offers: Offers = make_offers(size)
        self.outcomes: Outcomes = make_outcomes(size)
        self.propensity = np.empty(size)
        self.starts = np.empty(terms.num_agents + 1, dtype=np.int64)
        self.order = np.empty(size, dtype=np.int64)

    def find_places(self, agent: int) -> NDArray[np.int64]:
        """Where the offers of one agent stand, in order of time, int64 [n]."""
        return self.order[self.starts[agent] : self.starts[agent + 1]]


def simulate_world(
    stream: np.uint64,
    first_round: int,
    num_rounds: int,
    advertisers: list[Advertiser],
    desk: GeneralDesk,
    totals: NDArray[np.float64],
) -> list[AgentRecords | None]:
    """Simulates ``num_rounds`` auctions of one world.

    Args:
        stream: of the world.
        first_round: number of the first auction, over all iterations and runs.
        num_rounds: auctions.
        advertisers: the world's agents.
        desk: workspace.
        totals: float64 [agents, len(Total)]; added to.

    Returns:
        Each agent's log, what it remembers from before included; None for one that keeps no records.
    """
    terms = desk.terms
    logs: list[list[AgentRecords]] = [[] for _ in advertisers]
    for a, advertiser in enumerate(advertisers):
        if advertiser.remembered is not None:
            logs[a].append(advertiser.remembered)
            _add_remembered(a, advertiser.remembered, totals)
    for done in range(0, num_rounds, desk.capacity):
        count = min(desk.capacity, num_rounds - done)
        draw_rounds(stream, first_round + done, count, terms, False, desk.rounds)
        size = count * terms.num_participants
        group_by_agent(desk.rounds.participants, size, desk.starts, desk.order)
        contexts = [_collect_offers(a, advertiser, desk) for a, advertiser in enumerate(advertisers)]
        settle_rounds(count, terms, desk.rounds.num_slots, desk.rounds.click_noise, desk.offers, desk.outcomes)
        add_money_totals(size, desk.rounds.participants, desk.offers, desk.outcomes, totals)
        add_log_totals(size, desk.rounds.participants, desk.offers, desk.outcomes, totals)
        for a, advertiser in enumerate(advertisers):
            if advertiser.keeps_records:
                logs[a].append(_make_records(contexts[a], desk.find_places(a), desk))
    return [AgentRecords.join(log) if log else None for log in logs]


def learn_from_logs(advertisers: list[Advertiser], logs: list[AgentRecords | None]) -> None:
    """Updates agents from their logs, unless those are empty, and keeps what they remember.

    Args:
        advertisers: the world's agents; they change.
        logs: as returned by `simulate_world`.
    """
    for advertiser, records in zip(advertisers, logs, strict=True):
        if records is not None:
            if len(records):
                advertiser.allocator.update(records)
                advertiser.bidder.update(records)
            advertiser.remembered = records.keep_last(advertiser.memory) if advertiser.memory else None


def _collect_offers(a: int, advertiser: Advertiser, desk: GeneralDesk) -> NDArray[np.float64]:
    """Asks one agent for its offers in the chunk; returns the contexts as it saw them."""
    places, offers = desk.find_places(a), desk.offers
    users = desk.rounds.context[:, places // desk.terms.num_participants]
    n = places.size
    contexts = np.ones((n, advertiser.num_seen + 1))
    contexts[:, :-1] = users[: advertiser.num_seen].T
    item, estimated_ctr = advertiser.allocator.select(contexts, advertiser.item_values)
    item_value = advertiser.item_values[item]
    drawn = advertiser.bidder.draw(item_value, estimated_ctr)
    offers.item[places], offers.item_value[places] = item, item_value
    offers.estimated_ctr[places] = estimated_ctr
    offers.bid[places], offers.gamma[places] = drawn.bid, drawn.gamma
    desk.propensity[places] = drawn.propensity
    _add_truth(advertiser, users, places, offers)
    return contexts


def _add_truth(advertiser: Advertiser, users: NDArray[np.float64], places: NDArray[np.int64], offers: Offers) -> None:
    """What the agent does not know: the offered item's click probability, and the best item's worth."""
    n, item, item_value = places.size, offers.item[places], offers.item_value[places]
    bench = make_bench(*users.shape)
    bench.contexts[:] = users
    find_best_items(advertiser.weights, advertiser.item_values, n, bench)
    true_ctr = np.empty(n)
    compute_click_probabilities(advertiser.weights, bench.contexts, item, n, true_ctr)
    best = bench.ctr * advertiser.item_values[bench.item]
    offers.true_ctr[places] = true_ctr
    offers.best_expected_value[places] = np.maximum(best, true_ctr * item_value)


def _make_records(contexts: NDArray[np.float64], places: NDArray[np.int64], desk: GeneralDesk) -> AgentRecords:
    offers, outcomes = desk.offers, desk.outcomes
    return AgentRecords(
        contexts,
        offers.item[places],
        offers.item_value[places],
        offers.estimated_ctr[places],
        offers.true_ctr[places],
        offers.best_expected_value[places],
        offers.bid[places],
        offers.gamma[places],
        desk.propensity[places],
        outcomes.price[places],
        outcomes.second_price[places],
        outcomes.click[places],
        outcomes.won[places],
    )


def _add_remembered(a: int, records: AgentRecords, totals: NDArray[np.float64]) -> None:
    offers = Offers(
        records.item,
        records.item_value,
        records.estimated_ctr,
        records.true_ctr,
        records.best_expected_value,
        records.bid,
        records.gamma,
    )
    unpaid = np.zeros(len(records))
    outcomes = Outcomes(records.price, unpaid, records.second_price, records.click, records.won)
    add_log_totals(len(records), np.full(len(records), a), offers, outcomes, totals)
