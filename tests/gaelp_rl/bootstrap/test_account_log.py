"""Report files become the batches of an account that polls every hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from gaelp_rl.bootstrap.account_log import make_account_lives
from gaelp_rl.domain.channels import CHANNELS
from gaelp_rl.domain.hourly_report import ConversionSource, HourlyReport
from gaelp_rl.domain.platform_rules import make_reporting_profile
from gaelp_rl.errors import DataError

_MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def _make_row(hour, as_of, conversions=0.0, clicks=5):
    """A row of the first channel; times in hours after the Monday."""
    return HourlyReport(
        account="a",
        channel=CHANNELS[0],
        campaign="c",
        creative="all",
        device=None,
        hour=_MONDAY + timedelta(hours=hour),
        as_of=_MONDAY + timedelta(hours=as_of),
        impressions=100,
        clicks=clicks,
        spend_micros=2_000_000,
        conversions=conversions,
        conversion_value_micros=0,
        conversion_source=ConversionSource.PLATFORM,
        currency="USD",
    )


def _make_lives(rows, life_days=28):
    return make_account_lives(rows, ZoneInfo("UTC"), make_reporting_profile(), life_days)


def test_make_account_lives__counts_enter_when_due_and_conversions_when_read():
    """A row of hour 2, first read at hour 9: due at 3 plus the channel's lag; its conversion shows at 9."""
    due = 3 + int(make_reporting_profile().lag_hours[0])
    (life,) = _make_lives([_make_row(2, 9, conversions=1.0), _make_row(2, 20, conversions=3.0)])
    clicks = np.array([batch.clicks[0, 0] for batch in life.reports])
    conversions = np.array([batch.conversions[0, 0] for batch in life.reports])
    assert np.flatnonzero(clicks).tolist() == [due]
    assert clicks[due] == 5
    assert np.flatnonzero(conversions).tolist() == [9, 20]
    np.testing.assert_array_equal(conversions[[9, 20]], [1.0, 2.0])
    lag = int(make_reporting_profile().conversion_lag_hours[0])
    assert (life.conversions[2], life.spend[2], life.age_hours[2]) == (3.0, 2.0, 17.0 - lag)
    assert len(life.reports) == 25


def test_make_account_lives__start_on_mondays_and_end_with_a_world():
    """Rows from the Sunday before: that day is left out; day 7 of lives of a week begins the second."""
    rows = [_make_row(hour, hour + 5) for hour in (-3, 0, 6 * 24, 7 * 24 + 1)]
    lives = _make_lives(rows, life_days=7)
    assert [life.first_day.weekday() for life in lives] == [0, 0]
    assert [len(life.reports) for life in lives] == [7 * 24 + 1, 25]
    assert lives[1].spend[1] == 2.0


def test_make_account_lives__nothing_after_a_monday_is_refused():
    with pytest.raises(DataError, match="Monday"):
        _make_lives([_make_row(-30, -20)])


def test_make_account_lives__hours_without_rows_are_as_old_as_the_log():
    """The last row, of hour 5, is read at hour 20: the empty hour 3 is old by then, hour 22 has not been yet."""
    (life,) = _make_lives([_make_row(2, 9), _make_row(5, 20)])
    lag = int(make_reporting_profile().conversion_lag_hours.max())
    assert life.age_hours[3] == 20 - 4 - lag
    assert life.age_hours[22] == 20 - 23 - lag
    assert np.isfinite(life.age_hours).all()
