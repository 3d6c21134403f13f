"""RecSim's interest-evolution users, whole sessions at a time in machine code.

A document has one topic c and a quality q. It scores a user's interest u_c. Watching it takes time; good
quality gives part of that time back. Its topic's interest then moves up or down, the further the more neutral it is.

Source: the ``recsim`` package 0.2.4 (Apache-2.0), ``recsim.environments.interest_evolution`` with
``UtilityModelVideoSampler`` and ``UtilityModelUserSampler``; Ie et al. 2019, "SlateQ: a tractable
decomposition for reinforcement learning with recommendation sets", section 6.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.journey.choice import choose_position
from envs.journey.slates import SlateMemory, offer_candidate
from envs.journey.statistics import SessionRow
from envs.journey.stock_parameters import GREEDY_QUALITY, RANDOM, ChoiceParameters, InterestEvolutionParameters
from envs.journey.user_streams import (
    CHOICE_SLOT,
    FLIP_SLOT,
    SLATE_SLOT,
    USER_STEP,
    draw_positions,
    make_user_key,
)
from envs.market.noise import sample_normal, sample_uniform

__all__ = [
    "compute_topic_quality",
    "run_sessions",
    "sample_interests",
    "sample_quality",
    "sample_topic",
    "watch_document",
]

FloatArray = NDArray[np.float64]


def compute_topic_quality(parameters: InterestEvolutionParameters) -> FloatArray:
    """Mean quality of the documents of each topic, float64 [topics]."""
    low = np.linspace(parameters.lowest_quality, 0.0, parameters.num_low_topics)
    high = np.linspace(0.0, parameters.highest_quality, parameters.num_topics - parameters.num_low_topics)
    return np.concatenate((low, high))


@njit(cache=True, inline="always")
def sample_topic(key: np.uint64, step: int, candidate: int, num_topics: int) -> int:
    """Topic of a step's candidate, uniform."""
    return int(sample_uniform(key, step, 2 * candidate) * num_topics)


@njit(cache=True, inline="always")
def sample_quality(key: np.uint64, step: int, candidate: int, mean: float, sd: float) -> float:
    """Quality of a step's candidate, normal."""
    return mean + sd * sample_normal(key, step, 2 * candidate + 1)


@njit(cache=True)
def sample_interests(key: np.uint64, interests: FloatArray) -> None:
    """Interests of a new user, uniform on [-1, 1]; ``interests`` float64 [topics] is overwritten."""
    for topic in range(interests.shape[0]):
        interests[topic] = 2.0 * sample_uniform(key, USER_STEP, topic) - 1.0


@njit(cache=True, inline="always")
def watch_document(
    interests: FloatArray,
    topic: int,
    quality: float,
    budget: float,
    uniform: float,
    parameters: InterestEvolutionParameters,
) -> tuple[float, float]:
    """What a click does: watch time w = min(budget, length), budget - w + alpha w q, and the interest's move.

    The interest x moves by (0.3 - 0.3 |x|) (1 - x), up with probability (x + 1) / 2, within [-1, 1].

    Args:
        interests: float64 [topics] in [-1, 1]; the document's topic is updated.
        topic: of the document.
        quality: of the document.
        budget: time before the click, > 0.
        uniform: from [0, 1), decides the direction.
        parameters: of the model.

    Returns:
        Watch time and the budget afterwards, which may be below 0.
    """
    interest = interests[topic]
    watched = min(budget, parameters.document_length)
    move = (0.3 - 0.3 * abs(interest)) * (1.0 - interest)
    moved = interest + move if uniform < (interest + 1.0) / 2.0 else interest - move
    interests[topic] = min(max(moved, -1.0), 1.0)
    return watched, budget - watched + parameters.user_update_alpha * watched * quality


@njit(cache=True, inline="always")
def _fill_slate(
    key: np.uint64,
    step: int,
    interests: FloatArray,
    topic_quality: FloatArray,
    parameters: InterestEvolutionParameters,
    policy: int,
    memory: SlateMemory,
) -> None:
    positions, best = memory.positions, memory.best
    if policy == RANDOM:
        draw_positions(key, step, SLATE_SLOT, 1, best.shape[0], positions)
        return
    for candidate in range(positions.shape[0]):
        topic = sample_topic(key, step, candidate, parameters.num_topics)
        if policy == GREEDY_QUALITY:
            liking = sample_quality(key, step, candidate, topic_quality[topic], parameters.quality_sd)
        else:
            liking = interests[topic]
        offer_candidate(positions, best, candidate, liking)


@njit(cache=True)
def _run_session(
    key: np.uint64,
    interests: FloatArray,
    topic_quality: FloatArray,
    parameters: InterestEvolutionParameters,
    choice: ChoiceParameters,
    policy: int,
    memory: SlateMemory,
    clicks_by_step: NDArray[np.int64],
) -> SessionRow:
    sample_interests(key, interests)
    start = interests.mean()
    budget, step = parameters.time_budget, 0
    clicks, first, reward, quality_sum = 0.0, 0.0, 0.0, 0.0
    positions, scores, weights = memory.positions, memory.scores, memory.weights
    size = scores.shape[0]
    while budget > 0.0 and step < parameters.max_steps:
        step += 1
        _fill_slate(key, step, interests, topic_quality, parameters, policy, memory)
        for i in range(size):
            scores[i] = interests[sample_topic(key, step, positions[i], parameters.num_topics)]
        clicked = choose_position(scores, size, choice, weights, sample_uniform(key, step, CHOICE_SLOT))
        if clicked == size:
            budget -= parameters.step_penalty
            continue
        candidate = positions[clicked]
        topic = sample_topic(key, step, candidate, parameters.num_topics)
        quality = sample_quality(key, step, candidate, topic_quality[topic], parameters.quality_sd)
        flip = sample_uniform(key, step, FLIP_SLOT)
        watched, budget = watch_document(interests, topic, quality, budget, flip, parameters)
        clicks += 1.0
        first += 1.0 if clicked == 0 else 0.0
        reward += watched
        quality_sum += quality
        clicks_by_step[step - 1] += 1
    nan = np.nan
    return SessionRow(
        float(step), clicks, first, reward, quality_sum, nan, budget, start, interests.mean(), nan, nan, nan, nan, nan
    )  # fmt: skip


@njit(cache=True)
def run_sessions(
    run_key: np.uint64,
    first_user: int,
    topic_quality: FloatArray,
    parameters: InterestEvolutionParameters,
    choice: ChoiceParameters,
    policy: int,
    memory: SlateMemory,
    rows: FloatArray,
    clicks_by_step: NDArray[np.int64],
) -> None:
    """Whole sessions of users ``first_user`` and following, candidates redrawn at every step.

    Args:
        run_key: of all users of the run.
        first_user: index of the first.
        topic_quality: float64 [topics].
        parameters: of the model.
        choice: of the users.
        policy: ``RANDOM``, ``GREEDY_PCTR`` or ``GREEDY_QUALITY``.
        memory: for slates.
        rows: float64 [users, columns]; one ``SessionRow`` is written for each.
        clicks_by_step: int64 [max_steps]; clicks are added.
    """
    interests = np.empty(parameters.num_topics)
    for i in range(rows.shape[0]):
        key = make_user_key(run_key, first_user + i)
        row = _run_session(key, interests, topic_quality, parameters, choice, policy, memory, clicks_by_step)
        for column, figure in enumerate(row):
            rows[i, column] = figure
