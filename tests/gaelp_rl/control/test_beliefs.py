"""Beliefs: they find the truth in simulated reports, and grow surer on the way."""

from __future__ import annotations

import numpy as np
import pytest

from gaelp_rl.config.market import load_family
from gaelp_rl.control.beliefs import Beliefs, make_beliefs, update_beliefs
from gaelp_rl.control.market_model import GRID_LOW, GRID_STEP, make_market_model
from gaelp_rl.domain.channels import NUM_CHANNELS
from gaelp_rl.domain.ledger import METRICS

FAMILY = load_family("campaign").model_copy(
    update={"conversion_drift_sd": 0.0, "price_drift_sd": 0.0, "volume_drift_sd": 0.0}
)
MODEL = make_market_model(FAMILY)._replace(bought_ratio=np.ones(NUM_CHANNELS))
"""A market whose clicks all convert alike, so that a channel has one rate."""
WORLDS = 200
TRUTH = {"log_conversion": 0.5, "log_price": -0.3, "log_volume": 0.4}


def sample_rows(hour: int, bid: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Report rows of a market that is the model at ``TRUTH``: Poisson counts, prices at their mean."""
    rows = np.zeros((WORLDS, NUM_CHANNELS, len(METRICS)))
    for c in range(NUM_CHANNELS):
        reported = hour - 1 - int(MODEL.lag_hours[c])
        if reported < 0:
            continue
        price = MODEL.price_median[c] * MODEL.hour_price[c, reported % 24] * np.exp(TRUTH["log_price"])
        position = (np.log(bid[:, c] / price) - GRID_LOW) / GRID_STEP
        won = np.interp(position, np.arange(MODEL.clicks_now.shape[1]), MODEL.clicks_now[c])
        paid = np.interp(position, np.arange(MODEL.spend_now.shape[1]), MODEL.spend_now[c])
        for_sale = (
            MODEL.click_volume[c]
            * np.exp(TRUTH["log_volume"])
            * MODEL.hour_traffic[c, reported % 24]
            * MODEL.weekday_traffic[c, reported // 24 % 7]
        )
        clicks = rng.poisson(for_sale * won)
        rate = MODEL.conversion_rate[c] * np.exp(TRUTH["log_conversion"])
        rows[:, c, 1] = clicks
        rows[:, c, 2] = clicks * price * paid / won
        rows[:, c, 3] = rng.poisson(clicks * rate)
        rows[:, c, 4] = clicks
    return rows


def learn(days: int, is_free: bool = True) -> Beliefs:
    rng = np.random.default_rng(5)
    beliefs = make_beliefs(WORLDS, MODEL, 1.0)
    ring = np.empty((8, WORLDS, NUM_CHANNELS))
    for hour in range(24 * days):
        if hour:
            rows = sample_rows(hour, ring[(hour - 1) % 8], rng)
            update_beliefs(hour, rows, ring, np.full(WORLDS, is_free), beliefs, MODEL, 1.0)
        ring[hour % 8] = MODEL.price_median
    return beliefs


@pytest.fixture(scope="module")
def two_weeks() -> Beliefs:
    return learn(14)


@pytest.mark.parametrize("quantity", sorted(TRUTH))
def test_update_beliefs__finds_the_truth(two_weeks: Beliefs, quantity: str) -> None:
    """Averaged over 200 worlds the error must be far below the prior's 0.4 to 0.5."""
    error = getattr(two_weeks, quantity) - TRUTH[quantity]
    assert np.abs(error.mean(axis=0)).max() < 0.06


def test_update_beliefs__is_as_sure_as_it_may_be(two_weeks: Beliefs) -> None:
    """Squared errors over posterior variances average 1 when the filter is calibrated."""
    z = (two_weeks.log_conversion - TRUTH["log_conversion"]) / np.sqrt(two_weeks.conversion_variance)
    assert 0.7 < float(np.mean(z**2)) < 1.4


def test_update_beliefs__variances_shrink(two_weeks: Beliefs) -> None:
    prior, early = make_beliefs(WORLDS, MODEL, 1.0), learn(1)
    for name in ("conversion_variance", "price_variance", "volume_variance"):
        before, between, after = (getattr(beliefs, name).mean(axis=0) for beliefs in (prior, early, two_weeks))
        assert (after < between).all()
        assert (between < before).all()


def test_update_beliefs__conversion_posterior_is_conjugate() -> None:
    """Against the gamma posterior of the same mean and log-variance: n = 1 / variance prior conversions."""
    beliefs = make_beliefs(WORLDS, MODEL, 1.0)
    rows = np.zeros((WORLDS, NUM_CHANNELS, len(METRICS)))
    rows[:, 0, 3], rows[:, 0, 4] = 1.0, 20.0
    ring = np.full((8, WORLDS, NUM_CHANNELS), 1.0)
    for hour in range(1, 200):
        update_beliefs(hour, rows, ring, np.zeros(WORLDS, dtype=np.bool_), beliefs, MODEL, 1.0)
    n = 1.0 / MODEL.conversion_log_sd**2
    expected = (n + 199.0) / (n / MODEL.conversion_rate[0] + 199.0 * 20.0)
    rate = MODEL.conversion_rate[0] * np.exp(beliefs.log_conversion[0, 0])
    assert rate == pytest.approx(expected, rel=0.03)


def test_update_beliefs__few_clicks_on_a_spent_budget_say_nothing_about_demand() -> None:
    """Silent hours make a world that could have bought expect fewer clicks, by price or volume; no other."""
    beliefs = make_beliefs(2, MODEL, 1.0)
    ring = np.tile(MODEL.price_median, (8, 2, 1))
    silent = np.zeros((2, NUM_CHANNELS, len(METRICS)))
    for hour in range(4, 24):
        update_beliefs(hour, silent, ring, np.array([True, False]), beliefs, MODEL, 1.0)
    x = (-beliefs.log_price[0] - GRID_LOW) / GRID_STEP
    points = np.arange(MODEL.clicks_now.shape[1])
    won = np.array([np.interp(x[c], points, MODEL.clicks_now[c]) for c in range(NUM_CHANNELS)])
    won_before = np.array([np.interp(-GRID_LOW / GRID_STEP, points, table) for table in MODEL.clicks_now])
    assert (np.exp(beliefs.log_volume[0]) * won < 0.5 * won_before).all()
    np.testing.assert_array_equal(beliefs.log_volume[1], 0.0)
    np.testing.assert_array_equal(beliefs.log_price[1], 0.0)


def test_update_beliefs__drift_widens_what_is_not_observed() -> None:
    """Without a report variances grow by the drift, in proportion to its gain."""
    model = make_market_model(load_family("campaign"))
    ring = np.tile(model.price_median, (8, 1, 1))
    nothing = np.zeros((1, NUM_CHANNELS, len(METRICS)))
    growth = []
    for gain in (1.0, 3.0):
        beliefs = make_beliefs(1, model, 1.0)
        before = beliefs.conversion_variance.copy()
        update_beliefs(1, nothing, ring, np.array([False]), beliefs, model, gain)
        growth.append(beliefs.conversion_variance - before)
    np.testing.assert_allclose(growth[0], model.conversion_drift, rtol=1e-6)
    np.testing.assert_allclose(growth[1], 3.0 * growth[0], rtol=1e-6)


def test_make_beliefs__strength_divides_the_prior_variance() -> None:
    weak, strong = make_beliefs(1, MODEL, 1.0), make_beliefs(1, MODEL, 4.0)
    np.testing.assert_allclose(strong.conversion_variance - 1e-6, (weak.conversion_variance - 1e-6) / 4.0)


def test_update_beliefs__allows_for_buying_the_better_clicks() -> None:
    """Bought clicks that convert a quarter better than all clicks, at exactly that rate: nothing to learn."""
    model = MODEL._replace(bought_ratio=np.full(NUM_CHANNELS, 1.25))
    beliefs = make_beliefs(1, model, 1.0)
    rows = np.zeros((1, NUM_CHANNELS, len(METRICS)))
    rows[:, :, 4] = 40.0
    rows[:, :, 3] = 40.0 * 1.25 * model.conversion_rate
    ring = np.tile(model.price_median, (8, 1, 1))
    for hour in range(1, 50):
        update_beliefs(hour, rows, ring, np.array([False]), beliefs, model, 1.0)
    np.testing.assert_allclose(beliefs.log_conversion, 0.0, atol=1e-12)
