"""The ad journey in RecSim's classes, against the page view written down step by step."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.journey.ads_config import AdsJourneyConfig, make_catalogue
from envs.journey.recsim_models import RecSimJourney, make_journey_seeds, make_recsim_journey
from envs.journey.recsim_package import lend_random_stream
from envs.journey.stock_parameters import CHOICES

EAGER = AdsJourneyConfig(mean_ctr=0.4, conversion_rate_median=0.4, conversion_rate_limit=0.9)
"""Clicks and conversions are frequent, so that short runs meet every branch."""


def make_ads(config: AdsJourneyConfig, seed: int, choice: str = "mnl") -> RecSimJourney:
    return make_recsim_journey("ads", choice, make_journey_seeds(seed), ads=config)


class SlowUser:
    """One user, written from the text of ``ads_config`` alone."""

    def __init__(self, config: AdsJourneyConfig, choice: str, interests: list[float]) -> None:
        self.config, self.choice, self.interests = config, choice, interests
        self.exposures = [0] * config.num_creatives
        self.time_left = config.time_budget

    def view_page(self, ads: list[tuple[int, int, float, float]], draw) -> tuple[int, bool, float]:
        """Ads are (id, topic, quality, conversion rate); gives clicked place, conversion, delay."""
        config, odds = self.config, []
        for creative, topic, quality, _ in ads:
            log_odds = config.base_log_odds + quality + config.interest_weight * self.interests[topic]
            odds.append(math.exp(log_odds) * (1.0 - config.fatigue) ** self.exposures[creative])
        clicked, converted, delay = self._choose(odds, draw()), False, 0.0
        if clicked >= 0:
            _, topic, _, rate = ads[clicked]
            converted = draw() < min(1.0, rate * math.exp(config.conversion_interest * self.interests[topic]))
        if converted:
            delay = self._wait(draw(), draw())
        self.time_left -= config.page_view_time + (config.click_time if clicked >= 0 else 0.0)
        for creative, topic, _, _ in ads:
            moved = self.interests[topic] + (config.interest_step if draw() >= 0.5 else -config.interest_step)
            self.interests[topic] = moved if abs(moved) <= 1.0 else math.copysign(2.0, moved) - moved
            self.exposures[creative] += 1
        return clicked, converted, delay

    def _choose(self, odds: list[float], uniform: float) -> int:
        if self.choice == "exponential_cascade":
            reached = 1.0
            for place, probability in enumerate(min(odd, 1.0) for odd in odds):
                uniform -= reached * probability
                if uniform < 0.0:
                    return place
                reached *= 1.0 - probability
            return -1
        shares = np.cumsum(odds) / (sum(odds) + 1.0)
        return next((place for place, share in enumerate(shares) if uniform < share), -1)

    def _wait(self, component: float, quantile: float) -> float:
        delay = self.config.delay
        if component < delay.immediate:
            return 0.0
        mean = delay.mean_hours[0] if component < delay.immediate + delay.weights[0] else delay.mean_hours[1]
        return -mean * math.log(1.0 - quantile)


@pytest.mark.parametrize("choice", CHOICES)
def test_page_views__follow_the_written_order_of_events_and_draws(choice: str) -> None:
    """Both read one stream: a draw more, less or out of turn would part them at once."""
    journey = make_ads(EAGER, 7, choice)
    draws = np.random.RandomState(make_journey_seeds(7).choices).random_sample
    catalogue, slates = make_catalogue(EAGER, 7), np.random.default_rng(0)
    seen = {"clicks": 0, "conversions": 0, "late": 0}
    for _ in range(40):
        journey.reset()
        slow = SlowUser(EAGER, choice, journey.user.interests.tolist())
        terminated = False
        while not terminated:
            slate = slates.integers(EAGER.num_candidates, size=2).tolist()
            ids = [journey.documents[position].doc_id() for position in slate]
            ads = [(i, catalogue.topic[i], catalogue.quality[i], catalogue.conversion_rate[i]) for i in ids]
            with lend_random_stream(journey.stream):
                result = journey.step(slate)
            terminated = result.terminated
            clicked, converted, delay = slow.view_page(ads, draws)
            assert result.clicked == clicked
            assert terminated == (slow.time_left <= 0.0)
            np.testing.assert_allclose(journey.user.interests, slow.interests, rtol=0, atol=1e-12)
            np.testing.assert_array_equal(journey.user.exposures, slow.exposures)
            if clicked >= 0:
                assert result.responses[clicked].converted == converted
                assert result.responses[clicked].delay_hours == pytest.approx(delay, rel=1e-12)
            assert result.reward == int(clicked >= 0) + int(converted)
            seen["clicks"] += clicked >= 0
            seen["conversions"] += converted
            seen["late"] += delay > 0.0
    assert min(seen.values()) > 30


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from(CHOICES), st.floats(0.0, 1.0), st.floats(0.05, 0.6))
def test_users__stay_within_their_bounds(seed: int, choice: str, step: float, mean_ctr: float) -> None:
    config = replace(EAGER, interest_step=step, mean_ctr=mean_ctr, time_budget=12.0)
    journey = make_ads(config, seed, choice)
    journey.reset()
    terminated = False
    while not terminated:
        before = journey.user.time_left
        with lend_random_stream(journey.stream):
            result = journey.step([0, 1])
        terminated = result.terminated
        assert np.abs(journey.user.interests).max() <= 1.0
        assert before - journey.user.time_left == (4.0 if result.clicked >= 0 else 1.0)
        assert journey.user.time_left > -config.page_view_time - config.click_time
        for place, response in enumerate(result.responses):
            assert response.clicked == (place == result.clicked)
            assert response.clicked or not response.converted
            assert response.converted or response.delay_hours == 0.0
            assert 0.0 <= response.delay_hours < math.inf


def test_fatigue__lowers_a_creatives_score_with_every_exposure() -> None:
    """By ln(1 - 0.1) each, where interest does not move; other creatives keep theirs."""
    journey = make_ads(replace(AdsJourneyConfig(), interest_step=0.0), 1)
    journey.reset()
    shown, other = journey.documents[:2]
    before = [journey.user.score_document(ad.create_observation()) for ad in (shown, other)]
    for _ in range(3):
        journey.user.expose(shown, 0.7)
    after = [journey.user.score_document(ad.create_observation()) for ad in (shown, other)]
    assert after[0] - before[0] == pytest.approx(3 * math.log(0.9))
    assert after[1] == before[1]


def test_candidates__are_drawn_without_replacement_from_the_whole_catalogue() -> None:
    """Each of 20 is among 10 half the time, and pages share 5 of 10 on average; bounds are four standard deviations.

    The number shared is hypergeometric, of variance 10 * 1/2 * 1/2 * 10/19.
    """
    journey, pages = make_ads(AdsJourneyConfig(), 2), 400
    counts, shared, last = np.zeros(20), 0, set(range(0, 20, 2))
    for _ in range(pages):
        journey.reset()
        ids = [ad.doc_id() for ad in journey.documents]
        assert len(set(ids)) == 10
        counts[ids] += 1
        shared, last = shared + len(last & set(ids)), set(ids)
    assert shared / pages == pytest.approx(5.0, abs=4 * math.sqrt(2.5 * 10 / 19 / pages))
    assert np.abs(counts - pages / 2).max() < 4 * math.sqrt(pages / 4)


def test_sessions__forget_the_exposures_of_the_last_user() -> None:
    journey = make_ads(EAGER, 3)
    journey.reset()
    with lend_random_stream(journey.stream):
        journey.step([0, 1])
    assert journey.user.exposures.sum() == 2
    journey.reset()
    assert journey.user.exposures.sum() == 0
    assert journey.user.time_left == EAGER.time_budget


def test_observations__are_copies_inside_their_own_spaces() -> None:
    """RecSim's own users hand out their live array, and their spaces refuse it."""
    journey = make_ads(EAGER, 4)
    journey.reset()
    model = journey.environment.user_model
    observed = model.create_observation()
    kept = observed.copy()
    with lend_random_stream(journey.stream):
        responses = journey.step([0, 1]).responses
    np.testing.assert_array_equal(observed, kept)
    assert model.observation_space().contains(observed)
    creative = journey.documents[0]
    spaced = {name: np.asarray(field) for name, field in creative.create_observation().items()}
    assert creative.observation_space().contains(spaced)
    space = responses[0].response_space()
    response = responses[0].create_observation()
    assert space.contains(response | {"delay_hours": np.asarray(response["delay_hours"])})
