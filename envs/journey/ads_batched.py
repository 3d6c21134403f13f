"""The ad journey, whole sessions at a time in machine code.

What happens in a page view, and in which order, is written in ``envs.journey.ads_config``. Given the same
uniforms, ``view_page`` answers as the model in RecSim's own classes does.

Source: the choice models of RecSim 0.2.4 (Apache-2.0); the ad response is ours.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.journey.ad_response import compute_ad_score, drift_interest
from envs.journey.ads_config import AdCatalogue, AdsJourneyConfig
from envs.journey.choice import choose_position
from envs.journey.interest_evolution import sample_interests
from envs.journey.slates import SlateMemory, offer_candidate
from envs.journey.statistics import SessionRow
from envs.journey.stock_parameters import GREEDY_QUALITY, MNL, PROPORTIONAL, RANDOM, ChoiceParameters
from envs.journey.user_streams import (
    CHOICE_SLOT,
    COMPONENT_SLOT,
    CONVERSION_SLOT,
    DRIFT_SLOT,
    QUANTILE_SLOT,
    SLATE_SLOT,
    draw_positions,
    make_user_key,
)
from envs.market.noise import sample_uniform

__all__ = [
    "AdUser",
    "AdsParameters",
    "PageDraws",
    "PageView",
    "compute_creative_score",
    "make_ad_user",
    "make_ads_parameters",
    "make_page_draws",
    "run_sessions",
    "sample_ad_user",
    "sample_page_draws",
    "view_page",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class AdsParameters(NamedTuple):
    """``AdsJourneyConfig`` and its catalogue, as kernels take them.

    Attributes:
        base_log_odds: of a click without interest, exposures or quality.
        interest_weight: log-odds per unit of interest.
        fatigue: share of the odds lost per exposure.
        interest_step: how far an exposure moves an interest.
        conversion_interest: log of the conversion rate per unit of interest.
        time_budget: of a session.
        page_view_time: used by a page view.
        click_time: used by a click besides.
        delay_edges: float64 [components + 1]; cumulative shares of the delay, the immediate one first.
        delay_hours: float64 [components + 1]; mean delays, 0 for the immediate one.
        topic: int64 [creatives].
        quality: float64 [creatives].
        conversion_rate: float64 [creatives].
    """

    base_log_odds: float
    interest_weight: float
    fatigue: float
    interest_step: float
    conversion_interest: float
    time_budget: float
    page_view_time: float
    click_time: float
    delay_edges: FloatArray
    delay_hours: FloatArray
    topic: IntArray
    quality: FloatArray
    conversion_rate: FloatArray


class AdUser(NamedTuple):
    """What a session changes about a user, apart from the time left.

    Attributes:
        interests: float64 [topics], -1 to 1.
        exposures: int64 [creatives], how often each has been shown.
    """

    interests: FloatArray
    exposures: IntArray


class PageDraws(NamedTuple):
    """The uniforms of one page view.

    Attributes:
        events: float64 [4]: choice; conversion; the delay's component; its quantile.
        drift: float64 [slate].
    """

    events: FloatArray
    drift: FloatArray


class PageView(NamedTuple):
    """What a user did on one page.

    Attributes:
        clicked: position in the slate; its size for no click.
        converted: whether the click converts.
        delay_hours: from click to conversion; 0 where nothing converts.
        exposures: sum over the slate of the exposures before the page view.
    """

    clicked: int
    converted: bool
    delay_hours: float
    exposures: int


def make_ads_parameters(config: AdsJourneyConfig, catalogue: AdCatalogue) -> AdsParameters:
    """The kernels' form of a configuration and its catalogue."""
    return AdsParameters(
        base_log_odds=config.base_log_odds,
        interest_weight=float(config.interest_weight),
        fatigue=float(config.fatigue),
        interest_step=float(config.interest_step),
        conversion_interest=float(config.conversion_interest),
        time_budget=float(config.time_budget),
        page_view_time=float(config.page_view_time),
        click_time=float(config.click_time),
        delay_edges=np.cumsum((config.delay.immediate, *config.delay.weights)),
        delay_hours=np.array((0.0, *config.delay.mean_hours)),
        topic=catalogue.topic.astype(np.int64),
        quality=catalogue.quality.astype(np.float64),
        conversion_rate=catalogue.conversion_rate.astype(np.float64),
    )


