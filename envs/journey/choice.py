"""Which item of a slate a user clicks, if any: multinomial logit, proportional, exponential cascade.

At most one item is clicked. Probabilities stand in slate order, with no click last. For the logit and
the proportional choice the order of the slate does not matter; down a cascade it does.

Source: the ``recsim`` package 0.2.4 (Apache-2.0), ``recsim.choice_model``: ``MultinomialLogitChoiceModel``,
``MultinomialProportionalChoiceModel``, ``ExponentialCascadeChoiceModel``; McFadden 1974 (logit);
Craswell et al., WSDM 2008, "An experimental comparison of click position-bias models" (cascade).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.journey.stock_parameters import EXPONENTIAL_CASCADE, MNL, PROPORTIONAL, ChoiceParameters
from gaelp_rl.errors import ConfigError

__all__ = ["check_scores", "choose_position", "compute_choice_probabilities", "compute_choice_weights"]

FloatArray = NDArray[np.float64]


def compute_choice_probabilities(scores: FloatArray, choice: ChoiceParameters) -> FloatArray:
    """Probability of a click on each item, then of no click.

    With scores s_1..s_m and no-click mass c: the logit has p_i = exp(s_i) / Z, p_0 = exp(c) / Z; the
    proportional choice p_i = (s_i - b) / Z, p_0 = (c - b) / Z; the cascade p_i = q_i prod_{j<i} (1 - q_j)
    with q_i = a k exp(s_i), and p_0 = prod_j (1 - q_j).

    Args:
        scores: float64 [..., items].
        choice: the model and its parameters.

    Returns:
        float64 [..., items + 1]; adds up to 1.

    Raises:
        ConfigError: the choice is not defined for these scores.
    """
    check_scores(scores, choice)
    if choice.kind == EXPONENTIAL_CASCADE:
        looked = choice.attention * choice.score_scaling * np.exp(scores)
        passed = np.cumprod(1.0 - looked, axis=-1)
        before = np.concatenate((np.ones_like(scores[..., :1]), passed), axis=-1)
        return np.concatenate((before[..., :-1] * looked, passed[..., -1:]), axis=-1)
    masses = np.concatenate((scores, np.full_like(scores[..., :1], choice.no_click_mass)), axis=-1)
    if choice.kind == MNL:
        weights = np.exp(masses - masses.max(axis=-1, keepdims=True))
    else:
        weights = masses - choice.min_normalizer
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def check_scores(scores: FloatArray, choice: ChoiceParameters) -> None:
    """Raises where a choice is not defined.

    Raises:
        ConfigError: a score is not finite; below ``min_normalizer``; or so high that a cascade would
            look at an item with a probability above 1.
    """
    if not np.isfinite(scores).all():
        msg = f"a score is {float(scores[~np.isfinite(scores)][0])!r}; scores must be finite"
        raise ConfigError(msg)
    lowest = min(float(scores.min()), choice.no_click_mass)
    if choice.kind == PROPORTIONAL and lowest < choice.min_normalizer:
        msg = (
            f"a score of {lowest:g} lies below min_normalizer {choice.min_normalizer:g}: proportional choice needs "
            "scores and no_click_mass at or above it. Lower min_normalizer, or choose 'mnl'"
        )
        raise ConfigError(msg)
    highest = float(scores.max())
    if choice.kind == EXPONENTIAL_CASCADE and choice.score_scaling * math.exp(highest) > 1.0:
        msg = (
            f"a score of {highest:g} gives score_scaling * exp(score) = "
            f"{choice.score_scaling * math.exp(highest):g}: a cascade needs at most 1. Lower score_scaling"
        )
        raise ConfigError(msg)


# Kernels inline what they call at every step: a call counts a reference to each of its arrays, which costs more
# than the arithmetic.
@njit(cache=True, inline="always")
def compute_choice_weights(scores: FloatArray, size: int, choice: ChoiceParameters, weights: FloatArray) -> None:
    """``compute_choice_probabilities`` of one slate up to a factor, unchecked.

    Args:
        scores: float64 [at least items].
        size: items.
        choice: the model and its parameters.
        weights: float64 [at least items + 1]; written.
    """
    if choice.kind == EXPONENTIAL_CASCADE:
        passed = 1.0
        for i in range(size):
            looked = choice.attention * choice.score_scaling * math.exp(scores[i])
            weights[i] = passed * looked
            passed *= 1.0 - looked
        weights[size] = passed
    elif choice.kind == MNL:
        highest = choice.no_click_mass
        for i in range(size):
            highest = max(highest, scores[i])
        for i in range(size):
            weights[i] = math.exp(scores[i] - highest)
        weights[size] = math.exp(choice.no_click_mass - highest)
    else:
        for i in range(size):
            weights[i] = scores[i] - choice.min_normalizer
        weights[size] = choice.no_click_mass - choice.min_normalizer


@njit(cache=True, inline="always")
def choose_position(
    scores: FloatArray, size: int, choice: ChoiceParameters, weights: FloatArray, uniform: float
) -> int:
    """The clicked position of one slate, or ``size`` for no click.

    The first position whose cumulative probability exceeds the uniform: the count of those at or below it.

    Args:
        scores: float64 [at least items].
        size: items.
        choice: the model and its parameters.
        weights: float64 [at least items + 1]; overwritten.
        uniform: from [0, 1).
    """
    compute_choice_weights(scores, size, choice, weights)
    total = 0.0
    for i in range(size + 1):
        total += weights[i]
    threshold = uniform * total
    running = 0.0
    position = 0
    for i in range(size):
        running += weights[i]
        if running <= threshold:
            position = i + 1
    return position
