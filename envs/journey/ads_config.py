"""The ad journey: its parameters, its catalogue of creatives, and the order in which a page view happens.

A user opens page after page until the session's time is used up. Each page view shows a slate of
``slate_size`` ads out of ``num_candidates`` that were drawn without replacement from the catalogue.
One page view, in this order; every draw is one uniform from [0, 1):

1. Scores. Ad i of the slate has s_i = ``compute_ad_score(base_log_odds + quality_i, interest in its
   topic, interest_weight, exposures of its creative, fatigue)``; a creative that stands twice in one
   slate counts the same earlier exposures both times. ``compute_choice_score`` fits s_i to the choice model.
2. Choice, one uniform: at most one ad is clicked; with the cumulative probabilities of the ads in slate
   order and no click last, the answer is the number of them that are at most the uniform.
3. Only after a click: conversion, one uniform, below ``compute_conversion_probability`` at the interest
   before it drifts. Only after a conversion: two more, the delay's component and its quantile
   (``compute_conversion_delay``; the second is drawn and unused where the component is the immediate one).
4. Time: ``page_view_time`` is used, and ``click_time`` more after a click.
5. Drift, one uniform per ad in slate order: ``drift_interest`` moves the interest in the ad's topic, so that
   two ads of one topic move it twice.
6. Exposures of each shown creative rise by one, per copy shown.

The session ends when the time left is 0 or less. Interests begin uniform on [-1, 1] by topic.

Source: multinomial-logit, proportional and cascade choice as in RecSim 0.2.4 (Apache-2.0), Ie et al. 2019,
"RecSim: a configurable simulation platform for recommender systems".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from envs.journey.ad_response import solve_log_odds
from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.domain.reports import FloatArray, IntArray
from gaelp_rl.errors import ConfigError

__all__ = [
    "CATALOGUE_SPAWN_KEY",
    "AdCatalogue",
    "AdsJourneyConfig",
    "compute_choice_score",
    "compute_conversion_delay",
    "compute_conversion_probability",
    "make_catalogue",
]

CATALOGUE_SPAWN_KEY = 4
"""Which child of the run's ``SeedSequence`` draws the catalogue."""


@dataclass(frozen=True)
class AdsJourneyConfig:
    """Parameters of the model ``ads``.

    Attributes:
        num_topics: topics that ads are about and users have an interest in.
        num_creatives: size of the fixed catalogue, ids 0 to num_creatives - 1.
        num_candidates: creatives to choose from in a page view, drawn without replacement.
        slate_size: ads shown in a page view.
        mean_ctr: mean click probability of an ad shown alone, of quality 0, to unexposed users.
        interest_weight: log-odds of a click per unit of interest.
        fatigue: share of the odds lost per exposure to the same creative, 0 to below 1.
        interest_step: how far an exposure moves the interest in its topic, 0 to 1.
        quality_sd: creatives' quality is N(0, quality_sd), added to the log-odds.
        conversion_rate_median: of the log-normal distribution of creatives' conversion rates.
        conversion_rate_log_sd: of the same.
        conversion_rate_limit: conversion rates are capped here.
        conversion_interest: log of the conversion rate per unit of interest.
        time_budget: of a session, in page views.
        page_view_time: what a page view uses of it.
        click_time: what a click uses more, for reading the advertiser's page.
        delay: from click to conversion, in hours.
    """

    num_topics: int = 8
    num_creatives: int = 20
    num_candidates: int = 10
    slate_size: int = 2
    mean_ctr: float = 0.05
    interest_weight: float = 1.0
    fatigue: float = 0.1
    interest_step: float = 0.1
    quality_sd: float = 0.15
    conversion_rate_median: float = 0.05
    conversion_rate_log_sd: float = 0.3
    conversion_rate_limit: float = 0.5
    conversion_interest: float = 0.5
    time_budget: float = 40.0
    page_view_time: float = 1.0
    click_time: float = 3.0
    delay: ConversionDelay = field(default_factory=ConversionDelay)

    def __post_init__(self) -> None:
        if not 1 <= self.slate_size <= self.num_candidates <= self.num_creatives:
            msg = (
                f"slate_size {self.slate_size}, num_candidates {self.num_candidates}, num_creatives "
                f"{self.num_creatives}: must be at least 1 and in rising order; a slate is taken from the "
                "candidates, and they from the catalogue"
            )
            raise ConfigError(msg)
        for name, allowed, rule in (
            ("num_topics", self.num_topics >= 1, "must be at least 1"),
            ("mean_ctr", 0.0 < self.mean_ctr < 1.0, "must be above 0 and below 1"),
            ("interest_weight", 0.0 < self.interest_weight < math.inf, "must be above 0"),
            ("fatigue", 0.0 <= self.fatigue < 1.0, "must be 0 to below 1"),
            ("interest_step", 0.0 <= self.interest_step <= 1.0, "must be 0 to 1"),
            ("quality_sd", 0.0 <= self.quality_sd < math.inf, "must be at least 0"),
            ("conversion_rate_median", 0.0 < self.conversion_rate_median < math.inf, "must be above 0"),
            ("conversion_rate_log_sd", 0.0 <= self.conversion_rate_log_sd < math.inf, "must be at least 0"),
            ("conversion_rate_limit", 0.0 < self.conversion_rate_limit <= 1.0, "must be above 0 and at most 1"),
            ("conversion_interest", math.isfinite(self.conversion_interest), "must be finite"),
            ("time_budget", 0.0 < self.time_budget < math.inf, "must be above 0 and finite"),
            ("page_view_time", 0.0 < self.page_view_time < math.inf, "must be above 0, or sessions never end"),
            ("click_time", 0.0 <= self.click_time < math.inf, "must be at least 0"),
        ):
            if not allowed:
                msg = f"{name} of the ad journey is {getattr(self, name)!r}; it {rule}"
                raise ConfigError(msg)

    @property
    def base_log_odds(self) -> float:
        """Log-odds of a click without interest, exposures or quality; solves for ``mean_ctr``."""
        return float(solve_log_odds(self.mean_ctr, self.interest_weight))


