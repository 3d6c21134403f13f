"""The click model against numpy, and the exponential against the library's."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from envs.auction.kernels import compute_click_probabilities, compute_exponential, find_best_items, make_bench


@njit
def exponentiate(x):
    return compute_exponential(x)


@given(st.floats(-700.0, 700.0))
def test_exponential__is_the_librarys(x):
    assert math.isclose(exponentiate(x), math.exp(x), rel_tol=1e-14)


def find(weights, item_values, contexts):
    bench = make_bench(*contexts.shape)
    bench.contexts[:] = contexts
    find_best_items(weights, item_values, contexts.shape[1], bench)
    return bench.ctr, bench.item


def compute(weights, contexts, item):
    ctr = np.empty(item.size)
    compute_click_probabilities(weights, contexts, item, item.size, ctr)
    return ctr


@given(st.integers(1, 9), st.integers(1, 15), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_find_best_items__is_numpys_argmax(d, items, users, seed):
    """Up to what single precision can tell apart."""
    rng = np.random.default_rng(seed)
    weights, item_values = rng.normal(size=(items, d + 1)), rng.lognormal(size=items)
    contexts, each = rng.normal(size=(d, users)), np.arange(users)
    ctr = 1.0 / (1.0 + np.exp(-(weights[:, :d] @ contexts + weights[:, d:])))
    worths = ctr * item_values[:, None]
    best_ctr, item = find(weights, item_values, contexts)
    np.testing.assert_allclose(worths[item, each], worths.max(axis=0), rtol=1e-5)
    np.testing.assert_allclose(best_ctr, ctr[item, each], rtol=1e-13)
    chosen = rng.integers(items, size=users)
    np.testing.assert_allclose(compute(weights, contexts, chosen), ctr[chosen, each], rtol=1e-13)


def test_find_best_items__hardly_ever_takes_a_second_best():
    rng = np.random.default_rng(0)
    weights, item_values, contexts = (
        rng.normal(size=(12, 6)),
        rng.lognormal(0.1, 0.2, 12),
        rng.normal(size=(5, 100_000)),
    )
    worths = item_values[:, None] / (1.0 + np.exp(-(weights[:, :5] @ contexts + weights[:, 5:])))
    item = find(weights, item_values, contexts)[1]
    assert (item != worths.argmax(axis=0)).mean() < 1e-4
    assert (worths.max(axis=0) - worths[item, np.arange(100_000)]).mean() < 1e-10


def test_find_best_items__takes_the_first_of_equals():
    weights = np.tile([0.5, -1.0], (3, 1))
    assert find(weights, np.array([1.0, 2.0, 2.0]), np.ones((1, 5)))[1].tolist() == [1] * 5


def test_click_probability__stays_within_bounds_for_extreme_contexts():
    ctr = compute(np.array([[1.0, 0.0]]), np.array([[-1e6, 1e6]]), np.zeros(2, dtype=np.int64))
    assert 0.0 <= ctr[0] < 1e-300
    assert ctr[1] == 1.0


def test_find_best_items__survives_extreme_contexts():
    ctr, item = find(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.ones(2), np.array([[-1e6, 1e6, 1e300]]))
    assert item.tolist() == [1, 0, 0]
    assert ctr.tolist() == [1.0, 1.0, 1.0]


@given(st.floats(-30, 30), st.floats(-30, 30), st.floats(-4, -3))
def test_click_probability__is_monotone_in_the_dot_product(low, high, intercept):
    low, high = sorted((low, high))
    ctr = compute(np.array([[1.0, intercept]]), np.array([[low, high]]), np.zeros(2, dtype=np.int64))
    assert ctr[0] <= ctr[1]
