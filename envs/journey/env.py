"""``gaelp/Journey-v1``: one user after another sees slates of documents or ads, in the ``recsim`` package.

Observation
    A dict of float32 arrays. ``user``: interests by topic, -1 to 1; absent where RecSim hides its users
    (``interest_exploration``, ``long_term_satisfaction``). ``documents`` [candidates, fields]: topic as 0s and a 1
    (``interest_evolution``); the same and quality (``interest_exploration``); the clickbait score
    (``long_term_satisfaction``); topic, quality, and how often this user has seen the creative (``ads``).
    ``response`` [slate, fields], to the last slate and 0 at the start: click, time watched, quality; click, quality;
    click, engagement; click, conversion, hours from click to conversion.
Action
    int64 [slate]: positions of candidates, in the order in which they are shown. A position that stands twice
    shows its document twice: both copies can be clicked, and in ``ads`` both count as exposures.
Reward
    Time watched (``interest_evolution``), clicks (``interest_exploration``), engagement
    (``long_term_satisfaction``); in ``ads`` clicks plus conversions, each credited to its page view.
Starting state
    A new user and their first candidates. ``reset(seed=...)`` starts all streams, and the catalogue of ``ads``,
    from the seed; ``reset()`` goes on with the next user.
Termination and truncation
    The user's time is used up: terminated; as its last answers change it. A cap on steps truncates: users of
    ``interest_exploration`` never leave and have one of 50, those of ``interest_evolution`` one of 27,000.
Version history
    v1: first version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from envs.journey.ads_config import AdsJourneyConfig
from envs.journey.recsim_models import RecSimJourney, make_journey_seeds, make_recsim_journey
from envs.journey.recsim_package import lend_random_stream, load_recsim
from envs.journey.spaces import ENGAGEMENT_LIMIT, QUALITY_LIMIT, make_action_space, make_observation_space
from envs.journey.stock_parameters import POLICIES, STOCK_CHOICES, SessionSizes, check_journey
from gaelp_rl.errors import ActionError

__all__ = ["ENV_ID", "JourneyEnv"]

ENV_ID = "gaelp/Journey-v1"

Float32Array = NDArray[np.float32]
_Fields = Sequence[float]


class JourneyEnv(gym.Env[dict[str, Any], NDArray[np.integer[Any]]]):
    """One user at a time; see the module's text.

    NumPy's global stream, from which RecSim draws, is lent a private one for each call and is otherwise left alone.

    Args:
        model: ``ads``, ``interest_evolution``, ``interest_exploration`` or ``long_term_satisfaction``.
        choice: ``mnl``, ``proportional`` or ``exponential_cascade``; None for the model's stock choice.
        num_candidates: documents to choose from.
        slate_size: documents shown.
        ads: parameters of the model ``ads``, but for the two above; None for stock.

    Raises:
        ConfigError: a name does not exist, or the sizes do not fit.
        ResourceError: ``recsim`` is not installed.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own declaration)

    def __init__(
        self,
        model: str = "ads",
        choice: str | None = None,
        num_candidates: int = 10,
        slate_size: int = 2,
        ads: AdsJourneyConfig | None = None,
    ) -> None:
        self._choice = STOCK_CHOICES.get(model, "mnl") if choice is None else choice
        check_journey(model, self._choice, POLICIES[0])
        load_recsim()
        self._model = model
        self._sizes = SessionSizes(num_candidates, slate_size)
        config = ads or AdsJourneyConfig()
        self._ads = replace(config, num_candidates=num_candidates, slate_size=slate_size) if model == "ads" else config
        observation_space = make_observation_space(model, self._sizes, self._ads)
        self.observation_space = observation_space
        self.action_space = make_action_space(self._sizes)
        self._has_user = "user" in observation_space.spaces
        self._no_response = np.zeros(observation_space["response"].shape or (), dtype=np.float32)
        self._journey: RecSimJourney | None = None
        self._length = 0
        self._is_over = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Float32Array], dict[str, Any]]:
        """The next user.

        Args:
            seed: starts every stream anew; None goes on.
            options: not used.

        Returns:
            The observation; and ``clicked``, -1, and ``length``, 0.
        """
        super().reset(seed=seed)
        del options
        if seed is not None or self._journey is None:
            start = int(self.np_random.integers(2**31)) if seed is None else seed
            self._journey = make_recsim_journey(
                self._model, self._choice, make_journey_seeds(start), self._sizes, self._ads
            )
        with lend_random_stream(self._journey.stream):
            self._journey.reset()
        self._length, self._is_over = 0, False
        return self._observe(self._journey, ()), {"clicked": -1, "length": 0}

    def step(self, action: ArrayLike) -> tuple[dict[str, Float32Array], float, bool, bool, dict[str, Any]]:
        """Shows one slate.

        Args:
            action: int [slate], positions of candidates.

        Returns:
            The observation, the reward, whether the session terminated or was truncated; and ``clicked``, the
            place in the slate, -1 for none, with ``length``, the steps of the session so far.

        Raises:
            ActionError: the action is not a slate of candidates, or the session is over.
        """
        journey = self._journey
        if journey is None or self._is_over:
            msg = "there is no session to go on with: it is over or has not begun. Call reset() first"
            raise ActionError(msg)
        slate = np.asarray(action)
        if not self.action_space.contains(slate):
            msg = (
                f"action {action!r} is no slate: it must hold {self._sizes.slate_size} integers "
                f"from 0 to {self._sizes.num_candidates - 1}"
            )
            raise ActionError(msg)
        with lend_random_stream(journey.stream):
            result = journey.step(slate.tolist())
        self._length += 1
        truncated = self._length >= journey.max_steps and not result.terminated
        self._is_over = result.terminated or truncated
        observation = self._observe(journey, result.responses)
        info = {"clicked": result.clicked, "length": self._length}
        return observation, result.reward, result.terminated, truncated, info

    def _observe(self, journey: RecSimJourney, responses: Sequence[Any]) -> dict[str, Float32Array]:
        fields = [_list_response_fields(self._model, response) for response in responses]
        parts: dict[str, ArrayLike] = {
            "documents": [self._list_document_fields(journey, document) for document in journey.documents],
            "response": fields or self._no_response,
        }
        if self._has_user:
            parts["user"] = journey.environment.user_model.create_observation()
        return {name: np.array(part, dtype=np.float32) for name, part in parts.items()}

    def _list_document_fields(self, journey: RecSimJourney, document: Any) -> _Fields:
        if self._model == "interest_evolution":
            features: list[float] = document.features.tolist()
            return features
        if self._model == "long_term_satisfaction":
            return [document.clickbait_score]
        quality = _limit_quality(document.quality)
        if self._model == "interest_exploration":
            return [*_make_one_hot(document.cluster_id, journey.environment._document_sampler.num_clusters), quality]
        exposures = float(journey.user.exposures[document.doc_id()])
        return [*_make_one_hot(document.topic, self._ads.num_topics), quality, exposures]


def _list_response_fields(model: str, response: Any) -> _Fields:
    click = float(response.clicked)
    if model == "interest_evolution":
        return [click, response.watch_time, _limit_quality(response.quality)]
    if model == "interest_exploration":
        return [click, _limit_quality(response.quality)]
    if model == "long_term_satisfaction":
        return [click, min(response.engagement, ENGAGEMENT_LIMIT)]
    return [click, float(response.converted), response.delay_hours]


def _make_one_hot(index: int, size: int) -> list[float]:
    return [float(index == position) for position in range(size)]


def _limit_quality(quality: float) -> float:
    return min(max(quality, -QUALITY_LIMIT), QUALITY_LIMIT)