@dataclass(frozen=True)
class AdCatalogue:
    """The creatives of a run; a creative's id is its index.

    Attributes:
        topic: int64 [creatives].
        quality: float64 [creatives], added to the log-odds of a click.
        conversion_rate: float64 [creatives], of a click by a user without interest.
    """

    topic: IntArray
    quality: FloatArray
    conversion_rate: FloatArray


def make_catalogue(config: AdsJourneyConfig, seed: int) -> AdCatalogue:
    """The catalogue of the run with this seed.

    Args:
        config: how creatives are distributed.
        seed: of the run, at least 0; the catalogue has its own child of it.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(CATALOGUE_SPAWN_KEY,)))
    rates = config.conversion_rate_median * np.exp(
        config.conversion_rate_log_sd * rng.standard_normal(config.num_creatives)
    )
    return AdCatalogue(
        topic=rng.integers(config.num_topics, size=config.num_creatives),
        quality=config.quality_sd * rng.standard_normal(config.num_creatives),
        conversion_rate=np.minimum(rates, config.conversion_rate_limit),
    )


def compute_choice_score(score: float, choice: str) -> float:
    """What the choice model is given for an ad of this log-odds, where no click has log-odds 0.

    Log-odds s for ``mnl``; odds exp(s) for ``proportional``, so that both give the same
    probabilities; min(s, 0) for ``exponential_cascade``, whose click probability exp(s) is at most 1.
    """
    if choice == "mnl":
        return score
    return math.exp(score) if choice == "proportional" else min(score, 0.0)


def compute_conversion_probability(conversion_rate: float, interest: float, conversion_interest: float) -> float:
    """P(conversion | click) = min(1, conversion_rate * exp(conversion_interest * interest)).

    Args:
        conversion_rate: of the creative.
        interest: of the user in its topic, before the page view's drift.
        conversion_interest: log of the rate per unit of interest.
    """
    return min(1.0, conversion_rate * math.exp(conversion_interest * interest))


def compute_conversion_delay(delay: ConversionDelay, component: float, quantile: float) -> float:
    """Hours from click to conversion, from two uniforms of [0, 1).

    Args:
        delay: the mixture.
        component: below ``immediate`` the delay is 0; else it picks the exponential component whose
            interval of the cumulative shares it falls into.
        quantile: q of that component, -mean_hours * ln(1 - q).
    """
    edges = np.cumsum((delay.immediate, *delay.weights))
    index = min(int(np.searchsorted(edges, component, side="right")), delay.num_components)
    return 0.0 if index == 0 else -delay.mean_hours[index - 1] * math.log1p(-quantile)
