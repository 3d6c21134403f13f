"""The learned allocator: loss, training, posterior and choice, each against its own slow equal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from envs.auction.agents import AgentRecords, Allocator
from envs.auction.learning import LogisticAllocator
from envs.auction.learning.logistic_allocator import (
    compute_allocator_loss,
    compute_precision_gain,
    train_allocator,
)
from gaelp_rl.errors import DataError
from tests.envs.auction.learning.torch_models import to_parameter, to_tensor

ITEMS, SIZE = 4, 3


def make_records(n: int, rng: np.random.Generator, weights: np.ndarray) -> AgentRecords:
    """Impressions of random items in random contexts, three of four won, clicked as ``weights`` [items, c] say."""
    context = rng.standard_normal((n, weights.shape[1]))
    context[:, -1] = 1.0
    item, won = rng.integers(weights.shape[0], size=n), rng.random(n) < 0.75
    ctr = 1.0 / (1.0 + np.exp(-np.einsum("nc,nc->n", context, weights[item])))
    zeros, ones = np.zeros(n), np.ones(n)
    click = (won & (rng.random(n) < ctr)).astype(np.float64)
    return AgentRecords(context, item, ones, ctr, ctr, ones, ctr, ones, ones, zeros, zeros, click, won)


def sort_by_item(records: AgentRecords) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features [c, n], clicks [n] and firsts [items + 1] of won impressions, and their items."""
    won = np.flatnonzero(records.won)
    order = won[np.argsort(records.item[won], kind="stable")]
    firsts = np.searchsorted(records.item[order], np.arange(ITEMS + 1))
    return np.ascontiguousarray(records.context[order].T), records.click[order], firsts, records.item[order]


def compute_loss_with_torch(m: Tensor, prior: Tensor, q: Tensor, x: Tensor, item: Tensor, click: Tensor) -> Tensor:
    logits = (x * m.reshape(ITEMS, SIZE)[item]).sum(dim=1)
    shift = (prior - m).reshape(ITEMS, SIZE)[:, :-1]
    penalty = 0.5 * (q.reshape(ITEMS, SIZE)[:, :-1] * shift**2).sum()
    return penalty + functional.binary_cross_entropy_with_logits(logits, click, reduction="sum")


@pytest.fixture(name="records")
def make_some_records() -> AgentRecords:
    rng = np.random.default_rng(0)
    return make_records(800, rng, rng.normal(0.0, 1.0, (ITEMS, SIZE)))


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_allocator__gradient(records: AgentRecords, scale: float) -> None:
    rng = np.random.default_rng(1)
    features, clicks, firsts, items = sort_by_item(records)
    weights, prior, precision = rng.normal(0, scale, 12), rng.normal(size=12), rng.uniform(0.5, 5.0, 12)
    gradient, scratch = np.empty(12), np.empty((2, clicks.size))
    loss = compute_allocator_loss(weights, prior, precision, features, clicks, firsts, scratch, gradient)
    parameter = to_parameter(weights)
    expected = compute_loss_with_torch(
        parameter,
        to_tensor(prior),
        to_tensor(precision),
        to_tensor(features.T.copy()),
        torch.tensor(items),
        to_tensor(clicks),
    )
    expected.backward()
    assert parameter.grad is not None
    assert loss == pytest.approx(expected.item(), rel=1e-7)
    np.testing.assert_allclose(gradient, parameter.grad.numpy(), atol=1e-5)


@pytest.mark.parametrize("epochs", [1, 200, 600])
def test_allocator__training_goes_pytorchs_way(records: AgentRecords, epochs: int) -> None:
    rng = np.random.default_rng(2)
    features, clicks, firsts, items = sort_by_item(records)
    start, precision = rng.normal(size=12), rng.uniform(0.5, 5.0, 12)
    own = start.copy()
    train_allocator(own, start, precision, features, clicks, firsts, epochs)
    m, tensors = to_parameter(start), (to_tensor(features.T.copy()), torch.tensor(items), to_tensor(clicks))
    adam = torch.optim.Adam([m], lr=2e-3)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(adam, "min", factor=0.5)
    for _ in range(epochs):
        adam.zero_grad()
        loss = compute_loss_with_torch(m, to_tensor(start), to_tensor(precision), *tensors)
        loss.backward()
        adam.step()
        plateau.step(loss.item())
    np.testing.assert_allclose(own, m.detach().numpy(), atol=1e-6)


def test_allocator__training_ends_when_the_loss_stands_still(records: AgentRecords) -> None:
    features, clicks, firsts, _ = sort_by_item(records)
    start = np.zeros(12)
    _, epochs = train_allocator(start.copy(), start, np.ones(12), features, clicks, firsts, 16384)
    assert 1026 <= epochs < 8000


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_precision_gain__is_the_laplace_approximations(records: AgentRecords, shift: float) -> None:
    weights = np.random.default_rng(3).normal(size=(ITEMS, SIZE))
    gain = compute_precision_gain(weights, records.context, records.item, shift)
    for item in range(ITEMS):
        x = records.context[records.item == item]
        p = 1.0 / (1.0 + np.exp(shift - x @ weights[item]))
        np.testing.assert_allclose(gain[item], (p * (1.0 - p)) @ x**2, rtol=1e-6)


