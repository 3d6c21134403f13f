"""Worlds as a decision process: rewards, twin, privileged entries."""

from __future__ import annotations

import numpy as np
import pytest

from envs.market.noise import make_world_keys
from envs.market.session import PRIVILEGED_LIMIT, PRIVILEGED_SIZE, MarketSession, RewardSettings
from gaelp_rl.config.market import load_family
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.response_curves import ResponseCurves
from gaelp_rl.features.actions import ACTION_SIZE

WORLDS = 4
KEYS = make_world_keys("train", 0, WORLDS)
ZERO = np.zeros((WORLDS, ACTION_SIZE))


def _make(reward: RewardSettings | None = None) -> MarketSession:
    session = MarketSession(load_family("campaign"), WORLDS, reward=reward)
    session.start_worlds(KEYS)
    return session


def test_reward__is_conversions_less_spend_at_its_price() -> None:
    """Solved back for the price: it must be near the controller's own theta, corrected by the truth."""
    session = _make(RewardSettings(subtract_twin=False))
    for _ in range(30):
        theta = session._strand.loop.controller.theta.copy()
        step = session.step(ZERO)
    price = step.terms["spend"] / (step.terms["expected_conversions"] - step.reward)
    assert np.all(price > 0.3 * theta)
    assert np.all(price < 3.0 * theta)


def test_twin__makes_the_reward_a_difference_under_the_same_noise() -> None:
    """The baseline takes noise out: rewards of a small action spread far less than without it."""
    action = np.full((WORLDS, ACTION_SIZE), 0.1)
    spread = {}
    for subtract in (True, False):
        session = _make(RewardSettings(subtract_twin=subtract))
        spread[subtract] = np.std([session.step(action).reward for _ in range(48)])
    assert spread[True] < 0.5 * spread[False]


def test_optimum__scales_the_reward_to_per_cent_of_its_hours() -> None:
    """By hand: an optimum of 672 conversions is one an hour, so a conversion is worth 100."""

    def compute_optimum(curves: ResponseCurves, objective: Objective) -> np.ndarray:
        assert objective.daily_budget_micros == 500 * MICROS
        return np.full(curves.click_volume.shape[0], 672.0)

    plain, scaled = _make(RewardSettings(subtract_twin=False)), _make(RewardSettings(compute_optimum, False))
    for _ in range(3):
        np.testing.assert_allclose(scaled.step(ZERO).reward, 100.0 * plain.step(ZERO).reward)


def test_shaping__telescopes_over_a_day() -> None:
    """By hand with gamma 1: the terms of a day add up to the last potential less the first, 0 at midnight.

    The last hour's spend is not reported yet at midnight on every channel, so the potential at the
    second midnight is 0 too: nothing of the new day is spent or planned.
    """
    weight = 3.0
    plain = _make(RewardSettings(subtract_twin=False))
    shaped = _make(RewardSettings(subtract_twin=False, pacing_weight=weight, gamma=1.0))
    added = np.array([shaped.step(ZERO).reward - plain.step(ZERO).reward for _ in range(24)])
    assert np.abs(added).max() > 0.0
    np.testing.assert_allclose(added.sum(axis=0), 0.0, atol=1e-9)


def test_constraint_cost__is_negative_while_the_cpa_is_below_its_target() -> None:
    session = _make()
    costs = np.sum([session.step(ZERO).constraint_cost for _ in range(72)], axis=0)
    assert np.all(costs < 0.0)


def test_privileged__shrinks_towards_zero_as_reports_teach() -> None:
    """Its first entries are truth minus belief about conversion rates: learning must narrow them."""
    session = _make()
    first = np.abs(session.compute_privileged()[:, :4]).mean()
    for _ in range(24 * 20):
        session.step(ZERO)
    later = session.compute_privileged()
    assert later.shape == (WORLDS, PRIVILEGED_SIZE)
    assert np.abs(later).max() <= PRIVILEGED_LIMIT
    assert np.abs(later[:, :4]).mean() < 0.7 * first


def test_next_worlds__follow_from_the_first_keys() -> None:
    one, two = _make(), _make()
    np.testing.assert_array_equal(one.start_next_worlds(), two.start_next_worlds())
    assert not np.array_equal(one.compute_privileged(), _make().compute_privileged())


@pytest.mark.parametrize("days", [1, 2])
def test_worlds__end_with_their_family(days: int) -> None:
    session = MarketSession(load_family("campaign").model_copy(update={"days": days}), WORLDS)
    session.start_worlds(KEYS)
    steps = [session.step(ZERO) for _ in range(24 * days)]
    assert [step.terminated for step in steps] == [False] * (24 * days - 1) + [True]
    assert session.is_over
