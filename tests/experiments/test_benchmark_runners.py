"""The benchmark of env runners measures what it says, on a tiny shape; no test asserts a time."""

from __future__ import annotations

import pytest

import experiments.benchmark_runners as benchmark
from experiments.benchmark import BENCHMARKS, NOT_IN_ALL
from experiments.benchmark_runners import RunnerSizes, ShapeCost, measure_runners
from experiments.preflight import Capacity

_COST = ShapeCost(1.0, 2.0, 4_096.0, 300.0, 5.0, 6.0)


def test_registry__the_long_benchmark_is_only_run_by_name() -> None:
    assert "runners" in NOT_IN_ALL
    assert set(BENCHMARKS) > NOT_IN_ALL


def test_measure__a_shape_that_does_not_fit_is_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """8 GiB hold one process of 128 worlds; fifty env runners need twice that."""
    monkeypatch.setattr(benchmark, "load_capacity", lambda out: Capacity(2.0, 8.0 * 2**30, 100.0 * 2**30))
    monkeypatch.setattr(benchmark, "_measure_apart", lambda *shape: _COST)
    rows = measure_runners(RunnerSizes(shapes=((0, 128), (50, 8))))
    assert {row.name.partition(":")[0] for row in rows} == {"0 x 128"}
    assert "left out: 50 x 8" in capsys.readouterr().err
    assert next(row for row in rows if row.unit == "MiB" and row.against).ratio == 4.0  # 16 GiB over 4 GiB
