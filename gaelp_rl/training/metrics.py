"""The numbers that training reports, under names that stay."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    ENV_RUNNER_SAMPLING_TIMER,
    EPISODE_RETURN_MEAN,
    FAULT_TOLERANCE_STATS,
    LEARNER_RESULTS,
    LEARNER_UPDATE_TIMER,
    TIMERS,
)

from gaelp_rl.training.learner import LEARNER_METRICS

__all__ = ["collect_training_metrics"]

_COUNTERS = ("env_steps", "episodes", "updates", "replay_size", "multiplier")


def collect_training_metrics(result: Mapping[str, Any]) -> dict[str, float]:
    """Flattens what ``FastSAC.train()`` returned.

    Args:
        result: of the last iteration.

    Returns:
        ``train/<counter>`` (env_steps, episodes, updates, replay_size, multiplier),
        ``learner/<name>`` for each of ``LEARNER_METRICS`` seen so far,
        ``rollout/return_mean`` and ``rollout/<name>`` for what the environment reported, means over the
        worlds of the last day, ``time/iteration_s``, ``time/sampling_s`` and ``time/update_s`` (the last
        two smoothed, per call), ``env_runners/healthy``, ``faults/env_runner_restarts`` and
        ``faults/lost_env_steps``. Finite numbers only.
    """
    env_runners = result.get(ENV_RUNNER_RESULTS, {})
    learner = result.get(LEARNER_RESULTS, {}).get(DEFAULT_MODULE_ID, {})
    counters, timers = result.get("fast_sac", {}), result.get(TIMERS, {})
    faults = result.get(FAULT_TOLERANCE_STATS, {})
    named: dict[str, Any] = {f"train/{name}": counters.get(name) for name in _COUNTERS}
    named |= {f"learner/{name}": learner.get(name) for name in LEARNER_METRICS if name != "updates"}
    named |= {f"rollout/{name}": mean for name, mean in env_runners.get("rollout", {}).items()}
    named |= {
        "rollout/return_mean": env_runners.get(EPISODE_RETURN_MEAN),
        "time/iteration_s": result.get("time_this_iter_s"),
        "time/sampling_s": timers.get(ENV_RUNNER_SAMPLING_TIMER),
        "time/update_s": timers.get(LEARNER_UPDATE_TIMER),
        "env_runners/healthy": faults.get("num_healthy_workers"),
        "faults/env_runner_restarts": counters.get("env_runner_restarts"),
        "faults/lost_env_steps": counters.get("lost_env_steps"),
    }
    return {name: float(number) for name, number in named.items() if number is not None and math.isfinite(number)}
