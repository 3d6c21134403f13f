"""Benchmarks measure what they say, on tiny sizes; no test asserts a time."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

import experiments.benchmark as benchmark
from experiments.benchmark import (
    BENCHMARKS,
    BenchmarkSizes,
    measure_learner,
    measure_market,
    measure_training,
    run_benchmark,
)
from experiments.measurement import Measurement
from gaelp_rl.config.training import TrainingConfig
from gaelp_rl.errors import UnknownReferenceError

_TINY = BenchmarkSizes(
    worlds=4,
    hours=3,
    training=TrainingConfig(
        worlds_per_env_runner=4, batch_size=16, hidden_sizes=(8, 8), replay_capacity=4_800, updates_per_call=2
    ),
    calls=2,
    stock_updates=2,
    days=2,
)


def test_measurement__ratio_says_how_many_times_better() -> None:
    """5 ms against 20 ms is four times as fast; 100 steps a second against 400 a quarter."""
    assert Measurement("update", 5.0, "ms", "peer", 20.0).ratio == 4.0
    assert Measurement("steps", 100.0, "steps/s", "peer", 400.0, is_rate=True).ratio == 0.25
    assert Measurement("alone", 5.0, "ms").ratio is None


def test_run_benchmark__unknown_names_are_refused() -> None:
    with pytest.raises(UnknownReferenceError, match="market"):
        run_benchmark("markt")


def test_market__each_part_adds_to_the_one_before() -> None:
    alone, planned, observed, trained = measure_market(_TINY)
    assert 0.0 < alone.figure < planned.figure < observed.figure
    assert trained.figure > 0.0
    assert (alone.against_figure, planned.against_figure) == (5.0, 15.0)


def test_market__cost_of_a_world_step_is_the_time_over_steps_and_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.006, 0.012 and 0.018 s for 3 hours of 4 worlds are 500, 1,000 and 1,500 us each."""
    monkeypatch.setattr(benchmark, "_time_market", lambda sizes: (0.006, 0.012, 0.018))
    monkeypatch.setattr(benchmark, "_time_environment", lambda sizes: 0.024)
    assert [row.figure for row in measure_market(_TINY)] == pytest.approx([500.0, 1_000.0, 1_500.0, 2_000.0])


def test_run_benchmark__writes_what_it_prints(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = Measurement("learner update", 5.0, "ms", "peer", 20.0)
    monkeypatch.setattr(benchmark, "BENCHMARKS", dict.fromkeys(BENCHMARKS, lambda sizes: [row]))
    screen = io.StringIO()
    assert run_benchmark("all", _TINY, tmp_path, Console(file=screen, width=120)) == [row] * len(BENCHMARKS)
    content = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert [entry["ratio"] for entry in content["measurements"]] == [4.0] * len(BENCHMARKS)
    assert "4.0x" in screen.getvalue()


@pytest.mark.integration
def test_learner__ours_and_the_stock_one_are_timed(ray_session: None) -> None:
    (row,) = measure_learner(_TINY)
    assert row.figure > 0.0
    assert row.against_figure is not None
    assert row.against_figure > 0.0


@pytest.mark.integration
def test_training__both_run_at_the_ratio_asked_for(ray_session: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Days of 24 hours of 4 worlds: ours is timed over two days, the stock one over its 25 steps."""
    counts = []
    count = benchmark._count_steps

    def remember(result: object) -> float:
        counts.append(count(result))
        return counts[-1]

    monkeypatch.setattr(benchmark, "_count_steps", remember)
    (row,) = measure_training(_TINY)
    assert counts == [96, 288, 100, 200]
    assert row.figure > 0.0
    assert row.is_rate
