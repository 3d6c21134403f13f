"""The JSON interface: every promised key, plain numbers, nothing half-written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gaelp_rl.config.evaluation import EvaluationConfig
from gaelp_rl.domain.objective import Objective
from gaelp_rl.evaluation.comparison import FamilyComparison, compare
from gaelp_rl.evaluation.outcomes import WorldOutcomes
from gaelp_rl.evaluation.results_file import RESULTS_SCHEMA, ResultsMeta, write_json

Factory = Callable[..., WorldOutcomes]
_CONFIG = EvaluationConfig(bootstrap_resamples=100, seed=3)
_META = ResultsMeta(git_sha="abc1234", fidelity="aggregate", created_at="2026-01-02T03:04:05+00:00")


@pytest.fixture(name="comparison")
def make_comparison_fixture(make_outcomes: Factory) -> FamilyComparison:
    """Two training seeds against one comparator."""
    runs = [make_outcomes("sac", 0.9, training_seed=seed) for seed in (0, 1)]
    return compare([*runs, make_outcomes("reference", 0.88)], {"reference"}, Objective(), _CONFIG)


def test_write_json__holds_the_promised_keys(tmp_path: Path, comparison: FamilyComparison) -> None:
    """Scripts and dashboards read these names."""
    path = tmp_path / "new" / "results.json"
    write_json(path, [comparison], _META)
    results = json.loads(path.read_text(encoding="utf-8"))
    assert results["schema"] == RESULTS_SCHEMA
    assert results["meta"] == {"git_sha": "abc1234", "fidelity": "aggregate", "created_at": _META.created_at}
    family = results["families"]["campaign"]
    assert family["worlds"] == 40
    assert family["seed"] == 3
    assert family["best_comparator"] == "reference"
    policy = family["policies"]["sac"]
    promised = {
        "fho_iqm",
        "fho_ci",
        "fho_p10",
        "fho_worst",
        "paired_diff_to_best_comparator",
        "paired_ci",
        "probability_of_improvement",
        "cpa_violation_share",
        "budget_breach_share",
        "conversions_per_day",
        "soft_score",
        "budget_use",
        "fho",
    }
    assert promised <= policy.keys()
    assert policy["fho"] == comparison.find("sac").fho.mean(axis=0).tolist()
    assert len(policy["fho_by_training_seed"]) == 2
    assert policy["channels"].keys() == {"google", "meta", "tiktok", "microsoft"}
    assert not list(path.parent.glob("*.partial"))


def test_write_json__without_comparators_says_null(tmp_path: Path, make_outcomes: Factory) -> None:
    """Undefined is null, never NaN (which is not JSON) and never 0."""
    comparison = compare([make_outcomes("sac", 0.9)], set(), Objective(), _CONFIG)
    path = tmp_path / "results.json"
    write_json(path, [comparison], _META)
    policy = json.loads(path.read_text(encoding="utf-8"))["families"]["campaign"]["policies"]["sac"]
    assert policy["paired_diff_to_best_comparator"] is None
    assert policy["paired_ci"] is None
