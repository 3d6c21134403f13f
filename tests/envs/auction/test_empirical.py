"""The shading grid against a bucket-by-bucket implementation, and what a shading bidder learns."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from envs.auction.agents import AgentRecords
from envs.auction.empirical import EmpiricalShadedBidder, compute_best_gamma


def search_slowly(gamma, utility, closed_top, otherwise):
    edges = np.linspace(gamma.min(), gamma.max(), int((gamma.max() - gamma.min()) // 0.005) + 1)
    best = (-np.inf, otherwise)
    for place, (low, high) in enumerate(itertools.pairwise(edges)):
        top = closed_top and place == edges.size - 2
        inside = utility[(gamma >= low) & ((gamma < high) | top)]
        if inside.size >= 2:
            bound = inside.mean() - 1.96 * inside.std() / np.sqrt(inside.size)
            best = max(best, (bound, (low + high) / 2.0))
    return min(max(best[1], 0.0), 1.0)


@pytest.mark.parametrize("closed_top", [True, False])
@pytest.mark.parametrize("seed", range(25))
def test_best_gamma__is_the_buckets_with_the_highest_lower_bound(seed, closed_top):
    rng = np.random.default_rng(seed)
    gamma = np.clip(rng.normal(rng.uniform(0.3, 1.05), 0.05, rng.integers(3, 800)), 0.0, 1.0)
    utility = rng.normal(1.0 - gamma, 0.3)
    ours = compute_best_gamma(gamma, utility, closed_top, 0.5)
    assert ours == pytest.approx(search_slowly(gamma, utility, closed_top, 0.5), abs=1e-12)


def test_best_gamma__auctiongym_never_sees_the_factors_clipped_to_one():
    gamma = np.concatenate((np.full(50, 1.0), np.repeat(np.linspace(0.9, 0.99, 20), 5)))
    utility = np.where(gamma == 1.0, 1.0, 0.0)
    assert compute_best_gamma(gamma, utility, True, 0.5) > 0.99
    assert compute_best_gamma(gamma, utility, False, 0.5) < 0.999


@pytest.mark.parametrize("gamma", [[], [0.7], [0.7, 0.702], [0.1, 0.5, 0.9]])
def test_best_gamma__stays_where_no_bucket_has_two_samples(gamma):
    """AuctionGym fails here."""
    assert compute_best_gamma(np.array(gamma), np.ones(len(gamma)), False, 0.8) == 0.8


def make_records(gamma, utility):
    n = gamma.size
    zeros, ones = np.zeros(n), np.ones(n)
    item, won = np.zeros(n, dtype=np.int64), np.ones(n, dtype=bool)
    return AgentRecords(np.ones((n, 1)), item, ones, ones, ones, ones, gamma, gamma, ones, -utility, zeros, zeros, won)


def test_bidder__moves_to_where_its_utility_was_best():
    bidder = EmpiricalShadedBidder(0.1, 0.8, closed_top=True, rng=np.random.default_rng(0))
    for _ in range(4):
        drawn = bidder.draw(np.ones(5000), np.ones(5000))
        bidder.update(make_records(drawn.gamma, -((drawn.gamma - 0.6) ** 2)))
    assert bidder.mean_gamma == pytest.approx(0.6, abs=0.03)


def test_bidder__draws_shaded_bids_with_their_density():
    bidder = EmpiricalShadedBidder(0.1, 0.9, closed_top=True, rng=np.random.default_rng(0))
    drawn = bidder.draw(np.full(4000, 2.0), np.full(4000, 0.25))
    np.testing.assert_allclose(drawn.bid, 0.5 * drawn.gamma)
    assert 0.0 <= drawn.gamma.min() < drawn.gamma.max() == 1.0
    free = drawn.gamma < 1.0
    density = np.exp(-0.5 * ((drawn.gamma - 0.9) / 0.1) ** 2) / (0.1 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(drawn.propensity[free], density[free])


def test_bidder__without_spread_bids_its_mean():
    drawn = EmpiricalShadedBidder(0.0, 0.9, closed_top=True, rng=np.random.default_rng(0)).draw(np.ones(3), np.ones(3))
    assert (drawn.gamma == 0.9).all()
    assert (drawn.propensity == 1.0).all()
