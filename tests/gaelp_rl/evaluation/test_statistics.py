"""Robust aggregates against hand-made numbers and slow, independent implementations."""

from __future__ import annotations

import random
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, trim_mean

from gaelp_rl.errors import DataError
from gaelp_rl.evaluation.statistics import (
    compute_iqm,
    compute_performance_profile,
    compute_probability_of_improvement,
    sample_iqm_interval,
    sample_paired_difference,
)


def slow_iqm(scores: list[float]) -> float:
    """Sort, drop a quarter at each end, average."""
    ordered = sorted(scores)
    cut = len(ordered) // 4
    return statistics.fmean(ordered[cut : len(ordered) - cut])


def test_compute_iqm__by_hand() -> None:
    """Of 1..8 the middle half is 3, 4, 5, 6: mean 4.5, wherever the outlier goes."""
    assert compute_iqm(np.array([8.0, 1, 2, 3, 4, 5, 6, 7])) == 4.5
    assert compute_iqm(np.array([1e9, 1, 2, 3, 4, 5, 6, 7])) == 4.5


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_compute_iqm__equals_trimmed_mean(scores: list[float]) -> None:
    """rliable's definition (scipy's trim_mean at 25 %) and a sort."""
    iqm = float(compute_iqm(np.array(scores)))
    assert iqm == pytest.approx(slow_iqm(scores), rel=1e-9, abs=1e-6)
    assert iqm == pytest.approx(float(trim_mean(scores, 0.25)), rel=1e-9, abs=1e-6)


def test_sample_iqm_interval__equals_slow_bootstrap() -> None:
    """A bootstrap in pure Python with another generator gives the same ends to sampling error."""
    scores = np.random.default_rng(0).normal(0.9, 0.1, (1, 60))
    interval = sample_iqm_interval(scores, np.random.default_rng(1), resamples=8000)
    rng = random.Random(2)
    draws = sorted(slow_iqm(rng.choices(scores[0].tolist(), k=60)) for _ in range(8000))
    assert interval.low == pytest.approx(draws[200], abs=0.002)
    assert interval.high == pytest.approx(draws[7799], abs=0.002)


def test_sample_iqm_interval__covers_the_truth() -> None:
    """95 % intervals of a symmetric population hold its IQM (0) in 91 to 98 % of 300 repetitions."""
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(300):
        interval = sample_iqm_interval(rng.normal(0.0, 1.0, (1, 100)), rng, resamples=400)
        hits += interval.low <= 0.0 <= interval.high
    assert 0.91 <= hits / 300 <= 0.98


def test_sample_iqm_interval__ten_seeds_in_the_same_worlds_are_not_ten_times_the_worlds() -> None:
    """Hard worlds are hard for every seed; the interval must not shrink as if they were independent."""
    world_effect = np.random.default_rng(4).normal(0.8, 0.1, (1, 100))
    one = sample_iqm_interval(world_effect, np.random.default_rng(5))
    ten = sample_iqm_interval(np.repeat(world_effect, 10, axis=0), np.random.default_rng(5))
    assert ten.high - ten.low == pytest.approx(one.high - one.low, rel=0.1)


def test_sample_iqm_interval__training_seeds_that_disagree_widen_it() -> None:
    """Luck of training is part of the uncertainty of a method."""
    worlds = np.random.default_rng(6).normal(0.8, 0.02, (1, 100))
    agreeing = np.repeat(worlds, 5, axis=0)
    disagreeing = agreeing + np.array([-0.2, -0.1, 0.0, 0.1, 0.2])[:, None]
    narrow = sample_iqm_interval(agreeing, np.random.default_rng(7))
    wide = sample_iqm_interval(disagreeing, np.random.default_rng(7))
    assert wide.high - wide.low > 5 * (narrow.high - narrow.low)


def test_sample_paired_difference__sees_a_small_gain_in_every_world() -> None:
    """Worlds differ by 0.2, the policies by 0.01: pairing finds it, separate intervals overlap."""
    other = np.random.default_rng(8).normal(0.8, 0.2, (1, 200))
    scores = other + 0.01
    paired = sample_paired_difference(scores, other, np.random.default_rng(9))
    assert paired.difference == pytest.approx(0.01)
    assert paired.interval.low == pytest.approx(0.01)
    assert paired.interval.high == pytest.approx(0.01)
    assert sample_iqm_interval(scores, np.random.default_rng(9)).low < float(compute_iqm(other[0]))


def test_sample_paired_difference__takes_unequal_training_seeds() -> None:
    """A trained policy of three seeds against an untrained one: IQM over all three against IQM of one."""
    rng = np.random.default_rng(10)
    other = rng.normal(0.8, 0.1, (1, 50))
    scores = other + rng.normal(0.05, 0.01, (3, 50))
    paired = sample_paired_difference(scores, other, np.random.default_rng(11))
    assert paired.difference == pytest.approx(slow_iqm(scores.ravel().tolist()) - slow_iqm(other[0].tolist()))
    assert 0.0 < paired.interval.low < paired.difference < paired.interval.high


def test_sample_paired_difference__large_inputs_in_chunks_equal_their_distribution() -> None:
    """10 seeds x 1,000 worlds x 2,000 resamples would be 160 MB at once; chunks must add up."""
    scores = np.random.default_rng(12).normal(0.0, 1.0, (10, 1000))
    paired = sample_paired_difference(scores, np.zeros((1, 1000)), np.random.default_rng(13), resamples=500)
    assert paired.interval.low < paired.difference < paired.interval.high
    assert paired.interval.high - paired.interval.low < 0.2


def test_compute_probability_of_improvement__by_hand() -> None:
    """Worlds: win, loss, tie, win: (1 + 0 + 0.5 + 1) / 4."""
    scores = np.array([[0.9, 0.5, 0.7, 0.8]])
    other = np.array([[0.8, 0.6, 0.7, 0.1]])
    assert compute_probability_of_improvement(scores, other) == 0.625


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_compute_probability_of_improvement__equals_mann_whitney_per_world(seed: int) -> None:
    """Agarwal et al. define it as the mean over tasks of U / (seeds x seeds)."""
    rng = np.random.default_rng(seed)
    scores, other = rng.integers(0, 4, (3, 5)).astype(float), rng.integers(0, 4, (4, 5)).astype(float)
    expected = np.mean([mannwhitneyu(scores[:, w], other[:, w]).statistic / 12 for w in range(5)])
    assert compute_probability_of_improvement(scores, other) == pytest.approx(float(expected))


def test_compute_performance_profile__by_hand() -> None:
    """Of 0.2, 0.5, 0.5, 0.9: all above 0, half at or below 0.5, none above 0.9."""
    profile = compute_performance_profile(np.array([[0.2, 0.5], [0.5, 0.9]]), np.array([0.0, 0.2, 0.4, 0.5, 0.9]))
    assert profile.tolist() == [1.0, 0.75, 0.75, 0.25, 0.0]


def test_statistics__refuse_other_worlds_and_nan() -> None:
    """Pairing different worlds, or a NaN, would give a number that means nothing."""
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="same worlds"):
        sample_paired_difference(np.ones((1, 3)), np.ones((1, 4)), rng)
    with pytest.raises(DataError, match="finite scores"):
        sample_iqm_interval(np.array([[0.1, np.nan]]), rng)
