"""RecSim's environments and our ad journey, built from RecSim's classes and driven in one way.

Importing this module loads nothing of ``recsim``; making a journey does.

Source: RecSim 0.2.4 (Apache-2.0), ``create_environment`` of each stock environment. Unlike there, users,
documents and choices have streams of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.random import MT19937, BitGenerator, RandomState, SeedSequence

from envs.journey.ads_config import AdCatalogue, AdsJourneyConfig, make_catalogue
from envs.journey.recsim_package import RecSim, load_recsim
from envs.journey.stock_parameters import (
    CHOICE_PARAMETERS,
    INTEREST_EVOLUTION,
    INTEREST_EXPLORATION,
    MNL,
    POLICIES,
    PROPORTIONAL,
    STOCK_CHOICES,
    ChoiceParameters,
    SessionSizes,
    check_journey,
)
from gaelp_rl.domain.reports import FloatArray

__all__ = [
    "JourneySeeds",
    "RecSimJourney",
    "StepResult",
    "make_choice_model",
    "make_journey_seeds",
    "make_recsim_journey",
]

_UNCAPPED = 2**31 - 1


class JourneySeeds(NamedTuple):
    """Seeds of a run's streams.

    Attributes:
        users: who comes.
        documents: what there is to choose from.
        choices: what users choose and how it changes them.
        policy: what is shown, where that is random.
        catalogue: of the model ``ads``, a seed of ``make_catalogue``.
    """

    users: int
    documents: int
    choices: int
    policy: int
    catalogue: int = 0


def make_journey_seeds(seed: int) -> JourneySeeds:
    """Independent seeds for the streams of one run.

    Args:
        seed: of the run, at least 0.
    """
    users, documents, choices, policy = (int(child.generate_state(1)[0]) for child in SeedSequence(seed).spawn(4))
    return JourneySeeds(users, documents, choices, policy, catalogue=seed)


class StepResult(NamedTuple):
    """What one slate led to.

    Attributes:
        documents: RecSim's documents of the slate, in its order.
        responses: RecSim's responses to them.
        clicked: position of the clicked document in the slate; -1 where none was.
        reward: the model's own: time watched, clicks, engagement, or clicks plus conversions.
        terminated: whether the user's session is over.
    """

    documents: Sequence[Any]
    responses: Sequence[Any]
    clicked: int
    reward: float
    terminated: bool


class RecSimJourney:
    """One user after another of one model, in RecSim's own environment.

    Choices and transitions draw from NumPy's global stream: call ``reset`` and ``step`` inside
    ``lend_random_stream(journey.stream)``.

    Args:
        model: its name.
        environment: RecSim's ``SingleUserEnvironment``.
        compute_reward: of the responses to a slate.
        stream: for choices and transitions.
        max_steps: after which a session is cut short.

    Attributes:
        model: as above.
        environment: as above.
        stream: as above.
        max_steps: as above.
    """

    def __init__(
        self,
        model: str,
        environment: Any,
        compute_reward: Callable[[Sequence[Any]], float],
        stream: BitGenerator,
        max_steps: int,
    ) -> None:
        self.model = model
        self.environment = environment
        self.stream = stream
        self.max_steps = max_steps
        self._compute_reward = compute_reward

    @property
    def user(self) -> Any:
        """RecSim's state of the present user."""
        return self.environment.user_model._user_state

    @property
    def documents(self) -> list[Any]:
        """RecSim's candidate documents; a slate names positions in this list."""
        return list(self.environment.candidate_set.get_all_documents())

    def reset(self) -> None:
        """The next user, and their first candidates."""
        self.environment.reset()

    def step(self, slate: Sequence[int]) -> StepResult:
        """Shows documents to the user.

        Args:
            slate: positions of candidates, at most the slate size; a position that stands twice shows its
                document twice.
        """
        candidates = self.documents
        _, _, responses, terminated = self.environment.step(slate)
        clicked = next((position for position, response in enumerate(responses) if response.clicked), -1)
        reward = float(self._compute_reward(responses))
        return StepResult([candidates[position] for position in slate], responses, clicked, reward, bool(terminated))

    def compute_scores(self) -> FloatArray:
        """How much the user would like each candidate, float64 [candidates].

        The score of the choice model; in ``long_term_satisfaction``, which has none, the clickbait score, which
        is what raises the engagement of the moment.
        """
        if self.model == "long_term_satisfaction":
            return np.array([document.clickbait_score for document in self.documents])
        score = self.user.score_document
        return np.array([score(document.create_observation()) for document in self.documents], dtype=np.float64)

    def compute_qualities(self) -> FloatArray:
        """How good each candidate is for the user, float64 [candidates].

        The document's quality; in ``long_term_satisfaction`` the negative of its clickbait score.
        """
        if self.model == "long_term_satisfaction":
            return -self.compute_scores()
        return np.array([document.quality for document in self.documents], dtype=np.float64)


