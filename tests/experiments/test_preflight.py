"""The arithmetic of the pre-flight, and that its suggestions do fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.preflight import (
    Capacity,
    check_capacity,
    compute_needs,
    compute_replay_bytes,
    count_fitting_env_runners,
    load_capacity,
)
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.config.training import TrainingConfig
from gaelp_rl.errors import ResourceError
from gaelp_rl.training.replay import ArrayPrioritizedReplay, ReplaySettings

_GIB = 2**30
_AMPLE = Capacity(cpus=2.0, memory_bytes=200.0 * _GIB, disk_bytes=100.0 * _GIB)


def _make_config(**training: object) -> SprintConfig:
    return SprintConfig(training=TrainingConfig.model_validate(training))


def test_replay_bytes__are_those_that_the_replay_allocates() -> None:
    """Against the real object: its arrays to the byte, its sum tree within a power of two."""
    import numpy as np

    from envs.market.session import PRIVILEGED_SIZE
    from gaelp_rl.features.actions import ACTION_SIZE
    from gaelp_rl.features.catalogue import OBSERVATION_SCHEMA

    capacity = 24_000
    width = OBSERVATION_SCHEMA.size + PRIVILEGED_SIZE
    replay = ArrayPrioritizedReplay(ReplaySettings(capacity, 24, width, ACTION_SIZE, 0.9), np.random.SeedSequence(0))
    arrays = sum(array.nbytes for array in replay._arrays.values())
    assert compute_replay_bytes(_make_config(), capacity) == arrays + 16 * capacity


def test_needs__disk_holds_the_checkpoint_being_written_too() -> None:
    """Two kept and one under way: three times one checkpoint, whose replay is cut at the run's length."""
    config = _make_config(episodes=1_000, checkpoints_kept=2)
    disk = compute_needs(config, _AMPLE)[2]
    one = 20 * 2**20 + compute_replay_bytes(config, 1_000 * 24)
    assert disk.needed == pytest.approx(3 * one / _GIB)


def test_needs__fractional_cpus_fit_fifty_env_runners_on_two_cores() -> None:
    assert compute_needs(_make_config(env_runners=50, worlds_per_env_runner=8), _AMPLE)[0].needed == 2.0
    cpus = compute_needs(_make_config(env_runners=50, cpus_per_env_runner=0.1), _AMPLE)[0]
    assert (cpus.needed, cpus.fits) == (5.0, False)


def test_check__refuses_whole_cpus_and_says_how_many_fit() -> None:
    config = _make_config(env_runners=50, worlds_per_env_runner=8, cpus_per_env_runner=0.1)
    with pytest.raises(ResourceError, match=r"CPUs: 5.00 .*env_runners=20 fits; .*worlds_per_env_runner=400"):
        check_capacity(config, _AMPLE)


def test_check__disk_has_its_own_advice() -> None:
    with pytest.raises(ResourceError, match=r"disk: .*--out"):
        check_capacity(_make_config(), Capacity(2.0, 100.0 * _GIB, 1.0))


@given(memory_gib=st.floats(0.5, 40.0), runners=st.integers(1, 200), worlds=st.integers(1, 256))
def test_check__what_is_suggested_fits_and_one_more_does_not(memory_gib: float, runners: int, worlds: int) -> None:
    config = _make_config(env_runners=runners, worlds_per_env_runner=worlds)
    capacity = Capacity(2.0, memory_gib * _GIB, 100.0 * _GIB)
    fitting = count_fitting_env_runners(config, capacity)
    if fitting:
        check_capacity(_make_config(env_runners=fitting, worlds_per_env_runner=worlds), capacity)
    if fitting < runners:
        with pytest.raises(ResourceError, match="memory"):
            check_capacity(_make_config(env_runners=fitting + 1, worlds_per_env_runner=worlds), capacity)


def test_needs__hold_the_processes_that_judge() -> None:
    alone, beside = (compute_needs(_make_config(), replace(_AMPLE, judges=judges))[1] for judges in (0, 2))
    assert beside.needed - alone.needed == pytest.approx(480 / 1024)
    assert "2 processes that judge" in beside.reason


def test_capacity__of_a_folder_that_does_not_exist_yet(tmp_path: Path) -> None:
    capacity = load_capacity(tmp_path / "not" / "there")
    assert capacity.disk_bytes > 0
    assert capacity.memory_bytes > 0
    assert capacity.cpus >= 1
