"""The sum tree against a slow independent implementation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from gaelp_rl.errors import DataError
from gaelp_rl.training.sum_tree import SumTree


@given(
    capacity=st.integers(1, 70),
    writes=st.lists(st.tuples(st.integers(0, 69), st.floats(0.0, 1e6)), max_size=80),
)
def test_sum_tree__total_and_leaves_follow_every_write(capacity: int, writes: list[tuple[int, float]]) -> None:
    """Origin of the expectation: a plain array written in the same order."""
    kept = [(index % capacity, priority) for index, priority in writes]
    expected = np.zeros(capacity)
    for index, priority in kept:
        expected[index] = priority
    tree = SumTree(capacity)
    tree.set(np.array([i for i, _ in kept], dtype=np.int64), np.array([p for _, p in kept], dtype=np.float64))
    np.testing.assert_array_equal(tree.get(np.arange(capacity)), expected)
    assert tree.total == pytest.approx(expected.sum(), rel=1e-12)


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=40), st.integers(0, 2**32 - 1))
def test_sum_tree__never_draws_an_empty_leaf(priorities: list[float], seed: int) -> None:
    values = np.array(priorities)
    tree = SumTree(values.size)
    tree.set(np.arange(values.size), values)
    if values.sum() > 0.0:
        assert (values[tree.sample_stratified(64, np.random.default_rng(seed))] > 0.0).all()


def test_sum_tree__draws_like_the_cumulative_sum() -> None:
    """With the same strata and draws, searching the cumulative sum finds the same leaves."""
    rng = np.random.default_rng(3)
    priorities = rng.integers(0, 50, size=1_000).astype(np.float64)
    tree = SumTree(1_000)
    tree.set(np.arange(1_000), priorities)
    found = tree.sample_stratified(5_000, np.random.default_rng(9))
    targets = (np.arange(5_000) + np.random.default_rng(9).random(5_000)) * priorities.sum() / 5_000
    np.testing.assert_array_equal(found, np.searchsorted(np.cumsum(priorities), targets, side="right"))


def test_sum_tree__frequencies_match_priorities() -> None:
    """Chi-square over 64,000 draws at the 1e-4 level; strata only lower the variance."""
    priorities = np.array([1.0, 2.0, 3.0, 4.0, 0.5, 8.0, 0.25, 1.25])
    tree = SumTree(8)
    tree.set(np.arange(8), priorities)
    rng = np.random.default_rng(1)
    counts = np.bincount(np.concatenate([tree.sample_stratified(32, rng) for _ in range(2_000)]), minlength=8)
    assert chisquare(counts, 64_000 * priorities / priorities.sum()).pvalue > 1e-4


@pytest.mark.parametrize(("index", "priority"), [(-1, 1.0), (4, 1.0), (0, -1.0), (0, float("nan")), (0, float("inf"))])
def test_sum_tree__refuses_what_it_cannot_hold(index: int, priority: float) -> None:
    with pytest.raises(DataError):
        SumTree(4).set(np.array([index]), np.array([priority]))


def test_sum_tree__empty_tree_cannot_be_sampled() -> None:
    with pytest.raises(DataError, match="no positive priority"):
        SumTree(4).sample_stratified(2, np.random.default_rng(0))
