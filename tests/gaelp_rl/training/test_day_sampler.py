"""Days: complete, in order, seeded, and refused when they are not days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from gaelp_rl.errors import ConfigError, DataError
from gaelp_rl.training.day_sampler import (
    DaySampler,
    RunnerIdentity,
    compute_info_means,
    make_batched_env,
    make_world_seeds,
)
from gaelp_rl.training.fragment import Float32Array
from tests.gaelp_rl.training.toy_env import STEPS, ToyVectorEnv, make_toy_env


def _act_at_zero(observation: Float32Array) -> tuple[Float32Array, Float32Array]:
    zeros = np.zeros((observation.shape[0], 2), dtype=np.float32)
    return zeros, zeros - 2.0


def _make_sampler(creator: Any = make_toy_env, seed: int = 0, index: int = 0) -> DaySampler:
    return DaySampler(make_batched_env(creator, {}, 4, resumable=False), STEPS, RunnerIdentity(seed, index))


def test_sampler__a_reset_meets_new_worlds_and_a_new_generation_others() -> None:
    sampler = _make_sampler()
    days = [sampler.sample(_act_at_zero), sampler.sample(_act_at_zero, force_reset=True)]
    sampler.start_generation(1)
    assert sampler.generation == 1
    days.append(sampler.sample(_act_at_zero))
    assert len({day.fragment.observations.tobytes() for day in days}) == 3


def test_sampler__says_how_long_a_day_took_and_how_far_actions_went() -> None:
    day = _make_sampler().sample(_act_at_zero, random_actions=True)
    assert day.seconds > 0.0
    assert day.means["action_abs"] == pytest.approx(0.5, abs=0.1)
    assert _make_sampler().sample(_act_at_zero, exploring=False).means["action_abs"] == 0.0


def test_sampler__noise_goes_on_where_it_was_saved() -> None:
    """Worlds that cannot be saved are replaced, and that is said."""
    sampler = _make_sampler()
    saved = sampler.get_state()
    first = sampler.sample(_act_at_zero).fragment
    other = _make_sampler()
    other.start_generation(5)
    assert other.set_state(saved)
    np.testing.assert_array_equal(other.sample(_act_at_zero).fragment.actions, first.actions)
    assert not other.set_state(sampler.get_state())


def test_world_seeds__all_differ() -> None:
    """Across runners, generations, restarts and worlds; the same call gives the same seeds."""
    keys = [(seed, runner, generation, steps) for seed in (0, 1) for runner in (0, 1) for generation in (0, 1)
            for steps in (0, 24)]  # fmt: skip
    seeds = [world for key in keys for world in make_world_seeds(*key, 8)]
    assert len(set(seeds)) == len(seeds) == 128
    assert make_world_seeds(0, 0, 0, 0, 8) == seeds[:8]


def test_info_means__by_hand() -> None:
    infos = [
        {"reward_terms": {"clicks": np.array([1.0, 3.0])}, "fho": np.array([0.5, 0.7]), "text": ["a", "b"]},
        {"reward_terms": {"clicks": np.array([2.0, 2.0])}, "final_obs": np.zeros((2, 3))},
    ]
    assert compute_info_means(infos, 2) == {"clicks": 4.0, "fho": pytest.approx(0.6)}


class _BadEnv(ToyVectorEnv):
    def __init__(self, fault: str, num_envs: int) -> None:
        super().__init__(num_envs, AutoresetMode.NEXT_STEP if fault == "mode" else AutoresetMode.SAME_STEP)
        self._fault = fault

    def step(self, actions: Any) -> Any:
        observation, reward, terminated, truncated, infos = super().step(actions)
        if self._fault == "nan":
            reward[2] = np.nan
        if self._fault == "ragged":
            truncated[0] = self._step == 5
        return observation, reward, terminated, truncated, infos


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("nan", DataError, "rewards of world 2 at step 0"),
        ("ragged", DataError, "1 of 4 worlds ended at step 5"),
        ("mode", ConfigError, "SAME_STEP"),
    ],
)
def test_sampler__refuses_environments_without_whole_days(fault: str, error: type, says: str) -> None:
    def make(context: Mapping[str, Any]) -> ToyVectorEnv:
        return _BadEnv(fault, context["num_envs"])

    with pytest.raises(error, match=says):
        _make_sampler(make).sample(_act_at_zero)
