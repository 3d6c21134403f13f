"""Whole sessions of users in the ``recsim`` package, one user after another, and how fast that is."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from envs.journey.recsim_models import JourneySeeds, RecSimJourney, StepResult, make_journey_seeds, make_recsim_journey
from envs.journey.recsim_package import lend_random_stream
from envs.journey.statistics import SessionRow, SessionStatistics, make_session_statistics
from envs.journey.stock_parameters import STOCK_CHOICES, check_journey
from gaelp_rl.errors import ConfigError

__all__ = ["choose_slate", "iterate_recsim_sessions", "measure_recsim_rate"]


def iterate_recsim_sessions(
    model: str,
    choice: str,
    policy: str,
    num_users: int,
    seed: int | JourneySeeds,
    on_user: Callable[[int], None] | None = None,
) -> SessionStatistics:
    """Runs users through their sessions with stock parameters.

    Args:
        model: a name of ``MODELS``.
        choice: a name of ``CHOICES``.
        policy: what is shown, see ``choose_slate``.
        num_users: sessions, at least 1.
        seed: of the run; or a seed for every stream.
        on_user: called after each session with the number of sessions so far.

    Returns:
        One row per session, in order.

    Raises:
        ConfigError: a name does not exist, or there is no user.
        ResourceError: ``recsim`` is not installed.
    """
    check_journey(model, choice, policy)
    if num_users < 1:
        msg = f"{num_users} users have no sessions; ask for at least 1"
        raise ConfigError(msg)
    seeds = make_journey_seeds(seed) if isinstance(seed, int) else seed
    journey = make_recsim_journey(model, choice, seeds)
    rng = np.random.default_rng(seeds.policy)
    clicks_by_step: Counter[int] = Counter()
    rows = []
    for finished in range(1, num_users + 1):
        with lend_random_stream(journey.stream):
            rows.append(_run_session(journey, policy, rng, clicks_by_step))
        if on_user is not None:
            on_user(finished)
    steps = int(max(row.length for row in rows))
    return make_session_statistics(model, rows, [clicks_by_step[step] for step in range(steps)])


def choose_slate(journey: RecSimJourney, policy: str, rng: np.random.Generator) -> list[int]:
    """The positions that a policy shows.

    ``random`` shows candidates without replacement; ``greedy_pctr`` those of the highest score and
    ``greedy_quality`` those of the highest quality, see ``RecSimJourney``; of equals the earlier.

    Args:
        journey: with a present user.
        policy: a name of ``POLICIES``.
        rng: of the policy ``random``.
    """
    size = journey.environment.slate_size
    if policy == "random":
        slate: list[int] = rng.permutation(journey.environment.num_candidates)[:size].tolist()
        return slate
    worth = journey.compute_scores() if policy == "greedy_pctr" else journey.compute_qualities()
    greedy: list[int] = np.argsort(-worth, kind="stable")[:size].tolist()
    return greedy


def measure_recsim_rate(model: str, users: int) -> float:
    """Steps per CPU-second of the package itself: random slates of 2 out of 10, stock choice, no statistics.

    Steps RecSim's ``SingleUserEnvironment`` directly, with slates drawn beforehand; its Gym face takes longer.

    Args:
        model: a name of ``MODELS``.
        users: sessions to time, at least 1.

    Raises:
        ConfigError: the model does not exist, or there is no user.
        ResourceError: ``recsim`` is not installed.
    """
    check_journey(model, STOCK_CHOICES.get(model, "mnl"), "random")
    if users < 1:
        msg = f"{users} users take no steps to measure; ask for at least 1"
        raise ConfigError(msg)
    journey = make_recsim_journey(model, None, make_journey_seeds(0))
    environment, cap = journey.environment, journey.max_steps
    order = np.random.default_rng(0).permuted(np.tile(np.arange(environment.num_candidates), (4096, 1)), axis=1)
    slates = order[:, : environment.slate_size].tolist()
    steps = 0
    with lend_random_stream(journey.stream):
        started = time.process_time()
        for _ in range(users):
            environment.reset()
            session, terminated = 0, False
            while not terminated and session < cap:
                terminated = environment.step(slates[steps % len(slates)])[3]
                session += 1
                steps += 1
        return steps / (time.process_time() - started)


def _run_session(
    journey: RecSimJourney, policy: str, rng: np.random.Generator, clicks_by_step: Counter[int]
) -> SessionRow:
    journey.reset()
    session = _Session(journey.user)
    while True:
        result = journey.step(choose_slate(journey, policy, rng))
        if result.clicked >= 0:
            clicks_by_step[session.length] += 1
        session.add(result)
        if result.terminated or session.length >= journey.max_steps:
            return session.make_row(journey)


class _Session:
    """Running sums of one session."""

    def __init__(self, user: Any) -> None:
        self.length = 0
        self._interest_start = _compute_interest_mean(user)
        self._clicks = self._first_slot_clicks = self._conversions = 0
        self._reward = self._quality = self._clickbait = self._delay_hours = 0.0
        self._exposures = self._shown = 0

    def add(self, result: StepResult) -> None:
        self.length += 1
        self._reward += result.reward
        self._shown += len(result.responses)
        self._exposures += sum(getattr(response, "exposures", 0) for response in result.responses)
        if result.clicked < 0:
            return
        document, response = result.documents[result.clicked], result.responses[result.clicked]
        self._clicks += 1
        self._first_slot_clicks += result.clicked == 0
        self._quality += getattr(document, "quality", 0.0)
        self._clickbait += getattr(document, "clickbait_score", 0.0)
        self._conversions += getattr(response, "converted", False)
        self._delay_hours += getattr(response, "delay_hours", 0.0)

    def make_row(self, journey: RecSimJourney) -> SessionRow:
        user = journey.user
        row = SessionRow(self.length, self._clicks, self._first_slot_clicks, self._reward)
        if journey.model == "long_term_satisfaction":
            return row._replace(
                clickbait_sum=self._clickbait,
                end_budget=user.time_budget,
                satisfaction_end=user.satisfaction,
                npe_end=user.net_positive_exposure,
            )
        row = row._replace(quality_sum=self._quality)
        if journey.model == "interest_exploration":
            return row
        is_ads = journey.model == "ads"
        row = row._replace(
            end_budget=user.time_left if is_ads else user.time_budget,
            interest_mean_start=self._interest_start,
            interest_mean_end=_compute_interest_mean(user),
        )
        if not is_ads:
            return row
        return row._replace(
            conversions=self._conversions,
            delay_hours_sum=self._delay_hours,
            mean_exposures=self._exposures / self._shown,
        )


def _compute_interest_mean(user: Any) -> float:
    interests = getattr(user, "interests", getattr(user, "user_interests", None))
    return float("nan") if interests is None else float(np.mean(interests))
