"""n-step returns against a slow reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.training.n_step import compute_bootstrap_discounts, compute_bootstrap_steps, compute_n_step_sums


@given(
    steps=st.integers(1, 30),
    n_step=st.integers(1, 8),
    gamma=st.floats(0.0, 0.99),
    terminated=st.booleans(),
    seed=st.integers(0, 1_000),
)
def test_n_step__equals_the_loop(steps: int, n_step: int, gamma: float, terminated: bool, seed: int) -> None:
    """Origin: the definition, one transition at a time."""
    rng = np.random.default_rng(seed)
    rewards = rng.normal(size=(steps, 1)).astype(np.float32)
    next_state_value = rng.normal(size=steps + 1)
    sums = compute_n_step_sums(rewards, gamma, n_step)
    discounts = compute_bootstrap_discounts(np.array([terminated]), steps, gamma, n_step)
    ahead = compute_bootstrap_steps(steps, n_step)
    for t in range(steps):
        expected, k = 0.0, 0
        while k < n_step and t + k < steps:
            expected += gamma**k * float(rewards[t + k, 0])
            k += 1
        if not (t + k == steps and terminated):
            expected += gamma**k * next_state_value[t + k]
        assert sums[t, 0] + discounts[t, 0] * next_state_value[t + ahead[t]] == pytest.approx(expected, abs=1e-4)


def test_n_step__truncation_bootstraps_and_termination_does_not() -> None:
    """By hand: T = 3, n = 2, gamma = 0.5; the last two transitions reach the end of the day."""
    discounts = compute_bootstrap_discounts(np.array([False, True]), 3, 0.5, 2)
    np.testing.assert_allclose(discounts, [[0.25, 0.25], [0.25, 0.0], [0.5, 0.0]])
