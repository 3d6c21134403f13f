"""Counter-based noise: every draw is a pure function of (world key, hour, slot).

Two policies in the same world meet the same noise (common random numbers), a batch of worlds draws
what each world would draw alone, and nothing needs to be stored to resume. Counts are drawn by
inversion, so that more demand never gives fewer clicks under the same noise.

Source: counter-based generators, Salmon et al., SC 2011, "Parallel random numbers: as easy as
1, 2, 3"; the mixing function is SplitMix64, Steele, Lea, Flood, OOPSLA 2014; the inverse normal
is Acklam's rational approximation (relative error below 1.2e-9); Poisson quantiles above a mean of
16 are the expansion of Giles, "Algorithm 955: approximation of the inverse Poisson cumulative
distribution function", ACM TOMS 2016.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_rl.errors import ConfigError, suggest

__all__ = [
    "SLOTS_PER_HOUR",
    "Split",
    "compute_inverse_normal",
    "derive_next_keys",
    "derive_stream",
    "make_world_keys",
    "sample_binomial",
    "sample_from_stream",
    "sample_normal",
    "sample_poisson",
    "sample_uniform",
    "transform_to_normal",
]

SLOTS_PER_HOUR = 4096
"""Draws that one world may make in one hour."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S12 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(12)
_SLOTS = np.uint64(SLOTS_PER_HOUR)
_INVERSION_LIMIT = 16.0
_TAIL = 0.02425

Split = str
_SPLITS: dict[Split, int] = {"train": 0, "validation": 1, "test": 2}


def make_world_keys(split: Split, first_seed: int, num_worlds: int) -> NDArray[np.uint64]:
    """Keys of ``num_worlds`` worlds; seed s of one split is never a world of another split.

    Args:
        split: ``train``, ``validation`` or ``test``.
        first_seed: seed of the first world; world i has ``first_seed + i``.
        num_worlds: how many.

    Returns:
        uint64 [worlds].

    Raises:
        ConfigError: the split does not exist or a seed is negative.
    """
    if split not in _SPLITS:
        msg = f"split {split!r} does not exist.{suggest(split, _SPLITS)}"
        raise ConfigError(msg)
    if first_seed < 0:
        msg = f"the first seed is {first_seed}; world seeds must be 0 or above"
        raise ConfigError(msg)
    return np.array(
        [
            np.random.SeedSequence((_SPLITS[split], first_seed + i)).generate_state(1, np.uint64)[0]
            for i in range(num_worlds)
        ],
        dtype=np.uint64,
    )


@njit(cache=True, inline="always")
def _mix(z: np.uint64) -> np.uint64:
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


