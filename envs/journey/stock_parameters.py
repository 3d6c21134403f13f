"""Names and stock parameters of the journey's models, for both of their implementations.

Source: the ``recsim`` package 0.2.4 (Apache-2.0), what each environment's ``create_environment``
builds; Ie et al. 2019, "RecSim: a configurable simulation platform for recommender systems".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from gaelp_rl.errors import ConfigError, suggest

__all__ = [
    "CHOICES",
    "CHOICE_PARAMETERS",
    "EXPONENTIAL_CASCADE",
    "GREEDY_PCTR",
    "GREEDY_QUALITY",
    "INTEREST_EVOLUTION",
    "INTEREST_EXPLORATION",
    "LONG_TERM_SATISFACTION",
    "MNL",
    "MODELS",
    "POLICIES",
    "PROPORTIONAL",
    "RANDOM",
    "STOCK_CHOICES",
    "ChoiceParameters",
    "InterestEvolutionParameters",
    "InterestExplorationParameters",
    "LongTermSatisfactionParameters",
    "SessionSizes",
    "check_journey",
]

MODELS = ("interest_evolution", "interest_exploration", "long_term_satisfaction", "ads")
CHOICES = ("proportional", "mnl", "exponential_cascade")
POLICIES = ("random", "greedy_pctr", "greedy_quality")

PROPORTIONAL, MNL, EXPONENTIAL_CASCADE = range(3)
"""Kinds of choice, as kernels know them: the order of ``CHOICES``."""

RANDOM, GREEDY_PCTR, GREEDY_QUALITY = range(3)
"""Policies, as kernels know them: the order of ``POLICIES``."""

STOCK_CHOICES = {
    "interest_evolution": "proportional",
    "interest_exploration": "mnl",
    "long_term_satisfaction": "mnl",
    "ads": "mnl",
}
"""Choice of each model unless another is asked for.

Users of ``long_term_satisfaction`` click the slate's first document whatever the choice model.
"""


class ChoiceParameters(NamedTuple):
    """A choice model and its parameters; those that another kind has are not read.

    Attributes:
        kind: ``PROPORTIONAL``, ``MNL`` or ``EXPONENTIAL_CASCADE``.
        no_click_mass: a score for no click (proportional, mnl).
        min_normalizer: subtracted from every score and from the no-click mass, at most 0 (proportional).
        attention: probability that an item is looked at, 0 to 1 (cascade).
        score_scaling: k of q = attention * k * exp(score), which needs k * exp(score) <= 1 (cascade).
    """

    kind: int
    no_click_mass: float = 0.0
    min_normalizer: float = 0.0
    attention: float = 1.0
    score_scaling: float = 1.0


CHOICE_PARAMETERS = {
    ("interest_evolution", "proportional"): ChoiceParameters(PROPORTIONAL, no_click_mass=1.0, min_normalizer=-1.0),
    ("interest_evolution", "mnl"): ChoiceParameters(MNL, no_click_mass=1.0),
    ("interest_evolution", "exponential_cascade"): ChoiceParameters(EXPONENTIAL_CASCADE, score_scaling=0.3),
    ("interest_exploration", "proportional"): ChoiceParameters(PROPORTIONAL, no_click_mass=5.0),
    ("interest_exploration", "mnl"): ChoiceParameters(MNL, no_click_mass=5.0),
    ("interest_exploration", "exponential_cascade"): ChoiceParameters(
        EXPONENTIAL_CASCADE, score_scaling=math.exp(-7.0)
    ),
    ("long_term_satisfaction", "proportional"): ChoiceParameters(PROPORTIONAL),
    ("long_term_satisfaction", "mnl"): ChoiceParameters(MNL),
    ("long_term_satisfaction", "exponential_cascade"): ChoiceParameters(EXPONENTIAL_CASCADE),
    ("ads", "proportional"): ChoiceParameters(PROPORTIONAL, no_click_mass=1.0),
    ("ads", "mnl"): ChoiceParameters(MNL),
    ("ads", "exponential_cascade"): ChoiceParameters(EXPONENTIAL_CASCADE),
}
"""By model and choice. Scores of ``ads`` are log-odds, and odds where the choice is proportional.

