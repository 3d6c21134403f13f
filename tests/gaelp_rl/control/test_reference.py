"""The reference controller: what it plans, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.market.noise import make_world_keys
from envs.market.simulation import WorldBooks, simulate_planner
from gaelp_rl.config.market import load_family
from gaelp_rl.control.conversion_worth import make_theta_plan
from gaelp_rl.control.market_model import make_market_model
from gaelp_rl.control.reference import REFERENCE_FEATURES, ReferenceController, ReferenceParams
from gaelp_rl.control.spend_profile import solve_prior_theta
from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.objective import Objective
from tests.gaelp_rl.control.accounts import make_ledger, make_report, play, sample_reports

FAMILY = load_family("campaign")
MODEL = make_market_model(FAMILY)


def make_objective(daily_budget: float, cpa_target: float = 1000.0) -> Objective:
    return Objective(daily_budget_micros=round(daily_budget * MICROS), cpa_target_micros=round(cpa_target * MICROS))


def solve_theta(objective: Objective, params: ReferenceParams | None = None) -> float:
    """Theta of the first hour, on an account that already bids as the prior median world would have it."""
    ledger = make_ledger()
    prior_theta = np.array([solve_prior_theta(MODEL, 500.0)])
    ledger.record_plan(make_theta_plan(prior_theta, MODEL.conversion_rate[None, :], ledger, MODEL, 500.0))
    planner = ReferenceController(MODEL, objective, params)
    planner.reset(ledger)
    planner.plan(ledger)
    return float(planner.theta[0])


@settings(max_examples=20)
@given(st.floats(400.0, 800.0), st.floats(1.05, 2.0))
def test_reference__theta_grows_with_the_budget(daily_budget: float, factor: float) -> None:
    assert solve_theta(make_objective(daily_budget * factor)) > solve_theta(make_objective(daily_budget))


@settings(max_examples=20)
@given(st.floats(10.0, 200.0), st.floats(1.0, 2.0))
def test_reference__theta_never_falls_with_the_cpa_target(cpa_target: float, factor: float) -> None:
    low, high = (solve_theta(make_objective(500.0, target)) for target in (cpa_target, cpa_target * factor))
    assert high >= low * (1.0 - 1e-5)


def test_reference__plans_the_whole_budget() -> None:
    """Its channel budgets, without headroom, are the planned spend of the day; they add up to the budget."""
    planner = ReferenceController(MODEL, make_objective(500.0), ReferenceParams(budget_headroom=1.0))
    play(planner, make_ledger(), [])
    assert planner.budget.sum() == pytest.approx(500.0, rel=0.01)


def test_reference__first_theta_is_near_the_prior_median_world_s() -> None:
    """It differs by the mean of the log-normal beliefs, the optimism and Monday's traffic, so only near."""
    assert solve_theta(make_objective(500.0)) == pytest.approx(solve_prior_theta(MODEL, 500.0), rel=0.3)


def test_reference__moves_money_to_the_channel_that_converts() -> None:
    """Google converts three times the prior in one world, a third in the other; all else is equal."""
    reports = []
    for hour in range(1, 73):
        clicks = np.tile([6, 6, 5, 2], (2, 1))
        rate = np.array([[0.165, 0.017, 0.008, 0.042], [0.018, 0.017, 0.008, 0.042]])
        reports.append(make_report(hour, 2, clicks, clicks * [2.0, 0.8, 0.5, 1.5], clicks * rate))
    planner = ReferenceController(MODEL, FAMILY.objective)
    play(planner, make_ledger(2), reports)
    assert planner.bid[0, 0] > 1.5 * planner.bid[1, 0]
    assert (planner.bid[0, 1:] < planner.bid[1, 1:]).all()


def test_reference__features_are_named_and_finite() -> None:
    planner = ReferenceController(MODEL, FAMILY.objective)
    play(planner, make_ledger(3), sample_reports(np.random.default_rng(0), 3, 5))
    features = planner.compute_features()
    assert features.shape == (3, len(REFERENCE_FEATURES))
    assert np.isfinite(features).all()


