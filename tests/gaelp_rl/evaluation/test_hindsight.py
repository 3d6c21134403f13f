"""The hindsight optimum against an LP, brute force, and plans that it must dominate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import linprog
from scipy.special import ndtr

from gaelp_rl.domain.landscape import compute_bid_for_marginal_cost
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.domain.response_curves import ResponseCurves
from gaelp_rl.errors import DataError
from gaelp_rl.evaluation.hindsight import HindsightOptimum, compute_hindsight_optimum

_SIGMA = np.repeat([0.8, 0.6], 3)
_FIRST_PRICE = np.repeat([False, True], 3)


def make_curves(seed: int, hours: int, worlds: int = 1, price_scale: float = 1.0) -> ResponseCurves:
    """Two channels (second and first price) of three devices with random volumes, prices and CVR."""
    rng = np.random.default_rng(seed)
    shape = (worlds, hours, 6)
    return ResponseCurves(
        click_volume=rng.gamma(2.0, 3.0, shape),
        price_median=price_scale * np.repeat([2.5, 0.8], 3) * rng.lognormal(0.0, 0.3, shape),
        conversion_rate=np.repeat([0.05, 0.01], 3) * rng.lognormal(0.0, 0.4, shape),
        sigma=_SIGMA,
        first_price=_FIRST_PRICE,
    )


def make_objective(budget: float, cpa_target: float) -> Objective:
    """An objective from currency units."""
    return Objective(daily_budget_micros=round(budget * MICROS), cpa_target_micros=round(cpa_target * MICROS))


def buy(curves: ResponseCurves, bid: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Conversions and spend [worlds, hours, cells] at bids above 0 of the same shape.

    Log-normal competing bids by scipy's distribution functions, beside the compiled formulas.
    """
    z = np.log(bid / curves.price_median) / curves.sigma
    second_price_spend = curves.price_median * np.exp(0.5 * curves.sigma**2) * ndtr(z - curves.sigma)
    spend_per_offer = np.where(curves.first_price, bid * ndtr(z), second_price_spend)
    return curves.click_volume * ndtr(z) * curves.conversion_rate, curves.click_volume * spend_per_offer


