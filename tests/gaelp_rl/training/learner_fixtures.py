"""Learners and batches built without Ray, for the tests of this folder."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.algorithms.sac import SACConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from gaelp_rl.training.module import PlainSACModule, make_model_config
from gaelp_rl.training.replay import ReplayBatch

FEATURES, ACTIONS, BATCH = 12, 3, 16


def make_module_spec(features: int = FEATURES, actions: int = ACTIONS, **model: Any) -> RLModuleSpec:
    return RLModuleSpec(
        module_class=PlainSACModule,
        observation_space=gym.spaces.Box(-5.0, 5.0, (features,), np.float32),
        action_space=gym.spaces.Box(-1.0, 1.0, (actions,), np.float32),
        model_config=make_model_config(**({"hidden_sizes": (16, 8)} | model)),
    )


def make_learner(learner_class: type, spec: RLModuleSpec | None = None, seed: int = 0, **settings: Any) -> Any:
    """A built learner with minibatches of ``BATCH`` transitions."""
    config = SACConfig().training(
        actor_lr=1e-3,
        critic_lr=2e-3,
        alpha_lr=3e-3,
        tau=0.1,
        gamma=0.9,
        initial_alpha=0.2,
        target_entropy=-2.0,
        train_batch_size_per_learner=BATCH,
    )
    config.debugging(seed=seed)
    defaults = {"action_penalty": 0.0, "critic_warmup_updates": 0, "torch_threads": 1}
    for name, setting in (defaults | settings).items():
        setattr(config, name, setting)
    learner = learner_class(
        config=config,
        module_spec=MultiRLModuleSpec(rl_module_specs={DEFAULT_MODULE_ID: spec or make_module_spec()}),
    )
    learner.build()
    return learner


def sample_batch(seed: int = 0, count: int = BATCH, features: int = FEATURES, actions: int = ACTIONS) -> ReplayBatch:
    """Random transitions; one in eight is terminal, weights differ."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> Any:
        return rng.normal(size=shape).astype(np.float32)

    return ReplayBatch(
        indices=np.arange(count),
        observations=draw(count, features),
        next_observations=draw(count, features),
        actions=np.tanh(draw(count, actions)),
        rewards=draw(count) * 2.0,
        costs=draw(count),
        discounts=np.where(np.arange(count) % 8 == 0, 0.0, 0.9).astype(np.float32),
        weights=rng.uniform(0.2, 1.0, count).astype(np.float32),
    )
