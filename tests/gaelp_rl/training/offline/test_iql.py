"""Offline learning on problems whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from gaelp_rl.bootstrap.transitions import TransitionDays
from gaelp_rl.config.training import TrainingConfig
from gaelp_rl.training.export import compute_actor_action, read_actor_weights
from gaelp_rl.training.offline.iql import OfflineSettings, compute_expectile_loss, train_offline

_TRAINING = TrainingConfig(
    hidden_sizes=(16,), gamma=0.0, batch_size=128, actor_lr=1e-2, critic_lr=1e-2, critic_curvature=4.0, tau=0.05
)


def _make_bandit(days=40):
    """One state; the reward of an action a is 2 a - 2 a^2, best at 0.5; the data's actions are around 0."""
    rng = np.random.default_rng(0)
    actions = rng.uniform(-0.8, 0.8, (24, days, 1)).astype(np.float32)
    rewards = (2.0 * actions - 2.0 * actions**2)[..., 0]
    observations = np.ones((25, days, 1), dtype=np.float32)
    return TransitionDays(observations, actions, rewards, np.zeros_like(rewards), np.zeros(days, dtype=np.bool_))


def _train(is_cloning):
    result = train_offline(_make_bandit(), _TRAINING, OfflineSettings(is_cloning, 400, 0.9, 10.0, 0))
    action = compute_actor_action(read_actor_weights(result.module), np.ones((1, 1), dtype=np.float32))
    return result, float(action[0, 0])


def test_train_offline__iql_finds_the_best_action_of_the_data():
    """The optimum of 2 a - 2 a^2 is a = 0.5; cloning stays at the data's mean, 0."""
    assert _train(is_cloning=False)[1] == pytest.approx(0.5, abs=0.12)
    assert _train(is_cloning=True)[1] == pytest.approx(0.0, abs=0.08)


def test_train_offline__critics_fit_the_reward_and_targets_follow():
    """With curvature 4 the critic V + g a - 2 a^2 can be exact: V = 0, g = 2."""
    result, _ = _train(is_cloning=False)
    assert result.td_errors.mean() < 0.05
    for name in ("qf_encoder.layers.0.weight", "qf_twin.linear.bias"):
        np.testing.assert_array_equal(result.weights[name], result.weights[f"target_{name}"])


def test_compute_expectile_loss__is_least_at_the_expectile():
    """Against a root of the expectile's own equation: t E[(x - e)+] = (1 - t) E[(e - x)+]."""
    x, t = np.random.default_rng(1).normal(size=500), 0.8
    root = brentq(lambda e: t * np.maximum(x - e, 0).sum() - (1 - t) * np.maximum(e - x, 0).sum(), -3, 3)
    guess = torch.tensor(root, dtype=torch.float64, requires_grad=True)
    compute_expectile_loss(torch.from_numpy(x) - guess, t).backward()
    assert abs(float(guess.grad)) < 1e-8
