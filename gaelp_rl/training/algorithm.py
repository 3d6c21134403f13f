"""SAC as an RLlib algorithm: sample a day of all worlds, then pay for it with updates."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.sac import SAC, SACConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    ENV_RUNNER_SAMPLING_TIMER,
    LEARNER_RESULTS,
    LEARNER_UPDATE_TIMER,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    REPLAY_BUFFER_SAMPLE_TIMER,
    SYNCH_WORKER_WEIGHTS_TIMER,
    TD_ERROR_KEY,
    TIMERS,
)

from gaelp_rl.config.training import TrainingConfig
from gaelp_rl.errors import ConfigError, ResourceError
from gaelp_rl.rewards.lagrangian import LagrangeMultiplier, compute_constrained_reward
from gaelp_rl.training.checkpoint import load_checkpoint, save_checkpoint
from gaelp_rl.training.env_runner import BatchedEnvRunner
from gaelp_rl.training.fragment import ArrayFragment
from gaelp_rl.training.learner import FastSACLearner, make_learner_batch
from gaelp_rl.training.replay import ArrayPrioritizedReplay, ReplaySettings
from gaelp_rl.training.start_up import compile_kernels, load_node_cpus, start_env_runners

__all__ = ["FastSAC", "FastSACConfig", "compute_importance_exponent"]

_STATE_KEY = "fast_sac"
_NOT_IN_CHECKPOINTS = "metrics_logger"
_MOST_DAYS_WITHOUT_SAMPLE = 20


class FastSACConfig(SACConfig):
    """SAC's config plus a ``TrainingConfig``, from which ``make_algorithm_config`` fills the rest."""

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class or FastSAC)
        self.fast_sac = TrainingConfig().model_dump()
        self.action_penalty = 0.0
        self.critic_warmup_updates = 0
        self.torch_threads = 1

    def fast(self, training: TrainingConfig) -> Self:
        """Takes over the settings that RLlib does not know."""
        self.fast_sac = training.model_dump()
        self.action_penalty = training.action_penalty
        self.critic_warmup_updates = training.critic_warmup_updates
        self.torch_threads = training.torch_threads
        return self

    def validate(self) -> None:
        """Refuses what the fused update cannot do.

        Raises:
            ConfigError: more than one learner is asked for.
        """
        super().validate()
        if self.num_learners > 1:
            msg = f"num_learners is {self.num_learners}; FastSAC updates in one learner: use 0 or 1, or stock SAC"
            raise ConfigError(msg)

    def get_default_learner_class(self) -> type[FastSACLearner]:
        """The fused learner."""
        return FastSACLearner


def compute_importance_exponent(start: float, env_steps: int, total_steps: int) -> float:
    """Importance exponent after some of the run: linear from ``start`` to 1 at its end, then 1.

    Source: Schaul et al. 2016, section 3.4.
    """
    progress = min(env_steps / max(total_steps, 1), 1.0)
    return start + (1.0 - start) * progress


