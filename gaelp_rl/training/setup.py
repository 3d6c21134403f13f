"""From a ``TrainingConfig`` to an RLlib algorithm config, ours or the stock one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.rllib.algorithms.sac import SACConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.tune.registry import register_env

from gaelp_rl.config.training import TrainingConfig
from gaelp_rl.training.algorithm_config import FastSACConfig
from gaelp_rl.training.day_sampler import EnvCreator
from gaelp_rl.training.env_runner import BatchedEnvRunner
from gaelp_rl.training.module import PlainSACModule, make_model_config
from gaelp_rl.training.start_up import compute_cpus_per_env_runner, load_node_cpus

__all__ = ["make_algorithm_config"]


def make_algorithm_config(
    training: TrainingConfig,
    env_name: str,
    env_creator: EnvCreator,
    env_config: Mapping[str, Any] | None = None,
    *,
    stock: bool = False,
) -> SACConfig:
    """The algorithm that a run trains with; ``build_algo()`` builds it.

    Args:
        training: all settings.
        env_name: name under which the creator is registered with Ray.
        env_creator: makes environments on every env runner.
        env_config: passed to the creator.
        stock: RLlib's own SAC, networks, env runner and prioritized episode replay instead of ours; for
            comparison at the same ratio of updates to steps, learning rates and hidden sizes.
    """
    register_env(env_name, env_creator)
    config = SACConfig() if stock else FastSACConfig().fast(training)
    config.environment(env_name, env_config=dict(env_config or {}))
    config.framework("torch", torch_skip_nan_gradients=True)
    config.debugging(seed=training.seed)
    config.learners(num_learners=0)
    config.fault_tolerance(restart_failed_env_runners=True, delay_between_env_runner_restarts_s=1.0)
    config.reporting(min_time_s_per_iteration=None, min_sample_timesteps_per_iteration=0)
    config.training(
        gamma=training.gamma,
        tau=training.tau,
        actor_lr=training.actor_lr,
        critic_lr=training.critic_lr,
        alpha_lr=training.alpha_lr,
        initial_alpha=training.initial_alpha,
        target_entropy=training.target_entropy,
        n_step=training.n_step,
        train_batch_size_per_learner=training.batch_size,
        num_steps_sampled_before_learning_starts=training.warmup_steps,
    )
    return _use_stock_parts(config, training) if stock else _use_own_parts(config, training)


def _choose_cpus(training: TrainingConfig) -> float:
    """CPUs that Ray reserves for each env runner."""
    return training.cpus_per_env_runner or compute_cpus_per_env_runner(load_node_cpus(), training.env_runners)


def _use_own_parts(config: SACConfig, training: TrainingConfig) -> SACConfig:
    config.env_runners(
        env_runner_cls=BatchedEnvRunner,
        num_env_runners=training.env_runners,
        num_envs_per_env_runner=training.worlds_per_env_runner,
        num_cpus_per_env_runner=_choose_cpus(training),
        rollout_fragment_length=training.episode_steps,
        create_env_on_local_worker=training.env_runners == 0,
        # There are no connector states to merge, and their broadcast would push weights out of line.
        merge_env_runner_states=False,
        broadcast_env_runner_states=False,
    )
    model = make_model_config(
        hidden_sizes=training.hidden_sizes,
        critic_layer_norm=training.critic_layer_norm,
        initial_log_std=training.initial_log_std,
        log_std_min=training.log_std_min,
        log_std_max=training.log_std_max,
        privileged_features=training.privileged_features,
        critic_curvature=training.critic_curvature,
    )
    return config.rl_module(rl_module_spec=RLModuleSpec(module_class=PlainSACModule, model_config=model))


def _use_stock_parts(config: SACConfig, training: TrainingConfig) -> SACConfig:
    # A day costs one step more where an environment resets in the step after.
    config.env_runners(
        num_env_runners=training.env_runners,
        num_envs_per_env_runner=training.worlds_per_env_runner,
        num_cpus_per_env_runner=_choose_cpus(training),
        rollout_fragment_length=training.episode_steps + 1,
        gym_env_vectorize_mode="vector_entry_point",
        create_env_on_local_worker=training.env_runners == 0,
    )
    config.training(
        training_intensity=training.batch_size / training.env_steps_per_update,
        replay_buffer_config={
            "type": "PrioritizedEpisodeReplayBuffer",
            "capacity": training.replay_capacity,
            "alpha": training.priority_alpha,
            "beta": training.priority_beta,
        },
    )
    return config.rl_module(
        model_config=DefaultModelConfig(
            fcnet_hiddens=list(training.hidden_sizes),
            fcnet_activation="relu",
            head_fcnet_hiddens=[],
            fusionnet_hiddens=[],
        )
    )
