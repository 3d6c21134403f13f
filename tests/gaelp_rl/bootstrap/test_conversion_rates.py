"""Wilson's interval, and clicks that count in part."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gaelp_rl.bootstrap.conversion_rates import compute_effective_clicks, compute_effective_sd, estimate_rate
from gaelp_rl.domain.conversion_delay import ConversionDelay

DELAY = ConversionDelay(0.35, (0.1, 0.55), (10.0, 120.0))


@pytest.mark.parametrize(("events", "trials"), [(0, 10), (1, 10), (5, 10), (10, 10), (30, 1500)])
def test_estimate_rate__is_wilsons_interval(events, trials):
    """Against scipy's own."""
    rate = estimate_rate(events, trials, confidence=0.9)
    expected = stats.binomtest(events, trials).proportion_ci(0.9, method="wilson")
    np.testing.assert_allclose((rate.low, rate.high), (expected.low, expected.high), atol=1e-9)
    assert rate.estimate == events / trials


@given(st.floats(0.0, 50.0), st.floats(0.5, 500.0), st.floats(0.0, 1.0))
def test_estimate_rate__stays_a_share_and_widens_with_the_doubt_about_trials(events, trials, log_sd):
    plain, wide = estimate_rate(min(events, trials), trials), estimate_rate(min(events, trials), trials, log_sd)
    assert 0.0 <= wide.low <= plain.low + 1e-12
    assert plain.high - 1e-12 <= wide.high <= 1.0
    assert plain.low - 1e-9 <= plain.estimate <= plain.high + 1e-9


def test_estimate_rate__without_trials_knows_nothing():
    rate = estimate_rate(0, 0)
    assert np.isnan(rate.estimate)
    assert (rate.low, rate.high) == (0.0, 1.0)


def test_compute_effective_clicks__counts_a_click_by_what_had_time_to_come():
    window = 720.0
    whole = float(DELAY.compute_cdf(np.array(window)))
    assert compute_effective_clicks(np.array([window, 2 * window]), DELAY, window) == pytest.approx(2.0)
    expected = float(DELAY.compute_cdf(np.array(24.0))) / whole
    assert compute_effective_clicks(np.array([24.0]), DELAY, window) == pytest.approx(expected)


def test_compute_effective_sd__is_zero_for_old_clicks_and_follows_the_slope():
    """One parameter that moves the log of the exposure by 2 per unit, sd 0.1: 0.2."""
    later = ConversionDelay(0.35, (0.1, 0.55), (10.0, 121.0))
    assert compute_effective_sd(np.full(9, 720.0), [DELAY, later], np.eye(1), 720.0, 1.0) == pytest.approx(0.0)
    young = np.full(9, 24.0)
    slope = np.log(compute_effective_clicks(young, later, 720.0) / compute_effective_clicks(young, DELAY, 720.0))
    found = compute_effective_sd(young, [DELAY, later], np.array([[0.01]]), 720.0, 1.0)
    assert found == pytest.approx(abs(slope) * 0.1)
