"""Checks of a plan before it may leave: pure, and complete rather than first-failure-only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.domain.channels import CHANNELS, Channel
from gaelp_rl.domain.money import MICROS, Micros
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.errors import ConfigError, PlanError

__all__ = ["PlanLimits", "Rule", "Violation", "check_plan", "find_violations"]


class Rule(StrEnum):
    """What a plan can break."""

    BID_TOO_LOW = "bid_too_low"
    BID_TOO_HIGH = "bid_too_high"
    BUDGET_NEGATIVE = "budget_negative"
    BUDGET_TOO_LOW = "budget_too_low"
    TOTAL_BUDGET_TOO_HIGH = "total_budget_too_high"
    MODIFIER_UNUSABLE = "modifier_unusable"


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """Bounds on every channel's plan; a paused channel may go below the lower ones.

    Attributes:
        min_bid_micros: lowest bid of an active channel.
        max_bid_micros: highest bid of any channel.
        min_daily_budget_micros: lowest daily budget of an active channel.
        max_device_modifier: highest device bid modifier.
        max_total_budget_ratio: highest sum of the active channels' budgets, as a multiple of the
            objective's daily budget; above 1 it leaves headroom for whichever channel turns out
            cheap, while pacing holds what is spent.
    """

    min_bid_micros: Micros = MICROS // 100
    max_bid_micros: Micros = 100 * MICROS
    min_daily_budget_micros: Micros = 0
    max_device_modifier: float = 10.0
    max_total_budget_ratio: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.min_bid_micros <= self.max_bid_micros:
            msg = (
                f"bid limits are {self.min_bid_micros} to {self.max_bid_micros} micros; they must be above 0, in order"
            )
            raise ConfigError(msg)
        if self.min_daily_budget_micros < 0:
            msg = f"min_daily_budget_micros is {self.min_daily_budget_micros}; it must be 0 or more"
            raise ConfigError(msg)
        for name in ("max_device_modifier", "max_total_budget_ratio"):
            limit = getattr(self, name)
            if not 0.0 < limit < np.inf:
                msg = f"{name} is {limit!r}; it must be finite and above 0"
                raise ConfigError(msg)


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that one world's plan breaks.

    Attributes:
        rule: which rule.
        world: index of the plan in its batch.
        channel: the channel, or None for the whole account.
        message: the amount, and the limit that it breaks, in currency units.
    """

    rule: Rule
    world: int
    channel: Channel | None
    message: str


def find_violations(plan: PlanBatch, objective: Objective, limits: PlanLimits) -> tuple[Violation, ...]:
    """Lists everything that is wrong with a batch of plans.

    Args:
        plan: plans of all worlds.
        objective: whose daily budget caps the sum of the active channels' budgets.
        limits: bounds of each channel.

    Returns:
        Every violation, by rule, world and channel; empty for a plan that may leave.
    """
    bid, budget, active = plan.bid_micros, plan.daily_budget_micros, plan.active
    modifier = plan.device_modifier
    unusable = ~((modifier > 0.0) & (modifier <= limits.max_device_modifier)).all(axis=2)
    total = np.where(active, np.maximum(budget, 0), 0).sum(axis=1)
    cap = round(objective.daily_budget_micros * limits.max_total_budget_ratio)
    too_small = active & (budget >= 0) & (budget < limits.min_daily_budget_micros)
    per_channel = (
        (Rule.BID_TOO_LOW, active & (bid < limits.min_bid_micros), bid, f"at least {_show(limits.min_bid_micros)}"),
        (Rule.BID_TOO_HIGH, bid > limits.max_bid_micros, bid, f"at most {_show(limits.max_bid_micros)}"),
        (Rule.BUDGET_NEGATIVE, budget < 0, budget, "at least 0"),
        (Rule.BUDGET_TOO_LOW, too_small, budget, f"at least {_show(limits.min_daily_budget_micros)}"),
        (Rule.MODIFIER_UNUSABLE, unusable, modifier, f"above 0 and at most {limits.max_device_modifier}"),
    )
    found = [violation for check in per_channel for violation in _describe(*check)]
    for world in np.flatnonzero(total > cap):
        message = f"budgets of {_show(total[world])} in all; at most {_show(cap)} are allowed"
        found.append(Violation(Rule.TOTAL_BUDGET_TOO_HIGH, int(world), None, message))
    return tuple(found)


def check_plan(plan: PlanBatch, objective: Objective, limits: PlanLimits) -> None:
    """Refuses a batch that holds any violation.

    Raises:
        PlanError: it lists the first violations with world and channel.
    """
    violations = find_violations(plan, objective, limits)
    if violations:
        shown = "; ".join(f"world {v.world}, {v.channel or 'account'}: {v.rule}, {v.message}" for v in violations[:5])
        msg = f"{len(violations)} violations in a plan, it may not leave: {shown}"
        raise PlanError(msg)


def _describe(rule: Rule, broken: NDArray[np.bool_], amounts: NDArray[np.generic], must: str) -> list[Violation]:
    """One violation for each broken [world, channel]."""
    return [
        Violation(rule, int(world), CHANNELS[c], f"{_show(amounts[world, c])} must be {must}")
        for world, c in np.argwhere(broken)
    ]


def _show(amount: Any) -> str:
    """Micros as currency units; the modifiers of all devices as they are."""
    if np.ndim(amount):
        return f"{amount.tolist()}"
    return f"{int(amount) / MICROS:,.6f}".rstrip("0").rstrip(".")
