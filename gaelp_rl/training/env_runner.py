"""The trainer's own env runner: RLlib's interface around whole days of all its worlds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.tune.registry import ENV_CREATOR, _global_registry

from gaelp_rl.training.day_sampler import DaySampler, RunnerIdentity, SampledDay, make_batched_env
from gaelp_rl.training.fragment import ArrayFragment, Float32Array

__all__ = ["WORLDS_KEY", "BatchedEnvRunner"]

WORLDS_KEY = "worlds"
"""Key of the runner's worlds and noise in its state."""


class BatchedEnvRunner(SingleAgentEnvRunner):
    """Steps a native ``VectorEnv`` in lockstep and returns one ``ArrayFragment`` per call of ``sample``.

    The environment is made by the registered creator, as ``make_batched_env`` asks for it, and resumable:
    checkpoints hold its worlds. Where remote env runners sample instead, it has no worlds and keeps the
    metrics of their days.

    Attributes:
        has_continued_worlds: whether the last ``set_state`` went on with saved worlds.
    """

    env: Any

    def __init__(self, **kwargs: Any) -> None:
        self._sampler: DaySampler | None = None
        self.has_continued_worlds = False
        super().__init__(**kwargs)

    @property
    def generation(self) -> int:
        """What sets its worlds and noise apart from those of a runner in its place before or after it."""
        return self._require_sampler().generation

    def make_env(self) -> None:
        """Makes the batched environment; called again by RLlib after a failure.

        Raises:
            ConfigError: the environment resets itself in another way, or has another number of worlds.
        """
        if self.env is not None:
            self.env.close()
        worlds, creator = int(self.config.num_envs_per_env_runner), _global_registry.get(ENV_CREATOR, self.config.env)
        self.env, self.num_envs = make_batched_env(creator, self.config.env_config, worlds, resumable=True), worlds
        identity = RunnerIdentity(int(self.config.seed or 0), int(self.worker_index or 0))
        self._sampler = DaySampler(self.env, int(self.config.rollout_fragment_length), identity)
        self._needs_initial_reset = True

    def drop_env(self) -> None:
        """Gives its worlds up, for remote env runners to sample instead."""
        self.env.close()
        self.env, self.num_envs, self._sampler = None, 0, None

    def sample(
        self,
        *,
        num_timesteps: int | None = None,
        num_episodes: int | None = None,
        explore: bool | None = None,
        random_actions: bool = False,
        force_reset: bool = False,
    ) -> ArrayFragment:
        """Collects one day of every world and logs its metrics.

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
        exploring = bool(self.config.explore if explore is None else explore)
        day = self._require_sampler().sample(
            self._compute_distribution, exploring=exploring, random_actions=random_actions, force_reset=force_reset
        )
        self.report([day])
        return day.fragment

    def report(self, days: Sequence[SampledDay]) -> None:
        """Logs the metrics of days, its own or remote env runners', as RLlib's; of what they report the means."""
        for day in days:
            fragment = day.fragment
            self._log_env_steps(metric=self._metrics_num_env_steps_sampled, num_steps=fragment.steps)
            self._increase_sampled_metrics(fragment.steps, fragment.terminated.size)
            returns = fragment.rewards.sum(axis=0)
            self._log_episode_metrics(fragment.rewards.shape[0], float(returns.mean()), day.seconds)
        for name in {name for day in days for name in day.means}:
            mean = float(np.mean([day.means[name] for day in days if name in day.means]))
            self.metrics.log_value(("rollout", name), mean, window=1)

    def get_metrics(self) -> Any:
        """RLlib's reduced metrics since the last call."""
        return self.metrics.reduce()

    def get_spaces(self) -> dict[str, tuple[gym.Space[Any], gym.Space[Any]]]:
        """RLlib's map of spaces; the module sees a world's observation as it is."""
        spaces: dict[str, tuple[gym.Space[Any], gym.Space[Any]]] = super().get_spaces()
        return spaces

    def start_generation(self, generation: int) -> None:
        """Starts new worlds at the next sample, with seeds and noise of their own; takes any weights it is sent."""
        self._weights_seq_no = 0
        if self._sampler is not None:
            self._sampler.start_generation(generation)

    def get_state(self, components: Any = None, *, not_components: Any = None, **kwargs: Any) -> dict[str, Any]:
        """RLlib's state, its noise and, where the environment gives them, its worlds."""
        state: dict[str, Any] = super().get_state(components, not_components=not_components, **kwargs)
        if self._sampler is not None and self._check_component(WORLDS_KEY, components, not_components):
            state[WORLDS_KEY] = self._sampler.get_state()
        return state

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores all of ``get_state``; worlds that cannot be restored are replaced by new ones, with a warning."""
        super().set_state(state)
        if self._sampler is not None and WORLDS_KEY in state:
            self.has_continued_worlds = self._sampler.set_state(state[WORLDS_KEY])

    def _require_sampler(self) -> DaySampler:
        if self._sampler is None:
            msg = "this env runner gave its worlds up: remote ones sample"
            raise RuntimeError(msg)
        return self._sampler

    def _compute_distribution(self, observation: Float32Array) -> tuple[Float32Array, Float32Array]:
        with torch.inference_mode():
            inputs = {Columns.OBS: torch.from_numpy(observation)}
            outputs = self.module.forward_inference(inputs)[Columns.ACTION_DIST_INPUTS].numpy()
        mean, log_std = np.split(outputs, 2, axis=-1)
        return mean, log_std
