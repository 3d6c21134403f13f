"""RecSim's long-term-satisfaction users, whole sessions at a time in machine code.

A document has a clickbait score k. Users always click the slate's first document. Clickbait engages more
at once and lowers net positive exposure, on which satisfaction and later engagement depend.

Source: the ``recsim`` package 0.2.4 (Apache-2.0), ``recsim.environments.long_term_satisfaction``, as its
code has it: clickbait is subtracted from net positive exposure, where its documentation adds it.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.journey.slates import SlateMemory, offer_candidate
from envs.journey.statistics import SessionRow
from envs.journey.stock_parameters import GREEDY_PCTR, RANDOM, LongTermSatisfactionParameters
from envs.journey.user_streams import (
    ENGAGEMENT_SLOT,
    INNOVATION_SLOT,
    SLATE_SLOT,
    USER_STEP,
    draw_positions,
    make_user_key,
)
from envs.market.noise import sample_normal, sample_uniform

__all__ = ["compute_satisfaction", "engage_user", "run_sessions"]

FloatArray = NDArray[np.float64]


@njit(cache=True, inline="always")
def compute_satisfaction(exposure: float, sensitivity: float) -> float:
    """Satisfaction of a user with this net positive exposure: 1 / (1 + exp(-sensitivity * exposure))."""
    return 1.0 / (1.0 + math.exp(-sensitivity * exposure))


@njit(cache=True, inline="always")
def engage_user(
    exposure: float,
    clickbait: float,
    engagement_normal: float,
    innovation_normal: float,
    parameters: LongTermSatisfactionParameters,
) -> tuple[float, float]:
    """One step of a user.

    Engagement = exp(N((choc k + kale (1 - k)) SAT, choc_sd k + kale_sd (1 - k))) at the satisfaction before
    the step; exposure <- discount * exposure - 2 (k - 1/2) + N(0, innovation_sd).

    Args:
        exposure: net positive exposure before the step.
        clickbait: k of the clicked document, 0 to 1.
        engagement_normal: a standard normal.
        innovation_normal: another.
        parameters: of the model.

    Returns:
        Engagement, and net positive exposure afterwards.
    """
    kale = 1.0 - clickbait
    satisfaction = compute_satisfaction(exposure, parameters.sensitivity)
    mean = (parameters.choc_mean * clickbait + parameters.kale_mean * kale) * satisfaction
    sd = parameters.choc_sd * clickbait + parameters.kale_sd * kale
    engagement = math.exp(mean + sd * engagement_normal)
    moved = parameters.memory_discount * exposure - 2.0 * (clickbait - 0.5)
    return engagement, moved + parameters.innovation_sd * innovation_normal


@njit(cache=True, inline="always")
def _choose_first(key: np.uint64, step: int, policy: int, memory: SlateMemory) -> int:
    """The candidate on the slate's first position; no other matters."""
    positions, best = memory.positions, memory.best
    if policy == RANDOM:
        draw_positions(key, step, SLATE_SLOT, 1, best.shape[0], positions)
    else:
        sign = 1.0 if policy == GREEDY_PCTR else -1.0
        for candidate in range(positions.shape[0]):
            offer_candidate(positions, best, candidate, sign * sample_uniform(key, step, 2 * candidate))
    return int(positions[0])


@njit(cache=True)
def _run_session(
    key: np.uint64, parameters: LongTermSatisfactionParameters, policy: int, memory: SlateMemory
) -> SessionRow:
    exposure = (sample_uniform(key, USER_STEP, 0) - 0.5) / (1.0 - parameters.memory_discount)
    reward, clickbait_sum = 0.0, 0.0
    for step in range(1, parameters.time_budget + 1):
        clickbait = sample_uniform(key, step, 2 * _choose_first(key, step, policy, memory))
        engagement_normal = sample_normal(key, step, ENGAGEMENT_SLOT)
        innovation_normal = sample_normal(key, step, INNOVATION_SLOT)
        engagement, exposure = engage_user(exposure, clickbait, engagement_normal, innovation_normal, parameters)
        reward += engagement
        clickbait_sum += clickbait
    nan = np.nan
    length = float(parameters.time_budget)
    satisfaction = compute_satisfaction(exposure, parameters.sensitivity)
    return SessionRow(
        length, length, length, reward, nan, clickbait_sum, 0.0, nan, nan, satisfaction, exposure, nan, nan, nan
    )  # fmt: skip


@njit(cache=True)
def run_sessions(
    run_key: np.uint64,
    first_user: int,
    parameters: LongTermSatisfactionParameters,
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
        policy: ``RANDOM``; ``GREEDY_PCTR``: highest clickbait; ``GREEDY_QUALITY``: lowest.
        memory: for slates.
        rows: float64 [users, columns]; one ``SessionRow`` is written for each.
        clicks_by_step: int64 [time_budget]; clicks are added.
    """
    for i in range(rows.shape[0]):
        row = _run_session(make_user_key(run_key, first_user + i), parameters, policy, memory)
        for column, figure in enumerate(row):
            rows[i, column] = figure
    clicks_by_step += rows.shape[0]
