"""The ledger against a slow one that keeps every report and adds up what is asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.domain.ledger import METRICS, ReportLedger
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.errors import DataError

WORLDS = 3
EXPOSURE = METRICS.index("exposure")


def _make_ledger(profile) -> ReportLedger:
    return ReportLedger(WORLDS, profile, ConversionDelay())


def _sum_by_hand(batches, profile, first_day, last_hour):
    """Impressions, clicks, spend, conversions of all hours from ``first_day`` on; [worlds, channels, 4]."""
    total = np.zeros((WORLDS, 4, 4))
    for batch in batches:
        if batch.hour > last_hour:
            continue
        about = batch.hour - 1 - profile.lag_hours
        wanted = about // 24 >= first_day
        figures = [batch.impressions, batch.clicks, batch.spend_micros / 1e6, batch.conversions]
        total += np.where(wanted[None, :, None], np.stack(figures, axis=-1), 0.0)
    return total


def test_ledger__sums_equal_a_recount_of_all_reports_over_forty_days(profile, make_random_batch) -> None:
    """Late channels' rows after midnight belong to yesterday; days 8 and 29 fall out whole."""
    rng = np.random.default_rng(5)
    batches = [make_random_batch(hour, WORLDS, rng) for hour in range(40 * 24)]
    ledger = _make_ledger(profile)
    for batch in batches:
        ledger.observe(batch)
        hour = batch.hour
        if hour % 41 and hour % 24 not in (0, 1, 2, 3):
            continue
        if hour < 700 and hour % 7:
            continue
        np.testing.assert_allclose(ledger.today[..., :4], _sum_by_hand(batches, profile, hour // 24, hour), atol=1e-6)
        np.testing.assert_allclose(
            ledger.sum_7d[..., :4], _sum_by_hand(batches, profile, hour // 24 - 7, hour), atol=1e-6
        )
        np.testing.assert_allclose(
            ledger.sum_28d[..., :4], _sum_by_hand(batches, profile, hour // 24 - 28, hour), atol=1e-6
        )


def test_ledger__exposure_is_clicks_times_probability_of_having_been_reported(profile, make_random_batch) -> None:
    """Sum over click hours of clicks * P(delay < hours since), less the hours that conversions are held back."""
    rng = np.random.default_rng(6)
    ledger = _make_ledger(profile)
    delay = ledger.delay
    clicks = []
    for hour in range(60):
        batch = make_random_batch(hour, WORLDS, rng)
        clicks.append(batch.clicks)
        ledger.observe(batch)
    ages = [59 - hour - profile.conversion_lag_hours for hour in range(60)]
    arrived = [np.where(age >= 0, delay.compute_cdf(np.maximum(age, 0)), 0.0) for age in ages]
    expected = sum(c * share for c, share in zip(clicks, arrived, strict=True))
    np.testing.assert_allclose(ledger.sum_28d[..., EXPOSURE], expected, rtol=1e-10)


def test_ledger__devices_are_forgotten_over_seven_days_and_masked(profile, make_random_batch) -> None:
    rng = np.random.default_rng(7)
    ledger = _make_ledger(profile)
    batches = [make_random_batch(hour, WORLDS, rng) for hour in range(30)]
    for batch in batches:
        ledger.observe(batch)
    kept = [np.nan_to_num(b.device_clicks) * np.exp(-(29 - b.hour) / 168.0) for b in batches]
    np.testing.assert_allclose(ledger.device_clicks, np.sum(kept, axis=0), rtol=1e-9)
    assert (ledger.device_clicks[:, ~profile.device_split] == 0).all()


def test_ledger__shares_keep_their_last_publication_and_age(profile, make_random_batch) -> None:
    rng = np.random.default_rng(8)
    ledger = _make_ledger(profile)
    published = None
    for hour in range(6 + 24 + 3 + 1):
        batch = make_random_batch(hour, WORLDS, rng)
        if hour < 6:
            assert np.isnan(ledger.impression_share).all()
        if hour == 30:
            published = batch.impression_share
        ledger.observe(batch)
    np.testing.assert_array_equal(ledger.impression_share, published)
    assert (ledger.share_age_hours[:, profile.impression_share] == 3.0).all()
    assert np.isnan(ledger.impression_share[:, ~profile.impression_share]).all()


def test_ledger__notes_the_plan_in_currency_units(profile) -> None:
    ledger = _make_ledger(profile)
    active = np.array([[True, False, True, True]] * WORLDS)
    ledger.record_plan(PlanBatch.from_currency(np.full((WORLDS, 4), 1.25), np.full((WORLDS, 4), 125.0), active=active))
    assert (ledger.bid == 1.25).all()
    assert (ledger.daily_budget == 125.0).all()
    np.testing.assert_array_equal(ledger.active, active)


def test_ledger__knows_hour_and_day(profile, make_random_batch) -> None:
    ledger = _make_ledger(profile)
    rng = np.random.default_rng(9)
    for hour in range(50):
        ledger.observe(make_random_batch(hour, WORLDS, rng))
    assert (ledger.day, ledger.hour_of_day) == (2, 1)
    np.testing.assert_array_equal(ledger.spend_today, ledger.today[:, :, METRICS.index("spend")])


def test_ledger__refuses_gaps_repeats_and_other_worlds(profile, make_random_batch) -> None:
    ledger = _make_ledger(profile)
    rng = np.random.default_rng(10)
    batch = make_random_batch(0, WORLDS, rng)
    ledger.observe(batch)
    for hour in (0, 2):
        with pytest.raises(DataError, match=f"hour {hour} after hour 0"):
            ledger.observe(replace(batch, hour=hour))
    with pytest.raises(DataError, match="2 worlds given to a ledger of 3"):
        ledger.observe(make_random_batch(1, 2, rng))
    with pytest.raises(DataError, match="1 worlds"):
        ledger.record_plan(PlanBatch.from_currency(np.ones((1, 4)), np.ones((1, 4))))
