"""PID pacing: which way theta moves, and how far."""

from __future__ import annotations

import numpy as np
import pytest

from gaelp_rl.config.market import load_family
from gaelp_rl.control.market_model import make_market_model
from gaelp_rl.control.pid import PidPacing, PidParams
from gaelp_rl.control.spend_profile import compute_planned_reported_share, make_optimal_profile, solve_prior_theta
from tests.gaelp_rl.control.accounts import make_ledger, make_report, play

FAMILY = load_family("campaign")
BINDING = load_family("binding")
MODEL = make_market_model(FAMILY)
PROFILE = make_optimal_profile(MODEL, 500.0)
PACING_ONLY = PidParams(proportional=2.0, integral=0.1, derivative=0.0, cpa_gain=0.0)


def make_pid(params: PidParams = PACING_ONLY, family: object = FAMILY) -> PidPacing:
    return PidPacing("pid-profile", PROFILE, MODEL, family.objective, params)  # type: ignore[attr-defined]


def test_pid__starts_at_the_prior_theta() -> None:
    planner = make_pid()
    play(planner, make_ledger(), [])
    assert planner.theta[0] == pytest.approx(solve_prior_theta(MODEL, 500.0))


@pytest.mark.parametrize(("pace", "moves"), [(0.5, 1), (2.0, -1)])
def test_pid__theta_rises_when_under_pacing_and_falls_when_over(pace: float, moves: int) -> None:
    planned = compute_planned_reported_share(PROFILE, MODEL.lag_hours) * 500.0
    planner = make_pid()
    reports = [
        make_report(hour, spend=[0.0, pace * (planned[hour] - planned[hour - 1]), 0.0, 0.0]) for hour in range(1, 13)
    ]
    play(planner, make_ledger(), reports)
    assert np.sign(planner.theta[0] / solve_prior_theta(MODEL, 500.0) - 1.0) == moves


def test_pid__one_hour_by_hand() -> None:
    """Nothing spent by 5:00: ln theta = level + 0.1 (errors so far) + 2 (error now), error = the profile."""
    planned = compute_planned_reported_share(PROFILE, MODEL.lag_hours)
    planner = make_pid()
    play(planner, make_ledger(), [make_report(hour) for hour in range(1, 6)])
    expected = np.log(solve_prior_theta(MODEL, 500.0)) + 0.1 * planned[:6].sum() + 2.0 * planned[5]
    assert np.log(planner.theta[0]) == pytest.approx(expected)


def test_pid__derivative_does_not_kick_at_midnight() -> None:
    """The error starts anew with the day; its jump says nothing about the market."""
    params = PidParams(proportional=0.0, integral=0.0, derivative=5.0, cpa_gain=0.0)
    planner = make_pid(params)
    play(planner, make_ledger(), [make_report(hour) for hour in range(1, 25)])
    assert planner.theta[0] == pytest.approx(solve_prior_theta(MODEL, 500.0))


def test_pid__cpa_loop_lowers_theta_when_clicks_do_not_convert() -> None:
    """On plan with its spend, but far above a $30 CPA: the second loop must take over."""
    planned = compute_planned_reported_share(PROFILE, MODEL.lag_hours) * 500.0
    reports = [
        make_report(hour, clicks=[0, 10, 0, 0], spend=[0.0, max(planned[hour % 24] - planned[hour % 24 - 1], 0), 0, 0])
        for hour in range(1, 24)
    ]
    params = PidParams(proportional=0.0, integral=0.0, cpa_gain=0.2)
    planner = make_pid(params, BINDING)
    play(planner, make_ledger(), reports)
    assert planner.theta[0] < 0.5 * solve_prior_theta(MODEL, 500.0)


def test_pid__cpa_loop_does_not_wind_up() -> None:
    """Days far below the CPA target must not delay the reaction to the first bad one."""
    cheap = [make_report(hour, clicks=50, spend=1.0, conversions=3) for hour in range(1, 240)]
    planner = make_pid(PidParams(proportional=0.0, integral=0.0, cpa_gain=0.2), BINDING)
    play(planner, make_ledger(), cheap)
    assert np.log(planner.theta[0]) <= np.log(solve_prior_theta(MODEL, 500.0)) + 0.2
