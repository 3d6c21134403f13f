"""The direct method's bidder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from envs.auction.agents import Bidder
from envs.auction.learning import ValueLearningBidder
from gaelp_rl.errors import ConfigError, DataError
from tests.envs.auction.learning.landscape import BEST_GAMMA, compute_expected_utility, play


def make_bidder(inference: str, seed: int = 0) -> ValueLearningBidder:
    return ValueLearningBidder(0.1, 0.8, inference, np.random.default_rng(seed))  # type: ignore[arg-type]


@pytest.mark.parametrize("inference", ["search", "policy"])
def test_value_learning__shades_towards_the_best_gamma(inference: str) -> None:
    """Exploring at 0.8 earns 0.15 of what impressions are worth, the best gamma 0.25."""
    bidder, rng = make_bidder(inference), np.random.default_rng(1)
    assert isinstance(bidder, Bidder)
    assert compute_expected_utility(bidder, rng) < 0.16
    bidder.update(play(bidder, 2000, rng))
    assert compute_expected_utility(bidder, rng) > 0.2
    assert BEST_GAMMA < play(bidder, 2000, rng).gamma.mean() < 0.72


def test_value_learning__without_a_win_it_explores_again() -> None:
    bidder, rng = make_bidder("search"), np.random.default_rng(1)
    records = play(bidder, 500, rng)
    bidder.update(records)
    assert play(bidder, 500, rng).gamma.max() < 1.0
    bidder.update(replace(records, won=np.zeros(500, dtype=bool)))
    explored = play(bidder, 2000, rng)
    assert explored.gamma.mean() == pytest.approx(0.8, abs=0.01)
    assert explored.propensity.max() > 3.0


def test_value_learning__a_searched_gamma_has_propensity_one() -> None:
    bidder, rng = make_bidder("search"), np.random.default_rng(1)
    bidder.update(play(bidder, 500, rng))
    assert (play(bidder, 100, rng).propensity == 1.0).all()


@pytest.mark.parametrize("inference", ["search", "policy"])
def test_value_learning__same_generator_same_bids(inference: str) -> None:
    bids = []
    for _ in range(2):
        bidder, rng = make_bidder(inference, 3), np.random.default_rng(4)
        bidder.update(play(bidder, 300, rng))
        bids.append(play(bidder, 300, rng).bid)
    np.testing.assert_array_equal(bids[0], bids[1])
    other, rng = make_bidder(inference, 5), np.random.default_rng(4)
    assert not np.isclose(play(other, 300, rng).bid, bids[0]).all()


def test_value_learning__bids_gamma_times_what_the_impression_is_worth() -> None:
    records = play(make_bidder("search"), 50, np.random.default_rng(1))
    np.testing.assert_allclose(records.bid, records.gamma * records.item_value * records.estimated_ctr, rtol=1e-14)


def test_value_learning__refuses_an_unknown_inference() -> None:
    with pytest.raises(ConfigError, match=r"'serach' does not exist. Did you mean 'search'"):
        make_bidder("serach")


def test_value_learning__refuses_records_that_are_no_numbers() -> None:
    bidder, rng = make_bidder("search"), np.random.default_rng(1)
    records = play(bidder, 100, rng)
    with pytest.raises(DataError, match="win-rate model on 100 records"):
        bidder.update(replace(records, estimated_ctr=np.full(100, np.nan)))
