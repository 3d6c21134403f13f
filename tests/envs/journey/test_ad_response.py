"""One user and one ad: the closed forms that the market's fidelities and the ad journey rest on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from envs.journey.ad_response import compute_ad_score, compute_click_probability, drift_interest, solve_log_odds

interests = st.floats(-1.0, 1.0)
weights = st.floats(0.05, 4.0)


@given(st.floats(0.001, 0.999), weights)
def test_solve_log_odds__gives_uniform_interests_the_mean_asked_for(mean: float, weight: float) -> None:
    """Against numerical integration of the logistic function over u in [-1, 1]."""
    log_odds = solve_log_odds(mean, weight)
    area, _ = integrate.quad(lambda u: 1.0 / (1.0 + math.exp(-log_odds - weight * u)), -1.0, 1.0)
    assert 0.5 * area == pytest.approx(mean, rel=1e-6)


@given(st.floats(-6.0, 6.0), interests, interests, weights)
def test_click_probability__rises_with_interest(log_odds: float, one: float, other: float, weight: float) -> None:
    chances = [compute_click_probability(compute_ad_score(log_odds, u, weight, 0, 0.1)) for u in sorted((one, other))]
    assert chances[0] <= chances[1]
    assert 0.0 < chances[0] < 1.0


def test_click_probability__of_score_0_is_one_half() -> None:
    """No click has score 0 too."""
    assert compute_click_probability(0.0) == 0.5
    assert compute_click_probability(math.log(3.0)) == pytest.approx(0.75)


@pytest.mark.parametrize(("fatigue", "mean_exposures"), [(0.1, 0.5), (0.1, 6.0), (0.3, 2.0)])
def test_ad_score__odds_fall_by_the_exponential_of_mean_exposures(fatigue: float, mean_exposures: float) -> None:
    """E[(1 - f)^N] = exp(-f m) for Poisson N: what makes both fidelities of the market tire alike."""
    counts = np.arange(200)
    odds = np.exp([compute_ad_score(0.0, 0.0, 1.0, n, fatigue) for n in counts])
    mean = float(odds @ stats.poisson.pmf(counts, mean_exposures))
    assert mean == pytest.approx(math.exp(-fatigue * mean_exposures))


@given(interests, st.floats(0.0, 1.0), st.floats(0.0, 1.0, exclude_min=True, exclude_max=True))
def test_drift_interest__stays_within_bounds_and_moves_by_at_most_a_step(
    interest: float, step: float, uniform: float
) -> None:
    moved = drift_interest(interest, step, uniform)
    assert -1.0 <= moved <= 1.0
    assert abs(moved - interest) <= step + 1e-12


@pytest.mark.parametrize("step", [0.1, 0.35, 1.0])
def test_drift_interest__keeps_a_uniform_distribution_uniform(step: float) -> None:
    """A fine grid of interests, half of each cell down and half up, covers [-1, 1] as evenly as before."""
    grid = (np.arange(20_000) + 0.5) / 10_000.0 - 1.0
    moved = [drift_interest(u, step, side) for u in grid for side in (0.25, 0.75)]
    counts, _ = np.histogram(moved, bins=20, range=(-1.0, 1.0))
    assert np.abs(counts - 2_000).max() <= 4
