"""FHO and its guards on outcomes whose scores follow by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.objective import Objective
from gaelp_rl.errors import DataError
from gaelp_rl.evaluation.outcomes import WorldOutcomes
from gaelp_rl.evaluation.score import compute_cpa, compute_soft_factor, compute_world_scores

Factory = Callable[..., WorldOutcomes]


def make_one_world(conversions: float, day_spends: list[float], optimum: float = 10.0) -> WorldOutcomes:
    """One world; everything on the first channel."""
    days = len(day_spends)
    spend = np.zeros((1, days, 4))
    spend[0, :, 0] = day_spends
    expected = np.zeros((1, days, 4))
    expected[0, 0, 0] = conversions
    ones = np.ones(1)
    return WorldOutcomes(
        "p", "f", np.array([7]), expected, expected.copy(), spend, optimum * ones, ones, ones, training_seed=None
    )


def test_compute_world_scores__by_hand() -> None:
    """8 of 10 conversions for $400 over two days of $500: FHO 0.8, CPA $50, 40 % of the budget."""
    scores = compute_world_scores(make_one_world(8.0, [300.0, 100.0]), Objective())
    assert scores.fho[0] == pytest.approx(0.8)
    assert scores.soft[0] == pytest.approx(0.8)
    assert scores.cpa[0] == 50.0
    assert scores.budget_use[0] == pytest.approx(0.4)
    assert scores.conversions_per_day[0] == 4.0
    assert not scores.is_above_cpa[0]
    assert not scores.is_above_budget[0]


def test_compute_world_scores__cpa_above_target_scores_zero_and_soft_score_does_not() -> None:
    """$800 for 4 conversions is a CPA of $200: FHO 0; soft 0.4 x (100 / 200)^2 = 0.1."""
    scores = compute_world_scores(make_one_world(4.0, [400.0, 400.0]), Objective())
    assert scores.is_above_cpa[0]
    assert scores.fho[0] == 0.0
    assert scores.soft[0] == pytest.approx(0.1)


def test_compute_world_scores__cpa_exactly_on_target_is_within_it() -> None:
    """$500 for 5 conversions at a target of $100."""
    assert compute_world_scores(make_one_world(5.0, [500.0]), Objective()).fho[0] == pytest.approx(0.5)


def test_compute_world_scores__one_day_above_budget_scores_zero() -> None:
    """Days are judged one by one: $600 and $0 is a breach though the mean is $300."""
    scores = compute_world_scores(make_one_world(9.0, [600.0, 0.0]), Objective())
    assert scores.is_above_budget[0]
    assert scores.fho[0] == 0.0


@pytest.mark.parametrize(("extra_micros", "is_breach"), [(0, False), (4, False), (5, True)])
def test_compute_world_scores__budget_holds_to_a_micro_per_channel(extra_micros: int, is_breach: bool) -> None:
    """Rounding may add one micro on each of the four channels, and no more."""
    scores = compute_world_scores(make_one_world(9.0, [500.0 + extra_micros / MICROS]), Objective())
    assert bool(scores.is_above_budget[0]) is is_breach


def test_compute_world_scores__spending_nothing_scores_zero_without_a_violation() -> None:
    """A paused account breaks no promise and earns nothing; its CPA is undefined, not 0."""
    scores = compute_world_scores(make_one_world(0.0, [0.0, 0.0]), Objective())
    assert scores.fho[0] == 0.0
    assert not scores.is_above_cpa[0]
    assert np.isnan(scores.cpa[0])


def test_compute_world_scores__spend_without_conversions_is_above_any_cpa() -> None:
    """An undefined CPA must not pass as a low one."""
    assert compute_world_scores(make_one_world(0.0, [10.0]), Objective()).is_above_cpa[0]


def test_compute_world_scores__judges_on_expected_and_reports_realised_cpa() -> None:
    """Poisson luck moves the realised CPA; FHO looks at the expected one."""
    outcomes = make_one_world(8.0, [400.0])
    unlucky = replace(outcomes, realised_conversions=outcomes.realised_conversions * 0.25)
    scores = compute_world_scores(unlucky, Objective())
    assert scores.fho[0] == pytest.approx(0.8)
    assert scores.is_above_realised_cpa[0]


@given(spend=st.floats(0.01, 1e5), conversions=st.just(0.0) | st.floats(1e-6, 1e3), target=st.floats(1.0, 500.0))
def test_compute_soft_factor__is_the_squared_ratio_capped_at_one(
    spend: float, conversions: float, target: float
) -> None:
    """The competition's formula written out."""
    factor = compute_soft_factor(np.array([spend]), np.array([conversions]), target)[0]
    cpa = compute_cpa(np.array([spend]), np.array([conversions]))[0]
    expected = 0.0 if conversions == 0 else min(1.0, target / cpa) ** 2
    assert factor == pytest.approx(expected, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimum": np.zeros(1)}, "optimum of world 7 is 0"),
        ({"spend": np.full((1, 1, 4), np.nan)}, "spend holds a NaN"),
        ({"expected_conversions": np.ones((1, 1, 3))}, "expected_conversions has shape"),
    ],
)
def test_check_outcomes__refuses_what_cannot_be_scored(change: dict[str, Any], message: str) -> None:
    """The message names the policy, the family and the array."""
    with pytest.raises(DataError, match=message):
        compute_world_scores(replace(make_one_world(1.0, [1.0]), **change), Objective())


def test_compute_world_scores__every_world_on_its_own(make_outcomes: Factory) -> None:
    """One breach in world 0 costs world 0 only."""
    scores = compute_world_scores(make_outcomes("p", 0.9, breach=True), Objective())
    assert scores.fho[0] == 0.0
    assert (scores.fho[1:] > 0.5).all()
