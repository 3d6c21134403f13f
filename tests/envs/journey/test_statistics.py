"""The statistics file says about recorded sessions what the reference's own summary says."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from envs.journey.statistics import (
    METRICS,
    SUMMARY_COLUMNS,
    SessionRow,
    make_session_statistics,
    summarise,
    write_statistics,
)
from gaelp_rl.errors import ConfigError
from tests.envs.journey.recsim_reference import CASES, load_rows, load_sessions, load_summary


@pytest.mark.parametrize("case", CASES)
def test_summary__of_recorded_sessions_is_the_recorded_summary(case: str) -> None:
    """Recorded sessions have six digits, so that figures made from them agree to about as many."""
    recorded = {metric: row for (of, metric), row in load_summary().items() if of == case}
    rows = summarise(case, load_sessions(case))
    assert [row.metric for row in rows] == list(recorded)
    for row in rows:
        for name, expected in recorded[row.metric].items():
            assert getattr(row, name) == pytest.approx(expected, rel=2e-5, abs=2e-6), (row.metric, name)


@pytest.mark.parametrize("case", CASES)
def test_alive__follows_from_session_lengths(case: str) -> None:
    statistics = load_sessions(case)
    recorded = [int(step["alive"]) for step in load_rows(f"curve_{case}.csv")]
    assert statistics.alive_by_step.tolist() == recorded
    assert statistics.clicks_by_step.sum() == statistics.column("clicks").sum()


def test_summary__leaves_undefined_ratios_out() -> None:
    """A share of clicks is unknown without clicks, never 0."""
    rows = [SessionRow(10, 0, 0, 0.0, 0.0), SessionRow(10, 4, 1, 4.0, 2.0), SessionRow(10, 2, 1, 2.0, 3.0)]
    summary = {row.metric: row for row in summarise("case", make_session_statistics("ads", rows, [0] * 10))}
    assert summary["first_slot_share"].mean == pytest.approx((0.25 + 0.5) / 2)
    assert summary["first_slot_share"].users == 3
    assert summary["first_slot_share"].se == pytest.approx(summary["first_slot_share"].sd / np.sqrt(2.0))
    assert summary["clicked_quality_mean"].p50 == pytest.approx((0.5 + 1.5) / 2)
    assert np.isnan(summary["mean_delay_hours"].mean)


def test_file__has_the_recorded_columns_and_six_digits(tmp_path: Path) -> None:
    path = tmp_path / "new" / "stats.csv"
    write_statistics(path, summarise("iex_default_random", load_sessions("iex_default_random")))
    with path.open(encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert list(written[0]) == list(SUMMARY_COLUMNS) == list(load_rows("summary.csv")[0])
    assert [row["metric"] for row in written] == list(METRICS["interest_exploration"])
    assert written[1]["mean"] == "11.3025"
    assert written[1]["sd"] == "3.34104"


def test_statistics__refuse_unknown_models_and_empty_runs() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'ads'"):
        make_session_statistics("adds", [SessionRow(1, 0, 0, 0.0)], [0])
    with pytest.raises(ConfigError, match="0 users"):
        make_session_statistics("ads", [], [])
