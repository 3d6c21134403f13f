"""The search space: what it accepts, what it refuses before any trial starts."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from gaelp_rl.config.loading import dump_config, load_config
from gaelp_rl.config.sprint import SprintConfig, dump_settings
from gaelp_rl.config.sweep import MUTABLE_SETTINGS, Dimension, SweepConfig, apply_settings, load_sweep_config
from gaelp_rl.errors import ConfigError

_LR = "{ log_uniform = [1e-4, 1e-3] }"


def _write(folder: Path, space: str, head: str = "") -> Path:
    path = folder / "sweep.toml"
    path.write_text(f"{head}\n[space]\n{space}\n")
    return path


@given(st.floats(0.0, 1.0, exclude_max=True), st.floats(1e-6, 1e3), st.floats(1.01, 1e4))
def test_dimension__stays_within_its_range(quantile: float, low: float, factor: float) -> None:
    """Four significant digits may round past an end, which a sprint could refuse."""
    high = low * factor
    for dimension in (Dimension(uniform=(low, high)), Dimension(log_uniform=(low, high))):
        assert low <= dimension.compute_setting(quantile) <= high  # type: ignore[operator]


def test_dimension__middle_of_a_logarithmic_range_is_the_geometric_mean() -> None:
    """sqrt(50 * 800) = 200; the middle of the uniform range is (50 + 800) / 2 = 425."""
    assert Dimension(log_uniform=(50.0, 800.0)).compute_setting(0.5) == 200.0
    assert Dimension(uniform=(50.0, 800.0)).compute_setting(0.5) == 425.0


def test_dimension__draws_both_ends_of_integers_and_every_choice() -> None:
    quantiles = [0.0, 0.34, 0.67, 0.999]
    assert [Dimension(integer=(1, 3)).compute_setting(one) for one in quantiles] == [1, 2, 3, 3]
    assert [Dimension(choice=(0.0, 0.8)).compute_setting(one) for one in quantiles] == [0.0, 0.0, 0.8, 0.8]


@pytest.mark.parametrize(
    "wrong",
    ["{ uniform = [1.0, 0.0] }", "{ log_uniform = [0.0, 1.0] }", "{}", "{ uniform = [0.0, 1.0], choice = [1, 2] }"],
)
def test_dimension__refuses_what_is_no_range(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ConfigError, match="space"):
        load_sweep_config(_write(tmp_path, f'"training.actor_lr" = {wrong}'), [])


def test_space__suggests_the_nearest_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'training\.actor_lr'"):
        load_sweep_config(_write(tmp_path, f'"training.acter_lr" = {_LR}'), [])


@pytest.mark.parametrize("path", ["training", "max_log_bid.high"])
def test_space__refuses_tables_and_paths_through_values(tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigError, match="space"):
        load_sweep_config(_write(tmp_path, f'"{path}" = {_LR}'), [])


def test_space__refuses_an_end_that_a_sprint_refuses(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training\.gamma"):
        load_sweep_config(_write(tmp_path, '"training.gamma" = { uniform = [0.5, 1.0] }'), [])


@pytest.mark.parametrize("path", ["validation_seed", "evaluation.worlds", "training.episodes", "out"])
def test_space__refuses_what_judges_or_sizes_trials(tmp_path: Path, path: str) -> None:
    """A trial that may choose its own judge wins by choosing an easy one."""
    with pytest.raises(ConfigError, match="all trials must share"):
        load_sweep_config(_write(tmp_path, f'"{path}" = {{ choice = [1, 2] }}'), [])


def test_population_based_training__searches_only_what_can_change_in_place(tmp_path: Path) -> None:
    head = 'scheduler = "pbt"'
    for path in MUTABLE_SETTINGS:
        load_sweep_config(_write(tmp_path, f'"{path}" = {_LR}', head), [])
    with pytest.raises(ConfigError, match="cannot change while a trial trains"):
        load_sweep_config(_write(tmp_path, '"training.gamma" = { uniform = [0.5, 0.9] }', head), [])
    with pytest.raises(ConfigError, match="log_uniform"):
        load_sweep_config(_write(tmp_path, '"training.tau" = { choice = [0.1, 0.2] }', head), [])


def test_second_look__needs_worlds_that_chose_nothing(tmp_path: Path) -> None:
    path = _write(tmp_path, f'"training.actor_lr" = {_LR}')
    with pytest.raises(ConfigError, match="repeats worlds"):
        load_sweep_config(path, ["confirm_validation_seed=10100"])
    load_sweep_config(path, ["confirm_validation_seed=10256"])


def test_settings__change_what_is_named_and_nothing_else() -> None:
    changed = apply_settings(SprintConfig(), {"training.gamma": 0.5, "max_log_bid": 0.2})
    assert (changed.training.gamma, changed.max_log_bid) == (0.5, 0.2)
    assert apply_settings(changed, {"training.gamma": 0.8, "max_log_bid": 0.4}) == SprintConfig()


def test_winner__is_read_back_as_written(tmp_path: Path) -> None:
    winner = apply_settings(SprintConfig(), {"training.critic_curvature": 123.4, "training.hidden_sizes": (64, 64)})
    path = tmp_path / "winner.toml"
    path.write_text(dump_settings(winner))
    assert load_config(SprintConfig, path) == winner


def test_sweep_settings__are_read_back_as_written(tmp_path: Path) -> None:
    """A resumed sweep reads what it was started with, dotted keys included."""
    config = load_sweep_config(_write(tmp_path, f'"training.actor_lr" = {_LR}'), ["trials=5"])
    path = tmp_path / "saved.toml"
    path.write_text(dump_config(config))
    assert load_config(SweepConfig, path) == config
