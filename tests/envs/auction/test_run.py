"""A run over seeds: order, counting across runs, and agents of every kind."""

from __future__ import annotations

import math

import pytest

from envs.auction.config import BIDDERS
from envs.auction.run import measure_auction_rate, run_auctiongym
from tests.envs.auction.reference_data import load_reference_config, make_agent, make_config, make_learner


def test_run__counts_iterations_across_runs_of_each_seed():
    config = make_config(num_runs=2, num_iter=3, rounds_per_iter=20)
    heard = []
    rows = run_auctiongym(config, "name", [4, 1], False, on_iteration=heard.append)
    seen = list(dict.fromkeys((row.seed, row.iteration) for row in rows))
    assert seen == [(seed, iteration) for seed in (4, 1) for iteration in range(6)]
    assert heard == list(range(1, 13))
    assert {row.config for row in rows} == {"name"}


def test_run__repeats_itself():
    config = make_config(agents=[make_learner("ValueLearningBidder"), make_agent()], num_participants_per_round=2)
    config = config.model_copy(update={"rounds_per_iter": 60, "num_iter": 2})
    first, second = (run_auctiongym(config, "name", [3], True) for _ in range(2))
    assert [str(row) for row in first] == [str(row) for row in second]


@pytest.mark.integration
@pytest.mark.parametrize("memory", [0, 40])
def test_run__agents_of_every_kind_meet_and_learn(memory):
    agents = [make_learner(kind, memory) for kind in BIDDERS] + [make_agent(memory=memory)]
    config = make_config(agents=agents, num_participants_per_round=3, num_iter=3, rounds_per_iter=150, max_slots=2)
    for compat in (True, False):
        rows = run_auctiongym(config, "name", [0], compat)
        figures = {(row.iteration, row.agent, row.metric): row.figure for row in rows}
        for iteration in range(3):
            totals = {
                m: figures[iteration, "__all__", m] for m in ("social_welfare", "social_surplus", "auction_revenue")
            }
            assert totals["social_welfare"] == pytest.approx(totals["social_surplus"] + totals["auction_revenue"])
            assert figures[iteration, "A", "allocation_regret"] == figures[iteration, "A", "estimation_regret"] == 0.0
            for kind in BIDDERS:
                assert figures[iteration, kind, "allocation_regret"] > 0.0
                assert math.isfinite(figures[iteration, kind, "net_utility"])
                assert ((iteration, kind, "gamma") in figures) == (kind != "TruthfulBidder")


def test_rate__is_that_of_compiled_code():
    """AuctionGym makes about 5,500 auctions a second; a hundred times that leaves room for a busy machine."""
    config = load_reference_config("sp_truthful_oracle")
    assert measure_auction_rate(config, 50_000, repeats=3) > 550_000
