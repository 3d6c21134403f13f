"""A remote env runner, here in this process: its messages, its seeds, and how little it imports."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from gaelp_rl.training.remote_env_runner import RemoteEnvRunner, RunnerSettings, sample_day
from tests.gaelp_rl.training.toy_env import FEATURES, STEPS, make_toy_env

_SETTINGS = RunnerSettings(make_toy_env, {}, 4, STEPS, 0, (-5.0, 0.0), restart_delay_s=0.0)


def _make_state(scale: float = 0.1) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    shapes = {
        "pi_encoder.layers.0.weight": (8, FEATURES),
        "pi_encoder.layers.0.bias": (8,),
        "pi.linear.weight": (4, 8),
        "pi.linear.bias": (4,),
    }
    arrays = {name: scale * rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return {"rl_module": {"default_policy": arrays}, "weights_seq_no": 1}


def _make_runner(index: int = 1) -> RemoteEnvRunner:
    runner = RemoteEnvRunner(_SETTINGS, index)
    runner.set_state(_make_state())
    return runner


def test_runner__samples_only_with_weights_that_it_was_sent() -> None:
    runner = RemoteEnvRunner(_SETTINGS, 1)
    assert runner.ping() == "pong"
    assert runner.apply(sample_day) is None
    runner.set_state({"connectors": {}})
    assert runner.sample_day() is None
    runner.set_state(_make_state())
    day = runner.apply(sample_day)
    assert day.fragment.steps == 4 * STEPS
    assert runner.days == 1


def test_runner__each_has_worlds_and_noise_of_its_own_and_the_same_again() -> None:
    one, same, other = (_make_runner(index).sample_day() for index in (1, 1, 2))
    assert one is not None and same is not None and other is not None  # noqa: PT018
    np.testing.assert_array_equal(one.fragment.actions, same.fragment.actions)
    assert not np.array_equal(one.fragment.observations, other.fragment.observations)
    resumed = _make_runner()
    resumed.start_generation(3)
    assert resumed.generation == 3
    day = resumed.sample_day()
    assert day is not None
    assert not np.array_equal(one.fragment.observations, day.fragment.observations)


def test_runner__ends_its_process_when_something_fails(caplog: pytest.LogCaptureFixture) -> None:
    """Ray then starts another; the error is in the log."""

    def fail(runner: RemoteEnvRunner) -> None:
        raise ZeroDivisionError(runner.worker_index)

    with pytest.raises(SystemExit) as ended:
        _make_runner(7).apply(fail)
    assert ended.value.code == 1
    assert "env runner 7 failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_runner__and_its_worlds_import_neither_torch_nor_rllib() -> None:
    """That is two thirds of the memory of an env runner, and of its start."""
    code = (
        "import sys, experiments.worlds, gaelp_rl.training.remote_env_runner; "
        "print(sorted({'torch', 'ray.rllib', 'ray.tune', 'mlflow', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
