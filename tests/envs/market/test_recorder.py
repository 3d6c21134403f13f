"""The recorder tells of every hour what the market's own books and reports add up to."""

from __future__ import annotations

import numpy as np
import pytest

from envs.market.market import BatchedMarket
from envs.market.noise import make_world_keys
from envs.market.recorder import MarketRecord, MarketRecorder
from gaelp_rl.config.market import load_family
from gaelp_rl.domain.channels import NUM_CHANNELS
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.platform_rules import make_reporting_profile

WORLDS, HOURS = 6, 120
PLAN = PlanBatch.from_currency(
    np.tile([4.0, 1.3, 0.8, 2.5], (WORLDS, 1)),
    np.tile([90.0, 5000.0, 60.0, 5000.0], (WORLDS, 1)),
    np.tile([1.2, 0.9, 1.0], (WORLDS, NUM_CHANNELS, 1)),
)


@pytest.fixture(scope="module")
def run() -> tuple[MarketRecord, dict[str, np.ndarray]]:
    """The record, and the sums over hours of what the market said while it ran."""
    family = load_family("wide").model_copy(update={"daily_budget_micros": 20_000 * MICROS})
    market = BatchedMarket(family, WORLDS)
    market.reset(make_world_keys("train", 3, WORLDS))
    recorder = MarketRecorder(market)
    clicks, spend, drawn, arrived = [], [], [], []
    for _ in range(HOURS):
        report, outcome = recorder.step(PLAN)
        clicks.append(outcome.clicks)
        spend.append(outcome.spend_micros)
        drawn.append(outcome.conversions)
        arrived.append(report.conversions)
    told = {"clicks": clicks, "spend": spend, "drawn": drawn, "arrived": arrived}
    return recorder.make_record(), {name: np.stack(hours, axis=1) for name, hours in told.items()}


def test_record__adds_up_to_the_market_s_own_clicks_and_spend(run) -> None:
    record, told = run
    np.testing.assert_array_equal(record.clicks.sum(axis=3), told["clicks"])
    np.testing.assert_array_equal(record.spend_micros.sum(axis=3), told["spend"])
    assert (record.spend_micros >= 0).all()


def test_arrivals__are_reported_when_the_market_reported_them(run) -> None:
    """Click hour, platform lag and age give the hour of the report, conversion by conversion."""
    record, told = run
    profile = make_reporting_profile()
    world, hour, channel, _, age = record.arrivals.T
    due = hour + 1 + (profile.lag_hours + profile.conversion_lag_hours)[channel] + age
    counted = np.zeros((WORLDS, HOURS + 1, NUM_CHANNELS))
    known = due <= HOURS
    np.add.at(counted, (world[known], due[known], channel[known]), 1)
    np.testing.assert_array_equal(counted[:, 1:], told["arrived"])


def test_arrivals__belong_to_clicks_and_miss_only_what_comes_after_the_window(run) -> None:
    record, told = run
    world, hour, channel, device, age = record.arrivals.T
    assert (record.clicks[world, hour, channel, device] > 0).all()
    assert (age >= 0).all()
    assert (age <= 720).all()
    counts = np.zeros((WORLDS, HOURS, NUM_CHANNELS))
    np.add.at(counts, (world, hour, channel), 1)
    missing = told["drawn"] - counts
    assert (missing >= 0).all()
    assert missing.sum() <= 0.02 * told["drawn"].sum()


def test_eligible__are_at_least_the_impressions_and_lost_as_the_market_lost_them(run) -> None:
    """Impressions, those lost to budget and those lost to rank are all of them, in expectation."""
    record, _ = run
    assert (record.eligible >= record.impressions).all()
    eligible, shown = record.eligible.sum(axis=3), record.impressions.sum(axis=3)
    lost = (record.lost_to_budget * eligible).sum(axis=(0, 1))
    assert lost[0] > 0.1 * eligible.sum(axis=(0, 1))[0]
    assert lost[1] < 0.02 * eligible.sum(axis=(0, 1))[1]
    assert (shown.sum(axis=(0, 1)) + lost < eligible.sum(axis=(0, 1))).all()


def test_bids__are_those_in_force(run) -> None:
    """Modifiers only where the platform has them; Microsoft still follows the plan of an hour ago."""
    record, _ = run
    np.testing.assert_allclose(record.bid[0, 5, 0], 4.0 * np.array([1.2, 0.9, 1.0]))
    np.testing.assert_allclose(record.bid[0, 5, 1], 1.3)
    assert record.bid[0, 0, 3, 2] == pytest.approx(2.2)
    assert record.bid[0, 1, 3, 2] == pytest.approx(2.5)
    assert record.active.all()
