"""Bids from conversion rates and a marginal cost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.config.calibration import DEFAULT_CALIBRATION, make_calibration_arrays
from gaelp_rl.config.market import load_family
from gaelp_rl.control.conversion_worth import compute_conversion_rate, compute_cpa_balance, make_theta_plan
from gaelp_rl.control.market_model import make_market_model
from gaelp_rl.domain.channels import NUM_CHANNELS
from gaelp_rl.domain.landscape import compute_win_share
from gaelp_rl.domain.money import MICROS
from tests.gaelp_rl.control.accounts import make_ledger, make_report

STOCK = make_calibration_arrays(DEFAULT_CALIBRATION)

MODEL = make_market_model(load_family("campaign"))
NOON = 13  # the hour at which conversion rates peak


def test_conversion_rate__is_the_prior_before_reports() -> None:
    np.testing.assert_allclose(compute_conversion_rate(make_ledger(2), MODEL, 5.0)[1], MODEL.conversion_rate)


def test_conversion_rate__weighs_prior_and_reports_by_hand() -> None:
    """TikTok: prior 0.008 with 4 conversions (500 clicks), then 12 of 100 clicks: (4 + 12) / (500 + 100)."""
    ledger = make_ledger()
    ledger.observe(make_report(1, clicks=[0, 0, 100, 0], conversions=[0, 0, 12, 0]))
    rate = compute_conversion_rate(ledger, MODEL, 4.0)[0]
    assert rate[2] == pytest.approx(16.0 / 600.0)
    assert rate[1] == pytest.approx(MODEL.conversion_rate[1])


def test_cpa_balance__is_spend_minus_what_conversions_may_cost() -> None:
    """$90 for 100 clicks at 1 %: one conversion worth the aim of $60, so $30 too much."""
    ledger = make_ledger()
    ledger.observe(make_report(1, clicks=[0, 100, 0, 0], spend=[0, 90.0, 0, 0]))
    balance = compute_cpa_balance(ledger, np.full((1, NUM_CHANNELS), 0.01), 60.0)
    assert balance[0] == pytest.approx(30.0)


def test_theta_plan__second_price_bids_are_what_a_click_is_worth() -> None:
    """Meta, inertial: no hourly profile, so exactly theta x rate, to the cent."""
    plan = make_theta_plan(np.array([60.0]), np.full((1, NUM_CHANNELS), 0.02), make_ledger(), MODEL, 500.0)
    assert plan.bid_micros[0, 1] == 1.20 * MICROS


@given(st.floats(20.0, 150.0))
def test_theta_plan__first_price_bid_has_marginal_cost_theta(theta: float) -> None:
    """TikTok: d(spend) / d(conversions) at the bid, by central differences of b x P(win), is theta."""
    c = int(np.flatnonzero(STOCK.first_price)[0])
    rate = MODEL.conversion_rate[None, :]
    bid = make_theta_plan(np.array([theta]), rate, make_ledger(), MODEL, 500.0).bid_micros[0, c] / MICROS

    def won(b: float) -> float:
        return compute_win_share(b, MODEL.price_median[c], STOCK.price_sigma[c])

    up, down = bid * 1.001, bid * 0.999
    marginal = (up * won(up) - down * won(down)) / (won(up) - won(down)) / rate[0, c]
    assert marginal == pytest.approx(theta, rel=0.02 + 0.01 / bid)


def test_theta_plan__bids_follow_the_hour_where_the_platform_lets_them() -> None:
    ledger = make_ledger()
    midnight = make_theta_plan(np.array([50.0]), MODEL.conversion_rate[None, :], ledger, MODEL, 500.0)
    for hour in range(1, NOON + 1):
        ledger.observe(make_report(hour))
    noon = make_theta_plan(np.array([50.0]), MODEL.conversion_rate[None, :], ledger, MODEL, 500.0)
    ratio = noon.bid_micros[0] / midnight.bid_micros[0]
    expected = STOCK.hour_conversion_ratio[:, NOON] / STOCK.hour_conversion_ratio[:, 0]
    np.testing.assert_allclose(ratio[[0, 3]], expected[[0, 3]], rtol=0.01)
    np.testing.assert_array_equal(ratio[[1, 2]], 1.0)
