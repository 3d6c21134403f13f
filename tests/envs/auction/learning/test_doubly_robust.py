"""The doubly robust bidder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from envs.auction.agents import Bidder
from envs.auction.learning import DoublyRobustBidder
from gaelp_rl.errors import ConfigError, DataError
from tests.envs.auction.learning.landscape import compute_expected_utility, play


def make_bidder(seed: int = 1) -> DoublyRobustBidder:
    return DoublyRobustBidder(0.1, 0.8, np.random.default_rng(seed))


def test_doubly_robust__shades_towards_the_best_gamma() -> None:
    """Exploring at 0.8 earns 0.15 of what impressions are worth; the mean of four bidders earns more."""
    earned = []
    for seed in range(4):
        bidder, rng = make_bidder(seed), np.random.default_rng(seed + 50)
        assert isinstance(bidder, Bidder)
        bidder.update(play(bidder, 2000, rng))
        earned.append(compute_expected_utility(bidder, rng))
    assert np.mean(earned) > 0.19


def test_doubly_robust__goes_on_from_what_it_has_learned() -> None:
    """It imitates once only: a second update with the policy's own records does not throw it back to 0.8."""
    bidder, rng = make_bidder(), np.random.default_rng(51)
    for _ in range(3):
        bidder.update(play(bidder, 1000, rng))
    assert play(bidder, 2000, rng).gamma.mean() < 0.75


def test_doubly_robust__learns_from_an_iteration_without_a_win() -> None:
    bidder, rng = make_bidder(), np.random.default_rng(1)
    records = play(bidder, 300, rng)
    lost = replace(records, won=np.zeros(300, dtype=bool), click=np.zeros(300))
    bidder.update(lost)
    assert np.isfinite(play(bidder, 300, rng).bid).all()


def test_doubly_robust__same_generator_same_bids() -> None:
    bids = []
    for _ in range(2):
        bidder, rng = make_bidder(3), np.random.default_rng(4)
        bidder.update(play(bidder, 200, rng))
        bids.append(play(bidder, 200, rng).bid)
    np.testing.assert_array_equal(bids[0], bids[1])


def test_doubly_robust__learns_nothing_from_no_records() -> None:
    bidder, rng = make_bidder(), np.random.default_rng(1)
    bidder.update(play(bidder, 0, rng))
    assert play(bidder, 2000, rng).gamma.mean() == pytest.approx(0.8, abs=0.01)


def test_doubly_robust__refuses_what_it_cannot_learn_from() -> None:
    with pytest.raises(ConfigError, match="gamma_sigma is 0 for DoublyRobustBidder"):
        DoublyRobustBidder(0.0, 1.0, np.random.default_rng(0))
    bidder, rng = make_bidder(), np.random.default_rng(1)
    records = play(bidder, 100, rng)
    with pytest.raises(DataError, match="doubly robust bidder's policy on 100 records"):
        bidder.update(replace(records, price=np.full(100, np.nan)))
