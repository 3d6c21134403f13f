"""What agents of any kind are shown, and what they are given to learn from."""

from __future__ import annotations

import numpy as np
import pytest

from envs.auction.advertisers import Advertiser, make_advertisers
from envs.auction.catalogue import make_catalogue
from envs.auction.general import GeneralDesk, learn_from_logs, simulate_world
from envs.auction.rounds import draw_rounds, make_rounds, make_streams, make_terms
from envs.auction.settlement import Total
from tests.envs.auction.reference_data import make_agent, make_config
from tests.envs.auction.slow_auction import make_ticket

ROUNDS = 200


class FirstItem:
    """Always offers its first item and thinks that it is clicked half the time; keeps what it is told."""

    def __init__(self):
        self.heard = []

    def select(self, contexts, item_values):
        return np.zeros(contexts.shape[0], dtype=np.int64), np.full(contexts.shape[0], 0.5)

    def update(self, records):
        self.heard.append(records)


def simulate(memory=0, iterations=1, capacity=64, compat=True):
    """One agent that offers its first item among oracles; returns it, its rounds and the totals."""
    config = make_config(agents=[make_agent(name="First"), make_agent(num_copies=2)], num_participants_per_round=2)
    terms, stream = make_terms(config, compat), make_streams([0])[0]
    advertisers = make_advertisers(config, make_catalogue(config, 0), 0, 0, 0, compat)
    own = advertisers[0]
    own = advertisers[0] = Advertiser(own.name, own.weights, own.item_values, FirstItem(), own.bidder, 2, True, memory)
    desk = GeneralDesk(terms, capacity)
    totals = np.zeros((iterations, 3, len(Total)))
    for i in range(iterations):
        learn_from_logs(advertisers, simulate_world(stream, i * ROUNDS, ROUNDS, advertisers, desk, totals[i]))
    rounds = make_rounds(terms, ROUNDS)
    draw_rounds(stream, 0, ROUNDS, terms, False, rounds)
    return own, rounds, totals


@pytest.mark.parametrize("capacity", [64, 1000])
def test_general__an_agent_sees_the_first_dimensions_of_its_auctions_and_a_constant(capacity):
    own, rounds, _ = simulate(capacity=capacity)
    (records,) = own.allocator.heard
    took_part = (rounds.participants.reshape(-1, 2) == 0).any(axis=1)
    assert (records.context[:, :-1] == rounds.context[:2, took_part].T).all()
    assert (records.context[:, -1] == 1.0).all()


def test_general__records_hold_the_truth_that_the_agent_does_not_know():
    own, rounds, totals = simulate()
    (records,) = own.allocator.heard
    took_part = np.flatnonzero((rounds.participants.reshape(-1, 2) == 0).any(axis=1))
    for n, r in enumerate(took_part):
        context = rounds.context[:, r].tolist()
        first = make_ticket(0, own.weights[:1].tolist(), own.item_values[:1].tolist(), context, 1.0)
        best = make_ticket(0, own.weights.tolist(), own.item_values.tolist(), context, 1.0)
        assert records.true_ctr[n] == pytest.approx(first.ctr, rel=1e-12)
        assert records.best_expected_value[n] == pytest.approx(best.best, rel=1e-12)
    assert (records.bid == own.item_values[0] * 0.5).all()
    regret = records.best_expected_value - records.true_ctr * records.item_value
    assert (regret >= 0.0).all()
    assert totals[0, 0, Total.ALLOCATION_REGRET] == pytest.approx(regret.sum())
    assert totals[0, 0, Total.ESTIMATION_REGRET] == pytest.approx(((0.5 - records.true_ctr) * records.item_value).sum())
    assert totals[0, 0, Total.GROSS_UTILITY] - totals[0, 0, Total.SPEND] == pytest.approx(
        records.compute_utility().sum()
    )


def test_general__what_is_remembered_is_learned_from_again():
    own, _, totals = simulate(memory=25, iterations=3)
    first, second, third = own.allocator.heard
    assert (second.context[:25] == first.context[-25:]).all()
    assert (third.price[:25] == second.price[-25:]).all()
    assert [len(records) for records in (first, second, third)] == totals[:, 0, Total.RECORDS].tolist()
    assert totals[1, 0, Total.BID] == pytest.approx(second.bid.sum())
    fresh = second.compute_utility()[25:].sum()
    assert totals[1, 0, Total.GROSS_UTILITY] - totals[1, 0, Total.SPEND] == pytest.approx(fresh)
