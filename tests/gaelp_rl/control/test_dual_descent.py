"""Dual mirror descent: signs, sizes and positivity of the two prices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaelp_rl.config.market import load_family
from gaelp_rl.control.dual_descent import DualDescent, DualDescentParams
from gaelp_rl.control.market_model import make_market_model
from gaelp_rl.control.spend_profile import (
    compute_planned_share_of_reports,
    make_optimal_profile,
    solve_prior_theta,
)
from tests.gaelp_rl.control.accounts import make_ledger, make_report, play, sample_reports

FAMILY = load_family("binding")
MODEL = make_market_model(FAMILY)
PARAMS = DualDescentParams(budget_step=2.0, cpa_step=1.0, initial_cpa_price=0.2, cpa_margin=0.9, prior_conversions=5.0)


def test_dual_descent__first_theta_by_hand() -> None:
    """lambda = 1 / prior theta and mu = 0.2 / aim, aim = 0.9 x $30, put into (1 + mu C) / (lambda + mu)."""
    planner = DualDescent(MODEL, FAMILY.objective, PARAMS)
    play(planner, make_ledger(), [])
    expected = 1.2 / (1.0 / solve_prior_theta(MODEL, 500.0) + 0.2 / 27.0)
    assert planner.theta[0] == pytest.approx(expected)


def test_dual_descent__budget_price_steps_by_the_error_of_the_hour() -> None:
    """One report of $40: ln lambda moves by 2 x (40 / 500 - planned share of the hours reported)."""
    planner = DualDescent(MODEL, FAMILY.objective, PARAMS)
    play(planner, make_ledger(), [make_report(1, spend=10.0)])
    profile = make_optimal_profile(MODEL, 500.0)
    error = 0.08 - compute_planned_share_of_reports(profile, MODEL.lag_hours, 1)
    expected = -np.log(solve_prior_theta(MODEL, 500.0)) + 2.0 * error
    assert np.log(planner.budget_price[0]) == pytest.approx(expected)


def test_dual_descent__spent_budget_does_not_make_money_cheap() -> None:
    """After the limit is reached hours without spend must not undo what the overspend taught."""
    planner = DualDescent(MODEL, FAMILY.objective, PARAMS)
    all_of_it = make_report(1, spend=[0.0, 500.0, 0.0, 0.0])
    play(planner, make_ledger(), [all_of_it])
    after_limit = planner.budget_price[0]
    play(planner, make_ledger(), [all_of_it, *(make_report(hour) for hour in range(2, 24))])
    assert planner.budget_price[0] == after_limit


def test_dual_descent__cpa_price_follows_the_balance() -> None:
    """The same $250 for no click and for 900 that are worth 27 x 0.017 each: e^(413.1 / 500) between them."""
    planner = DualDescent(MODEL, FAMILY.objective, PARAMS)
    spend = [0.0, 250.0, 0.0, 0.0]
    worlds = make_report(1, 2, clicks=[[0, 0, 0, 0], [0, 900, 0, 0]], spend=[spend, spend])
    play(planner, make_ledger(2), [worlds])
    assert planner.cpa_price[0] / planner.cpa_price[1] == pytest.approx(np.exp(27.0 * 0.017 * 900 / 500.0))
    assert abs(planner.theta[0] - 27.0) < abs(planner.theta[1] - 27.0)


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10.0), st.floats(0.01, 10.0))
def test_dual_descent__prices_stay_positive_and_theta_finite(seed: int, budget_step: float, cpa_step: float) -> None:
    params = DualDescentParams(budget_step=budget_step, cpa_step=cpa_step)
    planner = DualDescent(MODEL, FAMILY.objective, params)
    play(planner, make_ledger(2), sample_reports(np.random.default_rng(seed), 2, 26))
    assert (planner.budget_price > 0.0).all()
    assert (planner.cpa_price > 0.0).all()
    assert np.isfinite(planner.theta).all()
