"""Verdicts and their table."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from experiments.parity_report import Hypothesis, make_parity_report, render_parity_table
from gaelp_rl.evaluation.equivalence import PairedComparison


def make_hypothesis(metric: str, difference: float, equivalence: float, exchange: float = 1.0) -> Hypothesis:
    paired = PairedComparison(0.5, 0.1, difference, equivalence)
    return Hypothesis("c", "A", metric, 1, 8, 10.0, 2.0, False, paired, exchange)


def test_make_parity_report__adjusts_over_all_p_values() -> None:
    """Six p-values: 0.005 x 6 = 0.03 is a difference; 0.02 x 5 = 0.1 is none."""
    report = make_parity_report(
        [make_hypothesis("a", 0.5, 0.01), make_hypothesis("b", 0.005, 0.01), make_hypothesis("c", 0.9, 0.3, 0.02)]
    )
    assert [one.verdict for one in report.hypotheses] == ["equivalent", "different", "not shown"]
    assert [one.adjusted_p_value for one in report.hypotheses] == pytest.approx([1.0, 0.03, 0.1])
    assert [one.name for one in report.select("not shown")] == ["c[1]/A/c"]


def test_make_parity_report__of_constants_is_identical() -> None:
    same = Hypothesis("c", "A", "x_wins", None, 8, 10.0, 2.0, False, None, 1.0)
    report = make_parity_report([same, make_hypothesis("a", 0.5, 0.01)])
    assert report.select("identical")[0].name == "c/A/x_wins"


def test_make_parity_report__one_pair_shows_nothing() -> None:
    report = make_parity_report([make_hypothesis("a", float("nan"), float("nan"), 0.5)])
    assert report.hypotheses[0].verdict == "not shown"


def test_render_parity_table__counts_by_metric() -> None:
    report = make_parity_report([make_hypothesis("gamma", 0.5, 0.01), make_hypothesis("gamma", 0.4, 0.2)])
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(render_parity_table(report))
    text = console.export_text()
    assert "1 equivalent, 1 not shown, 0 different" in text
    row = next(line.split() for line in text.splitlines() if "gamma" in line)
    assert row == ["c", "gamma", "8", "2", "1", "1", "0.25", "1"]
