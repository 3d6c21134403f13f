"""Exponential, logistic function and softplus, quick enough to be evaluated 10 billion times in a training run.

Each is branch-free arithmetic, so that loops that use them compile to vector instructions; they are good to
about 3e-9, far below the noise of what they train on. Unlike libm's they may be reassociated with what
surrounds them.

Source: Cody and Waite, "Software Manual for the Elementary Functions", 1980, for the range reduction; the
polynomials interpolate e**r and log(1 + e) / e at the Chebyshev nodes of their intervals.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["FAST", "compute_exponential", "compute_log_one_plus", "compute_logistic", "compute_softplus"]

FAST = {"reassoc", "nsz", "arcp", "contract"}
"""What the compiler may do to sums and products; NaN and infinity keep their meaning."""

_LOG2_E, _LN_2 = 1.4426950408889634, 0.6931471805599453
_INTEGER_IN_MANTISSA = 6755399441055744.0  # 1.5 x 2**52
_EXPONENT_BIAS, _MANTISSA_BITS = np.int64(1023), np.int64(52)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def compute_exponential(x: float) -> float:
    """The e**x for x up to 700, relative error below 3e-9; below -700 it stays at e**-700."""
    bounded = max(x, -700.0)
    whole = np.floor(bounded * _LOG2_E + 0.5)
    r = bounded - whole * _LN_2
    series = 0.0013948583
    series = series * r + 0.00837513044
    series = series * r + 0.041666218241
    series = series * r + 0.166664154586
    series = series * r + 0.500000010776
    series = series * r + 1.000000037732
    series = series * r + 0.99999999996
    bits = np.float64(whole + _INTEGER_IN_MANTISSA).view(np.int64)
    power = np.int64((bits + _EXPONENT_BIAS) << _MANTISSA_BITS)
    return series * power.view(np.float64)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def compute_log_one_plus(x: float) -> float:
    """The logarithm of 1 + x for 0 <= x <= 1, absolute error below 4e-9."""
    series = -0.0032563784805
    series = series * x + 0.019907160959
    series = series * x - 0.0570642008209
    series = series * x + 0.106142646929
    series = series * x - 0.153118631055
    series = series * x + 0.196781172575
    series = series * x - 0.249545588713
    series = series * x + 0.333300040352
    series = series * x - 0.499999039928
    series = series * x + 0.999999995385
    return series * x


@njit(cache=True, error_model="numpy", fastmath=FAST)
def compute_logistic(x: float) -> float:
    """The logistic function 1 / (1 + e**-x)."""
    tail = compute_exponential(-abs(x))
    return (1.0 if x >= 0.0 else tail) / (1.0 + tail)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def compute_softplus(x: float) -> tuple[float, float]:
    """The softplus log(1 + e**x) and its derivative, the logistic function."""
    tail = compute_exponential(-abs(x))
    slope = (1.0 if x >= 0.0 else tail) / (1.0 + tail)
    return max(x, 0.0) + compute_log_one_plus(tail), slope
