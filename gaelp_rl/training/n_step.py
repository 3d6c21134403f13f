"""Discounted sums of the next rewards of a day, and what the bootstrap behind them is worth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.domain.reports import IntArray
from gaelp_rl.training.fragment import Float32Array

__all__ = ["compute_bootstrap_discounts", "compute_bootstrap_steps", "compute_n_step_sums"]


def compute_bootstrap_steps(steps: int, n_step: int) -> IntArray:
    """Steps from each transition to the state it bootstraps from: n, or fewer before midnight.

    Returns:
        int64 [steps], ``min(n_step, steps - t)``.
    """
    return np.minimum(n_step, steps - np.arange(steps))


def compute_n_step_sums(rewards: Float32Array, gamma: float, n_step: int) -> Float32Array:
    """``sum_{i < k(t)} gamma^i r_{t+i}`` with ``k(t) = min(n_step, T - t)``.

    Args:
        rewards: float32 [T, worlds] of one day.
        gamma: discount per step.
        n_step: rewards to sum at most.

    Returns:
        float32 [T, worlds].

    Source: Sutton and Barto 2018, eq. 7.1, without the bootstrap term.
    """
    steps = rewards.shape[0]
    sums = rewards.astype(np.float64)
    for ahead in range(1, min(n_step, steps)):
        sums[: steps - ahead] += gamma**ahead * rewards[ahead:]
    return sums.astype(np.float32)


def compute_bootstrap_discounts(terminated: NDArray[np.bool_], steps: int, gamma: float, n_step: int) -> Float32Array:
    """``gamma^k(t)``, and 0 where the day's end is reached and was a termination.

    A truncated day bootstraps from its final observation like any other state.

    Args:
        terminated: bool [worlds], of the day's last step.
        steps: T.
        gamma: discount per step.
        n_step: as in ``compute_n_step_sums``.

    Returns:
        float32 [T, worlds].
    """
    ahead = compute_bootstrap_steps(steps, n_step)
    reaches_end = np.arange(steps) + ahead == steps
    discounts = gamma ** ahead.astype(np.float64)[:, None] * ~(reaches_end[:, None] & terminated[None, :])
    return np.asarray(discounts, dtype=np.float32)
