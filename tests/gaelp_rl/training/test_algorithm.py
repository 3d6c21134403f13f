"""The whole algorithm on the toy market: ratio, learning, resuming, remote runners, stock comparison."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.rllib.algorithms.sac import SAC

from gaelp_rl.config.training import TrainingConfig
from gaelp_rl.errors import CheckpointError, ConfigError, ResourceError
from gaelp_rl.training.algorithm import FastSAC, compute_importance_exponent
from gaelp_rl.training.algorithm_config import FastSACConfig
from gaelp_rl.training.checkpoint import find_latest_checkpoint
from gaelp_rl.training.export import compute_actor_action, extract_actor_weights
from gaelp_rl.training.metrics import collect_training_metrics
from gaelp_rl.training.setup import make_algorithm_config
from tests.gaelp_rl.training.toy_env import STEPS, make_toy_env

_SMALL = {
    # The toy's best action lies far from zero, where a fixed curvature does not reach in so few steps.
    "critic_curvature": 0.0,
    "initial_alpha": 0.01,
    "initial_log_std": -2.0,
    "log_std_min": -5.0,
    "priority_alpha": 0.6,
    "worlds_per_env_runner": 16,
    "hidden_sizes": (32, 32),
    "replay_capacity": 48_000,
    "warmup_steps": 384,
    "critic_warmup_updates": 20,
    "batch_size": 64,
    "updates_per_call": 8,
    "env_steps_per_update": 8,
    "gamma": 0.5,
    "actor_lr": 3e-3,
    "critic_lr": 3e-3,
    "action_penalty": 0.0,
    "episodes": 1_000,
}


def _build(**changes: Any) -> FastSAC:
    return make_algorithm_config(TrainingConfig(**(_SMALL | changes)), "toy", make_toy_env).build_algo()


@pytest.fixture
def algorithm(ray_session: None) -> Iterator[FastSAC]:
    built = _build()
    yield built
    built.stop()


def test_importance_exponent__rises_linearly_to_one() -> None:
    assert [compute_importance_exponent(0.4, steps, 100) for steps in (0, 50, 100, 200)] == [0.4, 0.7, 1.0, 1.0]


def test_config__more_than_one_learner_is_refused() -> None:
    config = FastSACConfig().fast(TrainingConfig())
    config.environment("toy").learners(num_learners=2)
    with pytest.raises(ConfigError, match="num_learners"):
        config.validate()


@pytest.mark.integration
def test_algorithm__learns_the_toy_at_the_ratio_asked_for(algorithm: FastSAC) -> None:
    """A day's reward rises from action zero's; 8 steps are paid for each update, warm-up days excepted.

    Action zero earns 24 * (1 - 2 * 0.64 / 3) = 13.8 a day in expectation, the optimum 24.
    """
    for _ in range(40):
        metrics = collect_training_metrics(algorithm.train())
    assert metrics["train/env_steps"] == 40 * 16 * STEPS
    assert metrics["train/updates"] == 40 * 16 * STEPS / 8
    assert metrics["train/episodes"] == 640
    assert metrics["rollout/return_mean"] > 20.0
    observation = np.random.default_rng(0).uniform(-1, 1, (512, 10)).astype(np.float32)
    action = compute_actor_action(extract_actor_weights(algorithm), observation)
    assert np.abs(action - 0.8 * observation[:, :2]).mean() < 0.2
    assert {name.split("/")[0] for name in metrics} == {"env_runners", "faults", "learner", "rollout", "time", "train"}


@pytest.mark.integration
def test_algorithm__a_killed_run_continues_from_its_checkpoint(algorithm: FastSAC, tmp_path: Path) -> None:
    """Counters, replay, weights and the next draws are those of the saved run; the worlds are new."""
    for _ in range(3):
        algorithm.train()
    algorithm.save_training(tmp_path)
    saved = algorithm.replay.sample(32, 0.5)
    weights, counters = extract_actor_weights(algorithm), (algorithm.env_steps, algorithm.updates)
    last_day = algorithm.env_runner.sample()
    algorithm.train()
    assert not np.array_equal(extract_actor_weights(algorithm)[0][0], weights[0][0])
    algorithm.load_training(find_latest_checkpoint(tmp_path))
    restored = algorithm.replay.sample(32, 0.5)
    np.testing.assert_array_equal(restored.indices, saved.indices)
    np.testing.assert_array_equal(restored.observations, saved.observations)
    assert (algorithm.env_steps, algorithm.updates) == counters
    for (one, _), (two, _) in zip(extract_actor_weights(algorithm), weights, strict=True):
        np.testing.assert_array_equal(one, two)
    runner_weights = algorithm.env_runner.module.state_dict()["pi_encoder.layers.0.weight"].numpy().T
    np.testing.assert_array_equal(runner_weights, weights[0][0])
    assert not np.array_equal(algorithm.env_runner.sample().observations, last_day.observations)
    algorithm.train()
    assert algorithm.env_steps == counters[0] + 16 * STEPS


@pytest.mark.integration
def test_algorithm__a_damaged_checkpoint_changes_nothing(algorithm: FastSAC, tmp_path: Path) -> None:
    algorithm.train()
    path = algorithm.save_training(tmp_path)
    (path / "arrays.npz").write_bytes(b"PK")
    steps = algorithm.env_steps
    with pytest.raises(CheckpointError, match="sha256"):
        algorithm.load_training(path)
    shutil.rmtree(path)
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        find_latest_checkpoint(tmp_path)
    assert algorithm.env_steps == steps


@pytest.mark.integration
def test_algorithm__rllib_checkpoints_hold_the_replay_too(algorithm: FastSAC, tmp_path: Path) -> None:
    """Tune saves through RLlib's own format, which drops stock SAC's buffer."""
    for _ in range(2):
        algorithm.train()
    algorithm.save_to_path(tmp_path / "rllib")
    held = len(algorithm.replay)
    algorithm.train()
    algorithm.restore_from_path(tmp_path / "rllib")
    assert len(algorithm.replay) == held
    assert algorithm.env_steps == 2 * 16 * STEPS


@pytest.mark.integration
def test_algorithm__survives_the_death_of_one_runner_and_of_all(ray_session: None) -> None:
    """Deaths are counted, cost at most a day each, and whoever takes over has new worlds and the present weights."""
    algorithm = _build(env_runners=2, worlds_per_env_runner=8)

    def ask(question: Callable[[Any], Any]) -> list[Any]:
        return algorithm.env_runner_group.foreach_env_runner(question, local_env_runner=False)

    try:
        algorithm.train()
        assert algorithm.env_steps == 2 * 8 * STEPS
        one, two = ask(lambda runner: runner.sample_day())
        assert not np.array_equal(one.fragment.observations, two.fragment.observations)
        deaths = 0
        for victims in (1, 2):
            generations, pids = ask(lambda runner: runner.generation), ask(lambda runner: os.getpid())
            for pid in pids[:victims]:
                os.kill(pid, signal.SIGKILL)
            deaths += victims
            deadline = time.monotonic() + 90.0
            while algorithm.env_runner_restarts < deaths and time.monotonic() < deadline:
                algorithm.train()
            metrics = collect_training_metrics(algorithm.train())
            assert metrics["faults/env_runner_restarts"] == deaths
            assert 0 <= metrics["faults/lost_env_steps"] <= deaths * 8 * STEPS
            assert len(set(ask(lambda runner: runner.generation)) - set(generations)) == victims
        algorithm.train()
        weights = extract_actor_weights(algorithm)[0][0]
        for held in ask(lambda runner: runner.policy.layers[0][0]):
            np.testing.assert_array_equal(held, weights)
        assert algorithm.updates == (algorithm.env_steps - algorithm._unpaid_steps) // 8
    finally:
        algorithm.stop()


@pytest.mark.integration
def test_algorithm__says_so_when_no_runner_ever_samples(algorithm: FastSAC, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose env runners die on every day must end, not wait for ever; one that waits for a restart must not."""
    monkeypatch.setattr(algorithm.env_runner_group, "num_remote_env_runners", lambda: 1)
    monkeypatch.setattr(algorithm._collector, "fetch", list)
    monkeypatch.setattr("gaelp_rl.training.day_collector._PAUSE_WITHOUT_DAY_S", 0.0)
    for _ in range(30):
        algorithm.training_step()
    monkeypatch.setattr("gaelp_rl.training.day_collector._LONGEST_WITHOUT_DAY_S", 0.0)
    with pytest.raises(ResourceError, match="no env runner has sampled 31 times"):
        algorithm.training_step()


@pytest.mark.integration
def test_algorithm__what_is_restored_has_to_be_what_was_saved(
    algorithm: FastSAC, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of the state that a later change forgets to restore is noticed at the first resume."""
    for _ in range(2):
        algorithm.train()
    path = algorithm.save_training(tmp_path)
    monkeypatch.setattr(algorithm.replay, "set_state", lambda state: None)
    algorithm.load_training(path)  # its own replay is still the one that was saved
    algorithm.train()
    with pytest.raises(CheckpointError, match="but replay is not what was saved"):
        algorithm.load_training(path)


@pytest.mark.integration
def test_algorithm__stock_sac_runs_on_the_same_environment(ray_session: None) -> None:
    training = TrainingConfig(**(_SMALL | {"env_steps_per_update": 96}))
    stock = make_algorithm_config(training, "toy", make_toy_env, stock=True).build_algo()
    try:
        assert type(stock) is SAC
        for _ in range(2):
            result = stock.train()
        assert result["num_env_steps_sampled_lifetime"] >= 2 * 16 * STEPS
        assert np.isfinite(result["learners"]["default_policy"]["qf_loss"])
    finally:
        stock.stop()
