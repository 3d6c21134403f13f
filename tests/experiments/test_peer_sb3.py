"""The peer's environment is ours, step for step."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

pytest.importorskip("stable_baselines3", reason="pip install .[benchmark] installs the peer")

from experiments.peer_sb3 import BatchedVecEnv, make_sb3_sac
from experiments.worlds import make_env_creator
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.config.training import TrainingConfig

_CONFIG = SprintConfig(training=TrainingConfig(worlds_per_env_runner=4, replay_capacity=4_800, batch_size=16))


def test_vec_env__gives_the_batch_of_our_own_environment() -> None:
    """A day and an hour of the same actions: the same numbers, and midnight as Stable-Baselines3 wants it."""
    peer = BatchedVecEnv(_CONFIG)
    own = make_env_creator(_CONFIG)({"num_envs": 4, "autoreset_mode": AutoresetMode.SAME_STEP})
    expected, _ = own.reset(seed=_CONFIG.training.seed)
    np.testing.assert_array_equal(peer.reset(), expected)
    rng = np.random.default_rng(0)
    for hour in range(25):
        action = rng.uniform(-1, 1, (4, 8)).astype(np.float32)
        peer.step_async(action)
        observation, reward, ends, infos = peer.step_wait()
        expected, expected_reward, terminated, truncated, own_infos = own.step(action)
        np.testing.assert_array_equal(observation, expected)
        np.testing.assert_array_equal(reward, expected_reward)
        assert (ends == (terminated | truncated)).all()
        assert ends.all() == (hour == 23)
        if hour == 23:
            np.testing.assert_array_equal(infos[2]["terminal_observation"], own_infos["final_obs"][2])
            assert infos[2]["TimeLimit.truncated"]


@pytest.mark.parametrize(("worlds", "every", "expected"), [(128, 64, (1, 2)), (4, 64, (16, 1)), (96, 64, (2, 3))])
def test_sac__keeps_the_ratio_of_updates_to_steps(worlds: int, every: int, expected: tuple[int, int]) -> None:
    """Steps x worlds over updates is the ratio: 128 / 2 = 16 x 4 / 1 = 2 x 96 / 3 = 64."""
    training = TrainingConfig(worlds_per_env_runner=worlds, env_steps_per_update=every, replay_capacity=4_800)
    model = make_sb3_sac(SprintConfig(training=training))
    assert (model.train_freq.frequency, model.gradient_steps) == expected
