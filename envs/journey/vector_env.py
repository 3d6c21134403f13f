"""Many users of a journey in one Gymnasium vector environment, without RecSim's objects.

Observations, actions, rewards, termination and truncation are those of ``envs.journey.env``, batched. User j of
environment i is user j of ``simulate_sessions`` with the environment's seed. The scalar environment, which
runs RecSim's own code, agrees in distribution: it draws from MT19937 in the order of RecSim's loops, so that
no seed gives the same numbers in both. The catalogue of ``ads`` is the same in both for a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from envs.journey.ads_config import AdsJourneyConfig
from envs.journey.spaces import make_action_space, make_observation_space
from envs.journey.stock_parameters import CHOICE_PARAMETERS, POLICIES, STOCK_CHOICES, SessionSizes, check_journey
from envs.journey.user_streams import make_run_key, make_user_keys
from envs.journey.vector_ads import AdsBatch
from envs.journey.vector_interest_evolution import InterestEvolutionBatch
from gaelp_rl.errors import ActionError, ConfigError

__all__ = ["JourneyVectorEnv"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Observation = dict[str, NDArray[np.float32]]


class _Batch(Protocol):
    """Users of one model side by side."""

    max_steps: int
    budgets: FloatArray

    def set_seeds(self, seeds: Sequence[int]) -> None: ...

    def begin(self, keys: NDArray[np.uint64], is_new: BoolArray) -> None: ...

    def step(
        self, slates: IntArray, keys: NDArray[np.uint64], steps: IntArray, is_live: BoolArray
    ) -> tuple[FloatArray, IntArray]: ...

    def observe(self, keys: NDArray[np.uint64], steps: IntArray) -> Observation: ...


class JourneyVectorEnv(gym.vector.VectorEnv[Observation, NDArray[np.integer[Any]], NDArray[Any]]):
    """Natively batched users, each at its own step of its own session.

    With ``AutoresetMode.NEXT_STEP`` the step after a session's end ignores its action and returns the next
    user's first observation; with ``SAME_STEP`` the last step returns it at once, and ``infos["final_obs"]``
    holds the session's last one where the mask ``infos["_final_obs"]`` says so; with ``DISABLED`` sessions that
    have ended must be begun by ``reset(options={"reset_mask": ...})`` before the next step.

    Args:
        num_envs: users side by side.
        model: ``ads`` or ``interest_evolution``.
        choice: ``mnl``, ``proportional`` or ``exponential_cascade``; None for the model's stock choice.
        num_candidates: documents to choose from.
        slate_size: documents shown.
        ads: parameters of the model ``ads``, but for the two above; None for stock.
        autoreset_mode: see above.

    Raises:
        ConfigError: a name does not exist, the model is not batched, or the sizes do not fit.
    """

    def __init__(
        self,
        num_envs: int = 1,
        model: str = "ads",
        choice: str | None = None,
        num_candidates: int = 10,
        slate_size: int = 2,
        ads: AdsJourneyConfig | None = None,
        autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
    ) -> None:
        if num_envs < 1:
            msg = f"{num_envs} environments hold no user; ask for at least 1"
            raise ConfigError(msg)
        self.metadata = {"autoreset_mode": autoreset_mode, "render_modes": []}
        self.num_envs = num_envs
        self._sizes, self._autoreset_mode = SessionSizes(num_candidates, slate_size), autoreset_mode
        config = replace(ads or AdsJourneyConfig(), num_candidates=num_candidates, slate_size=slate_size)
        self._batch = _make_batch(model, choice, num_envs, self._sizes, config)
        self.single_observation_space = make_observation_space(model, self._sizes, config)
        self.single_action_space = make_action_space(self._sizes)
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, num_envs)
        self._run_keys = np.zeros(num_envs, dtype=np.uint64)
        self._keys = np.zeros(num_envs, dtype=np.uint64)
        self._users = np.zeros(num_envs, dtype=np.int64)
        self._steps = np.zeros(num_envs, dtype=np.int64)
        self._has_ended = np.ones(num_envs, dtype=np.bool_)
        self._is_seeded = False

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """The next users.

        Args:
            seed: environment i starts anew from ``seed + i``, or from its own entry of a list; None goes on.
            options: ``reset_mask``, bool [envs], says which environments go on; without it, or with a seed, all.

        Returns:
            Batched observations; and ``clicked``, -1, and ``length``, the steps of each session.

        Raises:
            ConfigError: the seeds are not one for each environment, or negative; or the mask has another shape.
        """
        is_new = self._read_mask(options)
        if seed is not None or not self._is_seeded:
            self._start(self._read_seeds(seed))
            is_new = np.ones(self.num_envs, dtype=np.bool_)
        else:
            self._users[is_new] += 1
        self._begin(is_new)
        return self._batch.observe(self._keys, self._steps), self._make_infos(np.full(self.num_envs, -1))

    def step(
        self, actions: NDArray[np.integer[Any]]
    ) -> tuple[Observation, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """One slate for every user.

        Args:
            actions: int [envs, slate]; positions of candidates.

        Returns:
            Observations, rewards float32, terminated and truncated bool, all [envs, ...]; and ``clicked``, the
            place in the slate, -1 for none, with ``length``, the steps of each session.

        Raises:
            ActionError: an action is not a slate of candidates, or a session is over and autoreset disabled.
        """
        slates = self._read_slates(actions)
        is_new = self._has_ended.copy()
        if is_new.any() and self._autoreset_mode != AutoresetMode.NEXT_STEP:
            msg = f"{int(is_new.sum())} sessions are over or have not begun. Call reset() first"
            raise ActionError(msg)
        if is_new.any():
            self._users[is_new] += 1
            self._begin(is_new)
        self._steps[~is_new] += 1
        rewards, clicked = self._batch.step(slates, self._keys, self._steps, ~is_new)
        terminated = self._batch.budgets <= 0.0
        truncated = (self._steps >= self._batch.max_steps) & ~terminated
        self._has_ended = terminated | truncated
        observation, infos = self._batch.observe(self._keys, self._steps), self._make_infos(clicked)
        if self._autoreset_mode == AutoresetMode.SAME_STEP and self._has_ended.any():
            observation = self._reset_ended(observation, infos)
        return observation, rewards.astype(np.float32), terminated, truncated, infos

    def _reset_ended(self, final: Observation, infos: dict[str, Any]) -> Observation:
        ended = self._has_ended.copy()
        infos["_final_obs"], infos["final_obs"] = ended, np.full(self.num_envs, None, dtype=object)
        for i in np.flatnonzero(ended):
            infos["final_obs"][i] = {name: part[i] for name, part in final.items()}
        self._users[ended] += 1
        self._begin(ended)
        return self._batch.observe(self._keys, self._steps)

    def _start(self, seeds: list[int]) -> None:
        self._run_keys = np.array([make_run_key(seed) for seed in seeds], dtype=np.uint64)
        self._users[:] = 0
        self._batch.set_seeds(seeds)
        self._is_seeded = True

    def _begin(self, is_new: BoolArray) -> None:
        for i in np.flatnonzero(is_new):
            self._keys[i] = make_user_keys(self._run_keys[i], self._users[i : i + 1])[0]
        self._steps[is_new] = 0
        self._has_ended[is_new] = False
        self._batch.begin(self._keys, is_new)

    def _make_infos(self, clicked: IntArray) -> dict[str, Any]:
        return {"clicked": clicked, "length": self._steps.copy()}

    def _read_seeds(self, seed: int | list[int | None] | None) -> list[int]:
        if seed is None:
            return [int(drawn) for drawn in np.random.default_rng().integers(2**31, size=self.num_envs)]
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed
        if len(seeds) != self.num_envs or any(own is None for own in seeds):
            msg = f"{len(seeds)} seeds for {self.num_envs} environments: give one whole number for each, or one in all"
            raise ConfigError(msg)
        return [int(own or 0) for own in seeds]

    def _read_mask(self, options: dict[str, Any] | None) -> BoolArray:
        mask = np.asarray((options or {}).get("reset_mask", np.ones(self.num_envs, dtype=np.bool_)))
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            msg = f"reset_mask has shape {mask.shape} and dtype {mask.dtype}; it must be bool [{self.num_envs}]"
            raise ConfigError(msg)
        return mask

    def _read_slates(self, actions: NDArray[np.integer[Any]]) -> IntArray:
        slates = np.asarray(actions)
        fits = slates.shape == (self.num_envs, self._sizes.slate_size) and np.issubdtype(slates.dtype, np.integer)
        if not fits or slates.min() < 0 or slates.max() >= self._sizes.num_candidates:
            msg = (
                f"actions of shape {slates.shape} and dtype {slates.dtype} are no slates: they must be "
                f"{self.num_envs} x {self._sizes.slate_size} integers from 0 to {self._sizes.num_candidates - 1}"
            )
            raise ActionError(msg)
        return slates.astype(np.int64)


def _make_batch(model: str, choice: str | None, num_envs: int, sizes: SessionSizes, config: AdsJourneyConfig) -> _Batch:
    name = STOCK_CHOICES.get(model, "mnl") if choice is None else choice
    check_journey(model, name, POLICIES[0])
    if model == "ads":
        return AdsBatch(num_envs, config, CHOICE_PARAMETERS[model, name])
    if model == "interest_evolution":
        return InterestEvolutionBatch(num_envs, sizes, CHOICE_PARAMETERS[model, name])
    msg = f"model {model!r} has no vector environment; 'ads' and 'interest_evolution' have. Use JourneyEnv"
    raise ConfigError(msg)
