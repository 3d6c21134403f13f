"""Files say what the arrays say, and the contract takes every row of them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from envs.market.noise import make_world_keys
from envs.market.recorder import MarketRecord
from experiments.report_rows import (
    FIRST_HOUR,
    make_observations,
    record_market,
    sample_varied_bids,
    write_plans,
    write_report_rows,
)
from gaelp_rl.config.market import load_family
from gaelp_rl.domain.channels import CHANNELS, NUM_CHANNELS
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.response.observations import Arrivals, make_account_observations
from gaelp_rl.response.report_files import load_plans, load_reports

HOURS = 60
AGES = (1, 12, 30)


@pytest.fixture(scope="module")
def record() -> MarketRecord:
    def plan_hour(hour: int) -> PlanBatch:
        bids = np.tile([4.0 + 0.1 * (hour // 24), 1.3, 0.8, 2.5], (2, 1))
        return PlanBatch.from_currency(bids, np.full((2, NUM_CHANNELS), 4000.0))

    return record_market(load_family("wide"), make_world_keys("train", 8, 2), plan_hour, HOURS)


def sort_arrivals(arrivals: Arrivals) -> np.ndarray:
    """Entries that carry clicks for a span, in one order."""
    table = np.column_stack([np.asarray(column, dtype=float) for column in arrivals])
    return table[np.lexsort(table.T[::-1])]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files__read_back_as_the_arrays_of_the_record(record: MarketRecord, suffix: str, tmp_path: Path) -> None:
    reports, plans = tmp_path / f"reports.{suffix}", tmp_path / f"plans.{suffix}"
    rows = write_report_rows(reports, record, 1, AGES)
    assert write_plans(plans, record, 1) == NUM_CHANNELS * HOURS
    parsed = load_reports(reports)
    assert (len(parsed.accepted), len(parsed.quarantined), parsed.duplicates) == (rows, 0, 0)
    read = make_account_observations(parsed.accepted, load_plans(plans))
    direct = make_observations(record, 1, ages=AGES)
    assert (read.first_weekday, read.num_days, read.currency) == (0, 3, "USD")
    for channel in CHANNELS:
        ours, theirs = read.channels[channel], direct.channels[channel]
        for name in ("hour", "impressions", "clicks", "spend", "eligible", "bid", "daily_budget", "active"):
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), err_msg=f"{channel} {name}")
        np.testing.assert_allclose(ours.lost_to_budget, theirs.lost_to_budget, atol=1e-12)
        np.testing.assert_allclose(sort_arrivals(ours.arrivals), sort_arrivals(theirs.arrivals))


def test_rows__are_never_read_after_the_end_nor_before_their_platform_has_them(
    record: MarketRecord, tmp_path: Path
) -> None:
    write_report_rows(tmp_path / "r.parquet", record, 0, AGES)
    end = FIRST_HOUR + timedelta(hours=HOURS)
    lags = {"google": 2, "meta": 1, "tiktok": 1, "microsoft": 3}
    for row in load_reports(tmp_path / "r.parquet").accepted:
        assert row.hour + timedelta(hours=lags[row.channel]) <= row.as_of <= end


def test_rows__count_each_conversion_once_its_age_has_come(record: MarketRecord, tmp_path: Path) -> None:
    """By hand from the record's arrivals: Google's rows of one reading age."""
    write_report_rows(tmp_path / "r.parquet", record, 0, (12,))
    first = timedelta(hours=1 + 1 + 3)
    rows = [row for row in load_reports(tmp_path / "r.parquet").accepted if row.channel == "google"]
    rows = [row for row in rows if row.as_of - row.hour == first + timedelta(hours=12)]
    world, hour, channel, _, age = record.arrivals.T
    latest = max(row.hour for row in rows)
    within = hour <= (latest - FIRST_HOUR) // timedelta(hours=1)
    expected = ((world == 0) & (channel == 0) & (age <= 12) & within).sum()
    assert sum(row.conversions for row in rows) == expected > 0


def test_observations__without_plans_know_no_bid(record: MarketRecord) -> None:
    account = make_observations(record, 0, with_plans=False)
    assert not any(one.has_bids for one in account.channels.values())
    assert [one.has_share for one in account.channels.values()] == [True, False, False, True]
    assert [one.has_devices for one in account.channels.values()] == [True, True, False, True]


def test_varied_bids__move_in_steps_that_no_platform_punishes() -> None:
    centre = np.array([3.5, 1.2, 0.7, 2.2])
    bids = sample_varied_bids(np.random.default_rng(0), centre, 28)
    steps = np.abs(np.diff(np.vstack((centre, bids)), axis=0)) / np.vstack((centre, bids[:-1]))
    assert bids.shape == (28, 4)
    assert steps.max() < 0.2
    assert np.abs(np.log(bids / centre)).max() < 0.55
    assert np.log(bids / centre).std(axis=0).min() > 0.1
