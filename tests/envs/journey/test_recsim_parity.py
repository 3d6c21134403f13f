"""Batched users are RecSim's users: means, spreads and session lengths of recorded runs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from envs.journey.batched_sessions import simulate_sessions
from envs.journey.recsim_sessions import iterate_recsim_sessions
from envs.journey.statistics import SessionStatistics, compute_session_metrics, summarise
from tests.envs.journey.recsim_reference import CASES, load_sessions, load_summary

USERS = 20_000
MAX_Z = 4.0
SD_MARGIN = 0.1
EQUIVALENCE_SDS = 0.15
"""Means count as equal when the 99 % interval of their difference lies within this many standard deviations."""


def check_same_means(ours: SessionStatistics, theirs: SessionStatistics) -> None:
    """|z| <= 4; sd ratio within 10 %; and the difference of means shown to be small, not just not found."""
    pairs = zip(summarise("ours", ours), summarise("theirs", theirs), strict=True)
    for our, their in pairs:
        if their.sd == 0.0:
            assert (our.mean, our.sd) == (their.mean, 0.0), our.metric
            continue
        difference, error = abs(our.mean - their.mean), np.hypot(our.se, their.se)
        assert difference <= MAX_Z * error, (our.metric, our.mean, their.mean)
        assert difference + stats.norm.ppf(0.995) * error <= EQUIVALENCE_SDS * their.sd, our.metric
        assert our.sd == pytest.approx(their.sd, rel=SD_MARGIN), our.metric


def check_same_distribution(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Chi-square over tenths of the pooled sample, and the distance of the two distribution functions.

    Lengths are whole numbers: Kolmogorov's p-value errs on the safe side, and so the chi-square stands beside it.
    """
    edges = np.unique(np.quantile(np.concatenate((ours, theirs)), np.linspace(0.1, 0.9, 9)))
    counts = [np.bincount(np.searchsorted(edges, of), minlength=edges.size + 1) for of in (ours, theirs)]
    used = np.add(*counts) > 0
    if used.sum() > 1:
        assert stats.chi2_contingency(np.array(counts)[:, used]).pvalue > 1e-3
    assert stats.ks_2samp(ours, theirs, method="asymp").pvalue > 1e-3


@pytest.mark.parametrize("case", CASES)
def test_batched__has_the_statistics_of_recorded_sessions(case: str) -> None:
    ours, theirs = simulate_sessions(*CASES[case], USERS, 7), load_sessions(case)
    check_same_means(ours, theirs)
    check_same_distribution(ours.column("length"), theirs.column("length"))
    for metric in ("clicks", "reward"):
        check_same_distribution(compute_session_metrics(ours)[metric], compute_session_metrics(theirs)[metric])


@pytest.mark.parametrize("case", CASES)
def test_batched__agrees_with_the_recorded_summary(case: str) -> None:
    recorded = load_summary()
    for row in summarise(case, simulate_sessions(*CASES[case], USERS, 8)):
        their = recorded[case, row.metric]
        assert abs(row.mean - their["mean"]) <= MAX_Z * np.hypot(row.se, their["se"]) + 1e-9, row.metric


@pytest.mark.parametrize("case", CASES)
def test_batched__clicks_as_often_at_every_step(case: str) -> None:
    """Chi-square of clicks against chance, over the steps that most sessions reach."""
    ours, theirs = simulate_sessions(*CASES[case], USERS, 9), load_sessions(case)
    steps = int((theirs.alive_by_step >= 1_000).sum())
    total = 0.0
    for step in range(steps):
        table = np.array(
            [[of.clicks_by_step[step], of.alive_by_step[step] - of.clicks_by_step[step]] for of in (ours, theirs)]
        )
        if (table.sum(axis=0) > 0).all():
            total += stats.chi2_contingency(table, correction=False).statistic
    assert stats.chi2.sf(total, steps) > 1e-3


@pytest.mark.integration
@pytest.mark.parametrize(
    ("choice", "policy"),
    [("mnl", "random"), ("mnl", "greedy_pctr"), ("exponential_cascade", "greedy_quality")],
)
def test_ads__have_the_same_statistics_in_both_implementations(choice: str, policy: str) -> None:
    theirs = iterate_recsim_sessions("ads", choice, policy, 700, 5)
    ours = simulate_sessions("ads", choice, policy, USERS, 5)
    for our, their in zip(summarise("ours", ours), summarise("theirs", theirs), strict=True):
        assert abs(our.mean - their.mean) <= MAX_Z * np.hypot(our.se, their.se), our.metric
        assert their.metric == "mean_delay_hours" or our.sd == pytest.approx(their.sd, rel=0.15), our.metric
    check_same_distribution(ours.column("length"), theirs.column("length"))
    check_same_distribution(ours.column("clicks"), theirs.column("clicks"))
