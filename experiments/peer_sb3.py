"""Stable-Baselines3's SAC on our worlds: a peer for benchmarks, installed by the ``benchmark`` extra.

Source: Raffin et al., "Stable-Baselines3: reliable reinforcement learning implementations", JMLR 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from experiments.worlds import make_env_creator
from gaelp_rl.config.sprint import SprintConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BatchedVecEnv", "make_sb3_sac"]


class BatchedVecEnv(VecEnv):
    """A native batch of worlds behind Stable-Baselines3's interface; midnight's step returns the next morning.

    Attributes:
        num_envs: worlds.
    """

    def __init__(self, config: SprintConfig) -> None:
        context = {
            "num_envs": config.training.worlds_per_env_runner,
            "autoreset_mode": AutoresetMode.SAME_STEP,
        }
        self._env = make_env_creator(config)(context)
        self._env.reset(seed=config.training.seed)
        self.render_mode = None
        super().__init__(self._env.num_envs, self._env.single_observation_space, self._env.single_action_space)

    def reset(self) -> NDArray[np.float32]:
        """The present day's first observations, float32 [worlds, features]."""
        observation, _ = self._env.reset()
        return observation

    def step_async(self, actions: NDArray[np.floating[Any]]) -> None:
        """Takes actions [worlds, actions] for ``step_wait``."""
        self._actions = actions.astype(np.float32)

    def step_wait(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Observations, rewards, ends of days, and one dict per world."""
        observation, reward, terminated, truncated, infos = self._env.step(self._actions)
        ends = terminated | truncated
        rows: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if ends.any():
            last = infos["final_obs"]
            for i, row in enumerate(rows):
                row["terminal_observation"] = last[i]
                row["TimeLimit.truncated"] = bool(truncated[i])
        return observation, reward, ends, rows

    def close(self) -> None:
        """Nothing is held."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The batch's attribute, once for every world asked for."""
        return [getattr(self._env, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Sets an attribute of the batch."""
        del indices
        setattr(self._env, attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Calls a method of the batch once; its answer for every world asked for."""
        answer = getattr(self._env, method_name)(*method_args, **method_kwargs)
        return [answer for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Never."""
        del wrapper_class
        return [False for _ in self._get_indices(indices)]


def make_sb3_sac(config: SprintConfig) -> SAC:
    """SAC with our networks' sizes, batch, learning rate and ratio of updates to steps; uniform replay."""
    training = config.training
    worlds, every = training.worlds_per_env_runner, training.env_steps_per_update
    steps_between, updates = _make_schedule(worlds, every)
    hidden: Sequence[int] = training.hidden_sizes
    return SAC(
        "MlpPolicy",
        BatchedVecEnv(config),
        learning_rate=training.actor_lr,
        buffer_size=training.replay_capacity,
        learning_starts=training.warmup_steps,
        batch_size=training.batch_size,
        tau=training.tau,
        gamma=training.gamma,
        train_freq=(steps_between, "step"),
        gradient_steps=updates,
        policy_kwargs={"net_arch": list(hidden)},
        seed=training.seed,
        device="cpu",
    )


def _make_schedule(worlds: int, steps_per_update: int) -> tuple[int, int]:
    """Batched steps between two calls of its learner, and updates of each: exactly the ratio asked for."""
    common = int(np.lcm(worlds, steps_per_update))
    return common // worlds, common // steps_per_update