@pytest.mark.parametrize("compat", [False, True])
def test_allocator__posterior_gathers_won_impressions_at_the_new_weights(records: AgentRecords, compat: bool) -> None:
    allocator = LogisticAllocator(ITEMS, SIZE, True, compat, np.random.default_rng(4))
    assert isinstance(allocator, Allocator)
    allocator.update(records)
    x, item = records.context[records.won], records.item[records.won]
    z = np.einsum("nc,nc->n", x, allocator.weights[item]) - (1.0 if compat else 0.0)
    p = 1.0 / (1.0 + np.exp(-z))
    expected = np.ones((ITEMS, SIZE))
    np.add.at(expected, item, (p * (1.0 - p))[:, None] * x**2)
    np.testing.assert_allclose(allocator.precision, expected, rtol=1e-6)


def test_allocator__learns_the_clicks() -> None:
    """1,500 impressions for each item; the prior holds the weights back by about a hundredth."""
    rng = np.random.default_rng(5)
    truth = rng.normal(0.0, 1.0, (ITEMS, SIZE))
    allocator = LogisticAllocator(ITEMS, SIZE, False, False, np.random.default_rng(6))
    for _ in range(6):
        allocator.update(make_records(2000, rng, truth))
    np.testing.assert_allclose(allocator.weights, truth, atol=0.35)


@pytest.mark.parametrize("wins", [0, 1])
def test_allocator__learns_nothing_from_fewer_than_two_wins(records: AgentRecords, wins: int) -> None:
    allocator = LogisticAllocator(ITEMS, SIZE, True, True, np.random.default_rng(4))
    before = allocator.weights.copy()
    allocator.update(replace(records, won=np.arange(len(records)) < wins))
    np.testing.assert_array_equal(allocator.weights, before)
    assert (allocator.precision == 1.0).all()


def test_select__without_sampling_takes_the_highest_estimated_worth() -> None:
    rng = np.random.default_rng(7)
    allocator = LogisticAllocator(ITEMS, SIZE, False, False, rng)
    contexts, item_values = rng.normal(size=(200, SIZE)), rng.lognormal(0.1, 0.2, ITEMS)
    items, ctr = allocator.select(contexts, item_values)
    estimates = 1.0 / (1.0 + np.exp(-contexts @ allocator.weights.T))
    np.testing.assert_array_equal(items, (estimates * item_values).argmax(axis=1))
    np.testing.assert_allclose(ctr, estimates[np.arange(200), items], atol=3e-9)


def test_select__samples_items_as_often_as_a_draw_of_every_weight_would() -> None:
    """The slow way draws noise for every item and coordinate; the estimate stays that of the most probable weights."""
    rng = np.random.default_rng(8)
    allocator = LogisticAllocator(ITEMS, SIZE, True, False, rng)
    allocator.precision = rng.uniform(0.5, 8.0, (ITEMS, SIZE))
    context, item_values, n = np.array([0.8, -1.2, 1.0]), rng.lognormal(0.1, 0.2, ITEMS), 100_000
    items, ctr = allocator.select(np.tile(context, (n, 1)), item_values)
    noise = rng.standard_normal((n, ITEMS, SIZE)) / np.sqrt(allocator.precision)
    worth = item_values / (1.0 + np.exp(-(allocator.weights + noise) @ context))
    shares = np.bincount(items, minlength=ITEMS) / n
    expected = np.bincount(worth.argmax(axis=1), minlength=ITEMS) / n
    assert np.abs(shares - expected).max() < 4.0 * np.sqrt(0.5 / n)
    estimates = 1.0 / (1.0 + np.exp(-allocator.weights @ context))
    np.testing.assert_allclose(ctr, estimates[items], atol=3e-9)


def test_allocator__same_generator_same_choice(records: AgentRecords) -> None:
    choices = []
    for _ in range(2):
        allocator = LogisticAllocator(ITEMS, SIZE, True, True, np.random.default_rng(9))
        allocator.update(records)
        choices.append(allocator.select(records.context, np.ones(ITEMS))[0])
    np.testing.assert_array_equal(choices[0], choices[1])


def test_allocator__refuses_contexts_that_are_no_numbers(records: AgentRecords) -> None:
    allocator = LogisticAllocator(ITEMS, SIZE, True, True, np.random.default_rng(9))
    with pytest.raises(DataError, match="click model"):
        allocator.update(replace(records, context=np.full_like(records.context, np.nan)))
