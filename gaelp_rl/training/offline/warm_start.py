"""A run that starts from a bootstrap artefact: weights into the learner, days into the replay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.learner.learner import Learner

from gaelp_rl.bootstrap.transitions import TransitionDays
from gaelp_rl.errors import ArtifactError
from gaelp_rl.features.schema import Float32Array
from gaelp_rl.training.algorithm import FastSAC
from gaelp_rl.training.fragment import ArrayFragment
from gaelp_rl.training.replay import ArrayPrioritizedReplay

__all__ = ["load_offline_weights", "prefill_replay", "start_from_bootstrap"]


def start_from_bootstrap(
    algorithm: FastSAC, weights: Mapping[str, NDArray[Any]], days: TransitionDays, td_errors: Float32Array
) -> None:
    """Loads weights and transitions into an algorithm at its start, and tells the env runners.

    Raises:
        ArtifactError: the weights do not fit the learner's networks.
        DataError: the transitions do not fit the replay.
    """
    load_offline_weights(algorithm, weights)
    prefill_replay(algorithm.replay, days, td_errors)


def load_offline_weights(algorithm: FastSAC, weights: Mapping[str, NDArray[Any]]) -> None:
    """Writes actor, critics and target critics, then sends the actor to every env runner.

    Raises:
        ArtifactError: a name is missing or unknown, or a shape differs.
    """
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}

    def write(learner: Learner) -> None:
        learner.module[DEFAULT_MODULE_ID].unwrapped().load_state_dict(tensors)
        learner._weights_seq_no += 1

    try:
        for result in algorithm.learner_group.foreach_learner(write):
            result.get()
    except RuntimeError as error:
        msg = f"the bootstrap's weights do not fit the learner ({error}): bootstrap again with the run's settings"
        raise ArtifactError(msg) from error
    algorithm._sync_weights()


def prefill_replay(replay: ArrayPrioritizedReplay, days: TransitionDays, td_errors: Float32Array) -> None:
    """Adds days to an empty replay, each transition at the priority of its TD error.

    Args:
        replay: empty; of as many days as fit the newest are kept.
        days: D days.
        td_errors: float32 [24, D], absolute.

    Raises:
        DataError: the days do not fit the replay's sizes.
    """
    kept = min(replay.settings.days, days.num_days)
    newest = slice(days.num_days - kept, None)
    replay.add(
        ArrayFragment(
            observations=days.observations[:, newest],
            actions=days.actions[:, newest],
            rewards=days.rewards[:, newest],
            costs=days.costs[:, newest],
            terminated=days.terminated[newest],
        )
    )
    replay.update_priorities(np.arange(kept * replay.settings.steps), td_errors[:, newest].T.ravel())
