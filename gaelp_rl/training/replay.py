"""Prioritized replay of whole days, in preallocated arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.domain.reports import IntArray
from gaelp_rl.errors import CheckpointError, ConfigError, DataError
from gaelp_rl.training.fragment import ArrayFragment, Float32Array
from gaelp_rl.training.n_step import compute_bootstrap_discounts, compute_bootstrap_steps, compute_n_step_sums
from gaelp_rl.training.sum_tree import SumTree

__all__ = ["ArrayPrioritizedReplay", "ReplayBatch", "ReplaySettings"]


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """What a replay holds and how it draws.

    Attributes:
        capacity: transitions; rounded down to whole days.
        steps: steps of a day.
        observation_size, action_size: widths.
        gamma, n_step: of the returns computed on insertion.
        alpha: exponent of priorities, 0 for uniform sampling.
        epsilon: added to the absolute TD error, so that nothing is forgotten.
    """

    capacity: int
    steps: int
    observation_size: int
    action_size: int
    gamma: float
    n_step: int = 1
    alpha: float = 0.6
    epsilon: float = 1e-2

    @property
    def days(self) -> int:
        """Days that fit."""
        return self.capacity // self.steps


@dataclass(frozen=True, slots=True)
class ReplayBatch:
    """Transitions drawn from replay, n of them.

    Attributes:
        indices: int64 [n]; where to report the TD errors.
        observations, next_observations: float32 [n, features]; the next is k steps later.
        actions: float32 [n, actions].
        rewards, costs: float32 [n]; discounted sums over those k steps.
        discounts: float32 [n]; gamma^k, 0 where the world terminated.
        weights: float32 [n]; importance weights, at most 1.
    """

    indices: IntArray
    observations: Float32Array
    next_observations: Float32Array
    actions: Float32Array
    rewards: Float32Array
    costs: Float32Array
    discounts: Float32Array
    weights: Float32Array


class ArrayPrioritizedReplay:
    """A ring of days; transitions are drawn in proportion to ``(|TD error| + epsilon)^alpha``.

    Observations are stored once: the next observation of a step is a later row of the same day.

    Source: Schaul, Quan, Antonoglou and Silver 2016, "Prioritized Experience Replay", section 3.
    """

    def __init__(self, settings: ReplaySettings, seed: np.random.SeedSequence) -> None:
        """Allocates everything.

        Raises:
            ConfigError: not a single day fits.
        """
        if settings.days < 1:
            msg = f"replay capacity {settings.capacity} must hold a day of {settings.steps} steps: raise it"
            raise ConfigError(msg)
        days, steps = settings.days, settings.steps
        self.settings = settings
        self._rng = np.random.default_rng(seed)
        self._ahead = compute_bootstrap_steps(steps, settings.n_step)
        self._tree = SumTree(days * steps)
        self._highest_priority = 1.0
        self._filled_days = 0
        self._next_day = 0
        self._arrays: dict[str, Float32Array] = {
            "observations": np.zeros((days, steps + 1, settings.observation_size), dtype=np.float32),
            "actions": np.zeros((days, steps, settings.action_size), dtype=np.float32),
            "rewards": np.zeros((days, steps), dtype=np.float32),
            "costs": np.zeros((days, steps), dtype=np.float32),
            "discounts": np.zeros((days, steps), dtype=np.float32),
        }

    def __len__(self) -> int:
        """Transitions held."""
        return self._filled_days * self.settings.steps

    def add(self, fragment: ArrayFragment) -> None:
        """Stores a day of every world at the highest priority seen; the oldest days make room.

        Raises:
            DataError: the fragment has another number of steps, other widths or too many worlds.
        """
        self._check_fragment(fragment)
        settings, worlds = self.settings, fragment.terminated.size
        days = (self._next_day + np.arange(worlds)) % settings.days
        stored = self._arrays
        stored["observations"][days] = fragment.observations.swapaxes(0, 1)
        stored["actions"][days] = fragment.actions.swapaxes(0, 1)
        stored["rewards"][days] = compute_n_step_sums(fragment.rewards, settings.gamma, settings.n_step).T
        stored["costs"][days] = compute_n_step_sums(fragment.costs, settings.gamma, settings.n_step).T
        stored["discounts"][days] = compute_bootstrap_discounts(
            fragment.terminated, settings.steps, settings.gamma, settings.n_step
        ).T
        indices = (days[:, None] * settings.steps + np.arange(settings.steps)).ravel()
        self._tree.set(indices, np.full(indices.size, self._highest_priority))
        self._next_day = int((self._next_day + worlds) % settings.days)
        self._filled_days = min(self._filled_days + worlds, settings.days)

    def sample(self, count: int, beta: float) -> ReplayBatch:
        """Draws transitions, stratified over the priorities.

        Args:
            count: transitions to draw.
            beta: importance exponent; 1 corrects the sampling bias fully.

        Raises:
            DataError: the replay is empty.
        """
        indices = self._tree.sample_stratified(count, self._rng)
        day, step = np.divmod(indices, self.settings.steps)
        probability = self._tree.get(indices) / self._tree.total
        weights = (len(self) * probability) ** -beta
        stored = self._arrays
        return ReplayBatch(
            indices=indices,
            observations=stored["observations"][day, step],
            next_observations=stored["observations"][day, step + self._ahead[step]],
            actions=stored["actions"][day, step],
            rewards=stored["rewards"][day, step],
            costs=stored["costs"][day, step],
            discounts=stored["discounts"][day, step],
            weights=(weights / weights.max()).astype(np.float32),
        )

    def update_priorities(self, indices: IntArray, td_errors: NDArray[np.floating[Any]]) -> None:
        """Sets the priorities of drawn transitions from their TD errors, [n] each.

        Raises:
            DataError: a TD error is not finite: the critics have diverged.
        """
        priorities = (np.abs(td_errors.astype(np.float64)) + self.settings.epsilon) ** self.settings.alpha
        self._tree.set(indices, priorities)
        self._highest_priority = max(self._highest_priority, float(priorities.max(initial=0.0)))

    def get_state(self) -> dict[str, NDArray[Any]]:
        """Everything that ``set_state`` needs, as arrays that ``numpy.savez`` writes without pickle."""
        filled = self._filled_days
        state: dict[str, NDArray[Any]] = {name: array[:filled].copy() for name, array in self._arrays.items()}
        state["priorities"] = self._tree.get(np.arange(len(self)))
        state["cursor"] = np.array([filled, self._next_day], dtype=np.int64)
        state["highest_priority"] = np.array(self._highest_priority)
        state["rng"] = np.array(json.dumps(self._rng.bit_generator.state))
        return state

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continues exactly where ``get_state`` was called; also into a larger replay.

        Raises:
            CheckpointError: something is missing or has another shape.
        """
        try:
            filled, next_day = (int(number) for number in state["cursor"])
            arrays = {name: state[name] for name in self._arrays}
            priorities, highest = state["priorities"], float(state["highest_priority"])
            rng_state = json.loads(str(state["rng"]))
        except (KeyError, TypeError, ValueError) as error:
            msg = f"the replay state cannot be read ({error}): take another checkpoint"
            raise CheckpointError(msg) from error
        self._check_state(arrays, filled, next_day, priorities)
        for name, array in arrays.items():
            self._arrays[name][:filled] = array
        self._tree = SumTree(self.settings.days * self.settings.steps)
        self._tree.set(np.arange(priorities.size), priorities.astype(np.float64))
        self._highest_priority, self._filled_days = highest, filled
        self._next_day = next_day if filled == self.settings.days else filled % self.settings.days
        self._rng.bit_generator.state = rng_state

    def _check_fragment(self, fragment: ArrayFragment) -> None:
        settings = self.settings
        found = (fragment.rewards.shape[0], fragment.observations.shape[-1], fragment.actions.shape[-1])
        wanted = (settings.steps, settings.observation_size, settings.action_size)
        if found != wanted:
            msg = f"fragment has (steps, features, actions) {found}; this replay holds {wanted}: one day per fragment"
            raise DataError(msg)
        if fragment.terminated.size > settings.days:
            msg = f"fragment has {fragment.terminated.size} days; replay_capacity holds {settings.days}: raise it"
            raise DataError(msg)

    def _check_state(
        self, arrays: Mapping[str, NDArray[Any]], filled: int, next_day: int, priorities: NDArray[Any]
    ) -> None:
        settings = self.settings
        if not (0 <= filled <= settings.days and 0 <= next_day):
            msg = f"the replay state holds {filled} days; this replay holds {settings.days}: raise replay_capacity"
            raise CheckpointError(msg)
        for name, array in arrays.items():
            wanted = (filled, *self._arrays[name].shape[1:])
            if array.shape != wanted:
                msg = (
                    f"replay state {name} has shape {array.shape}; this run needs {wanted}: resume with its own config"
                )
                raise CheckpointError(msg)
        if priorities.shape != (filled * settings.steps,):
            msg = f"replay state priorities has shape {priorities.shape}; it needs {(filled * settings.steps,)}"
            raise CheckpointError(msg)
