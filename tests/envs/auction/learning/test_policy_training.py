"""Short training runs, step by step with PyTorch: same start, same data and, where there is any, same noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from torch import Tensor

from envs.auction.learning.gaussian_policy import NUM_PARAMETERS, make_policy
from envs.auction.learning.noise import fill_normals
from envs.auction.learning.plateau import PlateauRule
from envs.auction.learning.policy_training import (
    DOUBLY_ROBUST_RULE,
    IMITATION_RULE,
    MODELLED_RULE,
    WEIGHTED_RULE,
    train_doubly_robust,
    train_imitation,
    train_modelled,
    train_weighted,
)
from envs.auction.learning.training import TrainingRule
from tests.envs.auction.learning import torch_models
from tests.envs.auction.learning.rows import Rows, sample_rows
from tests.envs.auction.learning.torch_models import to_parameter, to_tensor

KEY = np.uint64(99)
WIN_RATE = np.array([0.5, -0.3, 4.0, -2.0])
QUICK_PLATEAU = PlateauRule(0.5, 5, 1e-7)


def draw_noise(epoch: int, n: int) -> Tensor:
    noise = np.empty(n)
    fill_normals(KEY, epoch, noise)
    return to_tensor(noise)


def train_with_torch(
    start: np.ndarray, rule: TrainingRule, compute_loss: Callable[[Tensor, int], Tensor]
) -> np.ndarray:
    parameter = to_parameter(start)
    adam, plateau = torch_models.make_optimiser(parameter, rule)
    for epoch in range(rule.epochs):
        adam.zero_grad()
        loss = compute_loss(parameter, epoch)
        loss.backward()
        adam.step()
        plateau.step(loss.item())
    return parameter.detach().numpy()


@pytest.fixture(name="rows")
def make_rows() -> Rows:
    return sample_rows(150, np.random.default_rng(5))


@pytest.fixture(name="start")
def make_start() -> np.ndarray:
    return make_policy(np.random.default_rng(6))


@pytest.mark.parametrize("epochs", [1, 2, 50, 300])
def test_imitation__goes_pytorchs_way(rows: Rows, start: np.ndarray, epochs: int) -> None:
    rule = IMITATION_RULE._replace(epochs=epochs)
    own, columns = start.copy(), (rows.ctr, rows.item_value, rows.gamma)
    train_imitation(own, *columns, rule)
    tensors = [to_tensor(a) for a in columns]
    theirs = train_with_torch(start, rule, lambda p, _: torch_models.compute_imitation_loss(p, *tensors))
    np.testing.assert_allclose(own, theirs, atol=1e-6)


@pytest.mark.parametrize("name", ["REINFORCE_offpolicy", "TRPO", "PPO"])
@pytest.mark.parametrize("epochs", [1, 50, 300])
def test_weighted__goes_pytorchs_way(rows: Rows, start: np.ndarray, name: str, epochs: int) -> None:
    rule = WEIGHTED_RULE._replace(epochs=epochs, plateau=QUICK_PLATEAU)
    own, columns = start.copy(), (rows.ctr, rows.item_value, rows.gamma, np.maximum(rows.propensity, 0.1), rows.utility)
    bound, divergence_weight = (50.0, 0.0) if name == "PPO" else (np.inf, 0.05 if name == "TRPO" else 0.0)
    train_weighted(own, *columns, bound, divergence_weight, rule)
    tensors = [to_tensor(a) for a in columns]
    theirs = train_with_torch(start, rule, lambda p, _: torch_models.compute_policy_loss(name, p, *tensors))
    np.testing.assert_allclose(own, theirs, atol=1e-6)


@pytest.mark.parametrize("epochs", [1, 50, 300])
def test_modelled__goes_pytorchs_way_with_the_same_noise(rows: Rows, start: np.ndarray, epochs: int) -> None:
    rule = MODELLED_RULE._replace(epochs=epochs, plateau=QUICK_PLATEAU)
    own = start.copy()
    train_modelled(own, WIN_RATE, rows.ctr, rows.item_value, KEY, rule)
    tensors = [to_tensor(a) for a in (WIN_RATE, rows.ctr, rows.item_value)]
    theirs = train_with_torch(
        start, rule, lambda p, epoch: torch_models.compute_modelled_loss(p, *tensors, draw_noise(epoch, 150))
    )
    np.testing.assert_allclose(own, theirs, atol=1e-6)


@pytest.mark.parametrize("epochs", [1, 50, 300])
def test_doubly_robust__goes_pytorchs_way_with_the_same_noise(rows: Rows, start: np.ndarray, epochs: int) -> None:
    rule = DOUBLY_ROBUST_RULE._replace(epochs=epochs, plateau=QUICK_PLATEAU)
    own, columns = start.copy(), (rows.ctr, rows.item_value, rows.gamma, rows.propensity, rows.utility)
    train_doubly_robust(own, WIN_RATE, *columns, 50.0, KEY, rule)
    tensors = [to_tensor(a) for a in (WIN_RATE, *columns)]
    theirs = train_with_torch(
        start, rule, lambda p, epoch: torch_models.compute_doubly_robust_loss(p, *tensors, draw_noise(epoch, 150))
    )
    np.testing.assert_allclose(own, theirs, atol=1e-6)


def test_imitation__ends_near_what_was_done() -> None:
    """Gammas are 0.8 whatever was offered: the mean learns it, and the width 0.05."""
    rows = sample_rows(500, np.random.default_rng(0))
    own = make_policy(np.random.default_rng(1))
    assert own.shape == (NUM_PARAMETERS,)
    loss, _ = train_imitation(own, rows.ctr, rows.item_value, np.full(500, 0.8), IMITATION_RULE)
    assert loss < 1e-3
