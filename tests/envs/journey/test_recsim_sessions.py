"""Whole sessions, equal to those of reference runs of the package under the same seeds."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from envs.journey.recsim_models import JourneySeeds, make_recsim_journey
from envs.journey.recsim_sessions import choose_slate, iterate_recsim_sessions, measure_recsim_rate
from envs.journey.statistics import METRICS, SESSION_COLUMNS, compute_session_metrics
from envs.journey.stock_parameters import MODELS, POLICIES
from gaelp_rl.errors import ConfigError

DATA = Path(__file__).resolve().parents[2] / "data" / "recsim"
SEEDS = JourneySeeds(users=11, documents=22, choices=33, policy=44)


@pytest.mark.parametrize(
    ("case", "model", "choice", "policy"),
    [
        ("iev_default_random", "interest_evolution", "proportional", "random"),
        ("iev_default_greedy_pctr", "interest_evolution", "proportional", "greedy_pctr"),
        ("iev_mnl_greedy_pctr", "interest_evolution", "mnl", "greedy_pctr"),
        ("iex_default_greedy_pctr", "interest_exploration", "mnl", "greedy_pctr"),
        ("lts_default_greedy_choc", "long_term_satisfaction", "mnl", "greedy_pctr"),
    ],
)
def test_sessions__are_those_of_the_reference_one_by_one(case: str, model: str, choice: str, policy: str) -> None:
    """The reference tables carry six digits; only figures that the model has are compared."""
    users = 25
    with gzip.open(DATA / f"sessions_{case}.csv.gz", "rt", newline="") as file:
        reference = list(csv.DictReader(file))[:users]
    statistics = iterate_recsim_sessions(model, choice, policy, users, SEEDS)
    compared = 0
    for name in SESSION_COLUMNS:
        column = statistics.column(name)
        if name not in reference[0] or np.isnan(column).all():
            continue
        expected = np.array([float(row[name]) for row in reference])
        np.testing.assert_allclose(column, expected, rtol=1e-5, atol=1e-6, err_msg=name)
        compared += 1
    assert compared >= 5
    assert statistics.clicks_by_step.sum() == statistics.column("clicks").sum()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("policy", POLICIES)
def test_sessions__have_every_metric_of_their_model(model: str, policy: str) -> None:
    users, finished = 60 if model == "ads" else 12, []
    statistics = iterate_recsim_sessions(model, "mnl", policy, users, 1, finished.append)
    assert finished == list(range(1, users + 1))
    metrics = compute_session_metrics(statistics)
    assert tuple(metrics) == METRICS[model]
    assert all(np.isfinite(per_session).any() for per_session in metrics.values())
    again = iterate_recsim_sessions(model, "mnl", policy, users, 1)
    np.testing.assert_array_equal(again.sessions, statistics.sessions)
    assert not np.array_equal(iterate_recsim_sessions(model, "mnl", policy, users, 2).sessions, statistics.sessions)


def test_greedy_slates__hold_the_best_and_ties_the_earlier() -> None:
    journey, rng = make_recsim_journey("interest_evolution", None, SEEDS), np.random.default_rng(0)
    for _ in range(50):
        journey.reset()
        scores, qualities = journey.compute_scores(), journey.compute_qualities()
        for policy, worth in (("greedy_pctr", scores), ("greedy_quality", qualities)):
            expected = sorted(range(10), key=lambda position, worth=worth: (-worth[position], position))[:2]
            assert choose_slate(journey, policy, rng) == expected
    slate = choose_slate(journey, "random", rng)
    assert len(set(slate)) == 2


def test_greedy_quality__feeds_users_of_long_term_satisfaction_the_least_clickbait() -> None:
    """The lowest of ten uniforms is 1/11 on average, the highest 10/11."""
    kale = compute_session_metrics(iterate_recsim_sessions(MODELS[2], "mnl", "greedy_quality", 20, 0))
    choc = compute_session_metrics(iterate_recsim_sessions(MODELS[2], "mnl", "greedy_pctr", 20, 0))
    assert kale["clickbait_mean"].mean() == pytest.approx(1 / 11, abs=0.02)
    assert choc["clickbait_mean"].mean() == pytest.approx(10 / 11, abs=0.02)


def test_rate__is_measured_for_every_model() -> None:
    assert all(measure_recsim_rate(model, 1) > 100.0 for model in MODELS)


def test_bad_requests__name_what_is_wrong() -> None:
    with pytest.raises(ConfigError, match="policy 'greedy'"):
        iterate_recsim_sessions("ads", "mnl", "greedy", 1, 0)
    with pytest.raises(ConfigError, match="0 users have no sessions"):
        iterate_recsim_sessions("ads", "mnl", "random", 0, 0)
    with pytest.raises(ConfigError, match="0 users take no steps"):
        measure_recsim_rate("ads", 0)
    with pytest.raises(ConfigError, match="model 'adds'"):
        measure_recsim_rate("adds", 1)
