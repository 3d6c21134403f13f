"""SAC as an RLlib algorithm: sample a day of all worlds, then pay for it with updates."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.sac import SAC
from ray.rllib.core import COMPONENT_LEARNER_GROUP, DEFAULT_MODULE_ID
from ray.rllib.env.env_runner_group import EnvRunnerGroup
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
from ray.tune.registry import ENV_CREATOR, _global_registry

from gaelp_rl.config.training import TrainingConfig
from gaelp_rl.errors import CheckpointError
from gaelp_rl.rewards.lagrangian import LagrangeMultiplier, compute_constrained_reward
from gaelp_rl.training.algorithm_config import FastSACConfig, copy_without_env_runners
from gaelp_rl.training.checkpoint import load_checkpoint, read_part_hashes, save_checkpoint
from gaelp_rl.training.checkpoint_parts import (
    COUNTERS_KEY,
    NOT_IN_CHECKPOINTS,
    REPLAY_KEY,
    hash_parts,
    join_parts,
    split_parts,
)
from gaelp_rl.training.day_collector import DayCollector
from gaelp_rl.training.env_runner import WORLDS_KEY
from gaelp_rl.training.fragment import ArrayFragment
from gaelp_rl.training.learner import make_learner_batch
from gaelp_rl.training.remote_env_runner import RunnerSettings
from gaelp_rl.training.replay import ArrayPrioritizedReplay, ReplaySettings
from gaelp_rl.training.start_up import compile_kernels, load_node_cpus, start_env_runners

__all__ = ["FastSAC", "compute_importance_exponent"]

_GENERATION_KEY = "generation"


def compute_importance_exponent(start: float, env_steps: int, total_steps: int) -> float:
    """Importance exponent after some of the run: linear from ``start`` to 1 at its end, then 1.

    Source: Schaul et al. 2016, section 3.4.
    """
    progress = min(env_steps / max(total_steps, 1), 1.0)
    return start + (1.0 - start) * progress


class FastSAC(SAC):
    """SAC on whole days: ``env_steps_per_update`` fixes the ratio of updates to steps, whatever the runners.

    Counters are its own and survive checkpoints: ``env_steps``, ``episodes``, ``updates``, and what deaths
    of env runners cost, ``env_runner_restarts`` and ``lost_env_steps``.
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
        self.config = copy_without_env_runners(wanted)
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
        self.env_steps = self.episodes = self.updates = self._generation = 0
        self._unpaid_steps = 0
        self._restarts_before = self._lost_steps_before = 0
        self._collector = DayCollector(self.env_runner_group, self.config.sample_timeout_s)

    @property
    def env_runner_restarts(self) -> int:
        """Env runners that came back after a death, since the run began."""
        return self._restarts_before + self._collector.restarts

    @property
    def lost_env_steps(self) -> int:
        """Environment steps that died with the env runner that sampled them: at most a day of its worlds each."""
        day = self.training.episode_steps * self.training.worlds_per_env_runner
        return self._lost_steps_before + self._collector.lost_days * day

    @property
    def has_continued_worlds(self) -> bool:
        """Whether the last checkpoint loaded brought its worlds: only where this process samples itself."""
        local = self.env_runner_group.local_env_runner
        return local is not None and bool(local.has_continued_worlds)

    def _start_env_runners(self, count: int) -> None:
        """Brings up the remote env runners and hands them the weights; the local one then needs no worlds."""
        local, config = self.env_runner_group.local_env_runner, self.config
        compile_kernels(local.env, self.training.episode_steps)
        local.drop_env()
        settings = RunnerSettings(
            creator=_global_registry.get(ENV_CREATOR, config.env),
            env_config=dict(config.env_config),
            worlds=self.training.worlds_per_env_runner,
            steps=self.training.episode_steps,
            seed=self.training.seed,
            log_std_bounds=(self.training.log_std_min, self.training.log_std_max),
            restart_delay_s=config.delay_between_env_runner_restarts_s,
        )
        start_env_runners(
            self.env_runner_group,
            settings,
            count,
            cpus=config.num_cpus_per_env_runner,
            restarts=config.max_num_env_runner_restarts,
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
        parts = self._split_state()
        return save_checkpoint(
            root, self.episodes, parts, hashes=hash_parts(parts), kept=self.training.checkpoints_kept
        )

    def load_training(self, path: Path) -> None:
        """Continues from a checkpoint of ``save_training``: same weights, replay, counters and draws.

        Where this process samples itself, its worlds go on too, and the run is the uninterrupted one to
        the last bit; remote env runners start new worlds.

        Raises:
            CheckpointError: it is missing, damaged, of another configuration, or what was restored is not
                what was saved.
        """
        parts = load_checkpoint(path)
        state = join_parts(parts)
        if state is None:
            msg = f"{path} holds no training of this version: take another checkpoint, or start anew"
            raise CheckpointError(msg)
        self.set_state(state)
        self._check_restored(path, parts)

    def compute_part_hashes(self) -> dict[str, str]:
        """Sha256 of every part of the state as it would be saved now: what a checkpoint's manifest holds."""
        return hash_parts(self._split_state())

    def _split_state(self) -> dict[str, Any]:
        return split_parts(self.get_state(not_components=NOT_IN_CHECKPOINTS))

    def _check_restored(self, path: Path, saved: Mapping[str, Any]) -> None:
        """Compares what is there now with the manifest's hashes; the replay only where its capacity is the same."""
        wanted, found = read_part_hashes(path), self.compute_part_hashes()
        compared = {COUNTERS_KEY, COMPONENT_LEARNER_GROUP}
        if saved[COUNTERS_KEY]["replay_capacity"] == self.training.replay_capacity:
            compared.add(REPLAY_KEY)
        if self.has_continued_worlds:
            compared.add(WORLDS_KEY)
        wrong = sorted(name for name in compared if wanted.get(name) != found[name])
        if wrong:
            msg = f"{path} was restored, but {', '.join(wrong)} is not what was saved: take another checkpoint"
            raise CheckpointError(msg)

    def get_state(
        self,
        components: str | Collection[str] | None = None,
        *,
        not_components: str | Collection[str] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """RLlib's state plus replay, counters and multiplier."""
        state: dict[str, Any] = super().get_state(components, not_components=not_components, **kwargs)
        if self._check_component(COUNTERS_KEY, components, not_components):
            state[COUNTERS_KEY] = {
                "multiplier": self.multiplier.multiplier,
                "env_steps": self.env_steps,
                "episodes": self.episodes,
                "updates": self.updates,
                "unpaid_steps": self._unpaid_steps,
                "env_runner_restarts": self.env_runner_restarts,
                "lost_env_steps": self.lost_env_steps,
                "replay_capacity": self.training.replay_capacity,
            }
            state[_GENERATION_KEY] = self._generation
            state[REPLAY_KEY] = self.replay.get_state()
        return state

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores all of ``get_state``; env runners whose worlds are not in it start new ones."""
        own = state.get(COUNTERS_KEY)
        if own is None:
            super().set_state(state)
            return
        generation = self._generation = int(state[_GENERATION_KEY]) + 1
        self.env_runner_group.foreach_env_runner(lambda runner: runner.start_generation(generation))
        super().set_state(state)
        self.replay.set_state(state[REPLAY_KEY])
        self.multiplier = LagrangeMultiplier(
            float(own["multiplier"]), self.training.multiplier_step_size, self.training.multiplier_limit
        )
        self.env_steps, self.episodes = int(own["env_steps"]), int(own["episodes"])
        self.updates, self._unpaid_steps = int(own["updates"]), int(own["unpaid_steps"])
        self._restarts_before = int(own["env_runner_restarts"]) - self._collector.restarts
        self._lost_steps_before += int(own["lost_env_steps"]) - self.lost_env_steps

    def restore_env_runners(self, env_runner_group: EnvRunnerGroup) -> list[int]:
        """Takes note of env runners that came back after a death, and sends them the weights."""
        restored: list[int] = env_runner_group.probe_unhealthy_env_runners()
        if restored:
            self._sync_weights()
        return restored

    def _create_local_replay_buffer_if_necessary(self, config: Any) -> None:
        """RLlib's own buffer is not used."""

    def _sample(self) -> list[ArrayFragment]:
        with self.metrics.log_time((TIMERS, ENV_RUNNER_SAMPLING_TIMER)):
            fragments = self._collector.collect()
        if fragments:
            self.metrics.aggregate([self.env_runner_group.local_env_runner.get_metrics()], key=ENV_RUNNER_RESULTS)
        return fragments

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
            "env_runner_restarts": self.env_runner_restarts,
            "lost_env_steps": self.lost_env_steps,
        }
        self.metrics.log_dict(counters, key=COUNTERS_KEY, window=1)
