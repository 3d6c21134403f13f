"""The engine: both of its paths, its totals, and what it does where AuctionGym fails."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.auction.config import parse_auctiongym_config
from envs.auction.engine import AuctionEngine
from envs.auction.fused import make_desk
from envs.auction.rounds import draw_rounds, make_streams, make_terms
from envs.auction.settlement import Total
from gaelp_rl.errors import ConfigError
from tests.envs.auction.reference_data import make_agent, make_config
from tests.envs.auction.slow_auction import make_ticket, settle

SHADED = [make_agent(name="Shaded", bidder="EmpiricalShadedBidder", num_copies=2), make_agent(name="Plain")]


def simulate(config, seeds=(0,), compat=False, iterations=1, compiled=True):
    engine = AuctionEngine(config, seeds, compat, compiled=compiled)
    return [engine.simulate_iteration() for _ in range(iterations)]


def add_up_slowly(engine, compat):
    """Totals of the first world's first iteration, from tickets in plain Python."""
    config, catalogue = engine.config, engine.catalogue
    terms, k = make_terms(config, compat), config.num_participants_per_round
    rounds = make_desk(terms, config.rounds_per_iter).rounds
    draw_rounds(make_streams(engine.seeds[:1])[0], 0, config.rounds_per_iter, terms, False, rounds)
    sums = np.zeros((len(engine.agents), len(Total)))
    for r in range(config.rounds_per_iter):
        tickets = []
        for a in rounds.participants[r * k : (r + 1) * k]:
            own = slice(catalogue.first_item[a], catalogue.first_item[a + 1])
            values, weights = catalogue.item_values[0, own].tolist(), catalogue.weights[0, own].tolist()
            tickets.append(make_ticket(a, weights, values, rounds.context[:, r].tolist(), 1.0))
        settle(tickets, rounds.num_slots[r], config.first_price, compat, rounds.click_noise[r * config.max_slots :])
        for t in tickets:
            entries = defaultdict(float)
            entries[Total.GROSS_UTILITY] = t.item_value * t.click
            entries[Total.SPEND], entries[Total.RECORDS] = t.spend, 1
            entries[Total.WON], entries[Total.CLICKS], entries[Total.CTR_RATIO] = t.won, t.click, t.won
            entries[Total.OVERBID_REGRET] = (t.price - t.second_price) * t.won
            entries[Total.UNDERBID_REGRET] = (t.price - t.bid) * (not t.won) * (t.price < t.ctr * t.item_value - 1e-12)
            entries[Total.BEST_EXPECTED_VALUE], entries[Total.BID] = t.best, t.bid
            entries[Total.TRUE_CTR], entries[Total.ITEM_VALUE], entries[Total.GAMMA] = t.ctr, t.item_value, 1
            for total, figure in entries.items():
                sums[t.agent, total] += figure
    return sums


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("compat", [True, False])
@pytest.mark.parametrize(("allocation", "slots"), [("FirstPrice", 1), ("FirstPrice", 4), ("SecondPrice", 2)])
def test_engine__totals_are_those_of_plain_python(compiled, compat, allocation, slots):
    config = make_config(allocation=allocation, max_slots=slots)
    engine = AuctionEngine(config, [5, 6], compat, compiled=compiled)
    np.testing.assert_allclose(engine.simulate_iteration()[0], add_up_slowly(engine, compat), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("compat", [True, False])
def test_engine__compiled_and_general_path_play_the_same_auctions(compat):
    config = make_config(max_slots=3, rounds_per_iter=20_000)
    compiled, general = (simulate(config, [1, 2], compat, 2, compiled=way) for way in (True, False))
    np.testing.assert_allclose(compiled, general, rtol=1e-9, atol=1e-9)


def test_engine__compiled_and_general_shading_agree_in_distribution():
    """Their shading factors are drawn from different streams: means over worlds within 4 standard errors."""
    config = make_config(agents=SHADED, num_participants_per_round=2, rounds_per_iter=4000, allocation="FirstPrice")
    results = []
    for compiled in (True, False):
        totals = np.array(simulate(config, range(12), True, 3, compiled=compiled))
        gamma = totals[..., :2, Total.GAMMA] / totals[..., :2, Total.RECORDS]
        results.append(np.stack((gamma.mean(axis=2), totals[..., Total.SPEND].sum(axis=2))))
    difference = results[0] - results[1]
    error = difference.std(axis=2, ddof=1) / np.sqrt(12)
    assert (np.abs(difference.mean(axis=2)) < 4.0 * error).all()


def test_engine__shading_learns_to_bid_less_in_first_price():
    config = make_config(agents=SHADED, num_participants_per_round=2, rounds_per_iter=3000, allocation="FirstPrice")
    totals = np.array(simulate(config, range(6), False, 6))
    gamma = totals[..., :2, Total.GAMMA] / totals[..., :2, Total.RECORDS]
    assert (gamma[-1] < gamma[0] - 0.02).mean() > 0.8


@given(
    st.sampled_from(["FirstPrice", "SecondPrice"]),
    st.integers(1, 4),
    st.integers(1, 4),
    st.booleans(),
    st.integers(0, 99),
)
@settings(max_examples=25)
def test_engine__what_winners_win_is_what_they_pay_and_keep(allocation, participants, slots, compat, seed):
    """Welfare = surplus + revenue holds by construction; here spend = sum of prices and its bounds."""
    config = make_config(
        allocation=allocation, num_participants_per_round=participants, max_slots=slots, rounds_per_iter=200
    )
    totals = simulate(config, [seed], compat)[0][0].sum(axis=0)
    sold = totals[Total.WON]
    assert totals[Total.RECORDS] == 200 * participants
    assert sold <= 200 * min(participants - compat, slots)
    assert totals[Total.CLICKS] <= sold
    assert totals[Total.SPEND] <= totals[Total.BID] + 1e-9
    assert totals[Total.ALLOCATION_REGRET] == totals[Total.ESTIMATION_REGRET] == 0.0
    assert totals[Total.UNDERBID_REGRET] == (-totals[Total.BID] if compat and participants == 1 else 0.0)
    if slots == 1 and not compat:
        assert sold == 200
        assert totals[Total.OVERBID_REGRET] >= 0.0


def test_engine__sells_every_slot_unless_compatible():
    """Three bidders and always at least one slot of up to four: AuctionGym's last bidder never wins."""
    config = make_config(max_slots=4, rounds_per_iter=8000)
    sold = {compat: simulate(config, [0], compat)[0][..., Total.WON].sum() / 8000 for compat in (True, False)}
    assert sold[False] == pytest.approx((1 + 2 + 3 + 3) / 4, abs=0.05)
    assert sold[True] == pytest.approx((1 + 2 + 2 + 2) / 4, abs=0.05)


@pytest.mark.parametrize("compiled", [True, False])
def test_engine__one_world_among_many_is_the_same_alone(compiled):
    config = make_config(agents=SHADED, num_participants_per_round=2, max_slots=2)
    together = simulate(config, [3, 8], iterations=2, compiled=compiled)
    alone = simulate(config, [8], iterations=2, compiled=compiled)
    for both, single in zip(together, alone, strict=True):
        assert (both[1] == single[0]).all()
        assert (both[0] != single[0]).any()


@pytest.mark.parametrize("compiled", [True, False])
def test_engine__same_seed_same_totals(compiled):
    config = make_config(agents=SHADED, num_participants_per_round=2)
    first, second = (simulate(config, [4], iterations=2, compiled=compiled) for _ in range(2))
    assert (np.array(first) == np.array(second)).all()
    assert (first[0] != first[1]).any()


def test_engine__a_new_run_resets_agents_and_keeps_catalogues():
    config = make_config(agents=SHADED, num_participants_per_round=2, allocation="FirstPrice", rounds_per_iter=4000)
    engine = AuctionEngine(config, [0], True)
    before = [engine.simulate_iteration() for _ in range(3)]
    weights = engine.catalogue.weights.copy()
    engine.start_run()
    after = engine.simulate_iteration()
    gammas = [totals[0, 0, Total.GAMMA] / totals[0, 0, Total.RECORDS] for totals in (before[0], before[-1], after)]
    assert gammas[2] == pytest.approx(gammas[0], abs=1e-3)
    assert gammas[1] < gammas[0] - 5e-3
    assert (engine.catalogue.weights == weights).all()
    assert (after != before[0]).any()


@pytest.mark.parametrize("compiled", [True, False])
def test_engine__an_agent_that_takes_part_in_nothing_has_nothing(compiled):
    """AuctionGym fails here."""
    config = make_config(agents=SHADED[:1], num_participants_per_round=1, rounds_per_iter=1)
    totals = simulate(config, [0], iterations=3, compiled=compiled)
    assert [sorted(iteration[0, :, Total.RECORDS]) for iteration in totals] == [[0.0, 1.0]] * 3
    for iteration in totals:
        assert (iteration[0][iteration[0, :, Total.RECORDS] == 0.0] == 0.0).all()


def test_engine__remembered_records_stay_in_the_log():
    agents = [make_agent(name="Keeps", memory=30), make_agent(name="Forgets")]
    config = make_config(agents=agents, num_participants_per_round=2, rounds_per_iter=100)
    first, second, third = simulate(config, iterations=3)
    records = [totals[0, :, Total.RECORDS].tolist() for totals in (first, second, third)]
    assert records == [[100, 100], [130, 100], [130, 100]]
    assert second[0, 0, Total.SPEND] <= second[0, 0, Total.WON] * 5


def test_engine__refuses_seeds_that_cannot_be():
    for seeds in ([], [0, -1]):
        with pytest.raises(ConfigError, match="seeds"):
            AuctionEngine(make_config(), seeds, False)


def test_engine__plays_a_config_of_its_own_kind_in_chunks_of_any_size(monkeypatch):
    config = parse_auctiongym_config(make_config(agents=SHADED, num_participants_per_round=2).model_dump(mode="json"))
    whole = simulate(config, iterations=2)
    monkeypatch.setattr("envs.auction.fused.CHUNK_ROUNDS", 37)
    np.testing.assert_allclose(simulate(config, iterations=2), whole, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("compat", [True, False])
def test_engine__only_auctiongym_leaves_the_top_out_of_the_shading_grid(compat, compiled, monkeypatch):
    asked = []

    def answer(gamma, utility, closed_top, otherwise):
        asked.append(closed_top)
        return otherwise

    for module in ("engine", "empirical"):
        monkeypatch.setattr(f"envs.auction.{module}.compute_best_gamma", answer)
    simulate(make_config(agents=SHADED, num_participants_per_round=2), [0], compat, compiled=compiled)
    assert asked == [not compat] * 2


@pytest.mark.parametrize("compiled", [True, False])
def test_engine__agents_stay_as_they_are_where_no_iteration_follows(compiled):
    """Their factors are drawn around the same mean again, where learning would have moved it."""
    config = make_config(agents=SHADED, num_participants_per_round=2, allocation="FirstPrice", rounds_per_iter=4000)
    moves = []
    for learn in (True, False):
        engine = AuctionEngine(config, [0], True, compiled=compiled)
        first, second = (engine.simulate_iteration(learn)[0, :2] for _ in range(2))
        moves.append(np.abs(np.diff([t[:, Total.GAMMA] / t[:, Total.RECORDS] for t in (first, second)], axis=0)).min())
    assert moves[0] > 5e-3 > 3e-3 > moves[1]
