"""Potential-based shaping leaves the optimal policy alone; other bonuses do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gaelp_rl.rewards.shaping import compute_pacing_potential, compute_shaping

_Array = NDArray[np.float64]
_STATES, _ACTIONS, _TERMINAL = 6, 3, 5


def _solve(transition: _Array, reward: _Array, gamma: float) -> _Array:
    """Action values [states, actions] by value iteration; the last state is terminal.

    Args:
        transition: [states, actions, next_states]; reward: the same, of the whole step.
    """
    q = np.zeros((_STATES, _ACTIONS))
    for _ in range(2_000):
        state_value = q.max(axis=1)
        state_value[_TERMINAL] = 0.0
        q = (transition * (reward + gamma * state_value)).sum(axis=2)
        q[_TERMINAL] = 0.0
    return q


def _sample_mdp(rng: np.random.Generator) -> tuple[_Array, _Array]:
    transition = rng.dirichlet(np.full(_STATES, 0.5), size=(_STATES, _ACTIONS))
    return transition, rng.normal(size=(_STATES, _ACTIONS, _STATES))


def _shaping_of_every_step(potential: _Array, gamma: float) -> _Array:
    shape = (_STATES, _ACTIONS, _STATES)
    terminated = np.broadcast_to(np.arange(_STATES) == _TERMINAL, shape)
    before = np.broadcast_to(potential[:, None, None], shape)
    after = np.broadcast_to(potential[None, None, :], shape)
    return compute_shaping(before, after, gamma, terminated)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("gamma", [0.5, 0.8, 0.96])
def test_shaping__keeps_the_optimal_policy_and_shifts_values_by_the_potential(seed: int, gamma: float) -> None:
    rng = np.random.default_rng(seed)
    transition, reward = _sample_mdp(rng)
    potential = rng.normal(scale=5.0, size=_STATES)
    plain = _solve(transition, reward, gamma)
    shaped = _solve(transition, reward + _shaping_of_every_step(potential, gamma), gamma)
    np.testing.assert_allclose(shaped[:-1], (plain - potential[:, None])[:-1], atol=1e-8)
    np.testing.assert_array_equal(shaped[:-1].argmax(axis=1), plain[:-1].argmax(axis=1))


def test_shaping__a_bonus_that_is_no_potential_changes_the_policy() -> None:
    """The known-bad twin: paying 1 for entering state 0, whence nothing is earned, makes state 0 a trap.

    From state 1, action 0 leads to state 0 (worth nothing, and back), others end with reward 1.
    """
    transition = np.zeros((_STATES, _ACTIONS, _STATES))
    transition[:, :, _TERMINAL] = 1.0
    transition[1, 0] = transition[0, :] = 0.0
    transition[1, 0, 0] = 1.0
    transition[0, :, 1] = 1.0
    reward = np.zeros_like(transition)
    reward[1, 1, _TERMINAL] = 1.0
    bonus = np.zeros_like(transition)
    bonus[:, :, 0] = 1.0
    assert _solve(transition, reward, 0.9)[1].argmax() == 1
    assert _solve(transition, reward + bonus, 0.9)[1].argmax() == 0
    as_potential = _shaping_of_every_step(np.eye(_STATES)[0], 0.9)
    assert _solve(transition, reward + as_potential, 0.9)[1].argmax() == 1


@given(st.floats(0.0, 1_000.0), st.floats(0.0, 1_000.0), st.floats(0.0, 10.0))
def test_pacing_potential__is_largest_on_plan(spend: float, planned: float, weight: float) -> None:
    off, on = (
        compute_pacing_potential(np.array([amount]), np.array([planned]), 500.0, weight) for amount in (spend, planned)
    )
    assert off[0] <= on[0] == 0.0
