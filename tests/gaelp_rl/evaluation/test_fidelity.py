"""The cross-check: the same policies and worlds at both fidelities, or a refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from gaelp_rl.config.evaluation import EvaluationConfig
from gaelp_rl.domain.objective import Objective
from gaelp_rl.errors import DataError
from gaelp_rl.evaluation.comparison import compare
from gaelp_rl.evaluation.fidelity import FidelityCheck, compute_fidelity_check, render_fidelity_check
from gaelp_rl.evaluation.outcomes import WorldOutcomes
from gaelp_rl.evaluation.report import EvaluationReport, write_report
from gaelp_rl.evaluation.results_file import ResultsMeta, write_json
from gaelp_rl.evaluation.score import compute_world_scores
from gaelp_rl.evaluation.statistics import compute_iqm

Factory = Callable[..., WorldOutcomes]
_CONFIG = EvaluationConfig(bootstrap_resamples=200)
_META = ResultsMeta("abc1234", "aggregate", "2026-01-02T03:04:05+00:00")


def make_pair(make_outcomes: Factory, loss: float) -> tuple[WorldOutcomes, WorldOutcomes]:
    """A policy that gets ``loss`` of its conversions less at auction fidelity, in every world."""
    aggregate = make_outcomes("sac", 0.9)
    return aggregate, replace(aggregate, expected_conversions=(1.0 - loss) * aggregate.expected_conversions)


def make_check(make_outcomes: Factory, loss: float = 0.1) -> FidelityCheck:
    aggregate, auction = make_pair(make_outcomes, loss)
    return compute_fidelity_check([aggregate], [auction], Objective(), _CONFIG)


def test_compute_fidelity_check__finds_a_loss_in_every_world(make_outcomes: Factory) -> None:
    """A tenth of the conversions lost is a tenth of the score lost, and the interval knows it is no luck."""
    aggregate, _ = make_pair(make_outcomes, 0.1)
    fho = float(compute_iqm(compute_world_scores(aggregate, Objective()).fho))
    row = make_check(make_outcomes).rows[0]
    assert row.aggregate_fho == pytest.approx(fho)
    assert row.auction_fho == pytest.approx(0.9 * fho)
    assert row.difference.difference == pytest.approx(-0.1 * fho)
    assert row.difference.interval.high < 0.0
    assert row.auction_conversions_per_day == pytest.approx(0.9 * row.aggregate_conversions_per_day)


def test_compute_fidelity_check__equal_outcomes_differ_by_nothing(make_outcomes: Factory) -> None:
    row = make_check(make_outcomes, loss=0.0).rows[0]
    assert row.difference.difference == 0.0
    assert row.difference.interval.low == row.difference.interval.high == 0.0


def test_compute_fidelity_check__refuses_other_worlds_and_other_policies(make_outcomes: Factory) -> None:
    """A difference between unlike runs would look like one between fidelities."""
    aggregate, auction = make_pair(make_outcomes, 0.0)
    moved = replace(auction, seeds=np.asarray(auction.seeds + 1))
    for wrong in ([moved], [replace(auction, policy="other")], []):
        with pytest.raises(DataError):
            compute_fidelity_check([aggregate], wrong, Objective(), _CONFIG)


def test_render_fidelity_check__shows_both_scores(make_outcomes: Factory) -> None:
    check = make_check(make_outcomes)
    console = Console(record=True, width=140)
    console.print(render_fidelity_check(check))
    text = console.export_text()
    assert f"{100 * check.rows[0].aggregate_fho:.1f}" in text
    assert f"{100 * check.rows[0].auction_fho:.1f}" in text


def test_results_and_report__hold_the_check_where_there_is_one(tmp_path: Path, make_outcomes: Factory) -> None:
    """A reader sees both scores; without a check the file says null and the page has no such section."""
    aggregate, _ = make_pair(make_outcomes, 0.0)
    comparison = compare([aggregate, make_outcomes("reference", 0.8)], {"reference"}, Objective(), _CONFIG)
    check = make_check(make_outcomes)
    write_json(tmp_path / "with.json", [comparison], _META, check)
    write_json(tmp_path / "without.json", [comparison], _META)
    stored = json.loads((tmp_path / "with.json").read_text())["fidelity_check"]["policies"]["sac"]
    assert stored["auction_fho_iqm"] == check.rows[0].auction_fho
    assert json.loads((tmp_path / "without.json").read_text())["fidelity_check"] is None
    page = write_report(tmp_path / "a", EvaluationReport((comparison,), _META, fidelity_check=check)).read_text()
    plain = write_report(tmp_path / "b", EvaluationReport((comparison,), _META)).read_text()
    assert "Auction by auction" in page
    assert "Auction by auction" not in plain
