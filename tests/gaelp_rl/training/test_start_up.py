"""Shares of CPUs, and env runners that come up a few at a time, all contributing."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.config.training import TrainingConfig
from gaelp_rl.errors import ResourceError
from gaelp_rl.training.setup import make_algorithm_config
from gaelp_rl.training.start_up import compute_cpus_per_env_runner, listen_to_start_up, load_node_cpus
from tests.gaelp_rl.training.toy_env import STEPS, make_toy_env

_TINY: dict[str, Any] = {
    "worlds_per_env_runner": 2,
    "hidden_sizes": (8, 8),
    "replay_capacity": 4_800,
    "warmup_steps": 96,
    "batch_size": 16,
    "updates_per_call": 2,
    "env_steps_per_update": 48,
}


@pytest.mark.parametrize(
    ("node_cpus", "env_runners", "expected"),
    [
        ([2.0], 50, 0.04),  # 2 / 50
        ([2.0], 3, 0.6666),  # 2 / 3, rounded down to Ray's grain
        ([2.0], 1, 1.0),  # never more than a whole CPU
        ([16.0, 16.0, 16.0], 50, 0.9411),  # 17 on each: 16 / 17; 48 / 50 = 0.96 would let only 16 onto each
        ([2.0], 0, 1.0),
    ],
)
def test_share__is_the_largest_that_fits(node_cpus: list[float], env_runners: int, expected: float) -> None:
    assert compute_cpus_per_env_runner(node_cpus, env_runners) == expected


@given(node_cpus=st.lists(st.integers(1, 64).map(float), min_size=1, max_size=4), env_runners=st.integers(1, 200))
def test_share__lets_all_in_and_no_larger_one_does(node_cpus: list[float], env_runners: int) -> None:
    """Counted in Ray's ten-thousandths, as its scheduler does."""
    grains = round(compute_cpus_per_env_runner(node_cpus, env_runners) * 10_000)
    assert sum(math.floor(cpus * 10_000 / grains) for cpus in node_cpus) >= env_runners
    if grains < 10_000:
        assert sum(math.floor(cpus * 10_000 / (grains + 1)) for cpus in node_cpus) < env_runners


@pytest.mark.integration
def test_start_up__six_env_runners_on_two_cores_all_contribute(ray_session: None) -> None:
    """They come up one after the other, have the learner's weights, meet worlds of their own, and none starves."""
    seen: list[tuple[int, int]] = []
    training = TrainingConfig(**_TINY, env_runners=6)
    with listen_to_start_up(lambda up, count: seen.append((up, count))):
        algorithm = make_algorithm_config(training, "toy", make_toy_env).build_algo()
    try:
        assert seen == [(up, 6) for up in range(1, 7)]
        assert algorithm.config.num_env_runners == 6
        assert algorithm.config.num_cpus_per_env_runner == 0.3333  # 2 / 6 in Ray's grain
        while algorithm.env_steps < 20 * 6 * 2 * STEPS // 10:
            algorithm.train()
        group = algorithm.env_runner_group
        rows = group.foreach_env_runner(
            lambda runner: (
                runner.worker_index,
                float(runner.policy.layers[0][0].sum()),
                runner.days,
                runner.sample_day().fragment.observations[0].tobytes(),
            ),
            local_env_runner=False,
        )
        assert sorted(index for index, *_ in rows) == [1, 2, 3, 4, 5, 6]
        assert len({weight for _, weight, *_ in rows}) == 1
        assert all(days >= 1 for *_, days, _ in rows)
        assert len({worlds for *_, worlds in rows}) == 6
        heavy = group.foreach_env_runner(
            lambda runner: sorted(
                {"torch", "ray.rllib", "ray.tune", "mlflow", "pandas"} & set(__import__("sys").modules)
            ),
            local_env_runner=False,
        )
        assert heavy == [[]] * 6  # torch and RLlib would take 200 MiB of each
        assert algorithm.updates == (algorithm.env_steps - 96 - algorithm._unpaid_steps) // 48 + 2
    finally:
        algorithm.stop()


@pytest.mark.integration
def test_start_up__gives_up_when_no_env_runner_finds_a_cpu(ray_session: None) -> None:
    """Stock RLlib would wait without end."""
    training = TrainingConfig(**_TINY, env_runners=1, cpus_per_env_runner=8.0, env_runner_start_timeout_s=2.0)
    with pytest.raises(ResourceError, match=r"0 of 1 env runners are up.*cpus_per_env_runner"):
        make_algorithm_config(training, "toy", make_toy_env).build_algo()


def test_node_cpus__of_this_machine_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    assert sum(load_node_cpus()) >= 1.0
