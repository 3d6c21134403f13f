"""The fitting engine against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.response.posterior import (
    Posterior,
    Prior,
    Scores,
    Term,
    compute_ar1_precision,
    compute_transformed,
    find_mode,
    find_quasi_mode,
    make_circular_precision,
    update_variance,
)


def test_find_mode__of_poisson_counts_is_the_log_of_their_mean() -> None:
    """Flat prior: mode ln(mean), variance 1 / sum of counts."""
    counts = np.array([3.0, 5.0, 10.0])

    def compute_scores(theta: np.ndarray) -> Scores:
        mean = np.exp(theta[0])
        return Scores(np.array([(counts - mean).sum()]), np.array([[3.0 * mean]]))

    found = find_mode(compute_scores, Prior(np.zeros(1), np.full((1, 1), 1e-9)), np.array([4.0]))
    assert found.mean[0] == pytest.approx(np.log(6.0))
    assert found.covariance[0, 0] == pytest.approx(1.0 / 18.0)


@given(st.floats(-3, 3), st.floats(0.1, 3), st.floats(-3, 3), st.floats(0.1, 3))
def test_find_mode__of_a_normal_observation_is_the_precision_weighted_mean(
    prior_mean: float, prior_sd: float, seen: float, sd: float
) -> None:
    prior = Prior(np.array([prior_mean]), np.array([[prior_sd**-2]]))
    found = find_mode(lambda t: Scores(np.array([(seen - t[0]) / sd**2]), np.array([[sd**-2]])), prior, np.zeros(1))
    weight = prior_sd**-2 / (prior_sd**-2 + sd**-2)
    assert found.mean[0] == pytest.approx(weight * prior_mean + (1 - weight) * seen, abs=1e-6)
    assert found.covariance[0, 0] == pytest.approx(1.0 / (prior_sd**-2 + sd**-2))


@pytest.mark.parametrize("size", [1, 2, 7])
def test_ar1_precision__inverts_the_autocovariance(size: int) -> None:
    gap = np.abs(np.arange(size)[:, None] - np.arange(size))
    np.testing.assert_allclose(np.linalg.inv(compute_ar1_precision(size, 0.8)), 0.8**gap, atol=1e-12)


def test_circular_precision__midnight_is_next_to_eleven() -> None:
    covariance = np.linalg.inv(make_circular_precision(24, 0.5, 3.0))
    np.testing.assert_allclose(np.diag(covariance), 0.25)
    assert covariance[0, 23] == pytest.approx(covariance[0, 1]) == pytest.approx(0.25 * np.exp(-1 / 3))


def test_update_variance__of_known_effects_is_their_mean_square() -> None:
    """No uncertainty, no prior: S / n; a prior adds its own squares and freedom."""
    effects = np.array([1.0, -2.0, 3.0])
    assert update_variance(effects, np.zeros((3, 3)), np.eye(3), 9.0, 0.0) == (pytest.approx(14 / 3), 3.0)
    variance, freedom = update_variance(effects, np.zeros((3, 3)), np.eye(3), 2.0, 4.0)
    assert (variance, freedom) == (pytest.approx((14 + 16) / 7), 7.0)


def test_compute_transformed__is_exact_for_linear_functions() -> None:
    matrix = np.array([[1.0, 2.0], [0.0, -1.0], [3.0, 1.0]])
    posterior = Posterior(np.array([0.5, -1.0]), np.array([[2.0, 0.3], [0.3, 1.0]]))
    found = compute_transformed(posterior, lambda theta: matrix @ theta)
    np.testing.assert_allclose(found.mean, matrix @ posterior.mean)
    np.testing.assert_allclose(found.covariance, matrix @ posterior.covariance @ matrix.T, atol=1e-8)


def test_find_quasi_mode__of_counts_is_the_log_of_their_mean_even_from_afar() -> None:
    """Poisson variances grow with the mean: a step that overshoots must not be excused by it."""
    counts = np.array([3.0, 5.0, 10.0])

    def compute_terms(theta: np.ndarray) -> list[Term]:
        mean = np.full(3, np.exp(theta[0]))
        return [Term(counts - mean, mean, mean[:, None])]

    for start in (-3.0, 0.0, 9.0):
        found = find_quasi_mode(compute_terms, Prior(np.zeros(1), np.full((1, 1), 1e-9)), np.array([start]), 80)
        assert found.mean[0] == pytest.approx(np.log(6.0), abs=1e-5)
        assert found.covariance[0, 0] == pytest.approx(1.0 / 18.0, rel=1e-4)
