"""Whole days of many worlds as arrays: what every env runner does, whatever computes its policy.

Neither torch nor RLlib is imported here, so that a remote env runner starts without them.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from gaelp_rl.errors import CheckpointError, ConfigError, DataError
from gaelp_rl.training.fragment import ArrayFragment, Float32Array

__all__ = [
    "CONSTRAINT_COST_KEY",
    "REWARD_TERMS_KEY",
    "DaySampler",
    "EnvCreator",
    "GaussianPolicy",
    "ResumableEnv",
    "RunnerIdentity",
    "SampledDay",
    "compute_info_means",
    "make_batched_env",
    "make_world_seeds",
]

_logger = logging.getLogger(__name__)

CONSTRAINT_COST_KEY = "constraint_cost"
"""Key in ``infos`` of the step's constraint cost, float [worlds]; absent means none."""

REWARD_TERMS_KEY = "reward_terms"
"""Key in ``infos`` of the step's reward terms, name to float [worlds]; reported as means of the day's sums."""

EnvCreator = Callable[[Mapping[str, Any]], VectorEnv[Any, Any, Any]]
"""Makes the batched environment from its config plus ``num_envs`` and ``autoreset_mode``.

Without ``num_envs`` in the config it makes a single world, or with 1: RLlib then only looks at the spaces.
Without ``autoreset_mode`` it is ``AutoresetMode.NEXT_STEP``, which stock RLlib expects. With
``resumable=True`` its worlds should be saved with checkpoints, as a ``ResumableEnv``.
"""

GaussianPolicy = Callable[[Float32Array], tuple[Float32Array, Float32Array]]
"""From observations [worlds, features] to mean and log standard deviation before squashing, [worlds, actions] each."""


@runtime_checkable
class ResumableEnv(Protocol):
    """An environment whose worlds another process can go on with."""

    def get_state(self) -> dict[str, Any]:
        """The worlds as they stand: plain data and arrays."""
        ...

    def set_state(self, state: Mapping[str, Any]) -> Float32Array:
        """Restores them and returns their observation; ``CheckpointError`` where that is not possible."""
        ...


@dataclass(frozen=True, slots=True)
class RunnerIdentity:
    """Whose days they are: of the run with this ``seed`` the runner of this ``index``; 0 is the local one."""

    seed: int
    index: int


@dataclass(frozen=True, slots=True)
class SampledDay:
    """A day of all of a runner's worlds.

    Attributes:
        fragment: the day.
        means: by name, what the environment reported on the way (``compute_info_means``) and ``action_abs``.
        seconds: it took.
    """

    fragment: ArrayFragment
    means: dict[str, float]
    seconds: float


def make_world_seeds(seed: int, runner: int, generation: int, starts: int, worlds: int) -> list[int]:
    """One seed per world, different for every (run seed, env runner, generation, starts, world).

    Args:
        seed: of the run.
        runner: index of the env runner; 0 is the local one.
        generation: of the runner: how often the run has been resumed, or a number drawn at random for a
            process that takes a dead one's place.
        starts: how often a runner of this generation has started worlds so far.
        worlds: how many seeds.

    Returns:
        Seeds in [0, 2^31).
    """
    return [
        int(np.random.SeedSequence(seed, spawn_key=(runner, generation, starts, world)).generate_state(1)[0] >> 1)
        for world in range(worlds)
    ]


def make_batched_env(
    creator: EnvCreator, env_config: Mapping[str, Any], worlds: int, *, resumable: bool
) -> VectorEnv[Any, Any, Any]:
    """A batch of worlds that end their day together and reset themselves within that step.

    Raises:
        ConfigError: the environment resets itself in another way, or has another number of worlds.
    """
    mode = AutoresetMode.SAME_STEP
    env = creator({**env_config, "num_envs": worlds, "autoreset_mode": mode, "resumable": resumable})
    found = env.metadata.get("autoreset_mode")
    if found != mode or env.num_envs != worlds:
        msg = (
            f"the environment has autoreset_mode {found} and {env.num_envs} worlds; env runners need SAME_STEP "
            f"and {worlds}: pass both from the env config to the environment"
        )
        raise ConfigError(msg)
    return env


