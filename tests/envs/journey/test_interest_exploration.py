"""Interest-exploration users against the distributions that make them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from envs.journey.batched_sessions import simulate_sessions
from envs.journey.interest_exploration import sample_affinities
from envs.journey.stock_parameters import INTEREST_EXPLORATION
from envs.journey.user_streams import make_run_key, make_user_keys


def sample_many_affinities(count: int) -> np.ndarray:
    affinities = np.empty((count, 2))
    for user, key in enumerate(make_user_keys(make_run_key(3), np.arange(count))):
        sample_affinities(key, INTEREST_EXPLORATION, affinities[user])
    return affinities


def test_affinities__are_log_normal_around_the_user_s_type() -> None:
    """Type 1, seven users of ten, likes topic 0 with log mean 0.7 and topic 1 with 0.1; type 0 the other way round."""
    logs = np.log(sample_many_affinities(20_000))
    majority = logs[:, 0] > logs[:, 1]
    assert majority.mean() == pytest.approx(0.7, abs=4 * np.sqrt(0.21 / 20_000))
    for topic, mean in ((0, 0.7), (1, 0.1)):
        assert stats.kstest(logs[majority, topic], "norm", args=(mean, 0.1)).pvalue > 1e-3
        assert stats.kstest(logs[~majority, 1 - topic], "norm", args=(mean, 0.1)).pvalue > 1e-3


def test_sessions__have_fifty_steps_and_positive_qualities() -> None:
    sessions = simulate_sessions("interest_exploration", "mnl", "greedy_quality", 2_000, 0)
    assert (sessions.column("length") == 50.0).all()
    clicked = sessions.column("clicks") > 0
    mean = sessions.column("quality_sum")[clicked] / sessions.column("clicks")[clicked]
    assert stats.norm.cdf(np.log(mean.min()), 0.2, 0.1) > 1e-6
    assert (sessions.column("reward") == sessions.column("clicks")).all()


def test_greedy_quality__shows_better_documents_than_chance() -> None:
    means = {}
    for policy in ("random", "greedy_quality"):
        sessions = simulate_sessions("interest_exploration", "mnl", policy, 2_000, 0)
        means[policy] = sessions.column("quality_sum").sum() / sessions.column("clicks").sum()
    assert means["greedy_quality"] > means["random"] + 0.3
