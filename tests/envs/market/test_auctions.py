"""Auction fidelity: people and auctions that add up to the aggregate, hour by hour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from envs.market.audience import INTEREST_SCALE
from envs.market.exogenous import CREATIVES
from gaelp_rl.config.fidelity import Fidelity
from gaelp_rl.config.market import FAMILIES, FamilyConfig
from gaelp_rl.domain.channels import NUM_CHANNELS
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.plans import PlanBatch
from tests.envs.market.worlds import GOOGLE, META, UNLIMITED, make_flat_family, make_plan, start

FIGURES = ("impressions", "clicks", "spend", "conversions", "impression share", "share lost to budget")
BIDS = np.array([4.2, 1.0, 0.8, 2.0])
"""USD per click, near the medians of the competing bids: every channel wins some and loses some."""


def total(
    family: FamilyConfig, fidelity: Fidelity, worlds: int, hours: int, budget: list[float] | float, first_seed: int = 0
) -> np.ndarray:
    """What a fixed plan brings each world: float64 [figures, worlds, channels]."""
    market = start(family.at_fidelity(fidelity), worlds, first_seed)
    plan = make_plan(worlds, BIDS, budget)
    sums = np.zeros((4, worlds, NUM_CHANNELS))
    shares = np.zeros((worlds, NUM_CHANNELS, 3))
    for _ in range(hours):
        hour = market.hour
        _, outcome = market.step(plan)
        rows = market._delivery.rows[:, hour % market._delivery.rows.shape[1]]
        sums += np.stack([rows[:, :, 0], rows[:, :, 1], rows[:, :, 2] / MICROS, outcome.conversions])
        if hour % 24 == 23:
            shares += market._delivery.share_sums
    return np.concatenate([sums, np.moveaxis(shares[:, :, 1:] / shares[:, :, :1], -1, 0)])


@pytest.mark.integration
@pytest.mark.parametrize("budget", [UNLIMITED, [60.0, 50.0, 40.0, 25.0]], ids=["unlimited", "paced"])
def test_fidelities__have_the_same_mean_and_variance(budget: list[float] | float) -> None:
    """Many worlds that differ by nothing but sampling noise, for a day.

    Means: equivalent, that is, the 99 % interval of the difference lies within 5 % of the mean, and 15 % for
    conversions, five times the calibrated ones so that a channel has some every day. Variances: their ratio
    within [0.7, 1.43], four standard errors of the log ratio of two variances of 500 near-normal sums
    (4 sqrt(4 / 500) = 0.36).
    """
    worlds = 500
    family = make_flat_family(fatigue_per_exposure=0.1, conversion_factor=5.0)
    aggregate = total(family, "aggregate", worlds, 24, budget)
    auction = total(family, "auction", worlds, 24, budget, first_seed=10_000)
    half_width = stats.norm.ppf(0.995) * np.sqrt((aggregate.var(axis=1) + auction.var(axis=1)) / worlds)
    error = np.abs(auction.mean(axis=1) - aggregate.mean(axis=1))
    for f, figure in enumerate(FIGURES):
        if figure == "share lost to budget" and budget == UNLIMITED:
            assert (auction[f] == 0.0).all()
            assert (aggregate[f] == 0.0).all()
            continue
        tolerance = (0.15 if figure == "conversions" else 0.05) * aggregate[f].mean(axis=0)
        assert (error[f] + half_width[f] <= tolerance).all(), (figure, error[f], half_width[f], tolerance)
        ratio = auction[f].var(axis=0) / aggregate[f].var(axis=0)
        assert ((ratio > 0.7) & (ratio < 1.43)).all(), (figure, ratio)


@pytest.mark.integration
@pytest.mark.parametrize("name", ["campaign", "shifted"])
def test_fidelities__agree_world_by_world_over_four_weeks(name: str) -> None:
    """The same 12 worlds with all their spreads, fatigue, shocks and creatives; totals within 3 %.

    Budgets do not bind, so that both fidelities meet the same auctions. Fatigue is by person in one and
    by the mean in the other; the mean over Poisson exposures is the same (see ``compute_ad_score``).
    """
    family = FAMILIES[name].model_copy(update={"daily_budget_micros": int(4 * UNLIMITED * MICROS)})
    aggregate = total(family, "aggregate", 12, 28 * 24, UNLIMITED)
    auction = total(family, "auction", 12, 28 * 24, UNLIMITED)
    ratio = auction[:3].sum(axis=1) / aggregate[:3].sum(axis=1)
    assert np.abs(ratio - 1.0).max() < 0.03, ratio
    assert np.abs(auction[4] - aggregate[4]).max() < 0.01


@st.composite
def plans(draw: st.DrawFn) -> PlanBatch:
    bids = draw(st.lists(st.floats(0.0, 30.0), min_size=NUM_CHANNELS, max_size=NUM_CHANNELS))
    budgets = draw(st.lists(st.floats(0.0, 900.0), min_size=NUM_CHANNELS, max_size=NUM_CHANNELS))
    paused = draw(st.lists(st.integers(0, NUM_CHANNELS - 1), max_size=2))
    return make_plan(2, bids, budgets, paused=paused)


@settings(max_examples=15)
@given(st.lists(plans(), min_size=2, max_size=2))
def test_auctions__hold_the_limits_whatever_the_plans(changes: list[PlanBatch]) -> None:
    """Spend within the account's limit to the micro, a click costs at most its bid, a paused channel is silent."""
    market = start(FAMILIES["campaign"].at_fidelity("auction"), 2)
    spend = np.zeros(2, dtype=np.int64)
    for hour in range(24):
        plan = changes[hour // 12]
        _, outcome = market.step(plan)
        rows = market._delivery.rows[:, hour % market._delivery.rows.shape[1]]
        in_force = market._delivery.bid
        spend += outcome.spend_micros.sum(axis=1)
        assert (rows[:, :, 1] <= rows[:, :, 0]).all()
        assert (outcome.spend_micros <= np.rint(in_force * MICROS + 1.0) * outcome.clicks).all()
        assert (outcome.conversions <= outcome.clicks).all()
        if hour % 12 > 0:
            assert (rows[~plan.active] == 0).all()
    assert (spend <= FAMILIES["campaign"].daily_budget_micros).all()
    people = market._audience.people
    assert np.abs(people[:, :, 0]).max() <= INTEREST_SCALE
    assert people[:, :, 1:].min() >= 0


def test_auctions__every_impression_is_somebodys_exposure() -> None:
    """Feeds remember people; searchers come and go."""
    market = start(make_flat_family().at_fidelity("auction"), 1)
    shown = np.zeros(NUM_CHANNELS, dtype=np.int64)
    for hour in range(24):
        market.step(make_plan(1, BIDS))
        shown += market._delivery.rows[0, hour % 4, :, 0]
    audience = market._audience
    for c in range(NUM_CHANNELS):
        first, last = audience.first_person[c], audience.first_person[c + 1]
        seen = int(audience.people[0, first:last, 1:].sum())
        assert seen == (shown[c] if last > first else 0)
    assert audience.first_person[GOOGLE + 1] == audience.first_person[GOOGLE]
    assert shown[META] > 0


def test_auctions__interests_stay_uniform_as_they_drift() -> None:
    """Kolmogorov-Smirnov against the uniform distribution after two days of exposures."""
    market = start(make_flat_family().at_fidelity("auction"), 1)
    for _ in range(48):
        market.step(make_plan(1, 100.0))
    interest = market._audience.people[0, :, 0] / INTEREST_SCALE
    assert stats.kstest(interest, "uniform", args=(-1.0, 2.0)).pvalue > 1e-3


def test_auctions__a_new_creative_is_fresh_to_everybody() -> None:
    """Creative 1 is replaced after 7 days (life 14, the two staggered): its exposures start again from 0."""
    market = start(make_flat_family(creative_life_days=2).at_fidelity("auction"), 1)
    for _ in range(24):
        market.step(make_plan(1, BIDS))
    before = market._audience.people[0, :, 1:].sum(axis=0)
    market.step(make_plan(1, BIDS))
    after = market._audience.people[0, :, 1:].sum(axis=0)
    replaced = [k for k in range(CREATIVES) if after[k] < before[k] / 5]
    assert replaced == [1]


def test_auctions__the_same_world_whoever_else_is_in_the_batch() -> None:
    together = start(FAMILIES["campaign"].at_fidelity("auction"), 3)
    alone = start(FAMILIES["campaign"].at_fidelity("auction"), 1, first_seed=2)
    for _ in range(6):
        _, outcome_together = together.step(make_plan(3, BIDS))
        _, outcome_alone = alone.step(make_plan(1, BIDS))
        assert np.array_equal(outcome_together.spend_micros[2], outcome_alone.spend_micros[0])
        assert np.array_equal(outcome_together.conversions[2], outcome_alone.conversions[0])


def test_auctions__a_higher_bid_meets_the_same_people_and_wins_at_least_as_much() -> None:
    """Common random numbers: opportunities and rivals do not depend on the plan."""
    family = make_flat_family()
    shown = []
    for factor in (1.0, 1.3):
        market = start(family.at_fidelity("auction"), 2)
        market.step(make_plan(2, BIDS * factor))
        shown.append(market._delivery.rows[:, 0, :, 0].copy())
    quick = [GOOGLE, NUM_CHANNELS - 1]
    assert (shown[1][:, quick] >= shown[0][:, quick]).all()
    assert (shown[1][:, quick] > shown[0][:, quick]).any()