def make_recsim_journey(
    model: str,
    choice: str | None,
    seeds: JourneySeeds,
    sizes: SessionSizes | None = None,
    ads: AdsJourneyConfig | None = None,
) -> RecSimJourney:
    """A journey over the ``recsim`` package, with its stock parameters.

    Args:
        model: ``interest_evolution``, ``interest_exploration``, ``long_term_satisfaction`` or ``ads``.
        choice: ``mnl``, ``proportional`` or ``exponential_cascade``; None for the model's stock choice.
            Users of ``long_term_satisfaction`` click the first document under every choice.
        seeds: of its streams.
        sizes: candidates and slate; None for stock.
        ads: parameters of the model ``ads``; None for stock. ``sizes``, where given, overrides its own.

    Raises:
        ConfigError: a name does not exist, or the sizes do not fit.
        ResourceError: ``recsim`` is not installed.
    """
    choice = STOCK_CHOICES.get(model, "mnl") if choice is None else choice
    check_journey(model, choice, POLICIES[0])
    choice_model = make_choice_model(CHOICE_PARAMETERS[model, choice])
    stream = _make_legacy_stream(seeds.choices)
    recsim, sizes_or_stock = load_recsim(), sizes or SessionSizes()
    if model == "interest_evolution":
        environment = _make_interest_evolution(recsim, choice_model, seeds, sizes_or_stock)
        reward, cap = recsim.interest_evolution.clicked_watchtime_reward, INTEREST_EVOLUTION.max_steps
    elif model == "interest_exploration":
        environment = _make_interest_exploration(recsim, choice_model, seeds, sizes_or_stock)
        reward, cap = recsim.interest_exploration.total_clicks_reward, INTEREST_EXPLORATION.max_steps
    elif model == "long_term_satisfaction":
        environment = _make_long_term_satisfaction(recsim, seeds, sizes_or_stock)
        reward, cap = recsim.long_term_satisfaction.clicked_engagement_reward, _UNCAPPED
    else:
        config = ads or AdsJourneyConfig()
        if sizes is not None:
            config = replace(config, num_candidates=sizes.num_candidates, slate_size=sizes.slate_size)
        catalogue = make_catalogue(config, seeds.catalogue)
        environment = _make_ads(recsim, choice, choice_model, seeds, config, catalogue)
        reward, cap = _count_clicks_and_conversions, _UNCAPPED
    return RecSimJourney(model, environment, reward, stream, cap)


def make_choice_model(parameters: ChoiceParameters) -> Any:
    """One of RecSim's choice models.

    Raises:
        ResourceError: ``recsim`` is not installed.
    """
    models = load_recsim().choice_model
    if parameters.kind == MNL:
        return models.MultinomialLogitChoiceModel({"no_click_mass": parameters.no_click_mass})
    if parameters.kind == PROPORTIONAL:
        features = {"min_normalizer": parameters.min_normalizer, "no_click_mass": parameters.no_click_mass}
        return models.MultinomialProportionalChoiceModel(features)
    features = {"attention_prob": parameters.attention, "score_scaling": parameters.score_scaling}
    return models.ExponentialCascadeChoiceModel(features)


def _make_interest_evolution(recsim: RecSim, choice_model: Any, seeds: JourneySeeds, sizes: SessionSizes) -> Any:
    module = recsim.interest_evolution
    user_model = module.IEvUserModel(
        sizes.slate_size,
        choice_model_ctor=lambda _: choice_model,
        response_model_ctor=module.IEvResponse,
        user_state_ctor=module.IEvUserState,
        seed=seeds.users,
    )
    sampler = module.UtilityModelVideoSampler(doc_ctor=module.IEvVideo, seed=seeds.documents)
    return _make_environment(recsim, user_model, sampler, sizes)


def _make_interest_exploration(recsim: RecSim, choice_model: Any, seeds: JourneySeeds, sizes: SessionSizes) -> Any:
    module = recsim.interest_exploration
    user_model = module.IEUserModel(
        sizes.slate_size,
        choice_model_ctor=lambda _: choice_model,
        response_model_ctor=module.IEResponse,
        user_state_ctor=module.IEUserState,
        seed=seeds.users,
    )
    return _make_environment(recsim, user_model, module.IETopicDocumentSampler(seed=seeds.documents), sizes)


def _make_long_term_satisfaction(recsim: RecSim, seeds: JourneySeeds, sizes: SessionSizes) -> Any:
    module = recsim.long_term_satisfaction
    user_model = module.LTSUserModel(
        sizes.slate_size,
        user_state_ctor=module.LTSUserState,
        response_model_ctor=module.LTSResponse,
        seed=seeds.users,
    )
    return _make_environment(recsim, user_model, module.LTSDocumentSampler(seed=seeds.documents), sizes)


def _make_ads(
    recsim: RecSim,
    choice: str,
    choice_model: Any,
    seeds: JourneySeeds,
    config: AdsJourneyConfig,
    catalogue: AdCatalogue,
) -> Any:
    from envs.journey.ads_model import AdCreativeSampler, AdsUserModel

    user_model = AdsUserModel(config, choice, choice_model, seeds.users)
    sampler = AdCreativeSampler(config, catalogue, seeds.documents)
    return _make_environment(recsim, user_model, sampler, SessionSizes(config.num_candidates, config.slate_size))


def _make_environment(recsim: RecSim, user_model: Any, sampler: Any, sizes: SessionSizes) -> Any:
    return recsim.environment.SingleUserEnvironment(user_model, sampler, sizes.num_candidates, sizes.slate_size)


def _make_legacy_stream(seed: int) -> MT19937:
    """The stream that ``np.random.seed(seed)`` would start, of its own."""
    stream, state = MT19937(), RandomState(seed).get_state(legacy=False)
    stream.state = {"bit_generator": "MT19937", "state": state["state"]}
    return stream


def _count_clicks_and_conversions(responses: Sequence[Any]) -> float:
    return float(sum(response.clicked + response.converted for response in responses))