def make_ad_user(config: AdsJourneyConfig) -> AdUser:
    """Uninitialised memory for a user."""
    return AdUser(np.zeros(config.num_topics), np.zeros(config.num_creatives, dtype=np.int64))


def make_page_draws(slate_size: int) -> PageDraws:
    """Uninitialised memory for a page view's uniforms."""
    return PageDraws(np.zeros(4), np.zeros(slate_size))


@njit(cache=True)
def sample_ad_user(key: np.uint64, user: AdUser) -> None:
    """Makes ``user`` a new one: interests uniform on [-1, 1], nothing seen."""
    sample_interests(key, user.interests)
    user.exposures[:] = 0


@njit(cache=True, inline="always")
def sample_page_draws(key: np.uint64, step: int, draws: PageDraws) -> None:
    """Overwrites ``draws`` with those of a user's step."""
    draws.events[0] = sample_uniform(key, step, CHOICE_SLOT)
    draws.events[1] = sample_uniform(key, step, CONVERSION_SLOT)
    draws.events[2] = sample_uniform(key, step, COMPONENT_SLOT)
    draws.events[3] = sample_uniform(key, step, QUANTILE_SLOT)
    for i in range(draws.drift.shape[0]):
        draws.drift[i] = sample_uniform(key, step, DRIFT_SLOT + i)


@njit(cache=True, inline="always")
def compute_creative_score(creative: int, user: AdUser, parameters: AdsParameters, kind: int) -> float:
    """The score of a creative that the choice model of this kind takes.

    Log-odds s for the logit, odds exp(s) for the proportional choice, min(s, 0) for the cascade.
    """
    score = compute_ad_score(
        parameters.base_log_odds + parameters.quality[creative],
        user.interests[parameters.topic[creative]],
        parameters.interest_weight,
        float(user.exposures[creative]),
        parameters.fatigue,
    )
    if kind == MNL:
        return score
    return math.exp(score) if kind == PROPORTIONAL else min(score, 0.0)


@njit(cache=True, inline="always")
def _respond_to_click(creative: int, user: AdUser, draws: PageDraws, parameters: AdsParameters) -> tuple[bool, float]:
    interest = user.interests[parameters.topic[creative]]
    rate = parameters.conversion_rate[creative] * math.exp(parameters.conversion_interest * interest)
    if draws.events[1] >= min(1.0, rate):
        return False, 0.0
    last = parameters.delay_edges.shape[0] - 1
    component = 0
    while component < last and draws.events[2] >= parameters.delay_edges[component]:
        component += 1
    return True, -parameters.delay_hours[component] * math.log1p(-draws.events[3])


@njit(cache=True, inline="always")
def view_page(
    slate: IntArray,
    user: AdUser,
    draws: PageDraws,
    parameters: AdsParameters,
    choice: ChoiceParameters,
    memory: SlateMemory,
) -> PageView:
    """One page view but for the time that it takes.

    Args:
        slate: int64 [slate]; creatives, in slate order.
        user: interests drift and exposures rise in place.
        draws: the uniforms.
        parameters: of the model.
        choice: of the users.
        memory: ``scores`` and ``weights`` are overwritten.
    """
    size = slate.shape[0]
    scores, seen = memory.scores, user.exposures
    exposures = 0
    for i in range(size):
        scores[i] = compute_creative_score(slate[i], user, parameters, choice.kind)
        exposures += seen[slate[i]]
    clicked = choose_position(scores, size, choice, memory.weights, draws.events[0])
    converted, delay_hours = False, 0.0
    if clicked < size:
        converted, delay_hours = _respond_to_click(slate[clicked], user, draws, parameters)
    for i in range(size):
        topic = parameters.topic[slate[i]]
        user.interests[topic] = drift_interest(user.interests[topic], parameters.interest_step, draws.drift[i])
        seen[slate[i]] += 1
    return PageView(clicked, converted, delay_hours, exposures)


