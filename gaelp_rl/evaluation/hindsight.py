"""The hindsight optimum: the most conversions that full knowledge of a world could have bought.

    maximise   sum_i v_i    subject to    sum_{i in day d} c_i <= B  for every day d,
                                          sum_i c_i <= C sum_i v_i

over all cells i (hour, channel, device), with v_i the expected conversions and c_i the expected
spend of the cell at its bid, B the daily budget and C the CPA target. Cells are coupled by the
constraints only, so with multipliers lambda_d and mu the optimum buys in every cell of a day up to
the same marginal cost per conversion

    theta_d = (1 + mu C) / (lambda_d + mu) = min(theta_budget_d, theta_cpa)

where theta_budget_d spends the budget of day d and theta_cpa = C + 1 / mu is one number for all
days. Spend and CPA grow with theta; both scalars are found by bisection.

The curves hold every hour at its most favourable state (``ResponseCurves``), so the optimum is an
upper bound on what a policy can reach in the coupled market; it is never called reachable.

Source: Balseiro et al., "A field guide for pacing budget and ROS constraints", 2023, arXiv
2302.08530 (the two multipliers); arXiv 2510.15238, 2025 (equal marginal cost over channels).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_rl.domain.channels import NUM_DEVICES
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.domain.response_curves import ResponseCurves
from gaelp_rl.errors import DataError
from gaelp_rl.evaluation.cell_tables import CellTables, interpolate_cell, make_cell_tables

__all__ = ["HindsightOptimum", "check_curves", "compute_hindsight_optimum"]

Tables = tuple[FloatArray, FloatArray, FloatArray]

_BISECTIONS = 50


@dataclass(frozen=True, slots=True)
class HindsightOptimum:
    """What the best plan in hindsight buys; an upper bound for every policy.

    Attributes:
        expected_conversions: float64 [worlds]; over the whole life of the world.
        spend: float64 [worlds, days]; expected spend, currency units.
        theta: float64 [worlds, days]; marginal cost per conversion, currency units. The optimal
            bid of a cell is ``compute_bid_for_marginal_cost(theta * conversion_rate, ...)``.
        conversions_by_channel: float64 [worlds, channels].
        spend_by_channel: float64 [worlds, channels]; currency units.
        is_cpa_binding: bool [worlds]; whether the CPA target, not only the budget, limits volume.
    """

    expected_conversions: FloatArray
    spend: FloatArray
    theta: FloatArray
    conversions_by_channel: FloatArray
    spend_by_channel: FloatArray
    is_cpa_binding: NDArray[np.bool_]


def compute_hindsight_optimum(
    curves: ResponseCurves,
    objective: Objective,
    hours_per_day: int = 24,
    tables: CellTables | None = None,
) -> HindsightOptimum:
    """Solves every world's problem exactly (to about 1e-6 of the optimum).

    Args:
        curves: true response of the worlds; cells are channel-major (channel, device).
        objective: daily budget and CPA target.
        hours_per_day: hours that share one daily budget.
        tables: the curves' cell tables, where several objectives are solved on the same curves.

    Returns:
        The optimum of each world.

    Raises:
        DataError: the curves' hours are not whole days, their cells not whole channels, their
            shapes disagree, or they hold a NaN or a negative number.
    """
    check_curves(curves, hours_per_day)
    worlds, hours, cells = curves.click_volume.shape
    days, channels = hours // hours_per_day, cells // NUM_DEVICES
    tables = tables or make_cell_tables(curves.sigma, curves.first_price)
    log_theta = np.empty((worlds, days))
    spend = np.empty((worlds, days))
    by_channel = np.zeros((worlds, channels, 2))
    is_cpa_binding = np.zeros(worlds, dtype=np.bool_)
    scales = _compute_scales(curves).reshape(worlds, days, hours_per_day, cells, 3)
    budget, target = objective.daily_budget, objective.cpa_target
    _solve_worlds(scales, tables.arrays, budget, target, log_theta, spend, by_channel, is_cpa_binding)
    return HindsightOptimum(
        expected_conversions=by_channel[:, :, 0].sum(axis=1),
        spend=spend,
        theta=np.exp(log_theta),
        conversions_by_channel=by_channel[:, :, 0],
        spend_by_channel=by_channel[:, :, 1],
        is_cpa_binding=is_cpa_binding,
    )


def check_curves(curves: ResponseCurves, hours_per_day: int) -> None:
    """Refuses curves that the solver cannot read.

    Raises:
        DataError: see ``compute_hindsight_optimum``.
    """
    shape = curves.click_volume.shape
    for name in ("price_median", "conversion_rate"):
        if getattr(curves, name).shape != shape:
            msg = f"{name} has shape {getattr(curves, name).shape}, click_volume {shape}; they must be equal"
            raise DataError(msg)
    _, hours, cells = shape
    if hours % hours_per_day or not hours:
        msg = f"response curves hold {hours} hours; give whole days of {hours_per_day}"
        raise DataError(msg)
    if cells % NUM_DEVICES or curves.sigma.shape != (cells,) or curves.first_price.shape != (cells,):
        msg = (
            f"response curves hold {cells} cells, sigma {curves.sigma.shape}, first_price {curves.first_price.shape}; "
            f"give {NUM_DEVICES} devices for every channel"
        )
        raise DataError(msg)
    for name in ("click_volume", "price_median", "conversion_rate", "sigma"):
        if not (getattr(curves, name) >= 0).all():
            msg = f"{name} holds a NaN or a negative number; check the market that made the curves"
            raise DataError(msg)


def _compute_scales(curves: ResponseCurves) -> FloatArray:
    """ln(conversion_rate / median), conversions and median-price spend of a fully won cell.

    Returns:
        float64 [worlds, hours, cells, 3]; -inf in the first where a cell can win or convert nothing.
    """
    with np.errstate(divide="ignore"):
        offset = np.log(curves.conversion_rate) - np.log(curves.price_median)
    is_live = (curves.click_volume > 0) & (curves.price_median > 0) & np.isfinite(curves.price_median)
    scales = np.empty((*offset.shape, 3))
    scales[..., 0] = np.where(is_live, offset, -np.inf)
    scales[..., 1] = curves.click_volume * curves.conversion_rate
    scales[..., 2] = curves.click_volume * np.where(is_live, curves.price_median, 0.0)
    return scales


@njit(cache=True)
def _sum_day(log_theta: float, scales: FloatArray, tables: Tables) -> tuple[float, float]:
    """Conversions and spend of one day ([hours, cells, 3]) at one marginal cost per conversion."""
    first_u, inverse_step, table = tables
    conversions = 0.0
    spend = 0.0
    for hour in range(scales.shape[0]):
        for cell in range(scales.shape[1]):
            u = log_theta + scales[hour, cell, 0]
            share, unit_spend = interpolate_cell(u, first_u[cell], inverse_step[cell], table[cell])
            conversions += scales[hour, cell, 1] * share
            spend += scales[hour, cell, 2] * unit_spend
    return conversions, spend


@njit(cache=True)
def _compute_log_theta_range(scales: FloatArray, tables: Tables) -> tuple[float, float]:
    """The log marginal costs below which a world ([days, hours, cells, 3]) buys nothing, and all."""
    first_u, inverse_step, table = tables
    low = np.inf
    high = -np.inf
    days, hours, cells, _ = scales.shape
    for cell in range(cells):
        last_u = first_u[cell] + (table.shape[1] - 1) / inverse_step[cell]
        for day in range(days):
            for hour in range(hours):
                offset = scales[day, hour, cell, 0]
                if np.isfinite(offset):
                    low = min(low, first_u[cell] - offset)
                    high = max(high, last_u - offset)
    return (low, high) if high > low else (0.0, 0.0)


@njit(cache=True)
def _solve_budget(low: float, high: float, budget: float, scales: FloatArray, tables: Tables) -> float:
    """Largest log theta whose spend on one day ([hours, cells, 3]) is within the budget."""
    _, spend = _sum_day(high, scales, tables)
    if spend <= budget:
        return high
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        _, spend = _sum_day(middle, scales, tables)
        if spend <= budget:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True)
def _solve_cpa(low: float, target: float, log_theta: FloatArray, scales: FloatArray, tables: Tables) -> float:
    """Largest log theta_cpa at which min(theta_budget_d, theta_cpa) meets the CPA target.

    Args:
        low: a log theta at which nothing is bought.
        target: the CPA target, currency units.
        log_theta: float64 [days]; ln theta_budget_d.
        scales: float64 [days, hours, cells, 3].
        tables: of the cells.

    Returns:
        ln theta_cpa; the largest of ``log_theta`` where the target does not bind.
    """
    days = log_theta.size
    totals = np.empty((days, 2))
    for day in range(days):
        totals[day, 0], totals[day, 1] = _sum_day(log_theta[day], scales[day], tables)
    high = float(log_theta.max())
    if totals[:, 1].sum() <= target * totals[:, 0].sum():
        return high
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        conversions = 0.0
        spend = 0.0
        for day in range(days):
            bought, paid = totals[day, 0], totals[day, 1]
            if log_theta[day] > middle:
                bought, paid = _sum_day(middle, scales[day], tables)
            conversions += bought
            spend += paid
        if spend <= target * conversions:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True)
def _add_channels(log_theta: float, scales: FloatArray, tables: Tables, by_channel: FloatArray) -> float:
    """Adds one day's conversions and spend to ``by_channel`` [channels, 2]; returns the spend."""
    first_u, inverse_step, table = tables
    day_spend = 0.0
    for hour in range(scales.shape[0]):
        for cell in range(scales.shape[1]):
            u = log_theta + scales[hour, cell, 0]
            share, unit_spend = interpolate_cell(u, first_u[cell], inverse_step[cell], table[cell])
            spend = scales[hour, cell, 2] * unit_spend
            by_channel[cell // NUM_DEVICES, 0] += scales[hour, cell, 1] * share
            by_channel[cell // NUM_DEVICES, 1] += spend
            day_spend += spend
    return day_spend


@njit(cache=True)
def _solve_worlds(
    scales: FloatArray,
    tables: Tables,
    budget: float,
    target: float,
    log_theta: FloatArray,
    spend: FloatArray,
    by_channel: FloatArray,
    is_cpa_binding: NDArray[np.bool_],
) -> None:
    """Fills the last four arrays, world by world; scales is [worlds, days, hours, cells, 3]."""
    worlds, days = log_theta.shape
    for world in range(worlds):
        low, high = _compute_log_theta_range(scales[world], tables)
        for day in range(days):
            log_theta[world, day] = _solve_budget(low, high, budget, scales[world, day], tables)
        log_theta_cpa = _solve_cpa(low, target, log_theta[world], scales[world], tables)
        is_cpa_binding[world] = log_theta_cpa < log_theta[world].max()
        for day in range(days):
            log_theta[world, day] = min(log_theta[world, day], log_theta_cpa)
            spend[world, day] = _add_channels(log_theta[world, day], scales[world, day], tables, by_channel[world])
