"""Counter-based noise of users: every draw is a pure function of (run, user, step, slot).

A user's session does not depend on which users are simulated beside it, nor on which of a step's draws
are looked at: the quality of a document that nobody clicks need not be drawn. The same seed gives the same
users and the same documents to every policy.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.market.noise import derive_stream, sample_uniform
from gaelp_rl.errors import ConfigError

__all__ = [
    "CHOICE_SLOT",
    "COMPONENT_SLOT",
    "CONVERSION_SLOT",
    "DRIFT_SLOT",
    "ENGAGEMENT_SLOT",
    "FLIP_SLOT",
    "INNOVATION_SLOT",
    "QUANTILE_SLOT",
    "SLATE_SLOT",
    "USER_STEP",
    "draw_positions",
    "make_run_key",
    "make_user_key",
    "make_user_keys",
]

USER_STEP = 0
"""The step whose slots make the user; the session's own steps count from 1."""

SLATE_SLOT, DRIFT_SLOT = 2_000, 3_000
"""Slots below 2,000 make the step's candidates, two each."""

CHOICE_SLOT, FLIP_SLOT, CONVERSION_SLOT, COMPONENT_SLOT, QUANTILE_SLOT = range(4_000, 4_005)
ENGAGEMENT_SLOT, INNOVATION_SLOT = range(4_005, 4_007)


def make_run_key(seed: int) -> np.uint64:
    """The key of all users of a run.

    Raises:
        ConfigError: the seed is negative.
    """
    if seed < 0:
        msg = f"the seed is {seed}; it must be 0 or above"
        raise ConfigError(msg)
    return np.uint64(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])


@njit(cache=True, inline="always")
def make_user_key(run_key: np.uint64, user: int) -> np.uint64:
    """The key of one user's draws."""
    return derive_stream(run_key, user, 0)


@njit(cache=True)
def make_user_keys(run_key: np.uint64, users: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The keys of some users, uint64 [users]."""
    keys = np.empty(users.shape[0], dtype=np.uint64)
    for i in range(users.shape[0]):
        keys[i] = make_user_key(run_key, users[i])
    return keys


@njit(cache=True, inline="always")
def draw_positions(
    key: np.uint64, step: int, first_slot: int, stride: int, size: int, positions: NDArray[np.int64]
) -> None:
    """Puts ``size`` of the positions first, drawn without replacement (Fisher and Yates).

    Args:
        key: of the user.
        step: of the session.
        first_slot: of the draws; draw i has slot ``first_slot + i * stride``.
        stride: between slots.
        size: how many are drawn.
        positions: int64 [candidates]; overwritten with a permutation of 0 .. candidates - 1.
    """
    total = positions.shape[0]
    for i in range(total):
        positions[i] = i
    for i in range(size):
        other = i + int(sample_uniform(key, step, first_slot + i * stride) * (total - i))
        positions[i], positions[other] = positions[other], positions[i]
