"""The policy: its forward pass against PyTorch, its draws against its density."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from envs.auction.learning.gaussian_policy import (
    LEAST_SIGMA,
    NUM_PARAMETERS,
    compute_density,
    compute_policies,
    make_policy,
    sample_gamma,
)
from tests.envs.auction.learning import torch_models
from tests.envs.auction.learning.rows import sample_rows
from tests.envs.auction.learning.torch_models import to_tensor


@pytest.mark.parametrize("scale", [0.7, 5.0])
def test_policy__is_pytorchs_network(scale: float) -> None:
    rng = np.random.default_rng(0)
    rows, parameters = sample_rows(500, rng), rng.normal(0.0, scale, NUM_PARAMETERS)
    mu, sigma = compute_policies(parameters, rows.ctr, rows.item_value)
    theirs = torch_models.compute_policy(to_tensor(parameters), to_tensor(rows.ctr), to_tensor(rows.item_value))
    np.testing.assert_allclose(mu, theirs[0].numpy(), atol=1e-7)
    np.testing.assert_allclose(sigma, theirs[1].numpy() + LEAST_SIGMA, atol=1e-7)


def test_density__is_scipys() -> None:
    gamma = np.linspace(-1.0, 2.0, 50)
    np.testing.assert_allclose(compute_density(gamma, 0.4, 0.3), stats.norm.pdf(gamma, 0.4, 0.3), rtol=1e-12)


def test_sample_gamma__clips_the_draw_but_not_its_density() -> None:
    """Mean 1 and width about 0.5, so that half of the draws lie above 1."""
    parameters = np.zeros(NUM_PARAMETERS)
    parameters[8], parameters[11] = np.log(np.expm1(1.0)), np.log(np.expm1(0.49))
    ones = np.ones(20_000)
    gamma, propensity = sample_gamma(parameters, ones, ones, np.random.default_rng(0))
    drawn = 1.0 + 0.5 * np.random.default_rng(0).standard_normal(ones.size)
    np.testing.assert_allclose(gamma, np.clip(drawn, 0.0, 1.0), atol=1e-6)
    np.testing.assert_allclose(propensity, stats.norm.pdf(drawn, 1.0, 0.5), atol=1e-5)
    assert (gamma == 1.0).mean() == pytest.approx(0.5, abs=0.02)


def test_make_policy__starts_like_a_linear_layer_of_two_inputs() -> None:
    draws = np.array([make_policy(np.random.default_rng(seed)) for seed in range(500)])
    assert draws.shape == (500, NUM_PARAMETERS)
    assert np.abs(draws).max() <= np.sqrt(0.5)
    assert draws.var() == pytest.approx(0.5 / 3.0, rel=0.05)