class DaySampler:
    """Steps a native ``VectorEnv`` in lockstep, one day of all its worlds per call of ``sample``.

    All worlds end their day together, after ``steps`` steps, and ``infos["final_obs"]`` is then float32
    [worlds, features].

    Args:
        env: the worlds, as from ``make_batched_env``.
        steps: of a day.
        identity: whose days they are.
        generation: what sets its worlds and noise apart from those of a runner in its place before or after it.
    """

    def __init__(
        self, env: VectorEnv[Any, Any, Any], steps: int, identity: RunnerIdentity, generation: int = 0
    ) -> None:
        self._env, self._steps, self._identity = env, steps, identity
        (self._features,) = env.single_observation_space.shape or (0,)
        (self._width,) = env.single_action_space.shape or (0,)
        self.start_generation(generation)

    @property
    def generation(self) -> int:
        """What sets its worlds and noise apart from those of a runner in its place before or after it."""
        return self._generation

    def start_generation(self, generation: int) -> None:
        """Starts new worlds at the next sample, with seeds and noise of their own."""
        self._generation, self._starts = generation, 0
        key = (self._identity.index, generation)
        self._rng = np.random.default_rng(np.random.SeedSequence([self._identity.seed, 1], spawn_key=key))
        self._observation: Float32Array | None = None

    def sample(
        self,
        policy: GaussianPolicy,
        *,
        exploring: bool = True,
        random_actions: bool = False,
        force_reset: bool = False,
    ) -> SampledDay:
        """Collects one day of every world.

        Args:
            policy: what acts.
            exploring: draw actions from the policy, or take its mean.
            random_actions: uniform actions instead.
            force_reset: start new worlds before.

        Raises:
            DataError: an observation or reward is not finite, or the worlds did not end their day together.
        """
        started = time.perf_counter()
        if force_reset or self._observation is None:
            identity, worlds = self._identity, self._env.num_envs
            seeds = make_world_seeds(identity.seed, identity.index, self._generation, self._starts, worlds)
            self._starts += 1
            self._observation, _ = self._env.reset(seed=cast(Any, seeds))

        def act(observation: Float32Array) -> NDArray[np.floating]:
            if random_actions:
                return self._rng.uniform(-1.0, 1.0, size=(observation.shape[0], self._width))
            mean, log_std = policy(observation)
            noise = self._rng.standard_normal(mean.shape, dtype=np.float32) if exploring else np.float32(0.0)
            return np.asarray(np.tanh(mean + np.exp(log_std) * noise))

        fragment, infos = self._collect(act)
        means = compute_info_means(infos, self._env.num_envs)
        means["action_abs"] = float(np.abs(fragment.actions).mean())
        return SampledDay(fragment, means, time.perf_counter() - started)

    def get_state(self) -> dict[str, Any]:
        """Its noise and, where the environment gives them, its worlds."""
        has_started = self._observation is not None
        return {
            "generation": self._generation,
            "starts": self._starts,
            "rng": json.dumps(self._rng.bit_generator.state),
            "has_started": has_started,
            "env": self._env.get_state() if has_started and isinstance(self._env, ResumableEnv) else None,
        }

    def set_state(self, state: Mapping[str, Any]) -> bool:
        """Goes on with saved worlds; where they cannot be restored new ones take their place, with a warning.

        Returns:
            Whether the saved worlds go on; where none had started, the same ones will.
        """
        if not self._restore_worlds(state["env"], bool(state["has_started"])):
            return False
        self._generation, self._starts = int(state["generation"]), int(state["starts"])
        self._rng.bit_generator.state = json.loads(state["rng"])
        return True

    def _restore_worlds(self, saved: Mapping[str, Any] | None, has_started: bool) -> bool:
        if not has_started:
            self._observation = None
            return True
        if saved is None or not isinstance(self._env, ResumableEnv):
            return False
        try:
            self._observation = self._env.set_state(saved)
        except CheckpointError as error:
            _logger.warning("%s", error)
            self._observation = None
            return False
        return True

    def _collect(
        self, act: Callable[[Float32Array], NDArray[np.floating]]
    ) -> tuple[ArrayFragment, list[Mapping[str, Any]]]:
        steps, worlds = self._steps, self._env.num_envs
        observations = np.empty((steps + 1, worlds, self._features), dtype=np.float32)
        actions = np.empty((steps, worlds, self._width), dtype=np.float32)
        rewards = np.empty((steps, worlds), dtype=np.float32)
        costs = np.zeros((steps, worlds), dtype=np.float32)
        terminated = truncated = np.zeros(worlds, dtype=np.bool_)
        all_infos: list[Mapping[str, Any]] = []
        for step in range(steps):
            observations[step] = self._observation
            actions[step] = act(observations[step])
            self._observation, rewards[step], terminated, truncated, infos = self._env.step(actions[step])
            costs[step] = infos.get(CONSTRAINT_COST_KEY, 0.0)
            all_infos.append(infos)
            if (terminated | truncated).any() != (step == steps - 1):
                break
        if not (step == steps - 1 and (terminated | truncated).all()):
            msg = f"{(terminated | truncated).sum()} of {worlds} worlds ended at step {step + 1}; all must at {steps}"
            raise DataError(msg)
        observations[steps] = all_infos[-1]["final_obs"]
        _check_finite(observations, rewards)
        return ArrayFragment(observations, actions, rewards, costs, np.asarray(terminated, dtype=np.bool_)), all_infos


def compute_info_means(infos: list[Mapping[str, Any]], worlds: int) -> dict[str, float]:
    """Means of what the environment reported on the way.

    Args:
        infos: one day's ``infos``, by step.
        worlds: length of the arrays that count.

    Returns:
        For each reward term the day's sum, averaged over worlds; for every other numeric array
        [worlds] its mean over the steps that had it and over worlds.
    """
    sums: dict[str, float] = {}
    seen: dict[str, list[float]] = {}
    for info in infos:
        for name, term in info.get(REWARD_TERMS_KEY, {}).items():
            sums[name] = sums.get(name, 0.0) + float(np.mean(term))
        for name, entry in info.items():
            if isinstance(entry, np.ndarray) and entry.shape == (worlds,) and entry.dtype.kind in "fiu":
                seen.setdefault(name, []).append(float(entry.mean()))
    return sums | {name: float(np.mean(entries)) for name, entries in seen.items() if name not in sums}


def _check_finite(observations: Float32Array, rewards: Float32Array) -> None:
    for name, array in (("observations", observations), ("rewards", rewards)):
        if not np.isfinite(array).all():
            step, world = np.argwhere(~np.isfinite(array))[0][:2]
            msg = f"{name} of world {world} at step {step} is not finite: the environment must report numbers only"
            raise DataError(msg)
