"""What every batched run keeps to: seeds, chunks, bounds, names."""

from __future__ import annotations

import time

import numpy as np
import pytest

from envs.journey import batched_sessions
from envs.journey.batched_sessions import JourneySettings, measure_batched_rate, simulate_sessions
from envs.journey.statistics import METRICS, compute_session_metrics
from envs.journey.stock_parameters import CHOICES, INTEREST_EVOLUTION, MODELS, POLICIES, STOCK_CHOICES, SessionSizes
from gaelp_rl.errors import ConfigError


@pytest.mark.parametrize("model", MODELS)
def test_sessions__do_not_depend_on_chunks(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = simulate_sessions(model, STOCK_CHOICES[model], "greedy_pctr", 100, 4)
    finished: list[int] = []
    monkeypatch.setattr(batched_sessions, "_USERS_PER_CHUNK", 33)
    pieces = simulate_sessions(model, STOCK_CHOICES[model], "greedy_pctr", 100, 4, finished.append)
    np.testing.assert_array_equal(whole.sessions, pieces.sessions)
    np.testing.assert_array_equal(whole.clicks_by_step, pieces.clicks_by_step)
    assert finished == [33, 66, 99, 100]


@pytest.mark.parametrize("model", MODELS)
def test_seed__repeats_users_and_another_seed_does_not(model: str) -> None:
    first, second, other = (simulate_sessions(model, STOCK_CHOICES[model], "random", 50, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.sessions, second.sessions)
    assert not np.array_equal(first.column("reward"), other.column("reward"))


@pytest.mark.parametrize("model", ["interest_evolution", "ads"])
def test_users__are_the_same_under_every_policy(model: str) -> None:
    starts = [simulate_sessions(model, "mnl", policy, 50, 1).column("interest_mean_start") for policy in POLICIES]
    np.testing.assert_array_equal(starts[0], starts[1])
    np.testing.assert_array_equal(starts[0], starts[2])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("policy", POLICIES)
def test_sessions__stay_within_bounds(model: str, choice: str, policy: str) -> None:
    """Every combination runs; RecSim's budgets end at most one step's worth below 0."""
    statistics = simulate_sessions(model, choice, policy, 200, 0)
    column = statistics.column
    assert (column("clicks") <= column("length")).all()
    assert (column("first_slot_clicks") <= column("clicks")).all()
    assert set(compute_session_metrics(statistics)) == set(METRICS[model])
    assert statistics.clicks_by_step.sum() == column("clicks").sum()
    assert (statistics.clicks_by_step <= statistics.alive_by_step).all()
    for name in ("interest_mean_start", "interest_mean_end"):
        assert (np.isnan(column(name)) | (np.abs(column(name)) <= 1.0)).all()
    if model == "ads":
        assert ((-3.0 <= column("end_budget")) & (column("end_budget") <= 0.0)).all()
        assert (column("length") <= 40.0).all()
    if model == "interest_evolution":
        assert ((-4.0 <= column("end_budget")) & (column("end_budget") <= 0.0)).all()


def test_greedy_pctr__is_clicked_more_than_random() -> None:
    for model in ("interest_evolution", "interest_exploration", "ads"):
        rates = [
            simulate_sessions(model, "mnl", policy, 2_000, 0).clicks_by_step[0] for policy in ("random", "greedy_pctr")
        ]
        assert rates[1] > 1.05 * rates[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ad", "mnl", "random", 1, 0), "Did you mean 'ads'"),
        (("ads", "logit", "random", 1, 0), "choice 'logit' does not exist"),
        (("ads", "mnl", "greedy", 1, 0), "Did you mean 'greedy_"),
        (("ads", "mnl", "random", 0, 0), "ask for at least 1"),
        (("ads", "mnl", "random", 1, -1), "must be 0 or above"),
    ],
)
def test_sessions__refuse_what_does_not_exist(arguments: tuple[str, str, str, int, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        simulate_sessions(*arguments)


def test_settings__refuse_sizes_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="cannot be filled"):
        SessionSizes(2, 3)
    with pytest.raises(ConfigError, match="must have 1 to 4096"):
        JourneySettings(interest_evolution=INTEREST_EVOLUTION._replace(num_topics=5_000))


def test_rate__counts_steps_per_cpu_second() -> None:
    """Within a factor of five of one direct measurement: the unit is right, whatever the machine."""
    rate = measure_batched_rate("interest_evolution", "mnl", "random", 20_000)
    started = time.process_time()
    steps = simulate_sessions("interest_evolution", "mnl", "random", 20_000, 0).column("length").sum()
    assert 0.2 < rate * (time.process_time() - started) / steps < 5.0