@njit(cache=True, inline="always")
def _fill_slate(
    key: np.uint64,
    step: int,
    user: AdUser,
    parameters: AdsParameters,
    choice: ChoiceParameters,
    policy: int,
    memory: SlateMemory,
    creatives: IntArray,
    slate: IntArray,
) -> None:
    positions, best = memory.positions, memory.best
    draw_positions(key, step, 0, 2, positions.shape[0], creatives)
    if policy == RANDOM:
        draw_positions(key, step, SLATE_SLOT, 1, slate.shape[0], positions)
    else:
        for candidate in range(positions.shape[0]):
            creative = creatives[candidate]
            if policy == GREEDY_QUALITY:
                liking = parameters.quality[creative]
            else:
                liking = compute_creative_score(creative, user, parameters, choice.kind)
            offer_candidate(positions, best, candidate, liking)
    for i in range(slate.shape[0]):
        slate[i] = creatives[positions[i]]


@njit(cache=True)
def _run_session(
    key: np.uint64,
    user: AdUser,
    draws: PageDraws,
    parameters: AdsParameters,
    choice: ChoiceParameters,
    policy: int,
    memory: SlateMemory,
    creatives: IntArray,
    slate: IntArray,
    clicks_by_step: IntArray,
) -> SessionRow:
    sample_ad_user(key, user)
    start = user.interests.mean()
    time_left, step, exposures = parameters.time_budget, 0, 0
    clicks, first, quality_sum, conversions, delay_hours = 0.0, 0.0, 0.0, 0.0, 0.0
    while time_left > 0.0:
        step += 1
        _fill_slate(key, step, user, parameters, choice, policy, memory, creatives, slate)
        sample_page_draws(key, step, draws)
        view = view_page(slate, user, draws, parameters, choice, memory)
        exposures += view.exposures
        if view.clicked == slate.shape[0]:
            time_left -= parameters.page_view_time
            continue
        time_left -= parameters.page_view_time + parameters.click_time
        clicks += 1.0
        first += 1.0 if view.clicked == 0 else 0.0
        quality_sum += parameters.quality[slate[view.clicked]]
        clicks_by_step[step - 1] += 1
        if view.converted:
            conversions += 1.0
            delay_hours += view.delay_hours
    nan, end = np.nan, user.interests.mean()
    return SessionRow(
        float(step), clicks, first, clicks + conversions, quality_sum, nan, time_left, start, end, nan, nan,
        conversions, delay_hours, exposures / (step * slate.shape[0]),
    )  # fmt: skip


@njit(cache=True)
def run_sessions(
    run_key: np.uint64,
    first_user: int,
    user: AdUser,
    draws: PageDraws,
    parameters: AdsParameters,
    choice: ChoiceParameters,
    policy: int,
    memory: SlateMemory,
    rows: FloatArray,
    clicks_by_step: IntArray,
) -> None:
    """Whole sessions of users ``first_user`` and following.

    Args:
        run_key: of all users of the run.
        first_user: index of the first.
        user: memory for one user.
        draws: memory for one page view's uniforms.
        parameters: of the model.
        choice: of the users.
        policy: ``RANDOM``, ``GREEDY_PCTR`` or ``GREEDY_QUALITY``.
        memory: for slates.
        rows: float64 [users, columns]; one ``SessionRow`` is written for each.
        clicks_by_step: int64 [page views]; clicks are added.
    """
    creatives = np.empty(parameters.topic.shape[0], dtype=np.int64)
    slate = np.empty(memory.best.shape[0], dtype=np.int64)
    for i in range(rows.shape[0]):
        key = make_user_key(run_key, first_user + i)
        row = _run_session(
            key, user, draws, parameters, choice, policy, memory, creatives, slate, clicks_by_step
        )  # fmt: skip
        for column, figure in enumerate(row):
            rows[i, column] = figure
