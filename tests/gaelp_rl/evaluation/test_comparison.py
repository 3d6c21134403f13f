"""Policies side by side: who is the best comparator, and what is paired with what."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gaelp_rl.config.evaluation import EvaluationConfig
from gaelp_rl.domain.objective import Objective
from gaelp_rl.errors import DataError, UnknownReferenceError
from gaelp_rl.evaluation.comparison import compare
from gaelp_rl.evaluation.outcomes import WorldOutcomes

Factory = Callable[..., WorldOutcomes]
_CONFIG = EvaluationConfig(bootstrap_resamples=300)


def test_compare__best_comparator_is_the_highest_iqm_that_knows_no_more_than_reports(make_outcomes: Factory) -> None:
    """An oracle row and a policy that is no comparator never set the bar."""
    comparison = compare(
        [
            make_outcomes("even_split", 0.75),
            make_outcomes("reference", 0.92),
            make_outcomes("true_parameters", 0.98, knows_truth=True),
            make_outcomes("sac", 0.95, training_seed=0),
        ],
        {"even_split", "reference", "true_parameters", "never_run"},
        Objective(),
        _CONFIG,
    )
    assert comparison.best_comparator == "reference"
    assert [summary.policy for summary in comparison.policies] == ["true_parameters", "sac", "reference", "even_split"]
    assert comparison.find("true_parameters").is_comparator is False
    paired = comparison.find("sac").paired
    assert paired is not None
    assert 0.0 < paired.interval.low < paired.difference == pytest.approx(0.03, abs=0.02)


def test_compare__best_comparator_against_itself_differs_by_nothing(make_outcomes: Factory) -> None:
    """Pairing is exact: the same outcomes give 0 in every resample."""
    comparison = compare([make_outcomes("reference", 0.9)], {"reference"}, Objective(), _CONFIG)
    summary = comparison.find("reference")
    assert summary.paired is not None
    assert (summary.paired.difference, summary.paired.interval.low, summary.paired.interval.high) == (0.0, 0.0, 0.0)
    assert summary.probability_of_improvement == 0.5


def test_compare__pools_training_seeds(make_outcomes: Factory) -> None:
    """Three seeds of one policy are one row of 3 x 40 scores; figures are means over all."""
    runs = [make_outcomes("sac", fraction, training_seed=seed) for seed, fraction in enumerate((0.85, 0.9, 0.95))]
    comparison = compare([*runs, make_outcomes("reference", 0.9)], {"reference"}, Objective(), _CONFIG)
    summary = comparison.find("sac")
    assert summary.fho.shape == (3, 40)
    assert summary.training_seeds == (0, 1, 2)
    expected = np.mean([run.expected_conversions.sum() / 40 / 28 for run in runs])
    assert summary.conversions_per_day == pytest.approx(float(expected))
    assert summary.fho_worst == summary.fho.min()


def test_compare__by_hand_figures(make_outcomes: Factory) -> None:
    """$480 a day of $500, split 40/30/20/10; one of 40 worlds breaches."""
    comparison = compare([make_outcomes("p", 0.9, breach=True)], set(), Objective(), _CONFIG)
    summary = comparison.find("p")
    assert comparison.best_comparator is None
    assert summary.paired is None
    assert summary.budget_breach_share == pytest.approx(1 / 40)
    assert summary.fho_worst == 0.0
    assert summary.budget_use == pytest.approx((480 + 21 / 40 / 28) / 500)
    np.testing.assert_allclose(summary.channel_spend, [192, 144, 96, 48], rtol=1e-3)
    assert summary.channel_conversions.sum() == pytest.approx(summary.conversions_per_day)
    np.testing.assert_allclose(summary.daily_spend[:, 0], [480.0, 480.0, 480.0])


def test_compare__same_seed_same_intervals_whoever_else_is_compared(make_outcomes: Factory) -> None:
    """An interval is a property of the policy and its bar, not of the guest list."""
    few = compare([make_outcomes("a", 0.8), make_outcomes("b", 0.9)], {"b"}, Objective(), _CONFIG)
    many = compare([make_outcomes(p, f) for p, f in (("c", 0.5), ("b", 0.9), ("a", 0.8))], {"b"}, Objective(), _CONFIG)
    assert few.find("a").fho_ci == many.find("a").fho_ci
    assert few.find("a").paired == many.find("a").paired


def test_compare__refuses_other_worlds_and_repeated_policies(make_outcomes: Factory) -> None:
    """Common random numbers are what makes a small difference visible."""
    with pytest.raises(DataError, match="did not meet the same worlds"):
        compare([make_outcomes("a", 0.9), make_outcomes("b", 0.9, worlds=39)], set(), Objective(), _CONFIG)
    with pytest.raises(DataError, match="did not meet the same worlds"):
        compare([make_outcomes("a", 0.9), make_outcomes("b", 0.9, family="wide")], set(), Objective(), _CONFIG)
    with pytest.raises(DataError, match="comes twice"):
        compare([make_outcomes("a", 0.9), make_outcomes("a", 0.9)], set(), Objective(), _CONFIG)
    with pytest.raises(DataError, match="no outcomes"):
        compare([], set(), Objective(), _CONFIG)


def test_find__unknown_policy_suggests_the_nearest(make_outcomes: Factory) -> None:
    """A typo in --policy ends in a name that exists."""
    comparison = compare([make_outcomes("reference", 0.9)], set(), Objective(), _CONFIG)
    with pytest.raises(UnknownReferenceError, match="Did you mean 'reference'"):
        comparison.find("referense")
