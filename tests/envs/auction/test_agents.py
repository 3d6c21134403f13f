"""An agent's log."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from envs.auction.agents import AgentRecords, Allocator, Bidder
from envs.auction.empirical import EmpiricalShadedBidder
from envs.auction.learning import DoublyRobustBidder, LogisticAllocator, PolicyLearningBidder, ValueLearningBidder
from envs.auction.truthful import OracleAllocator, TruthfulBidder


def make_records(first, last):
    numbers = np.arange(first, last, dtype=float)
    columns = {f.name: numbers for f in fields(AgentRecords)}
    special = {"context": np.tile(numbers[:, None], 3), "item": numbers.astype(np.int64), "won": numbers % 2 == 0}
    return AgentRecords(**(columns | special))


def test_records__join_and_keep_in_order():
    joined = AgentRecords.join([make_records(0, 3), make_records(3, 4), make_records(4, 7)])
    whole = make_records(0, 7)
    for f in fields(AgentRecords):
        assert (getattr(joined, f.name) == getattr(whole, f.name)).all()
        assert (getattr(joined.keep_last(2), f.name) == getattr(make_records(5, 7), f.name)).all()
    assert [len(joined.keep_last(count)) for count in (0, 4, 99)] == [0, 4, 7]


def test_records__utility_is_worth_minus_price_where_won():
    """Record n has value n, click n and price n; even ones are won: n * n - n."""
    assert make_records(0, 5).compute_utility().tolist() == [0.0, 0.0, 2.0, 0.0, 12.0]


def test_parts__fit_their_seams():
    for bidder in (
        TruthfulBidder,
        EmpiricalShadedBidder,
        ValueLearningBidder,
        PolicyLearningBidder,
        DoublyRobustBidder,
    ):
        assert issubclass(bidder, Bidder)
    for allocator in (OracleAllocator, LogisticAllocator):
        assert issubclass(allocator, Allocator)