def solve_lp(curves: ResponseCurves, objective: Objective, hours_per_day: int, points: int = 100) -> float:
    """The same problem as an LP over a grid of bids per cell, by HiGHS; world 0."""
    z = np.linspace(-4.0, 4.0, points)
    hours, cells = curves.click_volume.shape[1:]
    bids = curves.price_median[0][:, :, None] * np.exp(curves.sigma[:, None] * z)
    conversions, spend = np.zeros(bids.shape), np.zeros(bids.shape)
    for point in range(points):
        bought, paid = buy(curves, bids[None, :, :, point])
        conversions[:, :, point], spend[:, :, point] = bought[0], paid[0]
    v, c = conversions.ravel(), spend.ravel()
    one_bid = sparse.kron(sparse.eye(hours * cells), np.ones((1, points)))
    day_of = np.repeat(np.arange(hours) // hours_per_day, cells * points)
    days = hours // hours_per_day
    budget = sparse.csr_matrix((c, (day_of, np.arange(c.size))), shape=(days, c.size))
    cpa = sparse.csr_matrix(c - objective.cpa_target * v)
    result = linprog(  # type: ignore[call-overload]  # the stubs know no sparse matrices
        -v,
        A_ub=sparse.vstack([one_bid, budget, cpa]),
        b_ub=np.concatenate([np.ones(hours * cells), np.full(days, objective.daily_budget), [0.0]]),
        method="highs",
    )
    assert result.status == 0
    return float(-result.fun)


@pytest.mark.parametrize(
    ("hours", "hours_per_day", "budget", "cpa_target", "is_binding"),
    [
        (24, 24, 150.0, 1000.0, False),
        (48, 24, 100.0, 1000.0, False),
        (24, 24, 400.0, 20.0, True),
        (24, 8, 25.0, 15.0, True),
    ],
)
def test_compute_hindsight_optimum__equals_linear_program(
    hours: int, hours_per_day: int, budget: float, cpa_target: float, is_binding: bool
) -> None:
    """Bisection and HiGHS are two independent solvers of one problem; a grid of bids costs the LP < 1e-3."""
    curves = make_curves(seed=hours, hours=hours)
    objective = make_objective(budget, cpa_target)
    optimum = compute_hindsight_optimum(curves, objective, hours_per_day)
    assert bool(optimum.is_cpa_binding[0]) is is_binding
    solution = solve_lp(curves, objective, hours_per_day)
    assert solution * (1 - 1e-5) <= optimum.expected_conversions[0] <= solution * (1 + 1e-3)


def test_compute_hindsight_optimum__equals_brute_force_on_two_cells() -> None:
    """One hour, two live cells (one of each auction form): 400 x 400 bids tried one by one."""
    curves = make_curves(seed=5, hours=1)
    volume = np.zeros((1, 1, 6))
    volume[0, 0, [0, 3]] = 40.0
    curves = replace(curves, click_volume=volume)
    grid = np.exp(np.linspace(-3.0, 3.0, 400))
    conversions, spend = [], []
    for cell in (0, 3):
        bids = np.full((1, 400, 6), 1e-9)
        bids[0, :, cell] = grid
        many = replace(
            curves,
            click_volume=np.repeat(volume, 400, axis=1),
            price_median=np.repeat(curves.price_median, 400, axis=1),
            conversion_rate=np.repeat(curves.conversion_rate, 400, axis=1),
        )
        bought, paid = buy(many, bids)
        conversions.append(bought.sum(axis=(0, 2)))
        spend.append(paid.sum(axis=(0, 2)))
    total_v = conversions[0][:, None] + conversions[1][None, :]
    total_c = spend[0][:, None] + spend[1][None, :]
    for budget, target in ((60.0, 1000.0), (1000.0, 50.0)):
        feasible = (total_c <= budget) & (total_c <= target * total_v)
        optimum = compute_hindsight_optimum(curves, make_objective(budget, target), hours_per_day=1)
        brute = total_v[feasible].max()
        assert brute <= optimum.expected_conversions[0] * (1 + 1e-5)
        assert optimum.expected_conversions[0] == pytest.approx(brute, rel=5e-3)


def test_compute_hindsight_optimum__bids_from_theta_buy_it() -> None:
    """theta is what a controller would bid by: the landscape's own formulas give the same totals."""
    curves = make_curves(seed=1, hours=48, worlds=2)
    optimum = compute_hindsight_optimum(curves, make_objective(90.0, 26.0))
    theta = np.repeat(optimum.theta, 24, axis=1)
    bid = np.zeros(curves.click_volume.shape)
    for index in np.ndindex(bid.shape):
        marginal_cost = theta[index[:2]] * curves.conversion_rate[index]
        cell = index[2]
        bid[index] = compute_bid_for_marginal_cost(
            marginal_cost, curves.price_median[index], curves.sigma[cell], bool(curves.first_price[cell])
        )
    conversions, spend = buy(curves, bid)
    by_channel = (2, 48, 2, 3)
    np.testing.assert_allclose(conversions.sum(axis=(1, 2)), optimum.expected_conversions, rtol=1e-5)
    np.testing.assert_allclose(spend.reshape(2, 2, 24, 6).sum(axis=(2, 3)), optimum.spend, rtol=1e-4)
    np.testing.assert_allclose(
        conversions.reshape(by_channel).sum(axis=(1, 3)), optimum.conversions_by_channel, rtol=1e-5
    )
    np.testing.assert_allclose(spend.reshape(by_channel).sum(axis=(1, 3)), optimum.spend_by_channel, rtol=1e-4)


def check_constraints(optimum: HindsightOptimum, objective: Objective) -> None:
    """Every day within budget, the whole life within the CPA target."""
    assert (optimum.spend <= objective.daily_budget * (1 + 1e-9)).all()
    total = optimum.spend.sum(axis=1)
    assert (total <= objective.cpa_target * optimum.expected_conversions * (1 + 1e-9)).all()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    budget=st.floats(5.0, 1000.0),
    cpa_target=st.floats(5.0, 200.0),
    bid_spread=st.floats(0.0, 1.5),
    bid_level=st.floats(-2.0, 2.0),
)
def test_compute_hindsight_optimum__no_random_feasible_plan_buys_more(
    seed: int, budget: float, cpa_target: float, bid_spread: float, bid_level: float
) -> None:
    """An upper bound, even for plans that a platform throttles evenly to the day's budget."""
    curves = make_curves(seed, hours=48, worlds=2)
    objective = make_objective(budget, cpa_target)
    optimum = compute_hindsight_optimum(curves, objective)
    check_constraints(optimum, objective)
    rng = np.random.default_rng(seed + 1)
    bid = curves.price_median * rng.lognormal(bid_level, bid_spread, curves.price_median.shape)
    conversions, spend = (x.reshape(2, 2, -1).sum(axis=2) for x in buy(curves, bid))
    throttle = np.minimum(1.0, budget / spend)
    conversions, spend = (conversions * throttle).sum(axis=1), (spend * throttle).sum(axis=1)
    is_feasible = spend <= cpa_target * conversions
    assert (conversions[is_feasible] <= optimum.expected_conversions[is_feasible] * (1 + 1e-5)).all()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), budget=st.floats(5.0, 500.0), target=st.floats(5.0, 200.0), more=st.floats(1.0, 3.0)
)
def test_compute_hindsight_optimum__looser_limits_never_buy_less(
    seed: int, budget: float, target: float, more: float
) -> None:
    """Every plan that met the tighter limits meets the looser ones."""
    curves = make_curves(seed, hours=24)
    base = compute_hindsight_optimum(curves, make_objective(budget, target)).expected_conversions[0]
    richer = compute_hindsight_optimum(curves, make_objective(budget * more, target)).expected_conversions[0]
    laxer = compute_hindsight_optimum(curves, make_objective(budget, target * more)).expected_conversions[0]
    assert richer >= base * (1 - 1e-9)
    assert laxer >= base * (1 - 1e-9)


