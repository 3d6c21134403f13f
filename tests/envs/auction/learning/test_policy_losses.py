"""Every loss and its hand-written gradient against PyTorch's automatic one, where every clip binds somewhere."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from torch import Tensor

from envs.auction.learning.gaussian_policy import NUM_PARAMETERS
from envs.auction.learning.policy_losses import (
    compute_doubly_robust_loss,
    compute_imitation_loss,
    compute_modelled_loss,
    compute_weighted_loss,
)
from tests.envs.auction.learning import torch_models
from tests.envs.auction.learning.rows import Rows, sample_rows
from tests.envs.auction.learning.torch_models import to_parameter, to_tensor

WIN_RATE = np.array([0.5, -0.3, 4.0, -2.0])
BOUNDS = {"REINFORCE": math.inf, "REINFORCE_offpolicy": math.inf, "TRPO": math.inf, "PPO": 50.0}


def check_against_torch(
    ours: Callable[[np.ndarray, np.ndarray], float], theirs: Callable[[Tensor], Tensor], parameters: np.ndarray
) -> None:
    gradient = np.empty(NUM_PARAMETERS)
    loss = ours(parameters, gradient)
    parameter = to_parameter(parameters)
    expected = theirs(parameter)
    expected.backward()
    assert parameter.grad is not None
    scale = 1.0 + np.abs(parameter.grad.numpy()).max()
    assert loss == pytest.approx(expected.item(), rel=1e-6, abs=1e-7)
    np.testing.assert_allclose(gradient, parameter.grad.numpy(), rtol=1e-6, atol=1e-7 * scale)


def sample_case(seed: int, n: int = 301) -> tuple[Rows, np.ndarray]:
    rng = np.random.default_rng(seed)
    return sample_rows(n, rng), rng.normal(0.0, 1.0, NUM_PARAMETERS)


@pytest.mark.parametrize("seed", range(3))
def test_imitation__gradient(seed: int) -> None:
    rows, parameters = sample_case(seed)
    tensors = [to_tensor(a) for a in (rows.ctr, rows.item_value, rows.gamma)]
    check_against_torch(
        lambda p, g: compute_imitation_loss(p, rows.ctr, rows.item_value, rows.gamma, g),
        lambda p: torch_models.compute_imitation_loss(p, *tensors),
        parameters,
    )


@pytest.mark.parametrize("name", sorted(BOUNDS))
@pytest.mark.parametrize("seed", range(3))
def test_weighted__gradient(name: str, seed: int) -> None:
    rows, parameters = sample_case(seed)
    propensity = np.ones_like(rows.propensity) if name == "REINFORCE" else rows.propensity
    divergence_weight = 0.05 if name == "TRPO" else 0.0
    tensors = [to_tensor(a) for a in (rows.ctr, rows.item_value, rows.gamma, rows.propensity, rows.utility)]
    check_against_torch(
        lambda p, g: compute_weighted_loss(
            p, rows.ctr, rows.item_value, rows.gamma, propensity, rows.utility, BOUNDS[name], divergence_weight, g
        ),
        lambda p: torch_models.compute_policy_loss(name, p, *tensors),
        parameters,
    )


@pytest.mark.parametrize("seed", range(3))
def test_modelled__gradient(seed: int) -> None:
    rows, parameters = sample_case(seed)
    tensors = [to_tensor(a) for a in (WIN_RATE, rows.ctr, rows.item_value, rows.noise)]
    check_against_torch(
        lambda p, g: compute_modelled_loss(p, WIN_RATE, rows.ctr, rows.item_value, rows.noise, g),
        lambda p: torch_models.compute_modelled_loss(p, *tensors),
        parameters,
    )


@pytest.mark.parametrize("seed", range(3))
def test_doubly_robust__gradient(seed: int) -> None:
    rows, parameters = sample_case(seed)
    columns = (rows.ctr, rows.item_value, rows.gamma, rows.propensity, rows.utility)
    tensors = [to_tensor(a) for a in (WIN_RATE, *columns, rows.noise)]
    check_against_torch(
        lambda p, g: compute_doubly_robust_loss(p, WIN_RATE, *columns, 50.0, rows.noise, g),
        lambda p: torch_models.compute_doubly_robust_loss(p, *tensors),
        parameters,
    )


def test_rows__make_every_clip_bind() -> None:
    """Or the tests above would not reach the branches that they are for."""
    rows, parameters = sample_case(0)
    mu, raw_sigma = torch_models.compute_policy(to_tensor(parameters), to_tensor(rows.ctr), to_tensor(rows.item_value))
    sigma = raw_sigma.numpy() + 0.01
    z = (rows.gamma - mu.numpy()) / sigma
    weight = np.exp(-0.5 * z * z) / (sigma * math.sqrt(2.0 * math.pi)) / rows.propensity
    drawn = mu.numpy() + sigma * rows.noise
    for sign in (-1.0, 1.0):
        of_sign = np.sign(rows.utility) == sign
        assert (of_sign & (weight > 50.0)).any()
        assert (of_sign & (weight < 1 / 50)).any()
        assert (of_sign & (weight > 1 / 50) & (weight < 50.0)).any()
    assert (drawn < 0.0).any()
    assert (drawn > 1.0).any()


def test_weighted__a_density_at_its_floor_does_not_pull() -> None:
    """Mean about 30 and width 0.01 leave no density at a gamma of 0.5."""
    rows, _ = sample_case(0)
    parameters, gradient = np.zeros(NUM_PARAMETERS), np.empty(NUM_PARAMETERS)
    parameters[8], parameters[11] = 30.0, -30.0
    gamma, ones = np.full_like(rows.gamma, 0.5), np.ones_like(rows.gamma)
    loss = compute_weighted_loss(parameters, rows.ctr, rows.item_value, gamma, ones, ones, math.inf, 0.0, gradient)
    assert loss == pytest.approx(-1e-30)
    assert not gradient.any()
