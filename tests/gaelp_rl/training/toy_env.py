"""A small market-shaped environment: days of 24 steps, worlds of 3 days, a known best action."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

__all__ = ["DAYS", "FEATURES", "STEPS", "ToyScalarEnv", "ToyVectorEnv", "make_toy_env"]

FEATURES, ACTIONS, STEPS, DAYS = 10, 2, 24, 3
_OBSERVATION_SPACE = gym.spaces.Box(-10.0, 10.0, (FEATURES,), np.float32)
_ACTION_SPACE = gym.spaces.Box(-1.0, 1.0, (ACTIONS,), np.float32)


class ToyVectorEnv(VectorEnv[Any, Any, Any]):
    """Reward ``1 - |action - 0.8 * first two features|^2``, with features redrawn at every step.

    The last four features are (day, step, world, 1), so that tests can tell rows apart.
    """

    def __init__(self, num_envs: int, autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP) -> None:
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": autoreset_mode}
        self.single_observation_space, self.single_action_space = _OBSERVATION_SPACE, _ACTION_SPACE
        self.observation_space = gym.vector.utils.batch_space(_OBSERVATION_SPACE, num_envs)
        self.action_space = gym.vector.utils.batch_space(_ACTION_SPACE, num_envs)
        self._mode = autoreset_mode
        self._day = self._step = 0
        self._ended = False
        self._rngs = [np.random.default_rng(world) for world in range(num_envs)]

    def reset(self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None) -> Any:
        if seed is not None:
            seeds = seed if isinstance(seed, list) else [seed + world for world in range(self.num_envs)]
            self._rngs = [np.random.default_rng(one) for one in seeds]
        self._day = self._step = 0
        self._ended = False
        return self._observe(), {}

    def step(self, actions: NDArray[np.floating]) -> Any:
        nothing = np.zeros(self.num_envs, dtype=np.bool_)
        if self._ended and self._mode is AutoresetMode.NEXT_STEP:
            self._ended = False
            return self._observe(), np.zeros(self.num_envs), nothing, nothing, {}
        hit = 1.0 - np.square(actions - 0.8 * self._features[:, :ACTIONS]).sum(axis=1)
        infos: dict[str, Any] = {
            "reward_terms": {"hit": hit},
            "constraint_cost": np.full(self.num_envs, 0.5),
            "soft_score": hit,
        }
        self._step += 1
        ends = self._step == STEPS
        observation = self._observe()
        last_day = self._day == DAYS - 1
        terminated, truncated = np.full(self.num_envs, ends and last_day), np.full(self.num_envs, ends and not last_day)
        if ends:
            self._day, self._step, self._ended = (self._day + 1) % DAYS, 0, True
            if self._mode is AutoresetMode.SAME_STEP:
                infos["final_obs"] = observation
                observation = self._observe()
        return observation, hit, terminated, truncated, infos

    def _observe(self) -> NDArray[np.float32]:
        drawn = np.stack([rng.uniform(-1.0, 1.0, FEATURES) for rng in self._rngs])
        drawn[:, -4:] = [self._day, self._step, 0.0, 1.0]
        drawn[:, -2] = np.arange(self.num_envs)
        self._features = np.asarray(drawn, dtype=np.float32)
        return self._features.copy()


class ToyScalarEnv(gym.Env[Any, Any]):
    """One world, for RLlib to look at the spaces."""

    observation_space, action_space = _OBSERVATION_SPACE, _ACTION_SPACE

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return np.zeros(FEATURES, dtype=np.float32), {}

    def step(self, action: Any) -> Any:
        return np.zeros(FEATURES, dtype=np.float32), 0.0, False, False, {}


def make_toy_env(context: Mapping[str, Any]) -> ToyVectorEnv | ToyScalarEnv:
    """The creator to register with Ray Tune."""
    if "num_envs" not in context:
        return ToyScalarEnv()
    return ToyVectorEnv(context["num_envs"], context.get("autoreset_mode", AutoresetMode.NEXT_STEP))
