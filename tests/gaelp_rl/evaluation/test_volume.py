"""The volume curve: what each daily budget buys."""

from __future__ import annotations

import numpy as np
import pytest

from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.response_curves import ResponseCurves
from gaelp_rl.errors import DataError
from gaelp_rl.evaluation.hindsight import compute_hindsight_optimum
from gaelp_rl.evaluation.volume import (
    VolumeCurve,
    compute_budget_for_volume,
    compute_volume_at_budget,
    compute_volume_curve,
)

_CURVE = VolumeCurve(
    daily_budget=np.array([100.0, 200.0, 400.0]),
    conversions_per_week=np.array([[50.0, 80.0, 100.0], [60.0, 90.0, 110.0], [70.0, 100.0, 120.0]]),
    spend_per_week=np.array([[700.0, 1400.0, 2800.0]] * 3),
    cpa_target=100.0,
)


def make_curves() -> ResponseCurves:
    """Two worlds of a week, two channels, equal hours."""
    shape = (2, 168, 6)
    return ResponseCurves(
        np.full(shape, 4.0),
        np.full(shape, 1.5),
        np.full(shape, 0.04),
        np.full(6, 0.7),
        np.repeat([False, True], 3),
    )


def test_compute_volume_curve__is_the_optimum_per_week() -> None:
    """One week of hours: a point is the hindsight optimum itself, and budgets come out sorted."""
    curves = make_curves()
    curve = compute_volume_curve(curves, Objective(), np.array([900.0, 500.0]))
    assert curve.daily_budget.tolist() == [500.0, 900.0]
    optimum = compute_hindsight_optimum(curves, Objective())
    np.testing.assert_allclose(curve.conversions_per_week[:, 0], optimum.expected_conversions, rtol=1e-12)
    np.testing.assert_allclose(curve.spend_per_week[:, 0], optimum.spend.sum(axis=1), rtol=1e-12)
    assert (np.diff(curve.conversions_per_week, axis=1) >= 0).all()


def test_compute_volume_at_budget__interpolates_the_median_world() -> None:
    """By hand: the median world has 60 at 100 and 90 at 200, so 75 at 150; spend 1,050."""
    assert compute_volume_at_budget(_CURVE, 150.0) == (75.0, 1050.0)


def test_compute_budget_for_volume__inverts_the_curve_or_says_none() -> None:
    """By hand: 100 a week lies half-way from 90 (at 200) to 110 (at 400); 1,000 is not for sale."""
    assert compute_budget_for_volume(_CURVE, 100.0) == pytest.approx(300.0)
    assert compute_budget_for_volume(_CURVE, 30.0) == pytest.approx(50.0)
    assert compute_budget_for_volume(_CURVE, 1000.0) is None


def test_compute_volume_curve__refuses_a_budget_of_zero() -> None:
    """Nothing is for sale at 0; an objective cannot hold it either."""
    with pytest.raises(DataError, match="all above 0"):
        compute_volume_curve(make_curves(), Objective(), np.array([0.0, 100.0]))
