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
    NOT_IN_ALL,
    BenchmarkSizes,
    measure_market,
    run_benchmark,
)
from experiments.measurement import Measurement
from gaelp_rl.errors import UnknownReferenceError

_TINY = BenchmarkSizes(
    worlds=4,
    hours=3,
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
    expected = [row] * len(set(BENCHMARKS) - set(NOT_IN_ALL))
    assert run_benchmark("all", _TINY, tmp_path, Console(file=screen, width=120)) == expected
    content = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert [entry["ratio"] for entry in content["measurements"]] == [4.0] * len(expected)
    assert "4.0x" in screen.getvalue()
