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
    compute_ar1_precision,
    compute_transformed,
    find_mode,
    integrate_over,
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


def _product_scores(theta: np.ndarray) -> Scores:
    """One observation of exp(a) x: a ridge along which a and x trade off; it is 0.1, seen with sd 0.1."""
    residual = 0.1 - np.exp(theta[0]) * theta[1]
    slope = np.exp(theta[0]) * np.array([theta[1], 1.0])
    return Scores(slope * residual / 0.01, np.outer(slope, slope) / 0.01, -0.5 * residual**2 / 0.01)


def test_integrate_over__finds_the_mass_of_a_curved_ridge() -> None:
    """Against brute-force quadrature of the same posterior, whose mode is off by a third of an sd."""
    prior = Prior(np.array([0.0, 1.0]), np.diag([1.0, 4.0]))
    mode = find_mode(_product_scores, prior, np.array([0.1, 1.0]))
    found = integrate_over(_product_scores, prior, mode, [0])
    a, x = np.meshgrid(np.linspace(-5, 4, 1201), np.linspace(-3, 5, 1601), indexing="ij")
    log_density = -0.5 * (0.1 - np.exp(a) * x) ** 2 / 0.01 - 0.5 * a**2 - 2.0 * (x - 1.0) ** 2
    weight = np.exp(log_density - log_density.max())
    mean = (weight * a).sum() / weight.sum()
    sd = np.sqrt((weight * (a - mean) ** 2).sum() / weight.sum())
    assert abs(mode.mean[0] - mean) > 0.25 * sd
    assert found.mean[0] == pytest.approx(mean, abs=0.05 * sd)
    assert found.covariance[0, 0] ** 0.5 == pytest.approx(sd, rel=0.1)


def test_integrate_over__without_learning_keeps_the_prior_of_the_grid() -> None:
    prior = Prior(np.array([0.2, 1.0]), np.diag([4.0, 4.0]))
    start = Posterior(np.array([0.2, 0.3]), np.diag([0.25, 0.1]))
    found = integrate_over(_product_scores, prior, start, [0], learn=False)
    assert found.mean[0] == pytest.approx(0.2, abs=0.01)
    assert found.covariance[0, 0] ** 0.5 == pytest.approx(0.5, rel=0.05)
    assert found.mean[1] < 0.5