@pytest.fixture(scope="module")
def campaign_books() -> WorldBooks:
    planner = ReferenceController(MODEL, FAMILY.objective)
    return simulate_planner(planner, FAMILY, make_world_keys("validation", 0, 32))


def test_reference__spends_the_budget_and_never_more(campaign_books: WorldBooks) -> None:
    day_spend = campaign_books.spend_micros.sum(axis=2)
    assert day_spend.max() <= FAMILY.daily_budget_micros
    assert day_spend.mean() > 0.97 * FAMILY.daily_budget_micros


def test_reference__meets_a_loose_cpa_target_everywhere(campaign_books: WorldBooks) -> None:
    spend = campaign_books.spend_micros.sum(axis=(1, 2)) / MICROS
    assert (spend / campaign_books.expected_conversions.sum(axis=(1, 2)) < FAMILY.objective.cpa_target).all()


def test_reference__margin_buys_safety_where_the_target_binds() -> None:
    """The same 32 worlds under a $30 target: aiming lower breaks it in fewer of them."""
    family = load_family("binding")
    keys = make_world_keys("validation", 0, 32)
    shares = []
    for margin in (1.0, 0.8):
        planner = ReferenceController(make_market_model(family), family.objective, ReferenceParams(cpa_margin=margin))
        books = simulate_planner(planner, family, keys)
        cpa = books.spend_micros.sum(axis=(1, 2)) / MICROS / books.expected_conversions.sum(axis=(1, 2))
        shares.append((cpa > 30.0).mean())
    assert shares[1] < shares[0]


@pytest.mark.parametrize("caution", [0.0, 1.0])
def test_balance__counts_what_was_reported_less_its_noise(caution: float) -> None:
    """After 7 days, all of it ripe: 4 channels x 20 conversions at $30 allow $2,400, of which $2,000 are spent.

    A quarter of the 28 days is over, so a quarter of sqrt(80) conversions is withheld per unit of caution.
    """
    planner = ReferenceController(
        MODEL, make_objective(500.0, 30.0), ReferenceParams(cpa_margin=1.0, cpa_caution=caution)
    )
    ledger = make_ledger()
    busy = [make_report(hour, clicks=10, spend=25.0, conversions=1.0) for hour in range(1, 21)]
    play(planner, ledger, busy + [make_report(hour) for hour in range(21, 169)])
    expected = 30.0 * (80.0 - caution * 0.25 * np.sqrt(80.0)) - 2000.0
    assert planner._estimate_balance(ledger) == pytest.approx([expected], rel=1e-9)


def test_balance__clicks_still_to_convert_count_at_the_believed_rate() -> None:
    """Conversions a day after the click: of fresh clicks none is reported, and the belief is the prior's."""
    day_late = ConversionDelay(immediate=0.0, weights=(1.0,), mean_hours=(10_000.0,))
    planner = ReferenceController(MODEL, make_objective(500.0, 30.0), ReferenceParams(cpa_margin=1.0, cpa_caution=0.0))
    ledger = make_ledger(delay=day_late)
    play(planner, ledger, [make_report(1, clicks=100, spend=50.0)])
    rate = MODEL.conversion_rate * np.exp(planner.compute_log_conversion()[0]) * MODEL.bought_ratio
    assert planner._estimate_balance(ledger)[0] == pytest.approx(30.0 * 100.0 * rate.sum() - 200.0, rel=0.01)


def test_caution__breaks_a_binding_target_in_fewer_worlds() -> None:
    family = load_family("binding")
    keys = make_world_keys("validation", 0, 48)
    shares = []
    for caution in (0.0, 2.0):
        params = ReferenceParams(cpa_margin=1.0, cpa_caution=caution)
        planner = ReferenceController(make_market_model(family), family.objective, params)
        books = simulate_planner(planner, family, keys)
        cpa = books.spend_micros.sum(axis=(1, 2)) / MICROS / books.expected_conversions.sum(axis=(1, 2))
        shares.append((cpa > 30.0).mean())
    assert shares[1] < shares[0]
