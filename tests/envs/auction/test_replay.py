"""AuctionGym's own auctions, step by step: given its chance, everything else agrees to 1e-12."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from envs.auction.catalogue import make_catalogue
from envs.auction.fused import make_desk
from envs.auction.replay import replay_rounds
from envs.auction.rounds import Rounds, draw_rounds, make_streams, make_terms
from tests.envs.auction.reference_data import DATA, TRACES, load_reference_config, make_config, read_table
from tests.envs.auction.slow_auction import make_ticket, settle


class Trace:
    """One recorded trace as arrays; `floats("bid")` has NaN where the file is blank."""

    def __init__(self, name: str) -> None:
        self.config = load_reference_config(name)
        self.rounds = read_table(DATA / "traces" / f"{name}__seed0__rounds.csv.gz")
        self.rows = read_table(DATA / "traces" / f"{name}__seed0__participants.csv.gz")
        self.names = [agent.name for agent in self.config.expand_agents()]

    def floats(self, column: str) -> np.ndarray:
        return np.array([float(row[column] or "nan") for row in self.rows])

    def make_rounds(self) -> Rounds:
        context = np.array([[float(row[f"ctx{j}"]) for row in self.rounds] for j in range(self.config.embedding_size)])
        participants = np.array([self.names.index(row["agent"]) for row in self.rows])
        click_noise = np.ones((len(self.rounds), self.config.max_slots))
        for row in self.rows:
            if row["rank"] and row["click"] == "1":
                click_noise[int(row["round"]), int(row["rank"])] = 0.0
        num_slots = np.array([int(row["num_slots"]) for row in self.rounds])
        return Rounds(context, num_slots, participants, click_noise.ravel(), np.zeros(participants.size))


@pytest.mark.parametrize("name", TRACES)
def test_replay__agrees_with_auctiongym(name):
    trace = Trace(name)
    rounds = trace.make_rounds()
    gamma = trace.floats("bid") / (trace.floats("value") * trace.floats("estimated_ctr"))
    offers, outcomes = replay_rounds(
        make_terms(trace.config, compat=True), make_catalogue(trace.config, 0), rounds, gamma
    )
    won = trace.floats("won") == 1
    assert won.any()
    assert (offers.item == trace.floats("item")).all()
    assert (outcomes.won == won).all()
    expected = {
        "value": offers.item_value,
        "estimated_ctr": offers.estimated_ctr,
        "true_ctr": offers.true_ctr,
        "best_expected_value": offers.best_expected_value,
        "bid": offers.bid,
        "logged_price": outcomes.price,
        "logged_second_price": outcomes.second_price,
    }
    for column, ours in expected.items():
        np.testing.assert_allclose(ours, trace.floats(column), rtol=0.0, atol=1e-12, err_msg=column)
    np.testing.assert_allclose(outcomes.spend[won], trace.floats("charged_price")[won], rtol=0.0, atol=1e-12)
    assert (outcomes.click[won] == trace.floats("click")[won]).all()
    check_running_utilities(trace, rounds, offers, outcomes)


def check_running_utilities(trace, rounds, offers, outcomes):
    gross = offers.item_value * outcomes.click
    for agent in range(len(trace.names)):
        own = rounds.participants == agent
        net = (gross - outcomes.spend)[own].cumsum()
        np.testing.assert_allclose(net, trace.floats("net_utility_after")[own], rtol=0.0, atol=1e-11)
        np.testing.assert_allclose(gross[own].cumsum(), trace.floats("gross_utility_after")[own], rtol=0.0, atol=1e-11)
    revenue = outcomes.spend.reshape(len(trace.rounds), -1).sum(axis=1).cumsum()
    np.testing.assert_allclose(revenue, [float(row["revenue_after"]) for row in trace.rounds], rtol=0.0, atol=1e-11)


def test_traces__cover_every_recorded_config():
    assert len(TRACES) == 7
    for name in TRACES:
        assert len(Trace(name).rounds) == 300


@pytest.mark.parametrize("compat", [True, False])
@pytest.mark.parametrize("allocation", ["FirstPrice", "SecondPrice"])
@pytest.mark.parametrize("participants", [1, 2, 4])
def test_replay__agrees_with_an_auction_in_plain_python(compat, allocation, participants):
    config = make_config(allocation=allocation, num_participants_per_round=participants, max_slots=3)
    terms, catalogue = make_terms(config, compat), make_catalogue(config, 7)
    rounds = make_desk(terms, 300).rounds
    draw_rounds(make_streams([7])[0], 0, 300, terms, True, rounds)
    gamma = np.clip(1.0 + 0.3 * rounds.gamma_noise, 0.0, 1.0)
    offers, outcomes = replay_rounds(terms, catalogue, rounds, gamma)
    for r in range(300):
        tickets = []
        for q in range(r * participants, (r + 1) * participants):
            a = rounds.participants[q]
            own = slice(catalogue.first_item[a], catalogue.first_item[a + 1])
            values, weights = catalogue.item_values[0, own].tolist(), catalogue.weights[0, own].tolist()
            tickets.append(make_ticket(a, weights, values, rounds.context[:, r].tolist(), gamma[q]))
        settle(tickets, rounds.num_slots[r], config.first_price, compat, rounds.click_noise[r * 3 :])
        for q, ticket in enumerate(tickets, start=r * participants):
            assert (offers.item[q], outcomes.won[q], outcomes.click[q]) == (ticket.item, ticket.won, ticket.click)
            ours = (offers.bid[q], outcomes.price[q], outcomes.spend[q], outcomes.second_price[q])
            assert ours == pytest.approx((ticket.bid, ticket.price, ticket.spend, ticket.second_price), abs=1e-12)


def test_replay__auctiongym_overwrites_the_price_of_an_earlier_slot():
    """Three bidders, two slots: its first winner's record ends with the second slot's price."""
    config = make_config(max_slots=2, allocation="FirstPrice")
    catalogue = make_catalogue(config, 0)
    for compat in (True, False):
        terms = make_terms(config, compat)
        rounds = make_desk(terms, 1).rounds
        draw_rounds(make_streams([0])[0], 0, 1, terms, False, rounds)
        rounds.num_slots[:] = 2
        offers, outcomes = replay_rounds(terms, catalogue, rounds, np.ones(3))
        second, first = np.sort(offers.bid)[1:]
        assert outcomes.spend.sum() == pytest.approx(first + second)
        own = outcomes.price[offers.bid == first]
        assert own == (second if compat else first)


@given(
    hnp.arrays(np.float64, (3, 4), elements=st.floats(-3, 3)),
    st.permutations(range(3)),
    st.booleans(),
    st.booleans(),
)
def test_replay__permuted_participants_permute_offers_and_outcomes(context, order, compat, first_price):
    config = make_config(allocation="FirstPrice" if first_price else "SecondPrice", max_slots=2)
    terms, catalogue = make_terms(config, compat), make_catalogue(config, 1)
    participants = np.tile([0, 1, 3], (4, 1))
    num_slots = np.array([1, 2, 1, 2])
    results = []
    for listed in (participants, participants[:, order]):
        rounds = Rounds(context, num_slots, listed.ravel().copy(), np.full(8, 0.3), np.zeros(12))
        offers, outcomes = replay_rounds(terms, catalogue, rounds, np.ones(12))
        results.append([np.reshape(column, (4, 3)) for column in (*offers, *outcomes)])
    for listed, permuted in zip(*results, strict=True):
        assert (listed[:, order] == permuted).all()
