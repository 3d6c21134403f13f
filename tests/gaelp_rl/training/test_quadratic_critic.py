"""Critics that are quadratic in the action, and policies that cannot read privileged entries."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.core.columns import Columns

from gaelp_rl.training.module import PlainSACModule, QuadraticHead, combine_quadratic, make_model_config

FEATURES, PRIVILEGED, ACTIONS, CURVATURE = 5, 3, 2, 10.0


def _make_module(curvature: float = CURVATURE) -> PlainSACModule:
    return PlainSACModule(
        observation_space=gym.spaces.Box(-1.0, 1.0, (FEATURES + PRIVILEGED,), np.float32),
        action_space=gym.spaces.Box(-1.0, 1.0, (ACTIONS,), np.float32),
        inference_only=False,
        model_config=make_model_config(hidden_sizes=(16,), privileged_features=PRIVILEGED, critic_curvature=curvature),
    )


def test_best_action__is_the_slope_over_the_curvature() -> None:
    """By hand: d/da (g a - c/2 a^2) = 0 at a = g / c."""
    parts = torch.tensor([[0.3, 2.0, -4.0]])
    best = parts[:, 1:] / CURVATURE
    at_best = combine_quadratic(parts, best, CURVATURE)
    torch.testing.assert_close(at_best, torch.tensor([0.3 + (4.0 + 16.0) / (2 * CURVATURE)]))
    for shift in (-0.1, 0.1):
        assert combine_quadratic(parts, best + shift, CURVATURE) < at_best


def test_fresh_critic__prefers_action_zero_everywhere() -> None:
    head = QuadraticHead(4, ACTIONS, CURVATURE)
    hidden = torch.randn(6, 4).relu()
    nothing = head(torch.cat([hidden, torch.zeros(6, ACTIONS)], dim=-1))
    something = head(torch.cat([hidden, torch.full((6, ACTIONS), 0.2)], dim=-1))
    torch.testing.assert_close(nothing - something, torch.full((6, 1), 0.5 * CURVATURE * ACTIONS * 0.04))


def test_policy__does_not_depend_on_privileged_entries_but_critics_do() -> None:
    """What only a simulator knows must not leak into what is deployed."""
    torch.manual_seed(0)
    module = _make_module()
    with torch.no_grad():
        module.pi.linear.weight.normal_()
    observation = torch.randn(4, FEATURES + PRIVILEGED)
    changed = observation.clone()
    changed[:, FEATURES:] += 1.0
    first, second = (module.forward_inference({Columns.OBS: one}) for one in (observation, changed))
    torch.testing.assert_close(first[Columns.ACTION_DIST_INPUTS], second[Columns.ACTION_DIST_INPUTS], rtol=0, atol=0)
    actions = torch.zeros(4, ACTIONS)
    one, two = (
        module.qf(module.qf_encoder({"obs": o, "actions": actions})["encoder_out"]) for o in (observation, changed)
    )
    assert not torch.allclose(one, two)