def test_compute_hindsight_optimum__binding_budget_is_spent_and_small_market_is_bought_out() -> None:
    """The two ends: spend equals the budget, or all clicks are won and the rest of the money stays."""
    curves = make_curves(seed=2, hours=24)
    tight = compute_hindsight_optimum(curves, make_objective(20.0, 1000.0))
    assert tight.spend[0, 0] == pytest.approx(20.0, rel=1e-6)
    everything = compute_hindsight_optimum(curves, make_objective(1e7, 1e6))
    all_conversions = (curves.click_volume * curves.conversion_rate).sum()
    assert everything.expected_conversions[0] == pytest.approx(all_conversions, rel=1e-4)


def test_compute_hindsight_optimum__dead_cells_and_outages_buy_nothing() -> None:
    """No volume, no conversions or an infinite price in an hour is an outage, not an error."""
    curves = make_curves(seed=3, hours=24)
    curves.click_volume[0, :8] = 0.0
    curves.conversion_rate[0, 8:16, :3] = 0.0
    curves.price_median[0, 16:, 3:] = np.inf
    optimum = compute_hindsight_optimum(curves, make_objective(50.0, 100.0))
    assert np.isfinite(optimum.expected_conversions).all()
    assert optimum.spend[0, 0] == pytest.approx(50.0, rel=1e-6)
    curves.click_volume[:] = 0.0
    nothing = compute_hindsight_optimum(curves, make_objective(50.0, 100.0))
    assert nothing.expected_conversions[0] == 0.0
    assert nothing.spend[0, 0] == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"price_median": np.ones((1, 24, 3))}, "price_median has shape"),
        ({"click_volume": np.full((1, 24, 6), np.nan)}, "click_volume holds a NaN"),
        ({"sigma": np.ones(5)}, "3 devices for every channel"),
        ({"sigma": np.zeros(6)}, "log-sd above 0"),
    ],
)
def test_compute_hindsight_optimum__refuses_unreadable_curves(change: dict[str, Any], message: str) -> None:
    """A NaN or a wrong axis would otherwise end as a quietly wrong bound."""
    with pytest.raises(DataError, match=message):
        compute_hindsight_optimum(replace(make_curves(seed=4, hours=24), **change), Objective())


def test_compute_hindsight_optimum__refuses_part_of_a_day() -> None:
    """Half a day has no daily budget."""
    with pytest.raises(DataError, match="whole days of 24"):
        compute_hindsight_optimum(make_curves(seed=4, hours=36), Objective())