@njit(cache=True)
def derive_next_keys(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The keys of the worlds that follow when these have ended, uint64 [worlds]."""
    following = np.empty_like(keys)
    for w in range(keys.shape[0]):
        following[w] = _mix(_mix(keys[w] + _GOLDEN) ^ _MIX_2)
    return following


@njit(cache=True, inline="always")
def sample_uniform(key: np.uint64, hour: int, slot: int) -> float:
    """A uniform draw from the open interval (0, 1)."""
    counter = np.uint64(hour) * _SLOTS + np.uint64(slot) + np.uint64(1)
    bits = _mix(key + counter * _GOLDEN)
    return (float(bits >> _S12) + 0.5) * (1.0 / 4503599627370496.0)


@njit(cache=True, inline="always")
def derive_stream(key: np.uint64, hour: int, slot: int) -> np.uint64:
    """The key of a stream of its own, for as many draws as an hour's slot may need."""
    return _mix(_mix(key + (np.uint64(hour) * _SLOTS + np.uint64(slot) + np.uint64(1)) * _GOLDEN) ^ _MIX_1)


@njit(cache=True, inline="always")
def sample_from_stream(stream: np.uint64, index: int) -> float:
    """Draw ``index`` of a stream: uniform on the open interval (0, 1)."""
    bits = _mix(stream + (np.uint64(index) + np.uint64(1)) * _GOLDEN)
    return (float(bits >> _S12) + 0.5) * (1.0 / 4503599627370496.0)


@njit(cache=True)
def compute_inverse_normal(p: float) -> float:
    """The z with Phi(z) = p, for 0 < p < 1."""
    if p < _TAIL:
        q = math.sqrt(-2.0 * math.log(p))
        return _compute_tail(q)
    if p > 1.0 - _TAIL:
        q = math.sqrt(-2.0 * math.log1p(-p))
        return -_compute_tail(q)
    return _compute_centre(p)


@njit(cache=True, error_model="numpy")
def transform_to_normal(uniforms: NDArray[np.float64], normals: NDArray[np.float64]) -> None:
    """``compute_inverse_normal`` of many: the centre's formula for all at once, then the few in the tails.

    Args:
        uniforms: float64 [n], each above 0 and below 1.
        normals: float64 [n]; overwritten.
    """
    for i in range(uniforms.shape[0]):
        normals[i] = _compute_centre(uniforms[i])
    for i in range(uniforms.shape[0]):
        if uniforms[i] < _TAIL or uniforms[i] > 1.0 - _TAIL:
            normals[i] = compute_inverse_normal(uniforms[i])


@njit(cache=True, inline="always", error_model="numpy")
def _compute_centre(p: float) -> float:
    q = p - 0.5
    r = q * q
    top = (
        (((-3.969683028665376e01 * r + 2.209460984245205e02) * r - 2.759285104469687e02) * r + 1.383577518672690e02) * r
        - 3.066479806614716e01
    ) * r + 2.506628277459239e00
    bottom = (
        (((-5.447609879822406e01 * r + 1.615858368580409e02) * r - 1.556989798598866e02) * r + 6.680131188771972e01) * r
        - 1.328068155288572e01
    ) * r + 1.0
    return top * q / bottom


@njit(cache=True)
def _compute_tail(q: float) -> float:
    top = (
        (((-7.784894002430293e-03 * q - 3.223964580411365e-01) * q - 2.400758277161838e00) * q - 2.549732539343734e00)
        * q
        + 4.374664141464968e00
    ) * q + 2.938163982698783e00
    bottom = (
        ((7.784695709041462e-03 * q + 3.224671290700398e-01) * q + 2.445134137142996e00) * q + 3.754408661907416e00
    ) * q + 1.0
    return top / bottom


@njit(cache=True)
def sample_normal(key: np.uint64, hour: int, slot: int) -> float:
    """A standard normal draw."""
    return compute_inverse_normal(sample_uniform(key, hour, slot))


@njit(cache=True)
def sample_poisson(mean: float, uniform: float) -> int:
    """A Poisson count by inversion of ``uniform``.

    Exact below a mean of 16; above it by Giles' expansion, one off in fewer than 3 of 10,000 draws.
    """
    if mean <= 0.0:
        return 0
    if mean < _INVERSION_LIMIT:
        probability = math.exp(-mean)
        total = probability
        count = 0
        while uniform > total and count < 100:
            count += 1
            probability *= mean / count
            total += probability
        return count
    z = compute_inverse_normal(uniform)
    root, square = math.sqrt(mean), z * z
    quantile = mean + root * z + 1.0 / 3.0 + square / 6.0 - z * (2.0 + square) / (72.0 * root)
    quantile += (-16.0 + 7.0 * square + 3.0 * square * square) / (810.0 * mean)
    return max(math.floor(quantile), 0)


@njit(cache=True)
def sample_binomial(trials: int, share: float, uniform: float) -> int:
    """A binomial count by inversion of ``uniform``.

    Exact below a mean of 16; above it the Cornish-Fisher quantile, within one for shares up to a half.
    """
    if trials <= 0 or share <= 0.0:
        return 0
    if share >= 1.0:
        return trials
    mean = trials * share
    if mean < _INVERSION_LIMIT:
        probability = math.exp(trials * math.log1p(-share))
        odds = share / (1.0 - share)
        total = probability
        count = 0
        while uniform > total and count < trials:
            probability *= odds * (trials - count) / (count + 1)
            count += 1
            total += probability
        return count
    z = compute_inverse_normal(uniform)
    variance = mean * (1.0 - share)
    count = math.floor(mean + math.sqrt(variance) * z + (1.0 - 2.0 * share) * (z * z - 1.0) / 6.0 + 0.5)
    return min(max(count, 0), trials)
