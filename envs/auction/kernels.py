"""The click model: which item of a catalogue is worth most to a user, and how likely the click is.

The click probability of an item is the logistic function of its weights times the context. Loops run over
users innermost and without branches, so that they compile to vector instructions.

Source: AuctionGym (Apache-2.0), click model; Cody and Waite, "Software Manual for the Elementary Functions",
1980, for the range reduction of the exponential.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["compute_click_probabilities", "compute_exponential", "find_best_items"]

_LOG2_E = 1.4426950408889634
_LN_2_HIGH, _LN_2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROUND_TO_WHOLE = 6755399441055744.0  # 1.5 x 2**52: adding it rounds, and leaves the whole in the lowest bits
_EXPONENT_BIAS, _MANTISSA_BITS = np.int64(1023), np.int64(52)
_MAX_LOGIT = 700.0


@njit(cache=True, inline="always", error_model="numpy")
def compute_exponential(x: float) -> float:
    """The e**x for -700 <= x <= 700, relative error below 1e-14, without a branch."""
    shifted = x * _LOG2_E + _ROUND_TO_WHOLE
    whole = shifted - _ROUND_TO_WHOLE
    r = (x - whole * _LN_2_HIGH) - whole * _LN_2_LOW
    series = 1.0 / 39916800.0
    series = series * r + 1.0 / 3628800.0
    series = series * r + 1.0 / 362880.0
    series = series * r + 1.0 / 40320.0
    series = series * r + 1.0 / 5040.0
    series = series * r + 1.0 / 720.0
    series = series * r + 1.0 / 120.0
    series = series * r + 1.0 / 24.0
    series = series * r + 1.0 / 6.0
    series = series * r + 0.5
    series = series * r + 1.0
    series = series * r + 1.0
    power = (np.float64(shifted).view(np.int64) + _EXPONENT_BIAS) << _MANTISSA_BITS
    return series * np.int64(power).view(np.float64)


@njit(cache=True, inline="always", error_model="numpy")
def _compute_logistic_of_negative(z: float) -> float:
    return 1.0 / (1.0 + compute_exponential(min(max(z, -_MAX_LOGIT), _MAX_LOGIT)))


@njit(cache=True, error_model="numpy")
def compute_click_probabilities(
    weights: NDArray[np.float64], contexts: NDArray[np.float64], item: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Click probability of one given item for each user.

    Args:
        weights: float64 [items, d + 1], intercept last.
        contexts: float64 [d, n]; users, without the constant.
        item: int64 [n]; which is shown.

    Returns:
        float64 [n].
    """
    d = contexts.shape[0]
    ctr = np.empty(item.shape[0])
    for n in range(item.shape[0]):
        z = -weights[item[n], d]
        for j in range(d):
            z -= weights[item[n], j] * contexts[j, n]
        ctr[n] = _compute_logistic_of_negative(z)
    return ctr


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _compute_negative_logits(
    weights: NDArray[np.float64], contexts: NDArray[np.float64], count: int, out: NDArray[np.float64]
) -> None:
    d = contexts.shape[0]
    intercept = weights[d]
    for n in range(count):
        out[n] = -intercept
    j = 0
    while j + 4 <= d:
        w0, w1, w2, w3 = weights[j], weights[j + 1], weights[j + 2], weights[j + 3]
        for n in range(count):
            out[n] -= w0 * contexts[j, n] + w1 * contexts[j + 1, n] + w2 * contexts[j + 2, n] + w3 * contexts[j + 3, n]
        j += 4
    while j < d:
        w0 = weights[j]
        for n in range(count):
            out[n] -= w0 * contexts[j, n]
        j += 1


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def find_best_items(
    weights: NDArray[np.float64],
    item_values: NDArray[np.float64],
    contexts: NDArray[np.float64],
    count: int,
    scratch: NDArray[np.float64],
    worth: NDArray[np.float64],
    item: NDArray[np.int64],
) -> None:
    """Finds for each user the item with the highest worth: click probability times value, the first on ties.

    Args:
        weights: float64 [items, d + 1], intercept last.
        item_values: float64 [items], above 0, USD per click.
        contexts: float64 [d, >= count]; users, without the constant.
        count: users.
        scratch: float64 [>= count]; overwritten.
        worth: float64 [>= count]; overwritten, USD per impression.
        item: int64 [>= count]; overwritten.
    """
    for n in range(count):
        worth[n], item[n] = -1.0, 0
    for i in range(item_values.shape[0]):
        _compute_negative_logits(weights[i], contexts, count, scratch)
        item_value = item_values[i]
        for n in range(count):
            candidate = item_value * _compute_logistic_of_negative(scratch[n])
            if candidate > worth[n]:
                worth[n], item[n] = candidate, i
