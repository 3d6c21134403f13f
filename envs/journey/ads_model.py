"""The ad journey in RecSim's own classes: user state, sampler, creative, response, user model.

Importing this module loads ``recsim``. What happens in a page view, and in which order, is written in
``envs.journey.ads_config``. Choices and transitions draw from NumPy's global stream, as RecSim's own models
do: call them inside ``lend_random_stream``.

Source: the base classes of RecSim 0.2.4 (Apache-2.0); the ad response is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.random.mtrand import random_sample

from envs.journey.ad_response import compute_ad_score, drift_interest
from envs.journey.ads_config import (
    AdCatalogue,
    AdsJourneyConfig,
    compute_choice_score,
    compute_conversion_delay,
    compute_conversion_probability,
)
from envs.journey.recsim_package import load_recsim
from gaelp_rl.domain.reports import FloatArray

__all__ = ["AdCreative", "AdCreativeSampler", "AdResponse", "AdsUserModel", "AdsUserSampler", "AdsUserState"]

_recsim = load_recsim()
_AbstractDocument: Any = _recsim.document.AbstractDocument
_AbstractDocumentSampler: Any = _recsim.document.AbstractDocumentSampler
_AbstractResponse: Any = _recsim.user.AbstractResponse
_AbstractUserModel: Any = _recsim.user.AbstractUserModel
_AbstractUserSampler: Any = _recsim.user.AbstractUserSampler
_AbstractUserState: Any = _recsim.user.AbstractUserState
_UNBOUNDED = float("inf")


class AdCreative(_AbstractDocument):
    """A creative of the catalogue.

    Attributes:
        topic: what it is about.
        quality: added to the log-odds of a click.
        conversion_rate: of a click by a user without interest; not observable.
    """

    def __init__(self, doc_id: int, topic: int, quality: float, conversion_rate: float) -> None:
        super().__init__(doc_id)
        self.topic = topic
        self.quality = quality
        self.conversion_rate = conversion_rate

    def create_observation(self) -> dict[str, Any]:
        """Id, topic and quality."""
        return {"creative": self.doc_id(), "topic": self.topic, "quality": self.quality}

    @classmethod
    def observation_space(cls) -> spaces.Space[Any]:
        """Ids and topics are integers from 0; quality is not bounded."""
        whole = spaces.Box(0, np.iinfo(np.int64).max, (), np.int64)
        return spaces.Dict(
            {"creative": whole, "topic": whole, "quality": spaces.Box(-_UNBOUNDED, _UNBOUNDED, (), np.float64)}
        )


class AdCreativeSampler(_AbstractDocumentSampler):
    """Draws from the catalogue without replacement, ``num_candidates`` at a time.

    Args:
        config: how many candidates a page view has.
        catalogue: what they are drawn from.
        seed: of its own stream.
    """

    def __init__(self, config: AdsJourneyConfig, catalogue: AdCatalogue, seed: int) -> None:
        self._config = config
        columns = (catalogue.topic, catalogue.quality, catalogue.conversion_rate)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        self._creatives = [AdCreative(index, *row) for index, row in enumerate(rows)]
        self._drawn: list[int] = []
        super().__init__(AdCreative, seed)

    @property
    def num_clusters(self) -> int:
        """Topics."""
        return self._config.num_topics

    def reset_sampler(self) -> None:
        """Starts the stream again."""
        super().reset_sampler()
        self._drawn = []

    def sample_document(self) -> AdCreative:
        """The next candidate of a page view."""
        if not self._drawn:
            self._drawn = self._rng.permutation(len(self._creatives))[: self._config.num_candidates].tolist()[::-1]
        return self._creatives[self._drawn.pop()]


class AdsUserState(_AbstractUserState):
    """A user in a session.

    Attributes:
        interests: float64 [topics], -1 to 1.
        exposures: int64 [creatives], how often each has been shown in this session.
        time_left: of the session; at 0 or less it is over.
    """

    def __init__(self, config: AdsJourneyConfig, choice: str, interests: FloatArray) -> None:
        self._config = config
        self._choice = choice
        self._base_log_odds = config.base_log_odds
        self.interests = interests
        self.exposures = np.zeros(config.num_creatives, dtype=np.int64)
        self.time_left = config.time_budget

    def score_document(self, doc_obs: dict[str, Any]) -> float:
        """The score that the choice model takes, from the creative's observation."""
        score = compute_ad_score(
            self._base_log_odds + doc_obs["quality"],
            self.interests[doc_obs["topic"]],
            self._config.interest_weight,
            float(self.exposures[doc_obs["creative"]]),
            self._config.fatigue,
        )
        return compute_choice_score(score, self._choice)

    def expose(self, creative: AdCreative, uniform: float) -> None:
        """Shows a creative: the interest in its topic drifts, its exposures rise by one.

        Args:
            creative: what is shown.
            uniform: from [0, 1), which way the interest drifts.
        """
        interest = self.interests[creative.topic]
        self.interests[creative.topic] = drift_interest(interest, self._config.interest_step, uniform)
        self.exposures[creative.doc_id()] += 1

    def create_observation(self) -> FloatArray:
        """A copy of the interests."""
        return self.interests.copy()

    def observation_space(self) -> spaces.Box:
        """Interests, float64 [topics]."""
        return spaces.Box(-1.0, 1.0, self.interests.shape, np.float64)


