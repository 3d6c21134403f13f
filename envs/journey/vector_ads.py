"""Many users of the ad journey side by side, one page view at a time; the parts of ``vector_env``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.journey.ads_batched import (
    AdsParameters,
    AdUser,
    PageDraws,
    make_ads_parameters,
    make_page_draws,
    sample_ad_user,
    sample_page_draws,
    view_page,
)
from envs.journey.ads_config import AdsJourneyConfig, make_catalogue
from envs.journey.slates import SlateMemory, make_slate_memory
from envs.journey.stock_parameters import ChoiceParameters, SessionSizes
from envs.journey.user_streams import draw_positions

__all__ = ["AdsBatch", "Catalogues"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Float32Array = NDArray[np.float32]


class Catalogues(NamedTuple):
    """One catalogue for each user; see ``AdCatalogue``.

    Attributes:
        topic: int64 [envs, creatives].
        quality: float64 [envs, creatives].
        conversion_rate: float64 [envs, creatives].
    """

    topic: IntArray
    quality: FloatArray
    conversion_rate: FloatArray


class AdsBatch:
    """State of all users, and what a slate does to it.

    Args:
        num_envs: users side by side.
        config: of the journey.
        choice: of the users.

    Attributes:
        max_steps: more than a session can have.
        budgets: float64 [envs]; time left; a session is over at 0 or less.
        responses: float32 [envs, slate, 3]; click, conversion, hours from click to conversion.
    """

    def __init__(self, num_envs: int, config: AdsJourneyConfig, choice: ChoiceParameters) -> None:
        self._config, self._choice = config, choice
        self._memory = make_slate_memory(SessionSizes(config.num_candidates, config.slate_size))
        self._draws = make_page_draws(config.slate_size)
        self._interests = np.zeros((num_envs, config.num_topics))
        self._exposures = np.zeros((num_envs, config.num_creatives), dtype=np.int64)
        self._candidates = np.zeros((num_envs, config.num_candidates), dtype=np.int64)
        self._order = np.zeros(config.num_creatives, dtype=np.int64)
        self.max_steps = int(np.iinfo(np.int64).max)
        self.budgets = np.zeros(num_envs)
        self.responses = np.zeros((num_envs, config.slate_size, 3), dtype=np.float32)

    def set_seeds(self, seeds: Sequence[int]) -> None:
        """Each seed has its own catalogue, the same as in the scalar environment."""
        own = [make_catalogue(self._config, seed) for seed in seeds]
        self._catalogues = Catalogues(
            topic=np.stack([of.topic for of in own]).astype(np.int64),
            quality=np.stack([of.quality for of in own]),
            conversion_rate=np.stack([of.conversion_rate for of in own]),
        )
        self._parameters = make_ads_parameters(self._config, own[0])

    def begin(self, keys: NDArray[np.uint64], is_new: BoolArray) -> None:
        """New users where ``is_new``, bool [envs]; ``keys`` uint64 [envs] are theirs."""
        for i in np.flatnonzero(is_new):
            sample_ad_user(keys[i], AdUser(self._interests[i], self._exposures[i]))
        self.budgets[is_new] = self._config.time_budget
        self.responses[is_new] = 0.0

    def step(
        self, slates: IntArray, keys: NDArray[np.uint64], steps: IntArray, is_live: BoolArray
    ) -> tuple[FloatArray, IntArray]:
        """One page view for each user who is there.

        Args:
            slates: int64 [envs, slate]; positions of candidates.
            keys: uint64 [envs].
            steps: int64 [envs]; of each session, this one counted.
            is_live: bool [envs]; the others rest.

        Returns:
            Rewards float64 [envs], and the clicked places int64 [envs], -1 for none.
        """
        rewards, clicked = np.zeros(len(steps)), np.full(len(steps), -1, dtype=np.int64)
        creatives = np.take_along_axis(self._candidates, slates, axis=1)
        _view_pages(
            creatives, keys, steps, is_live, self._interests, self._exposures, self.budgets, self._catalogues,
            self._parameters, self._choice, self._draws, self._memory, self.responses, rewards, clicked,
        )  # fmt: skip
        return rewards, clicked

    def observe(self, keys: NDArray[np.uint64], steps: IntArray) -> dict[str, Float32Array]:
        """Users and the candidates of their next page view, as ``spaces.make_observation_space`` has them."""
        _draw_candidates(keys, steps + 1, self._order, self._candidates)
        num_envs, topics = self._interests.shape
        documents = np.zeros((num_envs, self._config.num_candidates, topics + 2), dtype=np.float32)
        topic = np.take_along_axis(self._catalogues.topic, self._candidates, axis=1)
        np.put_along_axis(documents, topic[..., None], np.float32(1.0), axis=2)
        documents[..., topics] = np.take_along_axis(self._catalogues.quality, self._candidates, axis=1)
        documents[..., topics + 1] = np.take_along_axis(self._exposures, self._candidates, axis=1)
        return {
            "documents": documents,
            "response": self.responses.copy(),
            "user": self._interests.astype(np.float32),
        }


@njit(cache=True)
def _draw_candidates(keys: NDArray[np.uint64], steps: IntArray, order: IntArray, candidates: IntArray) -> None:
    size = candidates.shape[1]
    for i in range(candidates.shape[0]):
        draw_positions(keys[i], steps[i], 0, 2, size, order)
        candidates[i] = order[:size]


@njit(cache=True)
def _use_catalogue(parameters: AdsParameters, catalogues: Catalogues, env: int) -> AdsParameters:
    return AdsParameters(
        parameters.base_log_odds,
        parameters.interest_weight,
        parameters.fatigue,
        parameters.interest_step,
        parameters.conversion_interest,
        parameters.time_budget,
        parameters.page_view_time,
        parameters.click_time,
        parameters.delay_edges,
        parameters.delay_hours,
        catalogues.topic[env],
        catalogues.quality[env],
        catalogues.conversion_rate[env],
    )


@njit(cache=True)
def _view_pages(
    creatives: IntArray,
    keys: NDArray[np.uint64],
    steps: IntArray,
    is_live: BoolArray,
    interests: FloatArray,
    exposures: IntArray,
    budgets: FloatArray,
    catalogues: Catalogues,
    parameters: AdsParameters,
    choice: ChoiceParameters,
    draws: PageDraws,
    memory: SlateMemory,
    responses: Float32Array,
    rewards: FloatArray,
    clicked: IntArray,
) -> None:
    for i in range(creatives.shape[0]):
        if not is_live[i]:
            continue
        own = _use_catalogue(parameters, catalogues, i)
        sample_page_draws(keys[i], steps[i], draws)
        view = view_page(creatives[i], AdUser(interests[i], exposures[i]), draws, own, choice, memory)
        responses[i] = 0.0
        if view.clicked == creatives.shape[1]:
            budgets[i] -= parameters.page_view_time
            continue
        budgets[i] -= parameters.page_view_time + parameters.click_time
        responses[i, view.clicked, 0] = 1.0
        responses[i, view.clicked, 1] = 1.0 if view.converted else 0.0
        responses[i, view.clicked, 2] = view.delay_hours
        rewards[i], clicked[i] = 2.0 if view.converted else 1.0, view.clicked
