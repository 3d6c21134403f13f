"""Rows become arrays: sums, newest readings, ages, time zones, and refusals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from gaelp_rl.domain.channels import Channel, Device
from gaelp_rl.domain.hourly_report import ConversionSource, HourlyReport
from gaelp_rl.domain.numbers import CensoredShare
from gaelp_rl.errors import DataError
from gaelp_rl.response.observations import PlannedHour, make_account_observations

START = datetime(2026, 3, 3, 0, tzinfo=UTC)  # a Tuesday
GOOGLE_FIRST = timedelta(hours=1 + 1 + 3)


def row(hour: int = 0, read: timedelta = timedelta(days=3), **changed) -> HourlyReport:
    fields = {
        "account": "a",
        "channel": Channel.GOOGLE,
        "campaign": "c",
        "creative": "k",
        "device": Device.MOBILE,
        "hour": START + timedelta(hours=hour),
        "as_of": START + timedelta(hours=hour) + read,
        "impressions": 100,
        "clicks": 10,
        "spend_micros": 5_000_000,
        "conversions": 2.0,
        "conversion_value_micros": 0,
        "conversion_source": ConversionSource.PLATFORM,
        "currency": "USD",
        "eligible_impressions": 200,
        "lost_share_budget": CensoredShare(0.1),
    }
    return HourlyReport(**(fields | changed))


def test_rows__of_campaigns_and_devices_are_added_up() -> None:
    rows = [row(), row(campaign="d", clicks=5), row(device=Device.DESKTOP, clicks=7), row(hour=30)]
    account = make_account_observations(rows)
    google = account.channels[Channel.GOOGLE]
    assert (account.first_weekday, account.num_days) == (1, 2)
    assert google.hour.tolist() == [0, 30]
    np.testing.assert_array_equal(google.clicks, [[15, 7, 0], [10, 0, 0]])
    np.testing.assert_array_equal(google.spend[0], [10.0, 5.0, 0.0])
    np.testing.assert_array_equal(google.eligible[0], [400, 200, 0])
    np.testing.assert_allclose(google.lost_to_budget, 0.1)
    assert not google.has_bids


def test_newest_reading__gives_counts_and_all_readings_give_ages() -> None:
    """Two readings, 1 and 20 hours after Google's first: one conversion by then, two more in between."""
    rows = [
        row(read=GOOGLE_FIRST + timedelta(hours=20), conversions=3.0, clicks=12),
        row(read=GOOGLE_FIRST + timedelta(hours=1), conversions=1.0, clicks=11),
    ]
    arrivals = make_account_observations(rows).channels[Channel.GOOGLE].arrivals
    np.testing.assert_array_equal(np.column_stack(arrivals), [[0, 0, -1, 1, 12, 1], [0, 0, 1, 20, 12, 2]])


def test_readings__before_any_conversion_can_show_say_nothing() -> None:
    account = make_account_observations([row(read=timedelta(hours=2), conversions=0.0)])
    assert account.channels[Channel.GOOGLE].arrivals.clicks.size == 0


def test_conversions_taken_back__count_as_never_there() -> None:
    rows = [row(read=GOOGLE_FIRST + timedelta(hours=age), conversions=c) for age, c in ((1, 2.0), (9, 1.0), (30, 3.0))]
    arrivals = make_account_observations(rows).channels[Channel.GOOGLE].arrivals
    assert arrivals.conversions.tolist() == [1.0, 0.0, 2.0]


def test_hours__are_those_of_the_account_s_time_zone() -> None:
    """Midnight UTC on Tuesday is 19:00 on Monday in New York."""
    account = make_account_observations([row(), row(hour=6)], time_zone=ZoneInfo("America/New_York"))
    assert account.first_weekday == 0
    assert account.channels[Channel.GOOGLE].hour.tolist() == [19, 25]
    assert account.num_days == 2


def test_eligible__unknown_in_one_row_is_unknown_for_the_hour() -> None:
    rows = [row(), row(device=Device.DESKTOP, eligible_impressions=None, lost_share_budget=None), row(hour=1)]
    eligible = make_account_observations(rows).channels[Channel.GOOGLE].eligible
    assert np.isnan(eligible[0]).all()
    assert np.isfinite(eligible[1]).all()


def test_plans__are_joined_by_channel_and_hour() -> None:
    plans = {(Channel.GOOGLE, START): PlannedHour((1.0, 1.2, 0.9), 50.0, False)}
    google = make_account_observations([row(), row(hour=1)], plans).channels[Channel.GOOGLE]
    assert google.bid[0].tolist() == [1.0, 1.2, 0.9]
    assert np.isnan(google.bid[1]).all()
    assert google.active.tolist() == [False, True]
    assert google.has_bids


@pytest.mark.parametrize(("other", "named"), [({"account": "b"}, "'account'"), ({"currency": "EUR"}, "'currency'")])
def test_rows__of_two_accounts_or_currencies_are_refused(other: dict[str, str], named: str) -> None:
    with pytest.raises(DataError, match=rf"mix 2 values of {named}.*split them"):
        make_account_observations([row(), row(hour=1, **other)])


def test_no_rows__says_what_is_needed() -> None:
    with pytest.raises(DataError, match=r"no usable row.*at least 7 days"):
        make_account_observations([])
