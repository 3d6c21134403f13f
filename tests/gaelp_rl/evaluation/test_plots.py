"""What the plots draw, read back from the figures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gaelp_rl.config.evaluation import EvaluationConfig
from gaelp_rl.domain.objective import Objective
from gaelp_rl.evaluation.comparison import FamilyComparison, compare
from gaelp_rl.evaluation.learning_curve import LearningCurve
from gaelp_rl.evaluation.outcomes import WorldOutcomes
from gaelp_rl.evaluation.plots import (
    make_channel_figure,
    make_daily_spend_figure,
    make_interval_figure,
    make_learning_figure,
    make_profile_figure,
    make_volume_figure,
)
from gaelp_rl.evaluation.volume import VolumeCurve

Factory = Callable[..., WorldOutcomes]


def make_comparison(make_outcomes: Factory) -> FamilyComparison:
    """A trained policy and two comparators."""
    outcomes = [
        make_outcomes("sac", 0.94, training_seed=0),
        make_outcomes("reference", 0.9),
        make_outcomes("even_split", 0.75),
    ]
    return compare(outcomes, {"reference", "even_split"}, Objective(), EvaluationConfig(bootstrap_resamples=100))


def test_make_interval_figure__one_panel_per_family_one_row_per_policy(make_outcomes: Factory) -> None:
    """Rows in order of score, each labelled with its own figure."""
    comparison = make_comparison(make_outcomes)
    figure = make_interval_figure([comparison, comparison])
    assert len(figure.axes) == 2
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["sac", "reference", "even_split"]
    assert axes.texts[0].get_text() == f"{100 * comparison.find('sac').fho_iqm:.1f} %"


def test_make_profile_figure__names_trained_best_and_weakest(make_outcomes: Factory) -> None:
    """The legend holds who matters."""
    legend = make_profile_figure(make_comparison(make_outcomes)).axes[0].get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} == {"sac", "reference", "even_split"}


def test_make_channel_figure__bars_are_the_means(make_outcomes: Factory) -> None:
    """$480 a day split 40/30/20/10, for each of three policies."""
    axes = make_channel_figure(make_comparison(make_outcomes)).axes[0]
    heights = [bar.get_height() for bar in axes.patches]  # type: ignore[attr-defined]
    np.testing.assert_allclose(heights, [192.0, 144.0, 96.0, 48.0] * 3)


def test_make_volume_figure__marks_the_goal_and_todays_budget() -> None:
    """The dot is the median world's volume at today's budget."""
    curve = VolumeCurve(
        np.array([100.0, 500.0]), np.array([[40.0, 120.0]]), np.array([[700.0, 3500.0]]), cpa_target=100.0
    )
    axes = make_volume_figure(curve, 500.0, 1000.0, "USD").axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["goal: 1,000 a week", "120 a week on 500 a day"]
    assert axes.get_ylim()[1] > 1000.0


def test_make_learning_figure__draws_the_median_of_the_seeds() -> None:
    """Three seeds: the bold line is their median, not their best."""
    curve = LearningCurve("mild", np.array([0, 10]), np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.9]]), None)
    lines = make_learning_figure(curve).axes[0].get_lines()
    np.testing.assert_allclose(np.asarray(lines[3].get_ydata()), [0.3, 0.4])


def test_make_daily_spend_figure__shows_the_budget_line(make_outcomes: Factory) -> None:
    """A flat $480 under a line at $500."""
    axes = make_daily_spend_figure(make_comparison(make_outcomes), "sac").axes[0]
    median, budget = axes.get_lines()
    np.testing.assert_allclose(np.asarray(median.get_ydata()), np.full(28, 480.0))
    assert np.asarray(budget.get_ydata()).tolist() == [500.0, 500.0]
