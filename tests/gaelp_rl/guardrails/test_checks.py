"""Guardrails: each rule has a plan that breaks it, and a sound plan breaks none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.errors import ConfigError, PlanError
from gaelp_rl.guardrails.checks import PlanLimits, Rule, check_plan, find_violations

OBJECTIVE = Objective(daily_budget_micros=500 * MICROS)
LIMITS = PlanLimits(max_bid_micros=20 * MICROS, min_daily_budget_micros=5 * MICROS, max_total_budget_ratio=1.0)


def _make_plan() -> PlanBatch:
    return PlanBatch.from_currency(np.full((3, 4), 2.0), np.full((3, 4), 125.0))


def _break(field: str, place: tuple[int, ...], amount: float) -> PlanBatch:
    plan = _make_plan()
    broken = getattr(plan, field).copy()
    broken[place] = amount
    return replace(plan, **{field: broken})


def test_find_violations__lets_a_sound_plan_leave() -> None:
    assert find_violations(_make_plan(), OBJECTIVE, LIMITS) == ()
    check_plan(_make_plan(), OBJECTIVE, LIMITS)


@pytest.mark.parametrize(
    ("field", "place", "amount", "rule"),
    [
        ("bid_micros", (1, 2), 0, Rule.BID_TOO_LOW),
        ("bid_micros", (1, 2), -MICROS, Rule.BID_TOO_LOW),
        ("bid_micros", (1, 2), 20 * MICROS + 1, Rule.BID_TOO_HIGH),
        ("daily_budget_micros", (1, 2), -1, Rule.BUDGET_NEGATIVE),
        ("daily_budget_micros", (1, 2), 5 * MICROS - 1, Rule.BUDGET_TOO_LOW),
        ("device_modifier", (1, 2, 0), np.nan, Rule.MODIFIER_UNUSABLE),
        ("device_modifier", (1, 2, 1), np.inf, Rule.MODIFIER_UNUSABLE),
        ("device_modifier", (1, 2, 2), 0.0, Rule.MODIFIER_UNUSABLE),
        ("device_modifier", (1, 2, 2), 10.5, Rule.MODIFIER_UNUSABLE),
    ],
)
def test_find_violations__names_rule_world_and_channel(field, place, amount, rule) -> None:
    plan = _break(field, place, amount)
    [violation] = find_violations(plan, OBJECTIVE, LIMITS)
    assert (violation.rule, violation.world, violation.channel) == (rule, 1, "tiktok")
    with pytest.raises(PlanError, match=f"world 1, tiktok: {rule}"):
        check_plan(plan, OBJECTIVE, LIMITS)


def test_find_violations__caps_the_sum_of_active_budgets() -> None:
    plan = _break("daily_budget_micros", (2, 0), 125 * MICROS + 1)
    [violation] = find_violations(plan, OBJECTIVE, LIMITS)
    assert (violation.rule, violation.world, violation.channel) == (Rule.TOTAL_BUDGET_TOO_HIGH, 2, None)
    active = plan.active.copy()
    active[2, 3] = False
    assert find_violations(replace(plan, active=active), OBJECTIVE, LIMITS) == ()


def test_find_violations__lets_a_paused_channel_have_no_bid_and_no_budget() -> None:
    plan = _break("bid_micros", (0, 1), 0)
    budget, active = plan.daily_budget_micros.copy(), plan.active.copy()
    budget[0, 1], active[0, 1] = 0, False
    assert find_violations(replace(plan, daily_budget_micros=budget, active=active), OBJECTIVE, LIMITS) == ()


@given(arrays(np.int64, (2, 4), elements=st.integers(-30 * MICROS, 30 * MICROS)))
def test_find_violations__reports_every_broken_bid(bid) -> None:
    """Slow twin: one comparison for each cell."""
    plan = replace(PlanBatch.from_currency(np.ones((2, 4)), np.full((2, 4), 50.0)), bid_micros=bid)
    broken = sum(not LIMITS.min_bid_micros <= int(b) <= LIMITS.max_bid_micros for b in bid.ravel())
    assert len(find_violations(plan, OBJECTIVE, LIMITS)) == broken


@pytest.mark.parametrize(
    "limits",
    [
        {"min_bid_micros": 0},
        {"min_bid_micros": 2, "max_bid_micros": 1},
        {"min_daily_budget_micros": -1},
        {"max_device_modifier": float("nan")},
        {"max_total_budget_ratio": 0.0},
    ],
)
def test_plan_limits__refuse_what_limits_nothing(limits) -> None:
    with pytest.raises(ConfigError, match=r"bid limits|min_daily_budget|max_"):
        PlanLimits(**limits)
