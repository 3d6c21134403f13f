"""Noise for training: every draw is a pure function of a key and an index.

Nothing is stored or advanced, so that noise can be drawn again, in any order, by whoever holds the key.

Source: SplitMix64, Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014; Box
and Muller, "A note on the generation of random normal deviates", 1958.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.auction.learning.elementary import compute_log_one_plus

__all__ = ["fill_normals", "sample_key", "sample_unit"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S12, _S20, _S27, _S30, _S31, _S32, _S52 = (np.uint64(shift) for shift in (12, 20, 27, 30, 31, 32, 52))
_MANTISSA = np.uint64((1 << 52) - 1)
_ONE = np.uint64(0x3FF0000000000000)  # the bits of 1.0
_TWO_TO_52 = np.uint64(0x4330000000000000)  # the bits of 2.0**52
_LN_2 = 0.6931471805599453
_EXACT_SUMS = {"nsz", "contract"}  # sums in another order would lose what is left of numbers as big as 2.0**52


def sample_key(rng: np.random.Generator) -> np.uint64:
    """A key for a stream of noise of its own."""
    return rng.integers(0, np.iinfo(np.uint64).max, dtype=np.uint64, endpoint=True)


@njit(cache=True, inline="always")
def _draw_bits(key: np.uint64, index: np.uint64) -> np.uint64:
    z = key + (index + np.uint64(1)) * _GOLDEN
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return np.uint64(z ^ (z >> _S31))


@njit(cache=True, inline="always", fastmath=_EXACT_SUMS)
def sample_unit(key: np.uint64, index: np.uint64) -> float:
    """Draw ``index`` of a stream: uniform on [0, 1)."""
    return np.uint64((_draw_bits(key, index) >> _S12) | _ONE).view(np.float64) - 1.0


@njit(cache=True, inline="always", fastmath=_EXACT_SUMS)
def _compute_log(x: float) -> float:
    """The logarithm of a positive, normal x, absolute error below 4e-9."""
    bits = np.float64(x).view(np.uint64)
    exponent = np.uint64((bits >> _S52) | _TWO_TO_52).view(np.float64) - (4503599627370496.0 + 1023.0)
    mantissa = np.uint64((bits & _MANTISSA) | _ONE).view(np.float64)
    return exponent * _LN_2 + compute_log_one_plus(mantissa - 1.0)


@njit(cache=True, inline="always", fastmath=_EXACT_SUMS)
def _compute_sine(a: float) -> float:
    """Sine for -pi / 2 <= a <= pi / 2, by its series; absolute error below 6e-8."""
    b = a * a
    series = -1.0 / 39916800.0
    series = series * b + 1.0 / 362880.0
    series = series * b - 1.0 / 5040.0
    series = series * b + 1.0 / 120.0
    series = series * b - 1.0 / 6.0
    return a * (series * b + 1.0)


@njit(cache=True, inline="always", fastmath=_EXACT_SUMS)
def _compute_cosine(a: float) -> float:
    """Cosine for -pi / 2 <= a <= pi / 2, by its series; absolute error below 7e-9."""
    b = a * a
    series = 1.0 / 479001600.0
    series = series * b - 1.0 / 3628800.0
    series = series * b + 1.0 / 40320.0
    series = series * b - 1.0 / 720.0
    series = series * b + 1.0 / 24.0
    series = series * b - 0.5
    return series * b + 1.0


@njit(cache=True, error_model="numpy", fastmath=_EXACT_SUMS)
def fill_normals(key: np.uint64, block: int, out: NDArray[np.float64]) -> None:
    """Overwrites ``out`` with standard normal draws, the same ones for the same key, block and length.

    Args:
        key: of the stream.
        block: which block of the stream; blocks of one length share no draw.
        out: float64 [n].
    """
    half = (out.shape[0] + 1) // 2
    first = np.uint64(block) * np.uint64(half)
    second = out[out.shape[0] - half :]
    for i in range(half):
        bits = _draw_bits(key, first + np.uint64(i))
        share = 2.0 - np.uint64(((bits >> _S32) << _S20) | _ONE).view(np.float64)
        turn = np.uint64(((bits << _S32) >> _S12) | _ONE).view(np.float64) - 1.5
        radius = math.sqrt(max(-2.0 * _compute_log(share), 0.0))
        sine, cosine = _compute_sine(math.pi * turn), _compute_cosine(math.pi * turn)
        out[i] = radius * (1.0 - 2.0 * sine * sine)
        second[i] = radius * (2.0 * sine * cosine)
