"""Written-out gradients are those of automatic differentiation, losses and metrics likewise."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch

from gaelp_rl.training.analytic_sac import AnalyticSAC, has_analytic_gradients
from gaelp_rl.training.flat_parameters import FlatParameters
from gaelp_rl.training.fused_sac import FusedSAC, SACBatch, SACNetworks

_N, _FEATURES, _ACTIONS, _POLICY_FEATURES = 64, 12, 3, 9


def _make_flat(networks: int, sizes: tuple[int, ...], generator: torch.Generator) -> FlatParameters:
    """Layers of equal networks in one float64 vector, as ``flatten_parameters`` lays them out."""
    shapes = [shape for a, b in itertools.pairwise(sizes) for shape in ((networks, b, a), (networks, b))]
    total = sum(torch.Size(shape).numel() for shape in shapes)
    flat = torch.nn.Parameter(0.5 * torch.randn(total, generator=generator, dtype=torch.float64))
    flat.grad = torch.full_like(flat, 7.0)  # what an update before left
    stacked, offset = [], 0
    for shape in shapes:
        part = slice(offset, offset + torch.Size(shape).numel())
        leaf = flat.data[part].view(shape).requires_grad_()
        leaf.grad = flat.grad[part].view(shape)
        stacked.append(leaf)
        offset = part.stop
    return FlatParameters(flat, tuple(stacked))


def _make_networks(hidden: tuple[int, ...], seed: int) -> SACNetworks:
    generator = torch.Generator().manual_seed(seed)
    critic = (_FEATURES, *hidden, 1 + _ACTIONS)
    return SACNetworks(
        actor=_make_flat(1, (_POLICY_FEATURES, *hidden, 2 * _ACTIONS), generator),
        critics=_make_flat(2, critic, generator),
        targets=_make_flat(2, critic, generator),
        log_alpha=torch.tensor([-1.0], dtype=torch.float64),
        log_std_bounds=(-1.0, 0.5),
        critic_layer_norm=False,
        policy_features=_POLICY_FEATURES,
        critic_curvature=2.0,
    )


def _make_batch(seed: int) -> tuple[SACBatch, torch.Tensor, torch.Tensor]:
    """Rewards so far apart that Huber's loss is met on both of its sides."""
    generator = torch.Generator().manual_seed(100 + seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    batch = SACBatch(
        observations=draw(_N, _FEATURES),
        next_observations=draw(_N, _FEATURES),
        actions=draw(_N, _ACTIONS).tanh(),
        rewards=3.0 * draw(_N),
        discounts=torch.full((_N,), 0.8, dtype=torch.float64),
        weights=torch.rand(_N, generator=generator, dtype=torch.float64),
    )
    return batch, draw(_N, _ACTIONS), draw(_N, _ACTIONS)


def _run(kind: type[FusedSAC], hidden: tuple[int, ...], seed: int, penalty: float, with_actor: bool) -> Any:
    networks = _make_networks(hidden, seed)
    losses = kind(networks, penalty, 0.01).compute_gradients(*_make_batch(seed), with_actor)
    return losses, networks.critics.flat.grad, networks.actor.flat.grad


@pytest.mark.parametrize("hidden", [(16, 8), (10,), (8, 8, 8)])
@pytest.mark.parametrize("penalty", [0.0, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_gradients__are_those_of_automatic_differentiation(hidden: tuple[int, ...], penalty: float, seed: int) -> None:
    """In float64, both clamps of the log standard deviation and both sides of Huber's loss met.

    Beyond 20 torch takes softplus for its asymptote, which is off by 2e-9.
    """
    (one, *found), (two, *wanted) = (_run(kind, hidden, seed, penalty, True) for kind in (AnalyticSAC, FusedSAC))
    for gradient, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-8, atol=1e-8)
        assert gradient.abs().max() > 1e-3
    for name in ("critic", "td_errors", "q_mean", "actor", "log_probability", "action_norm"):
        torch.testing.assert_close(getattr(one, name), getattr(two, name).detach(), rtol=1e-8, atol=1e-8)


def test_gradients__of_a_resting_actor_are_left_alone() -> None:
    losses, _, actor = _run(AnalyticSAC, (8,), 0, 0.0, False)
    assert losses.actor is None
    assert (actor == 7.0).all()


def test_analytic__only_for_quadratic_critics_without_layer_norm() -> None:
    networks = _make_networks((8,), 0)
    assert has_analytic_gradients(networks)
    assert not has_analytic_gradients(replace(networks, critic_curvature=0.0))
    assert not has_analytic_gradients(replace(networks, critic_layer_norm=True))
