"""Moments along a ridge against brute-force quadrature."""

from __future__ import annotations

import numpy as np
import pytest

from gaelp_rl.response.posterior import Posterior, Prior, Scores, find_mode
from gaelp_rl.response.ridge import integrate_over


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
