"""Potential-based shaping: faster feedback that provably leaves the best policy as it was."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.domain.reports import FloatArray

__all__ = ["compute_pacing_potential", "compute_shaping"]


def compute_shaping(
    potential: FloatArray, next_potential: FloatArray, gamma: float, terminated: NDArray[np.bool_]
) -> FloatArray:
    """The shaping term ``F = gamma * Phi(s') - Phi(s)``, with ``Phi = 0`` after termination.

    Added to the reward it shifts every state-value by ``-Phi(s)`` and therefore changes no ordering of
    actions. A truncated step is an ordinary one: the potential of the next state counts.

    Args:
        potential: Phi of the state before the step, any shape.
        next_potential: Phi of the state after it, same shape.
        gamma: the learner's discount, in [0, 1]; another value here breaks the guarantee.
        terminated: bool, same shape; not set by truncation.

    Returns:
        The term to add to the reward, same shape.

    Source: Ng, Harada and Russell 1999, "Policy invariance under reward transformations", theorem 1.
    """
    return np.asarray(gamma * np.where(terminated, 0.0, next_potential) - potential)


def compute_pacing_potential(
    spend_today: FloatArray, planned_spend_today: FloatArray, daily_budget: float, weight: float
) -> FloatArray:
    """A potential that prefers states in which the day's spend is on plan.

    Args:
        spend_today: spend since midnight, currency, any shape.
        planned_spend_today: what the day's profile foresees by now, currency, same shape.
        daily_budget: currency, > 0.
        weight: reward units per budget of deviation, >= 0.

    Returns:
        ``-weight * |spend - planned| / budget``, same shape: a function of the state alone.
    """
    return np.asarray(-weight * np.abs(spend_today - planned_spend_today) / daily_budget)
