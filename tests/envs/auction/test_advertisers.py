"""Advertisers get the parts that their settings name, and draws of their own."""

from __future__ import annotations

import pytest

from envs.auction.advertisers import make_advertisers
from envs.auction.catalogue import make_catalogue
from envs.auction.config import BIDDERS
from envs.auction.learning import LogisticAllocator
from envs.auction.truthful import OracleAllocator
from tests.envs.auction.reference_data import make_agent, make_config, make_learner


def make(seed=0, run=0, compat=True, **changes):
    config = make_config(num_participants_per_round=1, **changes)
    return make_advertisers(config, make_catalogue(config, seed), 0, seed, run, compat)


@pytest.mark.parametrize("kind", BIDDERS)
def test_advertisers__have_the_parts_that_were_asked_for(kind):
    learner, oracle = make(agents=[make_learner(kind), make_agent()])
    assert type(learner.bidder).__name__ == kind
    assert isinstance(learner.allocator, LogisticAllocator)
    assert isinstance(oracle.allocator, OracleAllocator)
    assert (learner.num_seen, oracle.num_seen) == (2, 3)
    assert (learner.keeps_records, oracle.keeps_records) == (True, False)


def test_advertisers__draw_for_themselves():
    """Different agents, runs and seeds start from different models; the same from the same."""
    agents = [make_learner("TruthfulBidder") | {"num_copies": 2}]
    starts = [
        advertiser.allocator.weights.tolist()
        for seed, run in [(0, 0), (0, 1), (1, 0)]
        for advertiser in make(seed, run, agents=agents)
    ]
    assert all(a != b for i, a in enumerate(starts) for b in starts[:i])
    assert starts[0] == make(agents=agents)[0].allocator.weights.tolist()
