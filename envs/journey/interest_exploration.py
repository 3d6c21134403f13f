"""RecSim's interest-exploration users, whole sessions at a time in machine code.

A user's affinity g to each of two topics is fixed and hidden; a document of topic c and quality f scores
g_c + f. Nothing changes over a session, and only the step cap ends it.

Source: the ``recsim`` package 0.2.4 (Apache-2.0), ``recsim.environments.interest_exploration``.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.journey.choice import choose_position
from envs.journey.slates import SlateMemory, offer_candidate
from envs.journey.statistics import SessionRow
from envs.journey.stock_parameters import GREEDY_QUALITY, RANDOM, ChoiceParameters, InterestExplorationParameters
from envs.journey.user_streams import CHOICE_SLOT, SLATE_SLOT, USER_STEP, draw_positions, make_user_key
from envs.market.noise import sample_normal, sample_uniform

__all__ = ["run_sessions", "sample_affinities"]

FloatArray = NDArray[np.float64]


@njit(cache=True)
def sample_affinities(key: np.uint64, parameters: InterestExplorationParameters, affinities: FloatArray) -> None:
    """Affinities of a new user, log-normal; ``affinities`` float64 [2 topics] is overwritten."""
    kind = int(sample_uniform(key, USER_STEP, 0) < parameters.majority_type)
    for topic in range(2):
        mean = parameters.weak_affinity if topic == kind else parameters.strong_affinity
        affinities[topic] = math.exp(mean + parameters.log_sd * sample_normal(key, USER_STEP, 1 + topic))


@njit(cache=True, inline="always")
def _sample_document(
    key: np.uint64, step: int, candidate: int, parameters: InterestExplorationParameters
) -> tuple[int, float]:
    topic = int(sample_uniform(key, step, 2 * candidate) < parameters.majority_topic)
    mean = parameters.topic_quality[topic]
    return topic, math.exp(mean + parameters.log_sd * sample_normal(key, step, 2 * candidate + 1))


@njit(cache=True, inline="always")
def _fill_slate(
    key: np.uint64,
    step: int,
    affinities: FloatArray,
    parameters: InterestExplorationParameters,
    policy: int,
    memory: SlateMemory,
) -> None:
    positions, best = memory.positions, memory.best
    if policy == RANDOM:
        draw_positions(key, step, SLATE_SLOT, 1, best.shape[0], positions)
        return
    for candidate in range(positions.shape[0]):
        topic, quality = _sample_document(key, step, candidate, parameters)
        offer_candidate(
            positions, best, candidate, quality if policy == GREEDY_QUALITY else affinities[topic] + quality
        )


@njit(cache=True)
def _run_session(
    key: np.uint64,
    affinities: FloatArray,
    parameters: InterestExplorationParameters,
    choice: ChoiceParameters,
    policy: int,
    memory: SlateMemory,
    clicks_by_step: NDArray[np.int64],
) -> SessionRow:
    sample_affinities(key, parameters, affinities)
    clicks, first, quality_sum = 0.0, 0.0, 0.0
    positions, scores, weights = memory.positions, memory.scores, memory.weights
    size = scores.shape[0]
    for step in range(1, parameters.max_steps + 1):
        _fill_slate(key, step, affinities, parameters, policy, memory)
        for i in range(size):
            topic, quality = _sample_document(key, step, positions[i], parameters)
            scores[i] = affinities[topic] + quality
        uniform = sample_uniform(key, step, CHOICE_SLOT)
        clicked = choose_position(scores, size, choice, weights, uniform)
        if clicked < size:
            clicks += 1.0
            first += 1.0 if clicked == 0 else 0.0
            quality_sum += _sample_document(key, step, positions[clicked], parameters)[1]
            clicks_by_step[step - 1] += 1
    nan = np.nan
    length = float(parameters.max_steps)
    return SessionRow(length, clicks, first, clicks, quality_sum, nan, nan, nan, nan, nan, nan, nan, nan, nan)


@njit(cache=True)
def run_sessions(
    run_key: np.uint64,
    first_user: int,
    parameters: InterestExplorationParameters,
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
        parameters: of the model.
        choice: of the users.
        policy: ``RANDOM``, ``GREEDY_PCTR`` or ``GREEDY_QUALITY``.
        memory: for slates.
        rows: float64 [users, columns]; one ``SessionRow`` is written for each.
        clicks_by_step: int64 [max_steps]; clicks are added.
    """
    affinities = np.empty(2)
    for i in range(rows.shape[0]):
        key = make_user_key(run_key, first_user + i)
        row = _run_session(key, affinities, parameters, choice, policy, memory, clicks_by_step)
        for column, figure in enumerate(row):
            rows[i, column] = figure
