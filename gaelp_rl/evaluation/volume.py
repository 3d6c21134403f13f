"""The volume curve: how many conversions a week each daily budget can buy at the CPA target."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.domain.response_curves import ResponseCurves
from gaelp_rl.errors import DataError
from gaelp_rl.evaluation.cell_tables import make_cell_tables
from gaelp_rl.evaluation.hindsight import compute_hindsight_optimum

__all__ = ["VolumeCurve", "compute_budget_for_volume", "compute_volume_at_budget", "compute_volume_curve"]

_DAYS_PER_WEEK = 7


@dataclass(frozen=True, slots=True)
class VolumeCurve:
    """What perfect knowledge could buy a week, by daily budget; an upper bound.

    Attributes:
        daily_budget: float64 [budgets]; currency units, ascending.
        conversions_per_week: float64 [worlds, budgets].
        spend_per_week: float64 [worlds, budgets]; currency units. Less than seven budgets where the
            CPA target or the size of the market stops the spend first.
        cpa_target: the CPA target that holds on every point, currency units.
    """

    daily_budget: FloatArray
    conversions_per_week: FloatArray
    spend_per_week: FloatArray
    cpa_target: float


def compute_volume_curve(
    curves: ResponseCurves, objective: Objective, daily_budgets: FloatArray, hours_per_day: int = 24
) -> VolumeCurve:
    """Solves the hindsight optimum for each of several daily budgets.

    Args:
        curves: true response of the worlds.
        objective: gives the CPA target; its budget is replaced by each of ``daily_budgets``.
        daily_budgets: float64 [budgets]; currency units, above 0.
        hours_per_day: hours that share one daily budget.

    Returns:
        The curve, budgets in ascending order.

    Raises:
        DataError: a budget is not above 0, or the curves cannot be read.
    """
    budgets = np.sort(np.asarray(daily_budgets, dtype=np.float64))
    if not budgets.size or not (budgets > 0).all():
        msg = f"daily budgets are {budgets.tolist()}; give at least one, all above 0"
        raise DataError(msg)
    tables = make_cell_tables(curves.sigma, curves.first_price)
    weeks = curves.click_volume.shape[1] / hours_per_day / _DAYS_PER_WEEK
    conversions = np.empty((curves.click_volume.shape[0], budgets.size))
    spend = np.empty_like(conversions)
    for i, budget in enumerate(budgets):
        budgeted = replace(objective, daily_budget_micros=round(budget * MICROS))
        optimum = compute_hindsight_optimum(curves, budgeted, hours_per_day, tables)
        conversions[:, i] = optimum.expected_conversions / weeks
        spend[:, i] = optimum.spend.sum(axis=1) / weeks
    return VolumeCurve(budgets, conversions, spend, objective.cpa_target)


def compute_volume_at_budget(curve: VolumeCurve, daily_budget: float) -> tuple[float, float]:
    """Median conversions and spend per week over the worlds, at one budget of the curve's range.

    Args:
        curve: the volume curve.
        daily_budget: currency units; held at the ends of the curve.

    Returns:
        (conversions per week, spend per week in currency units), linear between the points.
    """
    conversions = np.median(curve.conversions_per_week, axis=0)
    spend = np.median(curve.spend_per_week, axis=0)
    return (
        float(np.interp(daily_budget, curve.daily_budget, conversions)),
        float(np.interp(daily_budget, curve.daily_budget, spend)),
    )


def compute_budget_for_volume(curve: VolumeCurve, conversions_per_week: float) -> float | None:
    """The daily budget at which the median world sells that many conversions a week.

    Args:
        curve: the volume curve.
        conversions_per_week: the volume wanted.

    Returns:
        Currency units, linear between the points; None where no budget of the curve buys it.
    """
    median = np.median(curve.conversions_per_week, axis=0)
    if median[-1] < conversions_per_week:
        return None
    first = int(np.argmax(median >= conversions_per_week))
    if first == 0:
        return float(curve.daily_budget[0] * conversions_per_week / median[0])
    step = (conversions_per_week - median[first - 1]) / (median[first] - median[first - 1])
    return float(curve.daily_budget[first - 1] + step * (curve.daily_budget[first] - curve.daily_budget[first - 1]))
