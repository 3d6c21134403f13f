"""Tuning: draws stay in their ranges, and the best of them is what the file holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.tune_comparators import SPACES, Range, main, sample_params
from gaelp_rl.config.comparators import ComparatorsConfig, TuningConfig
from gaelp_rl.config.loading import load_config
from gaelp_rl.control.registry import COMPARATORS


@given(st.floats(0.0, 1.0), st.booleans())
def test_range__position_and_point_are_inverse(position: float, is_log: bool) -> None:
    bounds = Range(0.2, 5.0, is_log)
    assert bounds.compute_position(bounds.compute_point(position)) == pytest.approx(position, abs=3e-3)


def test_range__halfway_in_logs_is_the_geometric_mean() -> None:
    assert Range(0.1, 10.0, is_log=True).compute_point(0.5) == 1.0


@pytest.mark.parametrize("name", sorted(COMPARATORS))
def test_spaces__name_parameters_that_exist_and_hold_their_defaults(name: str) -> None:
    defaults = COMPARATORS[name].params_type()
    for key, bounds in SPACES[name].items():
        default = getattr(defaults, key)
        for number in default if isinstance(default, tuple) else (default,):
            assert bounds.low <= number <= bounds.high


@given(st.integers(0, 2**32 - 1), st.integers(1, 39))
def test_sample_params__stays_in_range(seed: int, draw: int) -> None:
    space = SPACES["static-dayparts"]
    best = {"channel_bid_ratio": (0.2, 2.0, 1.0, 0.2), "daypart_bid_ratio": (0.5, 1.6, 1.0)}
    params = sample_params(space, best, draw, 40, np.random.default_rng(seed))
    for key, numbers in params.items():
        assert isinstance(numbers, tuple)
        assert len(numbers) == len(best[key])
        assert all(space[key].low <= number <= space[key].high for number in numbers)


def test_sample_params__later_draws_stay_closer() -> None:
    space = {"bid_ratio": Range(0.0, 1.0)}
    rng = np.random.default_rng(0)
    spread = [
        np.std([sample_params(space, {"bid_ratio": 0.5}, draw, 40, rng)["bid_ratio"] for _ in range(300)])
        for draw in (1, 20, 39)
    ]
    assert spread[0] > spread[1] > spread[2]


def test_main__writes_what_won_and_keeps_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "comparators.toml"
    tuning = TuningConfig(draws=3, worlds=4)
    main(["mild"], path, tuning, ["even-split"])
    config = main(["mild"], path, tuning, ["fixed-bids"])
    assert load_config(ComparatorsConfig, path) == config
    assert set(config.families["mild"]) == {"even-split", "fixed-bids"}
    assert 0.2 < config.families["mild"]["fixed-bids"].fho_iqm < 1.0
