"""The CPA target as a constraint: its cost, the penalised reward, and the multiplier that prices it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.errors import ConfigError

__all__ = ["LagrangeMultiplier", "compute_constrained_reward", "compute_cpa_cost"]

_Floats = TypeVar("_Floats", bound=NDArray[np.floating[Any]])


def compute_cpa_cost(spend: FloatArray, conversions: FloatArray, cpa_target: float) -> FloatArray:
    """Constraint cost of a step: money spent beyond what its conversions are allowed to cost.

    ``sum(spend) / sum(conversions) <= cpa_target`` holds exactly when the costs sum to at most zero,
    also where there are no conversions (CPA itself is undefined there).

    Args:
        spend: account currency, any shape.
        conversions: same shape.
        cpa_target: highest acceptable spend per conversion, currency, > 0.

    Returns:
        ``spend - cpa_target * conversions``, currency, same shape; negative where there is room.
    """
    return spend - cpa_target * conversions


def compute_constrained_reward(reward: _Floats, cost: _Floats, multiplier: float) -> _Floats:
    """The reward with the constraint cost priced in: ``reward - multiplier * cost``.

    Args:
        reward: conversions, any shape, float32 or float64.
        cost: constraint cost, currency, same shape and type.
        multiplier: conversions per currency unit, >= 0.

    Returns:
        Same shape and type, conversions.

    Source: Altman 1999, "Constrained Markov Decision Processes", ch. 3.
    """
    return cast(_Floats, reward - multiplier * cost)


@dataclass(frozen=True, slots=True)
class LagrangeMultiplier:
    """The price of the CPA constraint, moved by projected gradient ascent on the dual.

    Attributes:
        multiplier: current price, conversions per currency unit.
        step_size: of the ascent, conversions per squared currency unit; 0 keeps the price fixed.
        upper_limit: the price never exceeds it, so that a wrong target cannot blow up the critics.
    """

    multiplier: float = 0.0
    step_size: float = 0.0
    upper_limit: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.upper_limit) and 0.0 <= self.multiplier <= self.upper_limit):
            msg = f"multiplier is {self.multiplier!r}; it must lie in [0, upper_limit = {self.upper_limit!r}]"
            raise ConfigError(msg)
        if not (math.isfinite(self.step_size) and self.step_size >= 0.0):
            msg = f"step_size is {self.step_size!r}; it must be finite and at least 0"
            raise ConfigError(msg)

    def update(self, mean_cost: float) -> LagrangeMultiplier:
        """One projected step: up where the constraint is broken on average, down where there is room.

        Args:
            mean_cost: constraint cost per step, currency, averaged over fresh on-policy steps.

        Returns:
            The multiplier ``clip(multiplier + step_size * mean_cost, 0, upper_limit)``. A mean that is
            not finite leaves it as it was.

        Source: Tessler, Mankowitz and Mannor 2019, "Reward Constrained Policy Optimization", eq. 7.
        """
        if not math.isfinite(mean_cost):
            return self
        moved = self.multiplier + self.step_size * mean_cost
        return replace(self, multiplier=min(max(moved, 0.0), self.upper_limit))
