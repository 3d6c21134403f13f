"""Aggregates of scores that a few odd worlds cannot move, and how sure they are.

Scores are float64 [training_seeds, worlds]; a policy that is not trained has one row. All policies
are scored in the same worlds, and so are all training seeds of one policy. A bootstrap resample
therefore draws worlds once for everybody, which keeps comparisons paired, and draws the training
seeds of each policy beside them. (Drawing worlds anew for every training seed would treat a hard
world met by ten seeds as ten hard worlds and make intervals too short.)

Source: Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice",
NeurIPS 2021 (IQM, stratified bootstrap, probability of improvement, performance profiles);
Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007 (drawing both axes of a table).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gaelp_rl.domain.reports import FloatArray, IntArray
from gaelp_rl.errors import DataError

__all__ = [
    "Interval",
    "PairedDifference",
    "compute_iqm",
    "compute_performance_profile",
    "compute_probability_of_improvement",
    "sample_iqm_interval",
    "sample_paired_difference",
]

_CHUNK_ELEMENTS = 4_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval, low <= high."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A difference of two IQMs in the same worlds, with its interval."""

    difference: float
    interval: Interval


def compute_iqm(scores: FloatArray) -> FloatArray:
    """Interquartile mean over the last axis: the mean without the lowest and highest quarter.

    Args:
        scores: float64 [..., n], n >= 1. floor(n / 4) scores are left out at each end.

    Returns:
        float64 [...].
    """
    n = scores.shape[-1]
    cut = n // 4
    if cut == 0:
        return np.asarray(scores.mean(axis=-1))
    ordered = np.partition(scores, (cut, n - cut - 1), axis=-1)
    return np.asarray(ordered[..., cut : n - cut].mean(axis=-1))


def sample_iqm_interval(
    scores: FloatArray, rng: np.random.Generator, resamples: int = 2000, confidence: float = 0.95
) -> Interval:
    """Percentile bootstrap interval of the IQM over training seeds and worlds.

    Args:
        scores: float64 [training_seeds, worlds].
        rng: draws the resamples.
        resamples: how many.
        confidence: coverage, between 0 and 1.

    Returns:
        The interval.
    """
    _check_scores(scores)
    draws = [compute_iqm(_resample(scores, worlds, rng)) for worlds in _sample_worlds(scores.shape, rng, resamples)]
    return _compute_interval(np.concatenate(draws), confidence)


def sample_paired_difference(
    scores: FloatArray,
    other: FloatArray,
    rng: np.random.Generator,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> PairedDifference:
    """IQM(scores) - IQM(other) in the same worlds, with its percentile bootstrap interval.

    Args:
        scores: float64 [training_seeds, worlds].
        other: float64 [training_seeds of the other, worlds]; the same worlds in the same order.
        rng: draws the resamples.
        resamples: how many.
        confidence: coverage, between 0 and 1.

    Returns:
        The difference and its interval.

    Raises:
        DataError: the two are not scored in equally many worlds.
    """
    _check_scores(scores)
    _check_scores(other, scores.shape[1])
    shape = (max(scores.shape[0], other.shape[0]), scores.shape[1])
    draws = [
        compute_iqm(_resample(scores, worlds, rng)) - compute_iqm(_resample(other, worlds, rng))
        for worlds in _sample_worlds(shape, rng, resamples)
    ]
    difference = float(compute_iqm(scores.ravel()) - compute_iqm(other.ravel()))
    return PairedDifference(difference, _compute_interval(np.concatenate(draws), confidence))


def compute_probability_of_improvement(scores: FloatArray, other: FloatArray) -> float:
    """P(score > other's score in the same world), ties half, averaged over worlds and seed pairs.

    Args:
        scores: float64 [training_seeds, worlds].
        other: float64 [training_seeds of the other, worlds].

    Returns:
        Between 0 and 1; 0.5 for equals. Source: Agarwal et al. 2021, section 4.3.

    Raises:
        DataError: the two are not scored in equally many worlds.
    """
    _check_scores(scores)
    _check_scores(other, scores.shape[1])
    gap = scores[:, None, :] - other[None, :, :]
    return float(np.mean((gap > 0) + 0.5 * (gap == 0)))


def compute_performance_profile(scores: FloatArray, thresholds: FloatArray) -> FloatArray:
    """Share of runs whose score is above each threshold.

    Args:
        scores: float64 [training_seeds, worlds].
        thresholds: float64 [thresholds].

    Returns:
        float64 [thresholds], falling from 1 to 0. Source: Agarwal et al. 2021, section 4.2.
    """
    ordered = np.sort(scores.ravel())
    return np.asarray(1.0 - np.searchsorted(ordered, thresholds, side="right") / ordered.size)


def _check_scores(scores: FloatArray, worlds: int | None = None) -> None:
    if scores.ndim != 2 or scores.size == 0 or not np.isfinite(scores).all():
        msg = f"scores have shape {scores.shape}; give finite scores [training_seeds, worlds], at least one"
        raise DataError(msg)
    if worlds is not None and scores.shape[1] != worlds:
        msg = f"scores of {scores.shape[1]} worlds against {worlds}; compare policies in the same worlds"
        raise DataError(msg)


def _sample_worlds(shape: tuple[int, ...], rng: np.random.Generator, resamples: int) -> Iterator[IntArray]:
    """Chunks int64 [some resamples, worlds] that add up to all resamples and bound the memory."""
    chunk = max(1, _CHUNK_ELEMENTS // (shape[0] * shape[1]))
    for start in range(0, resamples, chunk):
        yield rng.integers(shape[1], size=(min(chunk, resamples - start), shape[1]))


def _resample(scores: FloatArray, worlds: IntArray, rng: np.random.Generator) -> FloatArray:
    """Scores float64 [resamples, training_seeds * worlds] of drawn worlds and drawn seeds."""
    num_seeds = scores.shape[0]
    if num_seeds == 1:
        return np.asarray(scores[0][worlds])
    seeds = rng.integers(num_seeds, size=(worlds.shape[0], num_seeds))
    return np.asarray(scores[seeds[:, :, None], worlds[:, None, :]].reshape(worlds.shape[0], -1))


def _compute_interval(draws: FloatArray, confidence: float) -> Interval:
    tail = 0.5 * (1.0 - confidence)
    low, high = np.quantile(draws, (tail, 1.0 - tail))
    return Interval(float(low), float(high))
