"""Agreement of two samples against scipy, hand-made numbers and simulated truth."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from scipy import stats

from gaelp_rl.errors import DataError
from gaelp_rl.evaluation.equivalence import (
    compute_holm_adjusted,
    compute_paired_comparison,
    sample_exchange_p_value,
)

DIFFERENCES = st_numpy.arrays(np.float64, st.integers(3, 30), elements=st.floats(-100, 100), unique=True)


@given(DIFFERENCES, st.floats(0.01, 50))
def test_compute_paired_comparison__equals_scipy(differences: np.ndarray, margin: float) -> None:
    """The t-test, and the larger p-value of the two one-sided tests against -margin and +margin."""
    comparison = compute_paired_comparison(differences, margin)
    above_lower = stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
    below_upper = stats.ttest_1samp(differences, margin, alternative="less").pvalue
    assert comparison.difference_p_value == pytest.approx(stats.ttest_1samp(differences, 0.0).pvalue, abs=1e-9)
    assert comparison.equivalence_p_value == pytest.approx(max(above_lower, below_upper), abs=1e-9)


def test_compute_paired_comparison__by_hand() -> None:
    """1, 2, 3: mean 2, sd 1, se 1/sqrt(3), t = 2 sqrt(3); t(2) has tail 1/2 - t / (2 sqrt(2 + t^2)) = 0.0371."""
    comparison = compute_paired_comparison(np.array([1.0, 2.0, 3.0]), 4.0)
    assert comparison.mean == 2.0
    assert comparison.standard_error == pytest.approx(3**-0.5)
    assert comparison.difference_p_value == pytest.approx(2 * 0.03709, abs=1e-4)
    assert comparison.equivalence_p_value == pytest.approx(0.03709, abs=1e-4)


def test_compute_paired_comparison__knows_what_one_pair_cannot_say() -> None:
    assert np.isnan(compute_paired_comparison(np.array([0.1]), 1.0).equivalence_p_value)


@pytest.mark.parametrize(("figure", "difference", "equivalence"), [(0.0, 1.0, 0.0), (0.5, 0.0, 0.0), (2.0, 0.0, 1.0)])
def test_compute_paired_comparison__without_noise(figure: float, difference: float, equivalence: float) -> None:
    comparison = compute_paired_comparison(np.full(4, figure), 1.0)
    assert (comparison.difference_p_value, comparison.equivalence_p_value) == (difference, equivalence)


@pytest.mark.parametrize(("differences", "margin"), [([], 1.0), ([np.nan, 1.0], 1.0), ([0.0, 1.0], 0.0)])
def test_compute_paired_comparison__refuses(differences: list[float], margin: float) -> None:
    with pytest.raises(DataError, match=r"finite|margin"):
        compute_paired_comparison(np.array(differences), margin)


def test_compute_holm_adjusted__by_hand() -> None:
    """0.01, 0.02, 0.03, 0.04 with factors 4, 3, 2, 1: 0.04, 0.06, max(0.06, 0.06), max(0.06, 0.04)."""
    adjusted = compute_holm_adjusted(np.array([0.04, 0.01, 0.03, 0.02]))
    assert adjusted == pytest.approx([0.06, 0.04, 0.06, 0.06])


@given(st_numpy.arrays(np.float64, st.integers(1, 12), elements=st.floats(0, 1)))
def test_compute_holm_adjusted__equals_the_step_down_rule(p_values: np.ndarray) -> None:
    """Rejecting upwards while p_(j) <= alpha / (m - j + 1) rejects what the adjusted p-values reject."""
    alpha = 0.05
    rejected = set()
    for step, index in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[index] > alpha / (p_values.size - step):
            break
        rejected.add(int(index))
    adjusted = compute_holm_adjusted(p_values)
    assert {index for index in rejected if adjusted[index] > alpha + 1e-12} == set()
    assert {int(index) for index in np.flatnonzero(adjusted < alpha - 1e-12)} <= rejected


def test_compute_holm_adjusted__refuses_nan() -> None:
    with pytest.raises(DataError, match="leave out"):
        compute_holm_adjusted(np.array([0.1, np.nan]))


def compute_exact_p_value(reference: list[float], own: list[list[float]]) -> float:
    """Every exchange of one reference run per block, the statistic written out in pure Python."""
    blocks = [[first, *rest] for first, rest in zip(reference, own, strict=True)]
    centres = [sum(block) / len(block) for block in blocks]
    squares = [(figure - centre) ** 2 for block, centre in zip(blocks, centres, strict=True) for figure in block]
    variance = sum(squares) / len(squares)

    def statistic(choice: tuple[int, ...]) -> float:
        picked = zip(blocks, centres, choice, strict=True)
        return sum((block[index] - centre) ** 2 / variance for block, centre, index in picked)

    observed = statistic((0,) * len(blocks))
    every = [statistic(choice) for choice in itertools.product(*(range(len(block)) for block in blocks))]
    above = sum(figure >= observed - 1e-9 for figure in every) / len(every)
    below = sum(figure <= observed + 1e-9 for figure in every) / len(every)
    return min(1.0, 2.0 * min(above, below))


def test_sample_exchange_p_value__equals_full_enumeration() -> None:
    draws = np.random.default_rng(5).normal(size=(3, 5))
    draws[:, 0] += 1.5
    expected = compute_exact_p_value(draws[:, 0].tolist(), draws[:, 1:].tolist())
    found = sample_exchange_p_value(
        draws[:, :1, None], draws[:, 1:, None], np.random.default_rng(6), min_exceedances=4000
    )
    assert found == pytest.approx(expected, abs=0.02)


def test_sample_exchange_p_value__is_uniform_for_equals() -> None:
    """At 5 %, 400 comparisons of equal samples reject 2 to 9 %, however different blocks are."""
    rng = np.random.default_rng(7)
    rejections = 0
    for _ in range(400):
        draws = rng.normal(size=(6, 8, 2)) + 100.0 * rng.normal(size=(6, 1, 2))
        rejections += sample_exchange_p_value(draws[:, :2], draws[:, 2:], rng, 20, 2000) <= 0.05
    assert 8 <= rejections <= 36


def test_sample_exchange_p_value__finds_shifts_that_cancel_in_the_mean() -> None:
    """One agent of every block too high and another too low by one sd: no mean would show it."""
    rng = np.random.default_rng(8)
    draws = rng.normal(size=(15, 22, 2))
    draws[:, :2] += np.array([1.0, -1.0])
    assert sample_exchange_p_value(draws[:, :2], draws[:, 2:], rng) < 1e-3


def test_sample_exchange_p_value__finds_another_spread() -> None:
    rng = np.random.default_rng(9)
    draws = rng.normal(size=(15, 22, 3))
    assert sample_exchange_p_value(2.0 * draws[:, :2], draws[:, 2:], rng) < 1e-3
    assert sample_exchange_p_value(0.4 * draws[:, :2], draws[:, 2:], rng) < 1e-3


def test_sample_exchange_p_value__of_constants_is_one() -> None:
    assert sample_exchange_p_value(np.ones((3, 1, 2)), np.ones((3, 4, 2)), np.random.default_rng(0)) == 1.0


@pytest.mark.parametrize("own", [np.ones((2, 4, 2)), np.ones((3, 4, 1)), np.full((3, 4, 2), np.nan)])
def test_sample_exchange_p_value__refuses(own: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"shapes|finite"):
        sample_exchange_p_value(np.ones((3, 1, 2)), own, np.random.default_rng(0))
