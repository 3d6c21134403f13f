"""The oracle and the truthful bidder against their definitions in numpy."""

from __future__ import annotations

import numpy as np

from envs.auction.truthful import OracleAllocator, TruthfulBidder


def test_oracle__offers_the_item_with_the_highest_true_worth():
    rng = np.random.default_rng(0)
    weights, item_values = rng.normal(size=(9, 4)), rng.lognormal(size=9)
    contexts = np.hstack((rng.normal(size=(50, 3)), np.ones((50, 1))))
    ctr = 1.0 / (1.0 + np.exp(-contexts @ weights.T))
    item, estimated_ctr = OracleAllocator(weights).select(contexts, item_values)
    assert (item == (ctr * item_values).argmax(axis=1)).all()
    np.testing.assert_allclose(estimated_ctr, ctr[np.arange(50), item], rtol=1e-13)


def test_truthful__bids_the_expected_worth():
    drawn = TruthfulBidder().draw(np.array([2.0, 4.0]), np.array([0.5, 0.125]))
    assert [column.tolist() for column in drawn] == [[1.0, 0.5], [1.0, 1.0], [1.0, 1.0]]