class FastSAC(SAC):
    """SAC on whole days: ``env_steps_per_update`` fixes the ratio of updates to steps, whatever the runners.

    Counters are its own and survive checkpoints: ``env_steps``, ``episodes``, ``updates``.
    """

    config: Any

    @classmethod
    def get_default_config(cls) -> AlgorithmConfig:
        """A fresh ``FastSACConfig``."""
        return FastSACConfig()

    def setup(self, config: AlgorithmConfig) -> None:
        """Builds RLlib's parts, then the replay for the spaces that the env runners report."""
        # RLlib starts all env runners at once and waits for them without end: it gets to start none.
        wanted: AlgorithmConfig = self.config
        self.config = _copy_without_env_runners(wanted)
        super().setup(config)
        self.config = wanted
        self.training = TrainingConfig.model_validate(self.config.fast_sac)
        if wanted.num_env_runners:
            self._start_env_runners(wanted.num_env_runners)
        observations, actions = self.spaces[DEFAULT_MODULE_ID]
        training = self.training
        settings = ReplaySettings(
            capacity=training.replay_capacity,
            steps=training.episode_steps,
            observation_size=observations.shape[0],
            action_size=actions.shape[0],
            gamma=training.gamma,
            n_step=training.n_step,
            alpha=training.priority_alpha,
            epsilon=training.priority_epsilon,
        )
        self.replay = ArrayPrioritizedReplay(settings, np.random.SeedSequence([training.seed, 2]))
        self.multiplier = LagrangeMultiplier(
            step_size=training.multiplier_step_size, upper_limit=training.multiplier_limit
        )
        self.env_steps = self.episodes = self.updates = self._resumes = 0
        self._unpaid_steps = self._days_without_sample = 0

    def _start_env_runners(self, count: int) -> None:
        """Brings up the remote env runners and hands them the weights; the local one then needs no worlds."""
        local = self.env_runner_group.local_env_runner
        compile_kernels(local.env, self.training.episode_steps)
        local.env.close()
        local.env, local.num_envs = None, 0
        start_env_runners(
            self.env_runner_group,
            count,
            at_once=self.training.env_runner_starts_at_once or max(int(sum(load_node_cpus())), 1),
            timeout_s=self.training.env_runner_start_timeout_s,
        )
        self._sync_weights()

    def training_step(self) -> None:
        """Samples a day of all worlds, stores it, and runs the updates that its steps pay for."""
        for fragment in self._sample():
            self.replay.add(fragment)
            self.env_steps += fragment.steps
            self.episodes += fragment.terminated.size
            self._unpaid_steps += fragment.steps
            self.multiplier = self.multiplier.update(float(fragment.costs.mean()))
        if self.env_steps < self.training.warmup_steps or not len(self.replay):
            self._unpaid_steps = 0
        owed, self._unpaid_steps = divmod(self._unpaid_steps, self.training.env_steps_per_update)
        while owed > 0:
            minibatches = min(owed, self.training.updates_per_call)
            self._update(minibatches)
            owed -= minibatches
        self._sync_weights()
        self._log_counters()

    def save_training(self, root: Path) -> Path:
        """Saves everything that a resumed run needs, replay included, without pickle.

        Returns:
            The new checkpoint's folder, ``root/checkpoint-<episodes>``; older ones beyond
            ``checkpoints_kept`` are removed once it is complete.

        Raises:
            CheckpointError: it could not be written; earlier checkpoints are untouched.
        """
        state = self.get_state(not_components=_NOT_IN_CHECKPOINTS)
        state.pop(_NOT_IN_CHECKPOINTS, None)
        _drop_metrics(state)
        return save_checkpoint(root, self.episodes, state, kept=self.training.checkpoints_kept)

    def load_training(self, path: Path) -> None:
        """Continues from a checkpoint of ``save_training``: same weights, replay, counters and draws; new worlds.

        Raises:
            CheckpointError: it is missing, damaged, or of another configuration.
        """
        self.set_state(load_checkpoint(path))

    def get_state(
        self,
        components: str | Collection[str] | None = None,
        *,
        not_components: str | Collection[str] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """RLlib's state plus replay, counters and multiplier."""
        state: dict[str, Any] = super().get_state(components, not_components=not_components, **kwargs)
        if self._check_component(_STATE_KEY, components, not_components):
            state[_STATE_KEY] = {
                "replay": self.replay.get_state(),
                "multiplier": self.multiplier.multiplier,
                "env_steps": self.env_steps,
                "episodes": self.episodes,
                "updates": self.updates,
                "unpaid_steps": self._unpaid_steps,
                "resumes": self._resumes,
            }
        return state

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores all of ``get_state``; the env runners start new worlds."""
        own = state.get(_STATE_KEY)
        if own is None:
            super().set_state(state)
            return
        resumes = self._resumes = int(own["resumes"]) + 1
        self.env_runner_group.foreach_env_runner(lambda runner: runner.start_generation(resumes))
        super().set_state(state)
        self.replay.set_state(own["replay"])
        self.multiplier = LagrangeMultiplier(
            float(own["multiplier"]), self.training.multiplier_step_size, self.training.multiplier_limit
        )
        self.env_steps, self.episodes = int(own["env_steps"]), int(own["episodes"])
        self.updates, self._unpaid_steps = int(own["updates"]), int(own["unpaid_steps"])

    def _create_local_replay_buffer_if_necessary(self, config: Any) -> None:
        """RLlib's own buffer is not used."""

    def _sample(self) -> list[ArrayFragment]:
        """A day of every env runner; remote ones go on with the next day while the learner works on this one."""
        group = self.env_runner_group
        with self.metrics.log_time((TIMERS, ENV_RUNNER_SAMPLING_TIMER)):
            if group.num_remote_workers() == 0:
                days = [_sample_day(group.local_env_runner)]
            else:
                days = self._fetch_days() or self._fetch_days()
        self._days_without_sample = 0 if days else self._days_without_sample + 1
        if self._days_without_sample > _MOST_DAYS_WITHOUT_SAMPLE:
            msg = f"no env runner has sampled {self._days_without_sample} times in a row: see their logs"
            raise ResourceError(msg)
        self.metrics.aggregate([metrics for _, metrics in days], key=ENV_RUNNER_RESULTS)
        return [fragment for fragment, _ in days]

    def _fetch_days(self) -> list[tuple[ArrayFragment, Any]]:
        """Waits for the days under way, then starts the next ones; empty before the first."""
        return self.env_runner_group.foreach_env_runner_async_fetch_ready(
            func=_sample_day, tag="sample", timeout_seconds=self.config.sample_timeout_s
        )

    def _update(self, minibatches: int) -> None:
        training = self.training
        total_steps = training.episodes * training.episode_steps
        beta = compute_importance_exponent(training.priority_beta, self.env_steps, total_steps)
        with self.metrics.log_time((TIMERS, REPLAY_BUFFER_SAMPLE_TIMER)):
            batch = self.replay.sample(minibatches * training.batch_size, beta)
            rewards = compute_constrained_reward(batch.rewards, batch.costs, self.multiplier.multiplier)
        with self.metrics.log_time((TIMERS, LEARNER_UPDATE_TIMER)):
            results = self.learner_group.update(
                batch=make_learner_batch(batch, rewards),
                timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: self.env_steps},
            )
        td_errors = np.concatenate(list(results[0][DEFAULT_MODULE_ID].pop(TD_ERROR_KEY).peek()))
        self.metrics.aggregate(results, key=LEARNER_RESULTS)
        self.replay.update_priorities(batch.indices, td_errors)
        self.updates += minibatches

    def _sync_weights(self) -> None:
        with self.metrics.log_time((TIMERS, SYNCH_WORKER_WEIGHTS_TIMER)):
            self.env_runner_group.sync_weights(
                from_worker_or_learner_group=self.learner_group,
                policies=[DEFAULT_MODULE_ID],
                inference_only=True,
            )

    def _log_counters(self) -> None:
        counters = {
            "env_steps": self.env_steps,
            "episodes": self.episodes,
            "updates": self.updates,
            "replay_size": len(self.replay),
            "multiplier": self.multiplier.multiplier,
        }
        self.metrics.log_dict(counters, key=_STATE_KEY, window=1)


def _copy_without_env_runners(config: AlgorithmConfig) -> AlgorithmConfig:
    copy = config.copy(copy_frozen=False)
    copy.num_env_runners = 0
    copy.create_env_on_local_worker = True
    copy.freeze()
    return copy


def _sample_day(runner: BatchedEnvRunner) -> tuple[ArrayFragment, Any]:
    return runner.sample(), runner.get_metrics()


def _drop_metrics(state: Any) -> None:
    """Removes RLlib's metric loggers from a nested state, in place: they are a view, not a state of training."""
    if isinstance(state, dict):
        state.pop(_NOT_IN_CHECKPOINTS, None)
        for part in state.values():
            _drop_metrics(part)
