"""An RLlib env runner that collects whole days of all its worlds as arrays."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np
import ray
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from ray.rllib.core import COMPONENT_RL_MODULE
from ray.rllib.core.columns import Columns
from ray.rllib.env.env_context import EnvContext
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.tune.registry import ENV_CREATOR, _global_registry

from gaelp_rl.errors import CheckpointError, ConfigError, DataError
from gaelp_rl.training.fragment import ArrayFragment, Float32Array

__all__ = [
    "CONSTRAINT_COST_KEY",
    "REWARD_TERMS_KEY",
    "WORLDS_KEY",
    "BatchedEnvRunner",
    "ResumableEnv",
    "compute_info_means",
    "make_world_seeds",
]

_logger = logging.getLogger(__name__)
_REBORN_BITS = 62

CONSTRAINT_COST_KEY = "constraint_cost"
"""Key in ``infos`` of the step's constraint cost, float [worlds]; absent means none."""

REWARD_TERMS_KEY = "reward_terms"
"""Key in ``infos`` of the step's reward terms, name to float [worlds]; reported as means of the day's sums."""

WORLDS_KEY = "worlds"
"""Key of the local runner's worlds and noise in its state."""


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


@runtime_checkable
class ResumableEnv(Protocol):
    """An environment whose worlds another process can go on with."""

    def get_state(self) -> dict[str, Any]:
        """The worlds as they stand: plain data and arrays."""
        ...

    def set_state(self, state: Mapping[str, Any]) -> Float32Array:
        """Restores them and returns their observation; ``CheckpointError`` where that is not possible."""
        ...


