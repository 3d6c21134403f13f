"""Many interest-evolution users side by side, one step at a time; the parts of ``vector_env``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.journey.choice import choose_position
from envs.journey.interest_evolution import (
    compute_topic_quality,
    sample_interests,
    sample_quality,
    sample_topic,
    watch_document,
)
from envs.journey.slates import SlateMemory, make_slate_memory
from envs.journey.stock_parameters import (
    INTEREST_EVOLUTION,
    ChoiceParameters,
    InterestEvolutionParameters,
    SessionSizes,
)
from envs.journey.user_streams import CHOICE_SLOT, FLIP_SLOT
from envs.market.noise import sample_uniform

__all__ = ["InterestEvolutionBatch"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Float32Array = NDArray[np.float32]


class InterestEvolutionBatch:
    """State of all users, and what a slate does to it.

    Args:
        num_envs: users side by side.
        sizes: candidates and slate.
        choice: of the users.

    Attributes:
        max_steps: after which a session is cut short.
        budgets: float64 [envs]; a session is over at 0 or less.
        responses: float32 [envs, slate, 3]; click, time watched, quality.
    """

    def __init__(self, num_envs: int, sizes: SessionSizes, choice: ChoiceParameters) -> None:
        self._parameters, self._choice = INTEREST_EVOLUTION, choice
        self._topic_quality = compute_topic_quality(self._parameters)
        self._memory, self._sizes = make_slate_memory(sizes), sizes
        self._interests = np.zeros((num_envs, self._parameters.num_topics))
        self.max_steps = self._parameters.max_steps
        self.budgets = np.zeros(num_envs)
        self.responses = np.zeros((num_envs, sizes.slate_size, 3), dtype=np.float32)

    def set_seeds(self, seeds: Sequence[int]) -> None:
        """Nothing but the users themselves depends on the seeds."""

    def begin(self, keys: NDArray[np.uint64], is_new: BoolArray) -> None:
        """New users where ``is_new``, bool [envs]; ``keys`` uint64 [envs] are theirs."""
        for i in np.flatnonzero(is_new):
            sample_interests(keys[i], self._interests[i])
        self.budgets[is_new] = self._parameters.time_budget
        self.responses[is_new] = 0.0

    def step(
        self, slates: IntArray, keys: NDArray[np.uint64], steps: IntArray, is_live: BoolArray
    ) -> tuple[FloatArray, IntArray]:
        """One slate for each user who is there.

        Args:
            slates: int64 [envs, slate]; positions of candidates.
            keys: uint64 [envs].
            steps: int64 [envs]; of each session, this one counted.
            is_live: bool [envs]; the others rest.

        Returns:
            Rewards float64 [envs], and the clicked places int64 [envs], -1 for none.
        """
        rewards, clicked = np.zeros(len(steps)), np.full(len(steps), -1, dtype=np.int64)
        _step_users(
            slates, keys, steps, is_live, self._interests, self.budgets, self._topic_quality, self._parameters,
            self._choice, self._memory, self.responses, rewards, clicked,
        )  # fmt: skip
        return rewards, clicked

    def observe(self, keys: NDArray[np.uint64], steps: IntArray) -> dict[str, Float32Array]:
        """Users and the candidates of their next step, as ``spaces.make_observation_space`` has them."""
        num_envs, topics = self._interests.shape
        documents = np.zeros((num_envs, self._sizes.num_candidates, topics), dtype=np.float32)
        _write_documents(keys, steps + 1, documents)
        return {
            "documents": documents,
            "response": self.responses.copy(),
            "user": self._interests.astype(np.float32),
        }


@njit(cache=True)
def _step_users(
    slates: IntArray,
    keys: NDArray[np.uint64],
    steps: IntArray,
    is_live: BoolArray,
    interests: FloatArray,
    budgets: FloatArray,
    topic_quality: FloatArray,
    parameters: InterestEvolutionParameters,
    choice: ChoiceParameters,
    memory: SlateMemory,
    responses: Float32Array,
    rewards: FloatArray,
    clicked: IntArray,
) -> None:
    size = slates.shape[1]
    for i in range(slates.shape[0]):
        if not is_live[i]:
            continue
        for j in range(size):
            topic = sample_topic(keys[i], steps[i], slates[i, j], parameters.num_topics)
            memory.scores[j] = interests[i, topic]
            responses[i, j, :2] = 0.0
            responses[i, j, 2] = sample_quality(
                keys[i], steps[i], slates[i, j], topic_quality[topic], parameters.quality_sd
            )
        place = choose_position(
            memory.scores, size, choice, memory.weights, sample_uniform(keys[i], steps[i], CHOICE_SLOT)
        )
        if place == size:
            budgets[i] -= parameters.step_penalty
            continue
        topic = sample_topic(keys[i], steps[i], slates[i, place], parameters.num_topics)
        quality = sample_quality(keys[i], steps[i], slates[i, place], topic_quality[topic], parameters.quality_sd)
        flip = sample_uniform(keys[i], steps[i], FLIP_SLOT)
        watched, budgets[i] = watch_document(interests[i], topic, quality, budgets[i], flip, parameters)
        responses[i, place, 0], responses[i, place, 1] = 1.0, watched
        rewards[i], clicked[i] = watched, place


@njit(cache=True)
def _write_documents(keys: NDArray[np.uint64], steps: IntArray, documents: Float32Array) -> None:
    for i in range(documents.shape[0]):
        for candidate in range(documents.shape[1]):
            documents[i, candidate, sample_topic(keys[i], steps[i], candidate, documents.shape[2])] = 1.0