class AdsUserSampler(_AbstractUserSampler):
    """Users whose interests are uniform on [-1, 1], by topic.

    Args:
        config: of the journey.
        choice: the choice model's name.
        seed: of its own stream.
    """

    def __init__(self, config: AdsJourneyConfig, choice: str, seed: int) -> None:
        self._config = config
        self._choice = choice
        super().__init__(AdsUserState, seed)

    def sample_user(self) -> AdsUserState:
        """A user at the start of a session."""
        return AdsUserState(self._config, self._choice, self._rng.uniform(-1.0, 1.0, self._config.num_topics))


class AdResponse(_AbstractResponse):
    """What a user did with one shown ad.

    Attributes:
        exposures: how often the user had seen the creative before this page view.
        clicked: whether it was clicked; at most one ad of a slate is.
        converted: whether the click converts.
        delay_hours: from click to conversion; 0 where nothing converts.
    """

    def __init__(self) -> None:
        self.exposures = 0
        self.clicked = False
        self.converted = False
        self.delay_hours = 0.0

    def create_observation(self) -> dict[str, Any]:
        """Click, conversion and delay."""
        return {"click": int(self.clicked), "conversion": int(self.converted), "delay_hours": self.delay_hours}

    @staticmethod
    def response_space() -> spaces.Space[Any]:
        """Two flags, and hours."""
        return spaces.Dict(
            {
                "click": spaces.Discrete(2),
                "conversion": spaces.Discrete(2),
                "delay_hours": spaces.Box(0.0, _UNBOUNDED, (), np.float64),
            }
        )


class AdsUserModel(_AbstractUserModel):
    """How users respond to slates of ads, and how that changes them.

    Args:
        config: of the journey.
        choice: the choice model's name.
        choice_model: one of RecSim's, built for scores of ``compute_choice_score``.
        seed: of the users' own stream.
    """

    def __init__(self, config: AdsJourneyConfig, choice: str, choice_model: Any, seed: int) -> None:
        super().__init__(AdResponse, AdsUserSampler(config, choice, seed), config.slate_size)
        self._config = config
        self.choice_model = choice_model

    def is_terminal(self) -> bool:
        """Whether the session's time is used up."""
        return bool(self._user_state.time_left <= 0.0)

    def simulate_response(self, documents: Sequence[AdCreative]) -> list[AdResponse]:
        """The choice, and after a click the conversion and its delay; steps 1 to 3 of a page view."""
        state = self._user_state
        self.choice_model.score_documents(state, [creative.create_observation() for creative in documents])
        position = self.choice_model.choose_item()
        responses = [self._response_model_ctor() for _ in documents]
        for creative, response in zip(documents, responses, strict=True):
            response.exposures = int(state.exposures[creative.doc_id()])
        if position is not None:
            self._simulate_click(documents[position], responses[position])
        return responses

    def update_state(self, slate_documents: Sequence[AdCreative], responses: Sequence[AdResponse]) -> None:
        """Time, drift and exposures; steps 4 to 6 of a page view."""
        has_clicked = any(response.clicked for response in responses)
        self._user_state.time_left -= self._config.page_view_time + (self._config.click_time if has_clicked else 0.0)
        for creative in slate_documents:
            self._user_state.expose(creative, random_sample())

    def _simulate_click(self, creative: AdCreative, response: AdResponse) -> None:
        interest = self._user_state.interests[creative.topic]
        rate = compute_conversion_probability(creative.conversion_rate, interest, self._config.conversion_interest)
        response.clicked = True
        response.converted = random_sample() < rate
        if response.converted:
            component, quantile = random_sample(), random_sample()
            response.delay_hours = compute_conversion_delay(self._config.delay, component, quantile)
