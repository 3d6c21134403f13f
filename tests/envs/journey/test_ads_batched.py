"""The ad journey in machine code against the one in RecSim's classes, page view by page view."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.journey.ads_batched import (
    AdUser,
    PageDraws,
    compute_creative_score,
    make_ad_user,
    make_ads_parameters,
    make_page_draws,
    sample_ad_user,
    sample_page_draws,
    view_page,
)
from envs.journey.ads_config import AdsJourneyConfig, compute_choice_score, make_catalogue
from envs.journey.batched_sessions import JourneySettings, simulate_sessions
from envs.journey.recsim_models import make_journey_seeds, make_recsim_journey
from envs.journey.recsim_package import lend_random_stream
from envs.journey.slates import make_slate_memory
from envs.journey.statistics import SESSION_COLUMNS
from envs.journey.stock_parameters import CHOICE_PARAMETERS, CHOICES, POLICIES, SessionSizes
from envs.journey.user_streams import SLATE_SLOT, draw_positions, make_run_key, make_user_keys
from gaelp_rl.domain.conversion_delay import ConversionDelay
from tests.envs.journey.recorded_streams import make_recorded_stream

CONFIG = AdsJourneyConfig(slate_size=3, mean_ctr=0.3, conversion_rate_median=0.4)
CATALOGUE = make_catalogue(CONFIG, 3)
PARAMETERS = make_ads_parameters(CONFIG, CATALOGUE)
MEMORY = make_slate_memory(SessionSizes(10, 3))
UNIFORM = st.integers(0, 2**53 - 1).map(lambda mantissa: mantissa / 2**53)


def make_used_draws(clicked: bool, converted: bool, draws: PageDraws) -> list[float]:
    """The uniforms that a page view uses, in the order of ``ads_config``."""
    events = draws.events[: 4 if converted else 2 if clicked else 1]
    return [*events, *draws.drift]


@pytest.mark.parametrize("choice", CHOICES)
def test_page_view__equals_that_of_recsim_s_classes(choice: str) -> None:
    """Clicks often and converts often, so that every branch is met, over whole sessions of ten users."""
    journey = make_recsim_journey("ads", choice, make_journey_seeds(3), SessionSizes(10, 3), CONFIG)
    rng, user, draws = np.random.default_rng(0), make_ad_user(CONFIG), make_page_draws(3)
    met: set[tuple[bool, bool]] = set()
    for _ in range(10):
        journey.reset()
        user.interests[:] = journey.user.interests
        user.exposures[:] = 0
        time_left, terminated = CONFIG.time_budget, False
        while not terminated:
            draws.events[:], draws.drift[:] = rng.random(4), rng.random(3)
            positions = rng.permutation(10)[:3].tolist()
            slate = np.array([journey.documents[position].doc_id() for position in positions])
            view = view_page(slate, user, draws, PARAMETERS, CHOICE_PARAMETERS["ads", choice], MEMORY)
            time_left -= CONFIG.page_view_time + (CONFIG.click_time if view.clicked < 3 else 0.0)
            used = make_used_draws(view.clicked < 3, view.converted, draws)
            with lend_random_stream(make_recorded_stream(used)):
                result = journey.step(positions)
            response = result.responses[max(result.clicked, 0)]
            terminated = result.terminated
            met.add((view.clicked < 3, bool(view.converted)))
            assert (view.clicked if view.clicked < 3 else -1) == result.clicked
            assert view.converted == response.converted
            assert view.delay_hours == pytest.approx(response.delay_hours, rel=1e-12)
            assert view.exposures == sum(of.exposures for of in result.responses)
            np.testing.assert_allclose(user.interests, journey.user.interests, rtol=0, atol=1e-12)
            np.testing.assert_array_equal(user.exposures, journey.user.exposures)
            assert time_left == pytest.approx(journey.user.time_left, abs=1e-12)
    assert met == {(False, False), (True, False), (True, True)}


@given(
    st.lists(st.floats(-1.0, 1.0), min_size=8, max_size=8),
    st.lists(UNIFORM, min_size=4, max_size=4),
    st.lists(UNIFORM, min_size=3, max_size=3),
    st.permutations(range(20)),
    st.sampled_from(CHOICES),
)
def test_page_view__converts_only_clicks_and_keeps_bounds(interests, events, drift, order, choice) -> None:
    user = AdUser(np.array(interests), np.zeros(20, dtype=np.int64))
    slate = np.array(order[:3])
    draws = PageDraws(np.array(events), np.array(drift))
    view = view_page(slate, user, draws, PARAMETERS, CHOICE_PARAMETERS["ads", choice], MEMORY)
    assert (np.abs(user.interests) <= 1.0).all()
    assert user.exposures.sum() == 3
    assert view.clicked < 3 or not view.converted
    longest = -np.log(2.0**-53) * max(CONFIG.delay.mean_hours)
    assert 0.0 <= view.delay_hours <= (longest if view.converted else 0.0)
    assert view.converted or view.delay_hours == 0.0


@pytest.mark.parametrize("choice", CHOICES)
def test_score__is_the_documented_one_and_falls_with_exposures(choice: str) -> None:
    user, kind = make_ad_user(CONFIG), CHOICE_PARAMETERS["ads", choice].kind
    scores = []
    for exposures in range(4):
        user.exposures[:] = exposures
        scores.append(compute_creative_score(0, user, PARAMETERS, kind))
        log_odds = CONFIG.base_log_odds + CATALOGUE.quality[0] + exposures * np.log(0.9)
        assert scores[-1] == pytest.approx(compute_choice_score(log_odds, choice), rel=1e-12)
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[3]


def test_conversions__follow_the_stated_delay() -> None:
    """Over many sessions the mean delay and the share without delay are those of the mixture."""
    delay = ConversionDelay(0.6, (0.4,), (10.0,))
    settings = JourneySettings(ads=AdsJourneyConfig(mean_ctr=0.3, conversion_rate_median=0.4, delay=delay))
    sessions = simulate_sessions("ads", "mnl", "random", 20_000, 1, settings=settings)
    conversions, hours = sessions.column("conversions"), sessions.column("delay_hours_sum")
    mean_error = np.sqrt((0.4 * 200.0 - 16.0) / conversions.sum())
    assert hours.sum() / conversions.sum() == pytest.approx(4.0, abs=4 * mean_error)
    single = hours[conversions == 1]
    assert (single == 0.0).mean() == pytest.approx(0.6, abs=4 * np.sqrt(0.24 / single.size))
    assert (conversions <= sessions.column("clicks")).all()
    assert (hours[conversions == 0] == 0.0).all()


def run_slowly(key: np.uint64, policy: str, choice: str, config: AdsJourneyConfig, seed: int) -> dict[str, float]:
    """One session, slates filled by NumPy."""
    catalogue, sizes = make_catalogue(config, seed), SessionSizes(config.num_candidates, config.slate_size)
    parameters, user = make_ads_parameters(config, catalogue), make_ad_user(config)
    draws, memory, row = (
        make_page_draws(sizes.slate_size),
        make_slate_memory(sizes),
        dict.fromkeys(SESSION_COLUMNS, 0.0),
    )
    sample_ad_user(key, user)
    row["interest_mean_start"] = user.interests.mean()
    time_left, step, exposures = config.time_budget, 0, 0
    candidates, order = np.empty(config.num_creatives, dtype=np.int64), np.empty(sizes.num_candidates, dtype=np.int64)
    while time_left > 0.0:
        step += 1
        draw_positions(key, step, 0, 2, sizes.num_candidates, candidates)
        offered = candidates[: sizes.num_candidates]
        draw_positions(key, step, SLATE_SLOT, 1, sizes.slate_size, order)
        kind = CHOICE_PARAMETERS["ads", choice].kind
        scores = np.array([compute_creative_score(creative, user, parameters, kind) for creative in offered])
        likings = {"greedy_pctr": scores, "greedy_quality": catalogue.quality[offered]}
        if policy != "random":
            order = np.argsort(-likings[policy], kind="stable")
        sample_page_draws(key, step, draws)
        slate = offered[order[: sizes.slate_size]]
        view = view_page(slate, user, draws, parameters, CHOICE_PARAMETERS["ads", choice], memory)
        exposures += view.exposures
        time_left -= config.page_view_time
        if view.clicked < sizes.slate_size:
            time_left -= config.click_time
            row["clicks"] += 1
            row["first_slot_clicks"] += view.clicked == 0
            row["quality_sum"] += catalogue.quality[slate[view.clicked]]
            row["conversions"] += view.converted
            row["delay_hours_sum"] += view.delay_hours
    row |= {"length": step, "reward": row["clicks"] + row["conversions"], "end_budget": time_left}
    row |= {"interest_mean_end": user.interests.mean(), "mean_exposures": exposures / (step * sizes.slate_size)}
    return row


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("choice", CHOICES)
def test_session__equals_one_with_slates_filled_by_numpy(choice: str, policy: str) -> None:
    config = AdsJourneyConfig(slate_size=3, mean_ctr=0.2, conversion_rate_median=0.4)
    sessions = simulate_sessions("ads", choice, policy, 3, 8, settings=JourneySettings(ads=config)).sessions
    keys = make_user_keys(make_run_key(8), np.arange(3))
    missing = {"clickbait_sum", "satisfaction_end", "npe_end"}
    for user, key in enumerate(keys):
        expected = run_slowly(key, policy, choice, config, 8)
        for name, figure in zip(SESSION_COLUMNS, sessions[user], strict=True):
            assert np.isnan(figure) if name in missing else figure == pytest.approx(expected[name], abs=1e-9), name
