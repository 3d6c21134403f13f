"""The action: how far a policy departs from the reference controller's bids and budgets.

Bid of channel c: reference bid * exp(max_log_bid * a_c). Budget of channel c: reference budget
weighted by exp(max_logit * a_c') and rescaled to the same total. Action zero is the reference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.domain.channels import CHANNELS, NUM_CHANNELS
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.errors import ActionError, ConfigError

__all__ = ["ACTION_NAMES", "ACTION_SIZE", "ActionReach", "check_action", "decode_action", "encode_action"]

ACTION_NAMES: tuple[str, ...] = (
    *(f"{channel}.bid_log_multiplier" for channel in CHANNELS),
    *(f"{channel}.budget_share_logit" for channel in CHANNELS),
)
"""What each entry of an action moves, in the order of the vector; each lies in [-1, 1]."""

ACTION_SIZE = len(ACTION_NAMES)

_EDGE_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class ActionReach:
    """How far the ends of the action box lie from the reference controller.

    Attributes:
        max_log_bid: natural log of the largest bid multiplier; 0.4 is a factor of 1.5.
        max_logit: largest offset of a channel's budget-share logit.
    """

    max_log_bid: float = 0.4
    max_logit: float = 0.8

    def __post_init__(self) -> None:
        for name in ("max_log_bid", "max_logit"):
            reach = getattr(self, name)
            if not (math.isfinite(reach) and 0.0 < reach <= 5.0):
                msg = f"action reach {name} is {reach!r}; it must be above 0 and at most 5"
                raise ConfigError(msg)


def decode_action(
    action: NDArray[np.floating],
    reference_bid: FloatArray,
    reference_budget: FloatArray,
    reach: ActionReach,
) -> tuple[FloatArray, FloatArray]:
    """Turns actions into bids and budgets, before they are rounded to cents.

    Args:
        action: float [worlds, 8], in the order of ``ACTION_NAMES``, each in [-1, 1].
        reference_bid: float64 [worlds, channels], currency units per click.
        reference_budget: float64 [worlds, channels], currency units per day.
        reach: how far the ends of the box lie.

    Returns:
        Bids and daily budgets, float64 [worlds, channels]; each world's budgets add up to those of
        the reference, and action zero gives the reference exactly.

    Raises:
        ActionError: the action is not finite, outside the box or of another shape.
    """
    check_action(action, num_worlds=reference_bid.shape[0])
    offsets = action.astype(np.float64)
    bid = reference_bid * np.exp(reach.max_log_bid * offsets[:, :NUM_CHANNELS])
    weights = reference_budget * np.exp(reach.max_logit * offsets[:, NUM_CHANNELS:])
    total = reference_budget.sum(axis=1, keepdims=True)
    weight_total = weights.sum(axis=1, keepdims=True)
    rescale = np.divide(total, weight_total, out=np.ones_like(total), where=weight_total > 0.0)
    return bid, weights * rescale


def encode_action(
    bid: FloatArray,
    daily_budget: FloatArray,
    reference_bid: FloatArray,
    reference_budget: FloatArray,
    reach: ActionReach,
) -> FloatArray:
    """Finds the action that gives bids and budgets: ``decode_action(encode_action(x)) = x``.

    Equal offsets on all budgets cancel out, so the action whose largest and smallest budget offset
    are opposite is chosen; it lies inside the box whenever any does. What no action can reach is
    clipped to the edge of the box; a channel whose reference is 0 gets offset 0.

    Args:
        bid: float64 [worlds, channels], currency units per click.
        daily_budget: float64 [worlds, channels], currency units per day, total as the reference's.
        reference_bid: float64 [worlds, channels].
        reference_budget: float64 [worlds, channels].
        reach: how far the ends of the box lie.

    Returns:
        Actions float64 [worlds, 8], each in [-1, 1].
    """
    log_bid = _compute_log_ratio(bid, reference_bid)
    known = (daily_budget > 0.0) & (reference_budget > 0.0)
    logit = _compute_log_ratio(daily_budget, reference_budget)
    is_known = known.any(axis=1, keepdims=True)
    highest = np.where(is_known, np.max(logit, axis=1, keepdims=True, where=known, initial=-np.inf), 0.0)
    lowest = np.where(is_known, np.min(logit, axis=1, keepdims=True, where=known, initial=np.inf), 0.0)
    middle = 0.5 * (highest + lowest)
    logit = np.where(known, logit - middle, np.where(reference_budget > 0.0, -np.inf, 0.0))
    action = np.concatenate([log_bid / reach.max_log_bid, logit / reach.max_logit], axis=1)
    return np.clip(action, -1.0, 1.0)


def check_action(action: NDArray[np.floating], num_worlds: int) -> None:
    """Refuses actions that no policy may send on.

    Args:
        action: float [worlds, 8].
        num_worlds: how many worlds there are.

    Raises:
        ActionError: wrong shape, or an entry that is not finite or outside [-1, 1]; it names the
            world and the channel's quantity.
    """
    if action.shape != (num_worlds, ACTION_SIZE):
        msg = f"action of shape {action.shape}; expected {(num_worlds, ACTION_SIZE)}: {', '.join(ACTION_NAMES)}"
        raise ActionError(msg)
    inside = np.abs(action) <= 1.0 + _EDGE_TOLERANCE
    if not inside.all():
        world, i = np.argwhere(~inside)[0]
        msg = f"action of world {world}: {ACTION_NAMES[i]} is {action[world, i]}; it must be finite and in [-1, 1]"
        raise ActionError(msg)


def _compute_log_ratio(amount: FloatArray, reference: FloatArray) -> FloatArray:
    """ln(amount / reference): 0 where there is no reference, -inf for an amount of 0."""
    ratio = np.divide(amount, reference, out=np.ones_like(amount), where=reference > 0.0)
    return np.log(ratio, out=np.full_like(ratio, -np.inf), where=ratio > 0.0)
