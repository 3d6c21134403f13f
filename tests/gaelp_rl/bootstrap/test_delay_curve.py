"""The product limit: by hand, without censoring, and its coverage with it."""

from __future__ import annotations

import numpy as np
import pytest

from gaelp_rl.bootstrap.delay_curve import WatchedClicks, estimate_delay_curve
from gaelp_rl.domain.conversion_delay import ConversionDelay

NAN = np.nan
AGES = np.array([1.0, 2.0, 3.0, 4.0, 10.0])


def test_estimate_delay_curve__equals_a_product_limit_by_hand():
    """Six clicks: converted at 1 and 3, watched until 2, 2, 10 and 10. S(1) = 5/6; S(3) = 5/6 x 2/3 = 5/9."""
    clicks = WatchedClicks(np.array([10.0, 10, 2, 2, 10, 10]), np.array([1.0, 3, NAN, NAN, NAN, NAN]))
    curve = estimate_delay_curve(clicks, AGES)
    np.testing.assert_allclose(curve.converted, [1 / 6, 1 / 6, 4 / 9, 4 / 9, 4 / 9])
    np.testing.assert_allclose(curve.share, [3 / 8, 3 / 8, 1, 1, 1])
    assert curve.at_risk.tolist() == [6, 5, 3, 2, 2]


def test_estimate_delay_curve__is_the_empirical_distribution_where_all_were_watched_to_the_end():
    rng = np.random.default_rng(0)
    delay = np.where(rng.random(500) < 0.3, rng.exponential(2.0, 500), NAN)
    delay[delay > 10.0] = NAN
    curve = estimate_delay_curve(WatchedClicks(np.full(500, 10.0), delay), AGES)
    came = np.array([(delay <= age).sum() for age in AGES])
    np.testing.assert_allclose(curve.converted, came / 500)
    np.testing.assert_allclose(curve.share, came / came[-1])


def test_estimate_delay_curve__says_nothing_without_conversions():
    curve = estimate_delay_curve(WatchedClicks(np.full(5, 10.0), np.full(5, NAN)), AGES)
    assert np.isnan(curve.share).all()
    assert curve.converted.tolist() == [0.0] * 5


def sample_clicks(rng, count, delay, rate, window):
    """Clicks spread over ``window`` hours before the export's end."""
    watched = rng.uniform(0.0, window, count)
    component = rng.choice(3, count, p=[delay.immediate, *delay.weights])
    means = np.array([0.3, *delay.mean_hours])[component]
    hours = np.where(component == 0, rng.uniform(0.0, 1.0, count), rng.exponential(means))
    came = (rng.random(count) < rate) & (hours <= watched)
    return WatchedClicks(watched, np.where(came, hours, NAN))


def test_estimate_delay_curve__covers_the_truth_where_a_naive_count_does_not():
    """90 % intervals over 300 exports; clicks of the last hours are still being waited for."""
    truth, window = ConversionDelay(0.35, (0.1, 0.55), (10.0, 120.0)), 480.0
    ages = np.array([1.0, 24.0, 72.0, 168.0, 432.0])
    true_share = truth.compute_cdf(ages) / truth.compute_cdf(ages[-1:])
    rng = np.random.default_rng(1)
    inside, naive = [], []
    for _ in range(300):
        clicks = sample_clicks(rng, 4000, truth, 0.05, window)
        curve = estimate_delay_curve(clicks, ages)
        inside.append((curve.low <= true_share) & (true_share <= curve.high))
        naive.append([(clicks.delay_hours <= age).sum() / curve.num_conversions for age in ages])
    coverage = np.mean(inside, axis=0)[:-1]
    assert (coverage > 0.85).all(), coverage
    assert (coverage < 0.95).all(), coverage
    assert np.mean(naive, axis=0)[2] > true_share[2] + 0.03


@pytest.mark.parametrize(("watched", "horizon"), [(1000.0, 720.0), (100.0, 100.0)])
def test_find_horizon__is_the_window_or_what_was_watched(watched, horizon):
    clicks = WatchedClicks(np.full(50, watched), np.full(50, NAN))
    assert clicks.find_horizon(30) == horizon
