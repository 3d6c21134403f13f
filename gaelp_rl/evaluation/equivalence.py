"""Whether two simulators agree: tests that could find a difference, and tests that show there is none.

A test of equal means that does not reject proves nothing by itself: with few or noisy runs it
rejects nothing at all. So every question is asked twice: is there a difference (t-test,
permutation test, corrected over all questions by Holm's method), and is a difference above a stated
margin ruled out (two one-sided tests)?

Runs come in blocks (a seed, which fixes a world): a reference run and own runs of the same seed
differ by chance alone if the simulators are equal, so that comparisons are made within blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.errors import DataError

__all__ = [
    "PairedComparison",
    "compute_holm_adjusted",
    "compute_paired_comparison",
    "sample_exchange_p_value",
]

_BATCH = 250


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """What differences between pairs say about their mean.

    Attributes:
        mean: of the differences.
        standard_error: of that mean; 0 where all differences are equal.
        difference_p_value: two-sided t-test of mean 0; NaN with fewer than two pairs.
        equivalence_p_value: of a mean difference at or beyond the margin; at most alpha shows equivalence.
            NaN with fewer than two pairs.
    """

    mean: float
    standard_error: float
    difference_p_value: float
    equivalence_p_value: float


def compute_paired_comparison(differences: FloatArray, margin: float) -> PairedComparison:
    """Student's t on differences, and the two one-sided tests of |mean| >= margin.

    t = mean / se, p = 2 P(T > |t|);  equivalence p = P(T > (margin - |mean|) / se), T ~ t(n - 1).

    Args:
        differences: float64 [pairs], finite; one for each block.
        margin: the smallest difference of means that would matter, > 0, in the unit of the differences.

    Returns:
        The comparison. Differences that are all equal leave no doubt: p is 0 or 1.

    Raises:
        DataError: a difference is not finite, there is none, or the margin is not positive.

    Source: Schuirmann, "A comparison of the two one-sided tests procedure and the power approach for
    assessing the equivalence of average bioavailability", J. Pharmacokinetics and Biopharmaceutics 1987.
    """
    if differences.size == 0 or not np.isfinite(differences).all():
        msg = f"{differences.size} differences, not all finite; give one finite difference for each pair"
        raise DataError(msg)
    if not margin > 0:
        msg = f"the equivalence margin is {margin}; it must be positive, in the unit of the differences"
        raise DataError(msg)
    pairs = differences.size
    mean = float(differences.mean())
    if pairs == 1:
        return PairedComparison(mean, float("nan"), float("nan"), float("nan"))
    standard_error = float(differences.std(ddof=1)) / pairs**0.5
    if standard_error == 0.0:
        return PairedComparison(mean, 0.0, float(mean == 0.0), float(abs(mean) >= margin))
    law = stats.t(pairs - 1)
    difference = 2.0 * float(law.sf(abs(mean) / standard_error))
    return PairedComparison(mean, standard_error, difference, float(law.sf((margin - abs(mean)) / standard_error)))


def compute_holm_adjusted(p_values: FloatArray) -> FloatArray:
    """P-values that hold for all hypotheses at once: reject those at most alpha.

    With p sorted upwards, adjusted_i = max over j <= i of min(1, (m - j + 1) p_j), j = 1..m.

    Args:
        p_values: float64 [hypotheses], between 0 and 1; any dependence between them is allowed.

    Returns:
        float64 [hypotheses], in the order given.

    Raises:
        DataError: one is NaN or outside [0, 1].

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 1979.
    """
    if not ((p_values >= 0.0) & (p_values <= 1.0)).all():
        msg = "a p-value is NaN or outside [0, 1]: leave out hypotheses that could not be tested"
        raise DataError(msg)
    order = np.argsort(p_values)
    factors = np.arange(p_values.size, 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * p_values[order]))
    return adjusted


def sample_exchange_p_value(
    reference: FloatArray,
    own: FloatArray,
    rng: np.random.Generator,
    min_exceedances: int = 20,
    max_permutations: int = 100_000,
) -> float:
    """Two-sided permutation test that reference runs and own runs of the same block are exchangeable.

    The statistic is the sum over blocks and columns of ((mean of the reference runs - mean of all
    runs) / sd)^2, sd within blocks and by column. It is large where any column of any block is off, in
    whatever direction, or where reference runs spread more than own ones; it is small where they spread less.
    Runs are exchanged within blocks only, so that the test is exact however different blocks are. It stops
    early once both tails have been reached often enough.

    Args:
        reference: float64 [blocks, runs, columns], at least one run.
        own: float64 [blocks, own runs, columns], at least one run.
        rng: draws the exchanges.
        min_exceedances: stop when each tail was met that often.
        max_permutations: stop in any case; the smallest p-value is about 2 / this.

    Returns:
        The p-value; 1 where nothing varies.

    Raises:
        DataError: blocks or columns differ, or a figure is not finite.

    Source: Besag and Clifford, "Sequential Monte Carlo p-values", Biometrika 1991 (the stopping rule).
    """
    runs = _make_standardised_runs(reference, own)
    if runs.shape[2] == 0:
        return 1.0
    chosen = reference.shape[1]
    observed = float((runs[:, :chosen].mean(axis=1) ** 2).sum())
    tolerance = 1e-9 * (1.0 + observed)
    above = below = drawn = 0
    while drawn < max_permutations and min(above, below) < min_exceedances:
        statistic = _sample_statistics(runs, chosen, rng)
        above += int((statistic >= observed - tolerance).sum())
        below += int((statistic <= observed + tolerance).sum())
        drawn += _BATCH
    return min(1.0, 2.0 * (min(above, below) + 1) / (drawn + 1))


def _make_standardised_runs(reference: FloatArray, own: FloatArray) -> FloatArray:
    """All runs float64 [blocks, runs, columns that vary], centred by block, in sd within blocks."""
    if reference.shape[::2] != own.shape[::2] or reference.size == 0 or own.size == 0:
        msg = f"runs of shapes {reference.shape} and {own.shape}: give [blocks, runs, columns], equal but for runs"
        raise DataError(msg)
    runs = np.concatenate((reference, own), axis=1)
    if not np.isfinite(runs).all():
        msg = "a run holds a figure that is not finite: leave that block or column out"
        raise DataError(msg)
    centred = runs - runs.mean(axis=1, keepdims=True)
    sd = np.sqrt((centred**2).mean(axis=(0, 1)))
    varies = sd > 1e-12 * (1.0 + np.abs(runs).max(axis=(0, 1)))
    return np.asarray(centred[:, :, varies] / sd[varies])


def _sample_statistics(runs: FloatArray, chosen: int, rng: np.random.Generator) -> FloatArray:
    """The statistic float64 [batch] of exchanged runs."""
    blocks, total, _ = runs.shape
    picks = np.argpartition(rng.random((_BATCH, blocks, total)), chosen - 1, axis=2)[:, :, :chosen]
    means = runs[np.arange(blocks)[None, :, None], picks].mean(axis=2)
    return np.asarray((means**2).sum(axis=(1, 2)))
