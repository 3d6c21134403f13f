"""The click model: which item of a catalogue is worth most to a user, and how likely the click is.

The click probability of an item is the logistic function of its weights times the context. Loops run over
users innermost and without branches, so that they compile to vector instructions.

Source: AuctionGym (Apache-2.0), click model; Cody and Waite, "Software Manual for the Elementary Functions",
1980, for the range reduction of the exponential.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["Bench", "compute_click_probabilities", "compute_exponential", "find_best_items", "make_bench"]

_LOG2_E = 1.4426950408889634
_LN_2_HIGH, _LN_2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROUND_TO_WHOLE = 6755399441055744.0  # 1.5 x 2**52: adding it rounds, and leaves the whole in the lowest bits
_EXPONENT_BIAS, _MANTISSA_BITS = np.int64(1023), np.int64(52)
_MAX_LOGIT = 700.0
_NARROW_LOG2_E, _NARROW_ROUND = np.float32(1.44269504), np.float32(12582912.0)
_NARROW_LN_2_HIGH, _NARROW_LN_2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_NARROW_BIAS, _NARROW_BITS = np.int32(127), np.int32(23)
_LEAST_NARROW, _MOST_NARROW = np.float32(-80.0), np.float32(80.0)
_FIRST, _SECOND, _THIRD = np.float32(1.0), np.float32(1.0 / 2.0), np.float32(1.0 / 6.0)
_FOURTH, _FIFTH = np.float32(1.0 / 24.0), np.float32(1.0 / 120.0)


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


@njit(cache=True, inline="always", error_model="numpy")
def _exponentiate_narrowly(x: np.float32) -> np.float32:
    """The e**x in single precision, x cut off at -80 and 80, relative error below 5e-6, without a branch."""
    bounded = min(max(x, _LEAST_NARROW), _MOST_NARROW)
    shifted = bounded * _NARROW_LOG2_E + _NARROW_ROUND
    whole = shifted - _NARROW_ROUND
    r = (bounded - whole * _NARROW_LN_2_HIGH) - whole * _NARROW_LN_2_LOW
    series = _FIFTH
    series = series * r + _FOURTH
    series = series * r + _THIRD
    series = series * r + _SECOND
    series = series * r + _FIRST
    series = series * r + _FIRST
    power = (np.float32(shifted).view(np.int32) + _NARROW_BIAS) << _NARROW_BITS
    return series * np.int32(power).view(np.float32)


@njit(cache=True, error_model="numpy")
def compute_click_probabilities(
    weights: NDArray[np.float64],
    contexts: NDArray[np.float64],
    item: NDArray[np.int64],
    count: int,
    ctr: NDArray[np.float64],
) -> None:
    """Click probability of one given item for each user.

    Args:
        weights: float64 [items, d + 1], intercept last.
        contexts: float64 [d, >= count]; users, without the constant.
        item: int64 [>= count]; which is shown.
        count: users.
        ctr: float64 [>= count]; overwritten.
    """
    d = contexts.shape[0]
    for n in range(count):
        z = -weights[item[n], d]
        for j in range(d):
            z -= weights[item[n], j] * contexts[j, n]
        ctr[n] = z
    for n in range(count):
        ctr[n] = _compute_logistic_of_negative(ctr[n])


class Bench(NamedTuple):
    """Where the best items of up to ``capacity`` users are found.

    Attributes:
        contexts: float64 [d, capacity]; users, without the constant.
        item: int64 [capacity]; each user's best item.
        ctr: float64 [capacity]; its click probability.
        narrow: float32 [d, capacity]; scratch, as are the others.
        logits: float32 [capacity].
        worth: float32 [capacity].
        leader: int32 [capacity].
    """

    contexts: NDArray[np.float64]
    item: NDArray[np.int64]
    ctr: NDArray[np.float64]
    narrow: NDArray[np.float32]
    logits: NDArray[np.float32]
    worth: NDArray[np.float32]
    leader: NDArray[np.int32]


def make_bench(embedding_size: int, capacity: int) -> Bench:
    """Room for ``capacity`` users, unfilled."""
    return Bench(
        np.empty((embedding_size, capacity)),
        np.empty(capacity, dtype=np.int64),
        np.empty(capacity),
        np.empty((embedding_size, capacity), dtype=np.float32),
        np.empty(capacity, dtype=np.float32),
        np.empty(capacity, dtype=np.float32),
        np.empty(capacity, dtype=np.int32),
    )


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _compute_negative_logits(
    weights: NDArray[np.float64], x: NDArray[np.float32], count: int, logits: NDArray[np.float32]
) -> None:
    d = x.shape[0]
    start = np.float32(-weights[d])
    for n in range(count):
        logits[n] = start
    j = 0
    while j + 4 <= d:
        w0, w1 = np.float32(weights[j]), np.float32(weights[j + 1])
        w2, w3 = np.float32(weights[j + 2]), np.float32(weights[j + 3])
        for n in range(count):
            logits[n] -= w0 * x[j, n] + w1 * x[j + 1, n] + w2 * x[j + 2, n] + w3 * x[j + 3, n]
        j += 4
    while j < d:
        w0 = np.float32(weights[j])
        for n in range(count):
            logits[n] -= w0 * x[j, n]
        j += 1


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _raise_leaders(
    item: int,
    item_value: float,
    count: int,
    logits: NDArray[np.float32],
    worth: NDArray[np.float32],
    leader: NDArray[np.int32],
) -> None:
    """One more candidate for every user; it leads where it is worth more than the best before it."""
    candidate, worth_if_clicked, one = np.int32(item), np.float32(item_value), np.float32(1.0)
    for n in range(count):
        offered = worth_if_clicked / (one + _exponentiate_narrowly(logits[n]))
        leads = offered > worth[n]
        worth[n] = offered if leads else worth[n]
        leader[n] = candidate if leads else leader[n]


@njit(cache=True, error_model="numpy")
def find_best_items(weights: NDArray[np.float64], item_values: NDArray[np.float64], count: int, bench: Bench) -> None:
    """Finds for each user the item with the highest worth: click probability times value, the first on ties.

    Items are compared in single precision, so that of two whose worths differ by less than about a millionth
    either may win; the winner's click probability is computed in double precision.

    Args:
        weights: float64 [items, d + 1], intercept last.
        item_values: float64 [items], above 0, USD per click.
        count: users in ``bench.contexts``.
        bench: its ``item`` and ``ctr`` are overwritten.
    """
    d = bench.contexts.shape[0]
    for j in range(d):
        for n in range(count):
            bench.narrow[j, n] = bench.contexts[j, n]
    for n in range(count):
        bench.worth[n], bench.leader[n] = -1.0, 0
    for i in range(item_values.shape[0]):
        _compute_negative_logits(weights[i], bench.narrow, count, bench.logits)
        _raise_leaders(i, item_values[i], count, bench.logits, bench.worth, bench.leader)
    for n in range(count):
        bench.item[n] = bench.leader[n]
    compute_click_probabilities(weights, bench.contexts, bench.item, count, bench.ctr)
