"""Spend profiles: shares of a day, and what of them should have been reported."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.config.calibration import DEFAULT_CALIBRATION, make_calibration_arrays
from gaelp_rl.config.market import load_family
from gaelp_rl.control.market_model import make_market_model
from gaelp_rl.control.spend_profile import (
    compute_planned_reported_share,
    compute_planned_share_of_reports,
    make_optimal_profile,
    make_uniform_profile,
    solve_prior_theta,
)
from gaelp_rl.domain.channels import NUM_DEVICES
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.response_curves import ResponseCurves
from gaelp_rl.evaluation.hindsight import compute_hindsight_optimum

STOCK = make_calibration_arrays(DEFAULT_CALIBRATION)

MODEL = make_market_model(load_family("campaign"))


def make_median_world() -> ResponseCurves:
    """One day (a Friday, whose traffic is about average) of the calibrated medians, as true curves."""
    share = STOCK.device_share * STOCK.device_ctr_ratio
    share = share / share.sum(axis=1, keepdims=True)
    conversion = STOCK.device_conversion_ratio
    conversion = conversion / (share * conversion).sum(axis=1, keepdims=True)
    hour = STOCK.hour_traffic.T[:, :, None]
    return ResponseCurves(
        click_volume=(hour * (STOCK.click_volume_per_day[:, None] * share)).reshape(1, 24, 12),
        price_median=(
            STOCK.hour_price_ratio.T[:, :, None] * STOCK.price_median[:, None] * STOCK.device_price_ratio
        ).reshape(1, 24, 12),
        conversion_rate=(
            STOCK.hour_conversion_ratio.T[:, :, None] * STOCK.conversion_rate[:, None] * conversion
        ).reshape(1, 24, 12),
        sigma=np.repeat(STOCK.price_sigma, NUM_DEVICES),
        first_price=np.repeat(STOCK.first_price, NUM_DEVICES),
    )


@pytest.mark.parametrize("daily_budget", [100.0, 500.0, 1000.0])
def test_solve_prior_theta__is_the_hindsight_theta_of_the_median_world(daily_budget: float) -> None:
    """The hindsight solver is independent code; it bids by device everywhere, hence the tolerance."""
    objective = Objective(daily_budget_micros=int(daily_budget * 1e6), cpa_target_micros=10**9)
    optimum = compute_hindsight_optimum(make_median_world(), objective)
    assert solve_prior_theta(MODEL, daily_budget) == pytest.approx(optimum.theta[0, 0], rel=0.02)


@given(st.floats(50.0, 900.0), st.floats(1.01, 2.0))
def test_solve_prior_theta__grows_with_the_budget(daily_budget: float, factor: float) -> None:
    assert solve_prior_theta(MODEL, daily_budget * factor) > solve_prior_theta(MODEL, daily_budget)


@pytest.mark.parametrize("make_profile", [make_optimal_profile, make_uniform_profile])
def test_profiles__are_shares_of_one_day(make_profile: object) -> None:
    profile = make_profile(MODEL, 500.0)  # type: ignore[operator]
    assert profile.sum() == pytest.approx(1.0)
    assert (profile > 0.0).all()


def test_make_optimal_profile__splits_the_budget_as_hindsight_does() -> None:
    objective = Objective(daily_budget_micros=500 * 10**6, cpa_target_micros=10**9)
    optimum = compute_hindsight_optimum(make_median_world(), objective)
    expected = optimum.spend_by_channel[0] / optimum.spend_by_channel[0].sum()
    np.testing.assert_allclose(make_optimal_profile(MODEL, 500.0).sum(axis=1), expected, atol=0.01)


def test_make_uniform_profile__is_flat_within_a_channel() -> None:
    profile = make_uniform_profile(MODEL, 500.0)
    assert np.ptp(profile, axis=1).max() == 0.0


def test_planned_reported_share__counts_what_each_lag_lets_through() -> None:
    """A slow loop over channels and hours: by 10:00 a channel with a lag of 2 has reported hours 0 to 7."""
    profile = make_optimal_profile(MODEL, 500.0)
    lags = np.array([1, 0, 3, 2])
    shares = compute_planned_reported_share(profile, lags)
    for hour in range(24):
        expected = sum(profile[c, h] for c in range(4) for h in range(24) if h + lags[c] < hour)
        assert shares[hour] == pytest.approx(expected)


def test_planned_share_of_reports__adds_up_to_the_reported_share_after_the_lags() -> None:
    """Over a whole day the hourly shares are a partition of the profile, yesterday's late hours included."""
    profile = make_optimal_profile(MODEL, 500.0)
    lags = np.array([1, 0, 3, 2])
    hourly = [compute_planned_share_of_reports(profile, lags, hour) for hour in range(24, 48)]
    assert sum(hourly) == pytest.approx(1.0)
    difference = np.diff(compute_planned_reported_share(profile, lags))
    np.testing.assert_allclose(hourly[5:], difference[4:], atol=1e-12)
