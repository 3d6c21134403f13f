"""The win-rate model: gradient, training, what it expects of a bid, and the search for the best one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from envs.auction.learning.plateau import PlateauRule
from envs.auction.learning.training import TrainingRule
from envs.auction.learning.win_rate import (
    SEARCH_CANDIDATES,
    WinRateModel,
    compute_win_rate_loss,
    compute_worth,
    train_win_rate,
)
from tests.envs.auction.learning import torch_models
from tests.envs.auction.learning.rows import sample_rows
from tests.envs.auction.learning.torch_models import to_parameter, to_tensor

RULE = TrainingRule(32768, 1024, 3e-3, 1e-6, PlateauRule(0.2, 256, 1e-7))


@pytest.mark.parametrize("n", [1, 255, 1000])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_win_rate__gradient(n: int, scale: float) -> None:
    rng = np.random.default_rng(n)
    rows, parameters, gradient = sample_rows(n, rng), rng.normal(0.0, scale, 4), np.empty(4)
    columns = (rows.ctr, rows.item_value, rows.gamma, rows.won)
    loss = compute_win_rate_loss(parameters, *columns, gradient)
    parameter = to_parameter(parameters)
    expected = torch_models.compute_win_rate_loss(parameter, *(to_tensor(a) for a in columns))
    expected.backward()
    assert parameter.grad is not None
    assert loss == pytest.approx(expected.item(), rel=1e-7)
    np.testing.assert_allclose(gradient, parameter.grad.numpy(), atol=1e-8)


@pytest.mark.parametrize("epochs", [1, 10, 400])
def test_win_rate__training_goes_pytorchs_way(epochs: int) -> None:
    """Same start, same data, a plateau of 4 epochs so that the learning rate falls often."""
    rule = RULE._replace(epochs=epochs, learning_rate=0.1, plateau=PlateauRule(0.5, 4, 1e-7))
    rows, start = sample_rows(200, np.random.default_rng(1)), np.array([0.1, -0.4, 0.3, 0.2])
    columns = (rows.ctr, rows.item_value, rows.gamma, rows.won)
    own = start.copy()
    train_win_rate(own, *columns, rule)
    parameter, tensors = to_parameter(start), [to_tensor(a) for a in columns]
    adam, plateau = torch_models.make_optimiser(parameter, rule)
    for _ in range(epochs):
        adam.zero_grad()
        loss = torch_models.compute_win_rate_loss(parameter, *tensors)
        loss.backward()
        adam.step()
        plateau.step(loss.item())
    np.testing.assert_allclose(own, parameter.detach().numpy(), atol=1e-6)
    assert epochs < 400 or adam.param_groups[0]["lr"] < rule.learning_rate


def test_worth__is_its_formula_and_slope() -> None:
    parameters, ctr, item_value, gamma, step = (0.4, -0.2, 3.0, -1.5), 0.6, 1.2, 0.7, 1e-4
    worth, slope = compute_worth(parameters, ctr, item_value, gamma)
    win_rate = 1.0 / (1.0 + np.exp(-(0.4 * ctr - 0.2 * item_value + 3.0 * gamma - 1.5)))
    assert worth == pytest.approx(win_rate * ctr * item_value * (1.0 - gamma), rel=1e-8)
    up, down = (compute_worth(parameters, ctr, item_value, gamma + d)[0] for d in (step, -step))
    assert slope == pytest.approx((up - down) / (2.0 * step), abs=2e-4)


def test_fit__finds_the_model_that_made_the_data() -> None:
    """Won by chance sigma(6 gamma - 3 + ctr), and lost for certain at gamma = 0, as the model is taught.

    The likelihood of the taught data has one peak, found here by Newton's method.
    """
    rng = np.random.default_rng(0)
    rows = sample_rows(4000, rng)
    won = (rng.random(4000) < 1.0 / (1.0 + np.exp(3.0 - 6.0 * rows.gamma - rows.ctr))).astype(np.float64)
    own = np.zeros(4)
    loss, epochs = train_win_rate(own, rows.ctr, rows.item_value, rows.gamma, won, RULE)
    ones, zeros = np.ones(4000), np.zeros(4000)
    design = np.concatenate(
        [
            np.stack([rows.ctr, rows.item_value, rows.gamma, ones], axis=1),
            np.stack([rows.ctr, rows.item_value, zeros, ones], axis=1),
        ]
    )
    labels, best = np.concatenate([won, zeros]), np.zeros(4)
    for _ in range(30):
        p = 1.0 / (1.0 + np.exp(-design @ best))
        best += np.linalg.solve((design * (p * (1.0 - p))[:, None]).T @ design, design.T @ (labels - p))
    least = compute_win_rate_loss(best, rows.ctr, rows.item_value, rows.gamma, won, np.empty(4))
    assert epochs < RULE.epochs
    assert least <= loss < least + 1e-3
    np.testing.assert_allclose(own, best, atol=0.5)


def test_search__takes_the_best_of_its_candidates() -> None:
    """The expected gamma of a grid search with the candidates' own distribution, drawn by NumPy."""
    model = WinRateModel(RULE, np.random.default_rng(0))
    model.parameters = np.array([0.5, -0.1, 8.0, -4.0])
    ctr, item_value = np.full(20_000, 0.3), np.full(20_000, 1.1)
    found = model.search(item_value, ctr, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    candidates = rng.uniform(0.1, 1.0, (20_000, SEARCH_CANDIDATES))
    worths = (1.0 - candidates) / (1.0 + np.exp(-(0.5 * 0.3 - 0.1 * 1.1 + 8.0 * candidates - 4.0)))
    expected = candidates[np.arange(20_000), worths.argmax(axis=1)]
    assert found.mean() == pytest.approx(expected.mean(), abs=4.0 * expected.std() * np.sqrt(2.0 / 20_000))
    assert found.std() == pytest.approx(expected.std(), rel=0.05)
    assert 0.1 <= found.min() <= found.max() < 1.0


def test_model__starts_like_a_linear_layer_of_three_inputs() -> None:
    starts = np.array([WinRateModel(RULE, np.random.default_rng(seed)).parameters for seed in range(500)])
    assert np.abs(starts).max() <= 1.0 / np.sqrt(3.0)
    reference = torch.nn.Linear(3, 1)
    assert starts.shape[1] == sum(p.numel() for p in reference.parameters())
