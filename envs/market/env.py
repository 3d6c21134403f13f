"""``gaelp/MultiChannel-v1``: the market the agent lives in, as Gymnasium environments.

Observation
    float32 [features] of ``OBSERVATION_SCHEMA``: what platforms have reported, the plan in force,
    and the reference controller's beliefs. Every feature has a unit and a range in the schema.
Action
    float32 [8] in [-1, 1]: per channel a log multiplier on the reference controller's bid and a
    logit on its budget share. Zero is the controller itself.
Reward
    Expected conversions minus spend at its shadow price, less what action zero earns in the same
    world under the same noise; in conversions, or in per cent of an hour of the hindsight optimum.
Termination and truncation
    Midnight truncates (an episode is a day of 24 hourly steps); the 28th midnight terminates.
Starting state
    A new world at its first midnight after ``reset(seed=...)``; after a truncated day,
    ``reset()`` goes on with the same world's next day.
Version history
    v1: first version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from envs.market.noise import Split, make_world_keys
from envs.market.session import PRIVILEGED_LIMIT, PRIVILEGED_SIZE, MarketSession, RewardSettings, SessionStep
from envs.market.world_log import WorldLog, compute_observation_hash
from gaelp_rl.config.fidelity import Fidelity
from gaelp_rl.config.market import DEFAULT_FAMILY, FamilyConfig, load_family
from gaelp_rl.control.reference import ReferenceParams
from gaelp_rl.errors import CheckpointError, ConfigError
from gaelp_rl.features.actions import ACTION_SIZE, ActionReach
from gaelp_rl.features.catalogue import OBSERVATION_SCHEMA
from gaelp_rl.features.schema import Float32Array

__all__ = ["ENV_ID", "MultiChannelEnv", "MultiChannelVectorEnv"]

ENV_ID = "gaelp/MultiChannel-v1"


def _make_spaces(privileged: bool = False) -> tuple[gym.spaces.Box, gym.spaces.Box]:
    extra = np.full(PRIVILEGED_SIZE if privileged else 0, PRIVILEGED_LIMIT, dtype=np.float32)
    low, high = np.append(OBSERVATION_SCHEMA.low, -extra), np.append(OBSERVATION_SCHEMA.high, extra)
    observation = gym.spaces.Box(low, high, dtype=np.float32)
    return observation, gym.spaces.Box(-1.0, 1.0, (ACTION_SIZE,), np.float32)


class MultiChannelVectorEnv(gym.vector.VectorEnv[Float32Array, Float32Array, NDArray[Any]]):
    """Natively batched worlds, spread evenly over one or more families, all at the same hour.

    With ``AutoresetMode.NEXT_STEP`` the step after midnight ignores its action and returns the
    next day's first observation; with ``SAME_STEP`` midnight's step returns it at once and
    ``infos["final_obs"]`` holds the day's last one.

    Args:
        num_envs: worlds.
        families: names, paths of market TOMLs, or the families themselves; the worlds are split
            between them in equal runs.
        split: which seeds: ``train``, ``validation`` or ``test``.
        autoreset_mode: see above.
        params: the reference controller's, by name of family; where one is missing, the default
            family's, and without that the controller's defaults.
        reach: how far an action goes.
        reward: how the dense reward is made.
        privileged: append ``MarketSession.compute_privileged`` to observations, for the critics of
            asymmetric training (Pinto et al. 2017); a policy reads only the schema's own features.
        fidelity: ``aggregate``, ``auction``, or None for each family's own.
        resumable: keep the actions of the worlds' life, 32 bytes a world and hour, for ``get_state``.
    """

    def __init__(
        self,
        num_envs: int = 1,
        families: Sequence[str | Path | FamilyConfig] = (DEFAULT_FAMILY,),
        split: Split = "train",
        autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
        params: dict[str, ReferenceParams] | None = None,
        reach: ActionReach | None = None,
        reward: RewardSettings | None = None,
        privileged: bool = False,
        fidelity: Fidelity | None = None,
        resumable: bool = False,
    ) -> None:
        if num_envs < len(families):
            msg = f"{num_envs} worlds cannot cover {len(families)} families: raise num_envs or name fewer families"
            raise ConfigError(msg)
        self.metadata = {"autoreset_mode": autoreset_mode, "render_modes": []}
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = _make_spaces(privileged)
        self._privileged = privileged
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, num_envs)
        self._autoreset_mode = autoreset_mode
        self._split = split
        tuned = params or {}
        sizes = [len(run) for run in np.array_split(np.arange(num_envs), len(families))]
        self._sessions = [
            MarketSession(family, size, tuned.get(family.name) or tuned.get(DEFAULT_FAMILY), reach, reward)
            for family, size in zip((_find_family(f, fidelity) for f in families), sizes, strict=True)
        ]
        self._bounds = np.cumsum(sizes)[:-1]
        self._needs_reset = False
        self._log = WorldLog() if resumable else None

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32Array, dict[str, Any]]:
        """Begins new worlds, or the next day of worlds that have just ended one.

        Args:
            seed: world i gets ``seed + i``, or its own entry of a list; None goes on.
            options: not used.

        Returns:
            Observations float32 [worlds, features], and an empty dict.
        """
        del options
        self._needs_reset = False
        if seed is not None:
            seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else list(seed)
            self._start(seeds)
        elif not self._sessions[0].is_started:
            self._start(list(np.random.default_rng().integers(2**31, size=self.num_envs)))
        elif self._sessions[0].is_over or not self._sessions[0].is_midnight:
            for session in self._sessions:
                session.start_next_worlds()
            self._log_start()
        return self._observe(), {}

    def step(
        self, actions: Float32Array
    ) -> tuple[Float32Array, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """One hour of every world; see the module's text for the five returned values.

        Raises:
            ActionError: an action is not finite, outside the box or of another shape.
        """
        if self._needs_reset:
            observation, infos = self.reset()
            nothing = np.zeros(self.num_envs, dtype=np.bool_)
            return observation, np.zeros(self.num_envs, dtype=np.float32), nothing, nothing.copy(), infos
        pairs = zip(self._sessions, np.split(actions, self._bounds), strict=True)
        steps = [session.step(action) for session, action in pairs]
        if self._log is not None:
            self._log.record(actions)
        infos = _make_infos(steps)
        reward = np.concatenate([step.reward for step in steps]).astype(np.float32)
        terminated = np.full(self.num_envs, steps[0].terminated)
        truncated = np.full(self.num_envs, steps[0].truncated and not steps[0].terminated)
        observation = self._observe()
        if steps[0].truncated:
            if self._autoreset_mode == AutoresetMode.SAME_STEP:
                infos["final_obs"] = observation
                observation, _ = self.reset()
            else:
                self._needs_reset = self._autoreset_mode == AutoresetMode.NEXT_STEP
        return observation, reward, terminated, truncated, infos

    def get_state(self) -> dict[str, Any]:
        """The worlds as they stand, as arrays, text and bools; ``set_state`` is the inverse.

        Raises:
            ConfigError: the environment was not made with ``resumable=True``, or has no worlds yet.
        """
        if self._log is None or not self._sessions[0].is_started:
            msg = "this environment has no state to give: make it with resumable=True and reset it first"
            raise ConfigError(msg)
        return {**self._log.get_state(self._observe()), "needs_reset": self._needs_reset}

    def set_state(self, state: Mapping[str, Any]) -> Float32Array:
        """Lives the worlds of ``get_state`` again, a second or two for four weeks of 128, and checks the end.

        Returns:
            The observation that ``get_state`` was called at, float32 [worlds, features].

        Raises:
            CheckpointError: these worlds came out otherwise, so they are of another version, configuration
                or machine; call ``reset(seed=...)`` before going on.
        """
        keys, hours, expected = WorldLog.read(state, self.num_envs)
        self._start_keys(keys)
        for actions in hours:
            for session, own in zip(self._sessions, np.split(actions, self._bounds), strict=True):
                session.step(own)
            if self._log is not None:
                self._log.record(actions)
        self._needs_reset = bool(state.get("needs_reset", False))
        observation = self._observe()
        if compute_observation_hash(observation) != expected:
            msg = "the saved worlds came out otherwise when lived again (another version or machine?): use new worlds"
            raise CheckpointError(msg)
        return observation

    def _start(self, seeds: Sequence[int | None]) -> None:
        if len(seeds) != self.num_envs or any(seed is None for seed in seeds):
            msg = f"{len(seeds)} seeds for {self.num_envs} worlds: give one whole number for each, or one in all"
            raise ConfigError(msg)
        self._start_keys(np.concatenate([make_world_keys(self._split, int(seed or 0), 1) for seed in seeds]))

    def _start_keys(self, keys: NDArray[np.uint64]) -> None:
        for session, own in zip(self._sessions, np.split(keys, self._bounds), strict=True):
            session.start_worlds(own)
        self._log_start()

    def _log_start(self) -> None:
        if self._log is not None:
            self._log.start(np.concatenate([session.keys for session in self._sessions]))

    def _observe(self) -> Float32Array:
        observation = np.concatenate([session.observation for session in self._sessions])
        if not self._privileged:
            return observation
        extra = np.concatenate([session.compute_privileged() for session in self._sessions])
        return np.concatenate((observation, extra), axis=1)


def _find_family(family: str | Path | FamilyConfig, fidelity: Fidelity | None) -> FamilyConfig:
    found = family if isinstance(family, FamilyConfig) else load_family(family)
    return found if fidelity is None else found.at_fidelity(fidelity)


def _make_infos(steps: list[SessionStep]) -> dict[str, Any]:
    names = steps[0].terms
    return {
        "constraint_cost": np.concatenate([step.constraint_cost for step in steps]),
        "reward_terms": {name: np.concatenate([step.terms[name] for step in steps]) for name in names},
    }


class MultiChannelEnv(gym.Env[Float32Array, Float32Array]):
    """One world of ``MultiChannelVectorEnv``: the same seed gives the same trajectory.

    Args:
        family: the world's family, its name, or the path of a market TOML.
        split: which seeds: ``train``, ``validation`` or ``test``.
        reward: how the dense reward is made.
        fidelity: ``aggregate``, ``auction``, or None for the family's own.
        render_mode: only None.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  (as Gymnasium declares it)

    def __init__(
        self,
        family: str | Path | FamilyConfig = DEFAULT_FAMILY,
        split: Split = "train",
        reward: RewardSettings | None = None,
        fidelity: Fidelity | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.render_mode = render_mode
        self.observation_space, self.action_space = _make_spaces()
        self._worlds = MultiChannelVectorEnv(
            1, (family,), split, AutoresetMode.DISABLED, reward=reward, fidelity=fidelity
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32Array, dict[str, Any]]:
        """Begins a new world (with a seed), or the next day of one whose day has just ended."""
        super().reset(seed=seed)
        observation, _ = self._worlds.reset(seed=seed, options=options)
        return observation[0], {}

    def step(self, action: Float32Array) -> tuple[Float32Array, float, bool, bool, dict[str, Any]]:
        """One hour; see the module's text."""
        observation, reward, terminated, truncated, infos = self._worlds.step(np.asarray(action)[None])
        info: dict[str, Any] = {name: float(term[0]) for name, term in infos["reward_terms"].items()}
        info["constraint_cost"] = float(infos["constraint_cost"][0])
        return observation[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), info
