"""The report: self-contained, honest about what is missing, and safe with odd names."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gaelp_rl.config.evaluation import EvaluationConfig
from gaelp_rl.domain.objective import Objective
from gaelp_rl.errors import DataError
from gaelp_rl.evaluation.claim import compute_claim_verdict
from gaelp_rl.evaluation.comparison import FamilyComparison, compare
from gaelp_rl.evaluation.learning_curve import LearningCurve
from gaelp_rl.evaluation.outcomes import WorldOutcomes
from gaelp_rl.evaluation.report import EvaluationReport, write_report
from gaelp_rl.evaluation.results_file import ResultsMeta
from gaelp_rl.evaluation.volume import VolumeCurve

Factory = Callable[..., WorldOutcomes]
_META = ResultsMeta("abc1234", "aggregate", "2026-01-02T03:04:05+00:00")
_VOLUME = VolumeCurve(
    np.array([100.0, 500.0, 2000.0]),
    np.array([[40.0, 120.0, 240.0], [45.0, 130.0, 260.0]]),
    np.array([[700.0, 3500.0, 14000.0]] * 2),
    100.0,
)
_LEARNING = LearningCurve("campaign", np.array([0, 100, 200]), np.array([[0.7, 0.8, 0.9]]), 0.88)


def make_comparison(make_outcomes: Factory, policy: str = "sac", fraction: float = 0.94) -> FamilyComparison:
    """A trained policy, two comparators and an oracle."""
    outcomes = [
        make_outcomes(policy, fraction, training_seed=0),
        make_outcomes("reference", 0.9),
        make_outcomes("even_split", 0.75),
        make_outcomes("true_parameters", 0.98, knows_truth=True),
    ]
    return compare(outcomes, {"reference", "even_split"}, Objective(), EvaluationConfig(bootstrap_resamples=200))


def test_write_report__embeds_every_plot_and_writes_it_beside(tmp_path: Path, make_outcomes: Factory) -> None:
    """One file can be mailed; nothing is loaded from the network."""
    comparison = make_comparison(make_outcomes)
    verdict = compute_claim_verdict("sac", [comparison])
    path = write_report(tmp_path / "r", EvaluationReport((comparison,), _META, verdict, _VOLUME, _LEARNING))
    html = path.read_text(encoding="utf-8")
    names = {png.stem for png in path.parent.glob("*.png")}
    assert names == {
        "fho_intervals",
        "performance_profile",
        "channels",
        "daily_spend",
        "volume_curve",
        "learning_curve",
    }
    assert all(png.read_bytes().startswith(b"\x89PNG") for png in path.parent.glob("*.png"))
    assert html.count("data:image/png;base64,") == 6
    assert not re.search(r'(src|href)="(?!data:)', html)
    assert "The champion is sac, because it beat the best classical controller (reference) on campaign" in html


def test_write_report__says_no_data_where_there_is_none(tmp_path: Path, make_outcomes: Factory) -> None:
    """No invented curve: the sections stay and say what was not run."""
    path = write_report(tmp_path, EvaluationReport((make_comparison(make_outcomes),), _META))
    html = path.read_text(encoding="utf-8")
    assert html.count('class="missing"') == 2
    assert "No data: no policy was trained in this run." in html
    assert not (tmp_path / "learning_curve.png").exists()


def test_write_report__names_the_controller_as_champion_plainly(tmp_path: Path, make_outcomes: Factory) -> None:
    """Where the claim rule refuses, the first sentence says so and why."""
    comparison = make_comparison(make_outcomes, fraction=0.89)
    report = EvaluationReport((comparison,), _META, compute_claim_verdict("sac", [comparison]))
    assert report.champion == "reference"
    html = write_report(tmp_path, report).read_text(encoding="utf-8")
    assert "The champion is reference, because the policy sac has not been shown to be better than it" in html


def test_write_report__escapes_policy_names(tmp_path: Path, make_outcomes: Factory) -> None:
    """A policy's name may come from a registry; it must not become markup."""
    comparison = make_comparison(make_outcomes, policy="<script>alert(1)</script>")
    html = write_report(tmp_path, EvaluationReport((comparison,), _META)).read_text(encoding="utf-8")
    assert "<script>" not in html


def test_write_report__works_without_comparators(tmp_path: Path, make_outcomes: Factory) -> None:
    """A single policy can be looked at; the bar is then missing, not zero."""
    alone = compare([make_outcomes("sac", 0.9)], set(), Objective(), EvaluationConfig(bootstrap_resamples=100))
    html = write_report(tmp_path, EvaluationReport((alone,), _META)).read_text(encoding="utf-8")
    assert "best comparator: no data" in html


def test_write_report__needs_a_family(tmp_path: Path) -> None:
    """An empty report would look like a finished one."""
    with pytest.raises(DataError, match="at least one family"):
        write_report(tmp_path, EvaluationReport((), _META))


@pytest.mark.parametrize(("fraction", "is_champion"), [(0.94, True), (0.80, False)])
def test_write_report__says_that_its_champion_was_trained_once(
    tmp_path: Path, make_outcomes: Factory, fraction: float, is_champion: bool
) -> None:
    """With one seed the interval leaves out luck in training; a controller has none."""
    comparison = make_comparison(make_outcomes, fraction=fraction)
    verdict = compute_claim_verdict("sac", [comparison])
    html = write_report(tmp_path, EvaluationReport((comparison,), _META, verdict)).read_text(encoding="utf-8")
    assert (verdict.champion == "sac") == is_champion
    assert ("It was trained once" in html) == is_champion
