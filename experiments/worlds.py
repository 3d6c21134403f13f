"""The worlds that training runs in: market, rewards and families put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from gymnasium.vector import AutoresetMode

from envs.market.env import MultiChannelVectorEnv
from envs.market.session import PRIVILEGED_SIZE, RewardSettings
from experiments.planners import load_reference_params
from gaelp_rl.config.market import FamilyConfig, load_family
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.config.training import TrainingConfig
from gaelp_rl.control.reference import ReferenceParams
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.domain.response_curves import ResponseCurves
from gaelp_rl.evaluation.hindsight import compute_hindsight_optimum
from gaelp_rl.features.actions import ActionReach
from gaelp_rl.training.day_sampler import EnvCreator

__all__ = ["ENV_NAME", "compute_optimum", "make_env_creator", "make_training_config"]

ENV_NAME = "gaelp/MultiChannel-v1"


def compute_optimum(curves: ResponseCurves, objective: Objective) -> FloatArray:
    """Expected conversions of each world's hindsight optimum, float64 [worlds]."""
    return compute_hindsight_optimum(curves, objective).expected_conversions


def make_env_creator(config: SprintConfig) -> EnvCreator:
    """Makes training worlds on whichever process asks for them."""
    reach = ActionReach(config.max_log_bid, config.max_logit)
    return partial(
        _make_env,
        families=tuple(map(load_family, config.families)),
        reach=reach,
        params=load_reference_params(),
        reward=RewardSettings(compute_optimum, config.subtract_twin, config.pacing_weight, config.training.gamma),
        privileged=config.privileged_critic,
    )


def make_training_config(config: SprintConfig) -> TrainingConfig:
    """The sprint's training settings with what follows from its worlds filled in."""
    return config.training.model_copy(
        update={"privileged_features": PRIVILEGED_SIZE if config.privileged_critic else 0}
    )


def _make_env(
    context: Mapping[str, Any],
    families: Sequence[FamilyConfig],
    reach: ActionReach,
    params: dict[str, ReferenceParams],
    reward: RewardSettings,
    privileged: bool,
) -> MultiChannelVectorEnv:
    return MultiChannelVectorEnv(
        num_envs=context.get("num_envs", len(families)),
        families=families,
        split="train",
        autoreset_mode=context.get("autoreset_mode", AutoresetMode.NEXT_STEP),
        params=params,
        reach=reach,
        reward=reward,
        privileged=privileged,
        resumable=context.get("resumable", False),
    )