class BatchedEnvRunner(SingleAgentEnvRunner):
    """Steps a native ``VectorEnv`` in lockstep and returns one ``ArrayFragment`` per call of ``sample``.

    The environment is made by the registered creator with ``num_envs`` and ``autoreset_mode``
    (``AutoresetMode.SAME_STEP``) added to its config: all its worlds end their day together, after
    ``rollout_fragment_length`` steps, and ``infos["final_obs"]`` is then float32 [worlds, features].
    The local runner's environment also gets ``resumable=True``; if it is a ``ResumableEnv``, checkpoints
    hold its worlds.

    A process that Ray starts in a dead one's place draws its generation at random: it meets worlds and
    noise that none before it met, whoever notices the restart.

    Attributes:
        has_continued_worlds: whether the last ``set_state`` went on with saved worlds.
    """

    env: Any

    def __init__(self, **kwargs: Any) -> None:
        self._is_reborn = bool(kwargs.get("worker_index")) and _is_restarted_actor()
        self._has_weights = False
        self._starts = 0
        self._generation = secrets.randbits(_REBORN_BITS) if self._is_reborn else 0
        self._observation: Float32Array | None = None
        self.has_continued_worlds = False
        seed = kwargs["config"].seed
        super().__init__(**(_leave_unseeded(kwargs) if kwargs.get("worker_index") else kwargs))
        self.config.seed = seed
        self._rng = self._make_rng()

    @property
    def generation(self) -> int:
        """What sets its worlds and noise apart from those of a runner in its place before or after it."""
        return self._generation

    @property
    def awaits_weights(self) -> bool:
        """Whether it took a dead runner's place and has not been sent the present weights yet."""
        return self._is_reborn and not self._has_weights

    def make_env(self) -> None:
        """Makes the batched environment; called again by RLlib after a failure.

        Raises:
            ConfigError: the environment resets itself in another way, or has another number of worlds.
        """
        if self.env is not None:
            self.env.close()
        context = EnvContext(self.config.env_config, worker_index=self.worker_index, num_workers=self.num_workers)
        worlds = int(self.config.num_envs_per_env_runner)
        creator = _global_registry.get(ENV_CREATOR, self.config.env)
        own: dict[str, Any] = {"num_envs": worlds, "autoreset_mode": AutoresetMode.SAME_STEP}
        own["resumable"] = not self.worker_index
        env: VectorEnv[Any, Any, Any] = creator(context | own)
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP or env.num_envs != worlds:
            msg = (
                f"environment {self.config.env!r} has autoreset_mode {mode} and {env.num_envs} worlds; "
                f"BatchedEnvRunner needs SAME_STEP and {worlds}: pass both from the env config to the environment"
            )
            raise ConfigError(msg)
        self.env, self.num_envs = env, worlds
        (self._features,) = env.single_observation_space.shape or (0,)
        (self._width,) = env.single_action_space.shape or (0,)
        self._observation = None
        self._needs_initial_reset = True

    def sample(
        self,
        *,
        num_timesteps: int | None = None,
        num_episodes: int | None = None,
        explore: bool | None = None,
        random_actions: bool = False,
        force_reset: bool = False,
    ) -> ArrayFragment:
        """Collects one day of every world.

        Args:
            num_timesteps: not used: a fragment is always one day of all worlds.
            num_episodes: not used either.
            explore: draw actions from the policy (True), or take its mean; None follows the config.
            random_actions: uniform actions instead.
            force_reset: start new worlds before sampling.

        Raises:
            DataError: an observation or reward is not finite, or the worlds did not end their day together.
        """
        del num_timesteps, num_episodes
        started = time.perf_counter()
        if force_reset or self._observation is None:
            seeds = make_world_seeds(
                int(self.config.seed or 0),
                int(self.worker_index or 0),
                self._generation,
                self._starts,
                self.num_envs,
            )
            self._starts += 1
            self._observation, _ = self._try_env_reset(seed=seeds)
        exploring = bool(self.config.explore if explore is None else explore)
        fragment, infos = self._collect_day(exploring, random_actions)
        self._report(fragment, infos, time.perf_counter() - started)
        return fragment

    def get_metrics(self) -> Any:
        """RLlib's reduced metrics since the last call."""
        return self.metrics.reduce()

    def get_spaces(self) -> dict[str, tuple[gym.Space[Any], gym.Space[Any]]]:
        """RLlib's map of spaces; the module sees a world's observation as it is."""
        spaces: dict[str, tuple[gym.Space[Any], gym.Space[Any]]] = super().get_spaces()
        return spaces

    def start_generation(self, generation: int) -> None:
        """Starts new worlds at the next sample, with seeds and noise of their own; takes any weights it is sent."""
        self._generation, self._starts = generation, 0
        self._weights_seq_no = 0
        self._rng = self._make_rng()
        self._observation = None

    def get_state(self, components: Any = None, *, not_components: Any = None, **kwargs: Any) -> dict[str, Any]:
        """RLlib's state; of the local runner also its noise and, where the environment gives them, its worlds."""
        state: dict[str, Any] = super().get_state(components, not_components=not_components, **kwargs)
        if not self._is_local or not self._check_component(WORLDS_KEY, components, not_components):
            return state
        has_worlds = self._observation is not None and isinstance(self.env, ResumableEnv)
        state[WORLDS_KEY] = {
            "generation": self._generation,
            "starts": self._starts,
            "rng": json.dumps(self._rng.bit_generator.state),
            "has_started": self._observation is not None,
            "env": self.env.get_state() if has_worlds else None,
        }
        return state

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores all of ``get_state``; worlds that cannot be restored are replaced by new ones, with a warning."""
        super().set_state(state)
        self._has_weights |= COMPONENT_RL_MODULE in state
        worlds = state.get(WORLDS_KEY)
        if worlds is None or not self._is_local:
            return
        self.has_continued_worlds = self._restore_worlds(worlds["env"], bool(worlds["has_started"]))
        if self.has_continued_worlds:
            self._generation, self._starts = int(worlds["generation"]), int(worlds["starts"])
            self._rng.bit_generator.state = json.loads(worlds["rng"])

    def _restore_worlds(self, saved: Mapping[str, Any] | None, has_started: bool) -> bool:
        """Whether the saved worlds go on; where none had started, the same ones will."""
        if not has_started:
            self._observation = None
            return True
        if saved is None or not isinstance(self.env, ResumableEnv):
            return False
        try:
            self._observation = self.env.set_state(saved)
        except CheckpointError as error:
            _logger.warning("%s", error)
            self._observation = None
            return False
        return True

    @property
    def _is_local(self) -> bool:
        return not self.worker_index and self.env is not None

    def _make_rng(self) -> np.random.Generator:
        key = (int(self.worker_index or 0), self._generation)
        return np.random.default_rng(np.random.SeedSequence([int(self.config.seed or 0), 1], spawn_key=key))

    def _collect_day(self, exploring: bool, random_actions: bool) -> tuple[ArrayFragment, list[Mapping[str, Any]]]:
        steps, worlds = int(self.config.rollout_fragment_length), self.num_envs
        observations = np.empty((steps + 1, worlds, self._features), dtype=np.float32)
        actions = np.empty((steps, worlds, self._width), dtype=np.float32)
        rewards = np.empty((steps, worlds), dtype=np.float32)
        costs = np.zeros((steps, worlds), dtype=np.float32)
        terminated = truncated = np.zeros(worlds, dtype=np.bool_)
        all_infos: list[Mapping[str, Any]] = []
        for step in range(steps):
            observations[step] = self._observation
            actions[step] = self._choose_actions(observations[step], exploring, random_actions)
            self._observation, rewards[step], terminated, truncated, infos = self._step_env(actions[step])
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

    def _step_env(self, actions: Float32Array) -> Any:
        result = self._try_env_step(actions)
        if isinstance(result, str):
            msg = f"a step of {self.config.env!r} failed and its worlds were made anew: sample again"
            raise DataError(msg)
        return result

    def _choose_actions(self, observation: Float32Array, exploring: bool, random_actions: bool) -> NDArray[np.floating]:
        if random_actions:
            return self._rng.uniform(-1.0, 1.0, size=(observation.shape[0], self._width))
        with torch.inference_mode():
            inputs = {Columns.OBS: torch.from_numpy(observation)}
            outputs = self.module.forward_inference(inputs)[Columns.ACTION_DIST_INPUTS].numpy()
        mean, log_std = outputs[:, : self._width], outputs[:, self._width :]
        if exploring:
            mean = mean + np.exp(log_std) * self._rng.standard_normal(mean.shape, dtype=np.float32)
        return np.asarray(np.tanh(mean))

    def _report(self, fragment: ArrayFragment, infos: list[Mapping[str, Any]], seconds: float) -> None:
        worlds = fragment.terminated.size
        self._log_env_steps(metric=self._metrics_num_env_steps_sampled, num_steps=fragment.steps)
        self._increase_sampled_metrics(fragment.steps, worlds)
        returns = fragment.rewards.sum(axis=0)
        self._log_episode_metrics(fragment.rewards.shape[0], float(returns.mean()), seconds)
        for name, mean in compute_info_means(infos, worlds).items():
            self.metrics.log_value(("rollout", name), mean, window=1)
        self.metrics.log_value(("rollout", "action_abs"), float(np.abs(fragment.actions).mean()), window=1)


def _leave_unseeded(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with a config that RLlib does not seed torch by, as its way imports torch's whole compiler.

    That is some 75 MiB and seconds of a core for each process. All randomness here has generators of its own.
    """
    config = arguments["config"].copy(copy_frozen=False)
    config.seed = None
    return arguments | {"config": config}


def _is_restarted_actor() -> bool:
    """Whether this process is an actor that Ray has started again after a death."""
    if not ray.is_initialized():
        return False
    context = ray.get_runtime_context()
    return context.get_actor_id() is not None and bool(context.was_current_actor_reconstructed)


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
