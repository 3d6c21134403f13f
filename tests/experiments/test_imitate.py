"""Imitation of the hindsight optimum."""

from __future__ import annotations

import numpy as np

from experiments.imitate import collect_hindsight_actions, fit_network
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.domain.channels import NUM_CHANNELS
from gaelp_rl.features.actions import ACTION_SIZE
from gaelp_rl.features.catalogue import OBSERVATION_SCHEMA


def test_hindsight_actions__lie_in_the_box_and_leave_budgets_alone() -> None:
    observations, actions = collect_hindsight_actions(SprintConfig(), "campaign", 0, 3, None)
    assert observations.shape == (3 * 28 * 24, OBSERVATION_SCHEMA.size)
    assert actions.shape == (3 * 28 * 24, ACTION_SIZE)
    assert np.abs(actions).max() <= 1.0
    assert np.abs(actions[:, :NUM_CHANNELS]).mean() > 0.05
    np.testing.assert_array_equal(actions[:, NUM_CHANNELS:], 0.0)


def test_network__fits_a_rule_that_can_be_seen() -> None:
    """An action that is a multiple of one feature must be learnt almost exactly."""
    rng = np.random.default_rng(0)
    observations = rng.uniform(-1, 1, (4_000, OBSERVATION_SCHEMA.size)).astype(np.float32)
    actions = np.tile(0.5 * observations[:, :1], (1, ACTION_SIZE)).astype(np.float32)
    network = fit_network((observations, actions), (32,), 400, seed=0)
    assert np.abs(network.compute_action(observations) - actions).mean() < 0.08
