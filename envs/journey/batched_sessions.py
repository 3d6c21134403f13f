"""Whole sessions of many users, and how fast that is: the batched equal of ``recsim_sessions``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.journey import ads_batched, interest_evolution, interest_exploration, long_term_satisfaction
from envs.journey.ads_config import AdsJourneyConfig, make_catalogue
from envs.journey.slates import make_slate_memory
from envs.journey.statistics import SESSION_COLUMNS, SessionStatistics, make_session_statistics
from envs.journey.stock_parameters import (
    CHOICE_PARAMETERS,
    INTEREST_EVOLUTION,
    INTEREST_EXPLORATION,
    LONG_TERM_SATISFACTION,
    POLICIES,
    InterestEvolutionParameters,
    SessionSizes,
    check_journey,
)
from envs.journey.user_streams import make_run_key
from gaelp_rl.errors import ConfigError

__all__ = ["JourneySettings", "measure_batched_rate", "simulate_sessions"]

_USERS_PER_CHUNK = 4_096
_MAX_TOPICS = 4_096


class _Prepared(NamedTuple):
    """``run_chunk`` fills rows of users from the given first one, and adds to ``clicks_by_step``."""

    run_chunk: Callable[[int, NDArray[np.float64]], None]
    clicks_by_step: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class JourneySettings:
    """What may differ from the stock parameters.

    Attributes:
        sizes: candidates and slate; None for stock, and for what ``ads`` says.
        interest_evolution: parameters of that model.
        ads: parameters of the ad journey.
    """

    sizes: SessionSizes | None = None
    interest_evolution: InterestEvolutionParameters = INTEREST_EVOLUTION
    ads: AdsJourneyConfig = field(default_factory=AdsJourneyConfig)

    def __post_init__(self) -> None:
        for topics in (self.interest_evolution.num_topics, self.ads.num_topics):
            if not 1 <= topics <= _MAX_TOPICS:
                msg = f"a model has {topics} topics; it must have 1 to {_MAX_TOPICS}"
                raise ConfigError(msg)


def simulate_sessions(
    model: str,
    choice: str,
    policy: str,
    num_users: int,
    seed: int,
    on_users: Callable[[int], None] | None = None,
    settings: JourneySettings | None = None,
) -> SessionStatistics:
    """Runs users through their sessions.

    User i of a seed is the same whatever the policy and however many users there are. Memory is one row per
    session, and one user's state besides.

    Args:
        model: a name of ``MODELS``.
        choice: a name of ``CHOICES``; users of ``long_term_satisfaction`` have none and do not read it.
        policy: a name of ``POLICIES``. ``greedy_pctr`` shows the candidates of the highest score,
            ``greedy_quality`` of the highest quality, of equals the earlier; in ``long_term_satisfaction`` these
            are the highest and the lowest clickbait score.
        num_users: sessions, at least 1.
        seed: of the run, at least 0.
        on_users: called now and then with the number of sessions so far.
        settings: what differs from the stock parameters.

    Returns:
        One row per session, in order of users.

    Raises:
        ConfigError: a name does not exist, there is no user, or the seed is negative.
    """
    check_journey(model, choice, policy)
    if num_users < 1:
        msg = f"{num_users} users have no sessions; ask for at least 1"
        raise ConfigError(msg)
    run_key = make_run_key(seed)
    run_chunk, clicks_by_step = _MAKERS[model](
        choice, POLICIES.index(policy), seed, run_key, settings or JourneySettings()
    )
    rows = np.empty((num_users, len(SESSION_COLUMNS)))
    for first in range(0, num_users, _USERS_PER_CHUNK):
        chunk = rows[first : first + _USERS_PER_CHUNK]
        run_chunk(first, chunk)
        if on_users is not None:
            on_users(first + chunk.shape[0])
    steps = int(rows[:, SESSION_COLUMNS.index("length")].max())
    return make_session_statistics(model, rows, clicks_by_step[:steps])


def measure_batched_rate(
    model: str, choice: str, policy: str, num_users: int, settings: JourneySettings | None = None
) -> float:
    """User-steps per CPU-second, from nothing to the table of sessions; compilation left out.

    Args:
        model: a name of ``MODELS``.
        choice: a name of ``CHOICES``.
        policy: a name of ``POLICIES``.
        num_users: sessions to time, at least 1.
        settings: what differs from the stock parameters.

    Raises:
        ConfigError: a name does not exist, or there is no user.
    """
    simulate_sessions(model, choice, policy, 1, 0, settings=settings)
    started = time.process_time()
    statistics = simulate_sessions(model, choice, policy, num_users, 0, settings=settings)
    return float(statistics.column("length").sum()) / (time.process_time() - started)


def _make_interest_evolution(
    choice: str, policy: int, seed: int, run_key: np.uint64, settings: JourneySettings
) -> _Prepared:
    del seed
    parameters = settings.interest_evolution
    memory = make_slate_memory(settings.sizes or SessionSizes())
    clicks_by_step = np.zeros(parameters.max_steps, dtype=np.int64)
    fixed = (
        interest_evolution.compute_topic_quality(parameters),
        parameters,
        CHOICE_PARAMETERS["interest_evolution", choice],
        policy,
        memory,
    )
    return _Prepared(
        lambda first, rows: interest_evolution.run_sessions(run_key, first, *fixed, rows, clicks_by_step),
        clicks_by_step,
    )


def _make_interest_exploration(
    choice: str, policy: int, seed: int, run_key: np.uint64, settings: JourneySettings
) -> _Prepared:
    del seed
    memory = make_slate_memory(settings.sizes or SessionSizes())
    clicks_by_step = np.zeros(INTEREST_EXPLORATION.max_steps, dtype=np.int64)
    fixed = (INTEREST_EXPLORATION, CHOICE_PARAMETERS["interest_exploration", choice], policy, memory)
    return _Prepared(
        lambda first, rows: interest_exploration.run_sessions(run_key, first, *fixed, rows, clicks_by_step),
        clicks_by_step,
    )


def _make_long_term_satisfaction(
    choice: str, policy: int, seed: int, run_key: np.uint64, settings: JourneySettings
) -> _Prepared:
    del choice, seed
    memory = make_slate_memory(settings.sizes or SessionSizes())
    clicks_by_step = np.zeros(LONG_TERM_SATISFACTION.time_budget, dtype=np.int64)
    fixed = (LONG_TERM_SATISFACTION, policy, memory)
    return _Prepared(
        lambda first, rows: long_term_satisfaction.run_sessions(run_key, first, *fixed, rows, clicks_by_step),
        clicks_by_step,
    )


def _make_ads(choice: str, policy: int, seed: int, run_key: np.uint64, settings: JourneySettings) -> _Prepared:
    config, sizes = settings.ads, settings.sizes
    if sizes is None:
        sizes = SessionSizes(config.num_candidates, config.slate_size)
    config = replace(config, num_candidates=sizes.num_candidates, slate_size=sizes.slate_size)
    clicks_by_step = np.zeros(math.ceil(config.time_budget / config.page_view_time) + 1, dtype=np.int64)
    fixed = (
        ads_batched.make_ad_user(config),
        ads_batched.make_page_draws(sizes.slate_size),
        ads_batched.make_ads_parameters(config, make_catalogue(config, seed)),
        CHOICE_PARAMETERS["ads", choice],
        policy,
        make_slate_memory(sizes),
    )
    return _Prepared(
        lambda first, rows: ads_batched.run_sessions(run_key, first, *fixed, rows, clicks_by_step), clicks_by_step
    )


_MAKERS = {
    "interest_evolution": _make_interest_evolution,
    "interest_exploration": _make_interest_exploration,
    "long_term_satisfaction": _make_long_term_satisfaction,
    "ads": _make_ads,
}
