"""The trainer's env runner behind RLlib's interface: its days, metrics, state, and those of others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gaelp_rl.config.training import TrainingConfig
from gaelp_rl.training.day_sampler import SampledDay
from gaelp_rl.training.env_runner import BatchedEnvRunner
from gaelp_rl.training.fragment import ArrayFragment
from gaelp_rl.training.setup import make_algorithm_config
from tests.gaelp_rl.training.toy_env import DAYS, STEPS, make_toy_env

_TRAINING = TrainingConfig(worlds_per_env_runner=4, hidden_sizes=(8,), replay_capacity=960)


def _make_runner(creator: Any = make_toy_env, seed: int = 0, worker_index: int = 0) -> BatchedEnvRunner:
    training = _TRAINING.model_copy(update={"seed": seed})
    config = make_algorithm_config(training, "toy", creator)
    return BatchedEnvRunner(config=config, worker_index=worker_index)


def test_env_runner__days_follow_each_other_and_end_with_their_own_last_observation() -> None:
    """Features -4 and -3 of the toy count day and step; every third day terminates."""
    runner = _make_runner()
    for number in range(2 * DAYS):
        day = runner.sample()
        assert (day.observations[:-1, :, -4] == number % DAYS).all()
        np.testing.assert_array_equal(day.observations[:, 0, -3], np.arange(STEPS + 1))
        assert (day.observations[:, :, -2] == np.arange(4)).all()
        assert (day.terminated == (number % DAYS == DAYS - 1)).all()
        np.testing.assert_allclose(
            day.rewards, 1.0 - np.square(day.actions - 0.8 * day.observations[:-1, :, :2]).sum(-1), rtol=1e-4, atol=1e-5
        )
        assert (day.costs == 0.5).all()


def test_env_runner__same_seed_same_day_and_another_runner_another() -> None:
    one, two, other_seed, other_runner = (
        _make_runner(seed=seed, worker_index=index).sample() for seed, index in ((0, 0), (0, 0), (1, 0), (0, 1))
    )
    np.testing.assert_array_equal(one.observations, two.observations)
    np.testing.assert_array_equal(one.actions, two.actions)
    for other in (other_seed, other_runner):
        assert not np.array_equal(one.observations, other.observations)
        assert not np.array_equal(one.actions, other.actions)


def test_env_runner__a_new_generation_meets_new_worlds() -> None:
    runner = _make_runner()
    first = runner.sample()
    runner.start_generation(1)
    assert not np.array_equal(runner.sample().observations, first.observations)


def test_env_runner__saved_before_its_first_day_starts_the_same_worlds() -> None:
    """A driver may be killed before its first iteration has ended; of worlds that cannot be saved, new ones begin."""
    one, two = _make_runner(), _make_runner()
    saved = one.get_state()
    two.start_generation(1)
    two.set_state(saved)
    assert two.has_continued_worlds
    np.testing.assert_array_equal(one.sample().observations, two.sample().observations)
    two.start_generation(1)
    two.set_state(one.get_state())
    assert not two.has_continued_worlds
    assert two.generation == 1


def test_env_runner__the_first_policy_is_action_zero() -> None:
    runner = _make_runner()
    assert (runner.sample(explore=False).actions == 0.0).all()
    noise = runner.sample(explore=True).actions
    assert np.arctanh(noise).std() == pytest.approx(np.exp(_TRAINING.initial_log_std), rel=0.1)
    assert runner.sample(random_actions=True).actions.std() == pytest.approx(3**-0.5, rel=0.1)


def test_env_runner__reports_means_of_what_the_environment_says() -> None:
    runner = _make_runner()
    day = runner.sample()
    rollout = runner.get_metrics()["rollout"]
    assert rollout["hit"].peek() == pytest.approx(day.rewards.sum(axis=0).mean(), rel=1e-5)
    assert rollout["soft_score"].peek() == pytest.approx(day.rewards.mean(), rel=1e-5)


def test_env_runner__keeps_the_metrics_of_days_that_others_sampled() -> None:
    """Steps and episodes add up; what the environments reported is the mean over them. It has no worlds itself."""
    runner = _make_runner()
    runner.drop_env()
    days = [SampledDay(_make_fragment(reward), {"hit": reward}, 1.0) for reward in (1.0, 3.0)]
    runner.report(days)
    metrics = runner.get_metrics()
    assert metrics["num_env_steps_sampled"].peek() == 2 * 4 * STEPS
    assert metrics["num_episodes"].peek() == 8
    assert metrics["rollout"]["hit"].peek() == 2.0
    assert metrics["episode_return_mean"].peek() == pytest.approx(2.0 * STEPS)
    assert "worlds" not in runner.get_state()
    with pytest.raises(RuntimeError, match="remote ones sample"):
        runner.sample()


def _make_fragment(reward: float) -> ArrayFragment:
    steps = np.zeros((STEPS, 4), dtype=np.float32)
    return ArrayFragment(
        np.zeros((STEPS + 1, 4, 10), dtype=np.float32),
        np.zeros((STEPS, 4, 2), dtype=np.float32),
        steps + reward,
        steps,
        np.zeros(4, dtype=np.bool_),
    )
