"""The claim rule: each of its conditions alone can forbid the word 'better'."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gaelp_rl.config.evaluation import EvaluationConfig
from gaelp_rl.domain.objective import Objective
from gaelp_rl.errors import DataError, UnknownReferenceError
from gaelp_rl.evaluation.claim import compute_claim_verdict, is_not_worse
from gaelp_rl.evaluation.comparison import FamilyComparison, compare
from gaelp_rl.evaluation.outcomes import WorldOutcomes

Factory = Callable[..., WorldOutcomes]
_CONFIG = EvaluationConfig(bootstrap_resamples=300)


def make_comparison(make_outcomes: Factory, family: str, fraction: float, **changes: Any) -> FamilyComparison:
    """A challenger at ``fraction`` against a reference at 0.90 and an even split at 0.75."""
    return compare(
        [
            make_outcomes("sac", fraction, family=family, training_seed=0, **changes),
            make_outcomes("reference", 0.90, family=family),
            make_outcomes("even_split", 0.75, family=family),
        ],
        {"reference", "even_split"},
        Objective(),
        _CONFIG,
    )


def test_compute_claim_verdict__clear_gain_without_harm_is_better(make_outcomes: Factory) -> None:
    """Three points up on one family, level on the other."""
    comparisons = [make_comparison(make_outcomes, "campaign", 0.93), make_comparison(make_outcomes, "mild", 0.90)]
    verdict = compute_claim_verdict("sac", comparisons)
    assert verdict.better
    assert verdict.champion == "sac"
    assert "campaign" in verdict.better_on
    assert verdict.reasons["campaign"][0].endswith("better")


def test_compute_claim_verdict__beating_a_weak_comparator_is_not_enough(make_outcomes: Factory) -> None:
    """Far above even split, level with the best: the controller stays champion."""
    verdict = compute_claim_verdict("sac", [make_comparison(make_outcomes, "campaign", 0.90)])
    assert not verdict.better
    assert verdict.reasons["campaign"][0].endswith("no clear difference")
    assert verdict.champion == "reference"
    assert verdict.better_on == ()


def test_compute_claim_verdict__loss_of_more_than_a_point_elsewhere_forbids_it(make_outcomes: Factory) -> None:
    """A gain on one family does not pay for three points on another."""
    comparisons = [make_comparison(make_outcomes, "campaign", 0.95), make_comparison(make_outcomes, "mild", 0.87)]
    verdict = compute_claim_verdict("sac", comparisons)
    assert not verdict.better
    assert any("it loses" in reason for reason in verdict.reasons["mild"])


def test_compute_claim_verdict__more_breaches_forbid_it(make_outcomes: Factory) -> None:
    """One world above budget where the reference has none."""
    verdict = compute_claim_verdict("sac", [make_comparison(make_outcomes, "campaign", 0.95, breach=True)])
    assert not verdict.better
    assert any("budget breached in 2.5 % of worlds" in reason for reason in verdict.reasons["campaign"])


def test_compute_claim_verdict__policy_that_knows_the_truth_claims_nothing(make_outcomes: Factory) -> None:
    """An oracle beats everybody and may not be shipped."""
    comparison = make_comparison(make_outcomes, "campaign", 0.98, knows_truth=True)
    verdict = compute_claim_verdict("sac", [comparison])
    assert not verdict.better
    assert verdict.champion == "reference"


def test_compute_claim_verdict__comparator_may_be_judged(make_outcomes: Factory) -> None:
    """The best comparator is not better than itself."""
    verdict = compute_claim_verdict("reference", [make_comparison(make_outcomes, "campaign", 0.5)])
    assert not verdict.better
    assert verdict.reasons["campaign"] == ("it is the best comparator itself",)


def test_compute_claim_verdict__needs_families_comparators_and_the_policy(make_outcomes: Factory) -> None:
    """A claim without its bar is refused, not granted."""
    with pytest.raises(DataError, match="no family"):
        compute_claim_verdict("sac", [])
    alone = compare([make_outcomes("sac", 0.9)], set(), Objective(), _CONFIG)
    with pytest.raises(DataError, match="without a comparator"):
        compute_claim_verdict("sac", [alone])
    with pytest.raises(UnknownReferenceError, match="was not compared"):
        compute_claim_verdict("sax", [make_comparison(make_outcomes, "campaign", 0.9)])


@pytest.mark.parametrize(("fraction", "expected"), [(0.93, True), (0.88, False)])
def test_is_not_worse__looks_at_the_lower_end(make_outcomes: Factory, fraction: float, expected: bool) -> None:
    """Above the bar passes; two points below does not."""
    assert is_not_worse("sac", make_comparison(make_outcomes, "campaign", fraction)) is expected
