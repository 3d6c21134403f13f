"""The platforms' inertia as a filter on plans: the same limits for every planner.

On channels with a learning phase a plan is held between edit hours and moves at most 20 % per edit,
so that no planner restarts the phase by accident; see ``PlatformRules``.
"""

from __future__ import annotations

import numpy as np

from gaelp_rl.domain.channels import CHANNELS
from gaelp_rl.domain.ledger import HOURS_PER_DAY, ReportLedger
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.platform_rules import PLATFORM_RULES
from gaelp_rl.domain.reports import IntArray

__all__ = ["EDIT_RATIO", "INERTIAL", "is_edit_hour", "limit_changes"]

INERTIAL = np.array([PLATFORM_RULES[channel].has_learning_phase for channel in CHANNELS])
"""Channels whose plans are held between edit hours, bool [channels]."""

EDIT_RATIO = min(PLATFORM_RULES[channel].max_edit_ratio for channel in CHANNELS)
"""Largest relative change of an inertial channel's bid or budget at one edit."""

_EDITS_PER_DAY = min(PLATFORM_RULES[channel].max_edits_per_day for channel in CHANNELS)
_CENT_MICROS = MICROS // 100


def is_edit_hour(hour: int) -> bool:
    """Whether inertial channels may be edited in this hour: edits are spread evenly over the day."""
    return hour % (HOURS_PER_DAY // _EDITS_PER_DAY) == 0


def limit_changes(plan: PlanBatch, ledger: ReportLedger) -> PlanBatch:
    """The nearest plan to ``plan`` that no platform punishes.

    Args:
        plan: what a planner wants for hour ``ledger.hour``.
        ledger: holds the plan in force.

    Returns:
        The plan with inertial channels held, or moved by at most ``EDIT_RATIO`` (one cent is
        always allowed).
    """
    held_bid = np.rint(ledger.bid * MICROS).astype(np.int64)
    held_budget = np.rint(ledger.daily_budget * MICROS).astype(np.int64)
    if is_edit_hour(ledger.hour):
        held_bid = _clip_to_edit(plan.bid_micros, held_bid)
        held_budget = _clip_to_edit(plan.daily_budget_micros, held_budget)
    return PlanBatch(
        bid_micros=np.where(INERTIAL, held_bid, plan.bid_micros),
        daily_budget_micros=np.where(INERTIAL, held_budget, plan.daily_budget_micros),
        device_modifier=plan.device_modifier,
        active=plan.active,
    )


def _clip_to_edit(wanted: IntArray, held: IntArray) -> IntArray:
    """``wanted`` within one edit of ``held``, in whole cents."""
    step = np.maximum((held * EDIT_RATIO / _CENT_MICROS).astype(np.int64) * _CENT_MICROS, _CENT_MICROS)
    return np.asarray(np.clip(wanted, np.maximum(held - step, _CENT_MICROS), held + step))