Where ``recsim`` has no stock parameters, they are chosen legal: interests of at most 1 keep
0.3 * exp(score) below 1; scores of ``interest_exploration`` stay below 7 by seven standard deviations.
"""


class InterestEvolutionParameters(NamedTuple):
    """Users whose interests move towards or away from what they watch.

    Attributes:
        num_topics: topics, and entries of a user's interests.
        num_low_topics: topics of low mean quality; they come first.
        lowest_quality: mean quality of the first topic; rises linearly to 0 at the last low topic.
        highest_quality: mean quality of the last topic; rises linearly from 0 at the first high topic.
        quality_sd: standard deviation of a document's quality.
        document_length: of every document, in units of the time budget.
        time_budget: of every user at the start.
        step_penalty: time that passes without a click.
        user_update_alpha: time regained per time watched and unit of the document's quality.
        max_steps: cap after which a session is cut short.
    """

    num_topics: int = 20
    num_low_topics: int = 14
    lowest_quality: float = -3.0
    highest_quality: float = 3.0
    quality_sd: float = 0.1
    document_length: float = 4.0
    time_budget: float = 200.0
    step_penalty: float = 0.5
    user_update_alpha: float = 0.9 / 3.4
    max_steps: int = 27_000


class InterestExplorationParameters(NamedTuple):
    """Users of two hidden types and documents of two topics; nothing changes.

    Attributes:
        majority_type: probability of user type 1.
        majority_topic: probability of topic 1.
        strong_affinity: log-scale mean of a user's affinity to the other topic than the user's type.
        weak_affinity: the same for the topic of the user's type.
        topic_quality: log-scale mean of a document's quality, by topic.
        log_sd: log-scale standard deviation of affinities and qualities.
        max_steps: length of every session.
    """

    majority_type: float = 0.7
    majority_topic: float = 0.8
    strong_affinity: float = 0.7
    weak_affinity: float = 0.1
    topic_quality: tuple[float, float] = (0.8, 0.2)
    log_sd: float = 0.1
    max_steps: int = 50


class LongTermSatisfactionParameters(NamedTuple):
    """Users whom clickbait engages now and wears out later.

    Attributes:
        choc_mean: mean log engagement of pure clickbait at satisfaction 1.
        kale_mean: the same of a document without clickbait.
        choc_sd: standard deviation of log engagement of pure clickbait.
        kale_sd: the same of a document without clickbait.
        sensitivity: slope of satisfaction in net positive exposure.
        memory_discount: share of net positive exposure that a step keeps.
        innovation_sd: standard deviation of what a step adds to it.
        time_budget: steps of every session.
    """

    choc_mean: float = 5.0
    kale_mean: float = 4.0
    choc_sd: float = 1.0
    kale_sd: float = 1.0
    sensitivity: float = 0.01
    memory_discount: float = 0.7
    innovation_sd: float = 0.05
    time_budget: int = 60


INTEREST_EVOLUTION = InterestEvolutionParameters()
INTEREST_EXPLORATION = InterestExplorationParameters()
LONG_TERM_SATISFACTION = LongTermSatisfactionParameters()


@dataclass(frozen=True, slots=True)
class SessionSizes:
    """What a user is offered at each step.

    Attributes:
        num_candidates: documents to choose from, K.
        slate_size: documents shown, m.
    """

    num_candidates: int = 10
    slate_size: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.slate_size <= self.num_candidates <= 1000:
            msg = (
                f"a slate of {self.slate_size} from {self.num_candidates} candidates cannot be filled: "
                "1 <= slate_size <= num_candidates <= 1000"
            )
            raise ConfigError(msg)


def check_journey(model: str, choice: str, policy: str) -> None:
    """Raises where one of the three names does not exist.

    Raises:
        ConfigError: with the nearest names.
    """
    named = (("model", model, MODELS), ("choice", choice, CHOICES), ("policy", policy, POLICIES))
    for what, name, known in named:
        if name not in known:
            msg = f"{what} {name!r} does not exist.{suggest(name, known)}"
            raise ConfigError(msg)
