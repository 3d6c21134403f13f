"""Wall clocks and moments, on days of 23, 24 and 25 hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.hours import ReportWindow, list_day_hours, make_moment
from gaelp_rl.errors import FieldError

BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)
"""Clocks in Germany go forward and back on the last Sundays of March and October."""
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Tokyo", "Australia/Sydney"]).map(ZoneInfo)


@pytest.mark.parametrize(("day", "length"), [(SPRING, 23), (date(2026, 6, 1), 24), (AUTUMN, 25)])
def test_list_day_hours__are_as_many_as_the_day_has(day, length):
    hours = list_day_hours(day, BERLIN)
    assert len(hours) == length
    assert {hour.astimezone(BERLIN).date() for hour in hours} == {day}
    assert hours == [hours[0] + timedelta(hours=n) for n in range(length)]


def test_make_moment__refuses_the_hour_that_is_skipped():
    with pytest.raises(FieldError, match="clocks go forward"):
        make_moment(SPRING, 2, BERLIN)


def test_make_moment__takes_the_first_pass_of_a_repeated_hour():
    """00:00 UTC is 02:00 summer time; an hour later it is 02:00 again."""
    assert make_moment(AUTUMN, 2, BERLIN) == datetime(2026, 10, 25, 0, tzinfo=UTC)
    assert make_moment(AUTUMN, 3, BERLIN) == datetime(2026, 10, 25, 2, tzinfo=UTC)


@pytest.mark.parametrize("hour", [-1, 24])
def test_make_moment__refuses_what_is_no_hour(hour):
    with pytest.raises(FieldError, match="0 to 23"):
        make_moment(SPRING, hour, BERLIN)


@given(day=st.dates(date(2024, 1, 1), date(2027, 12, 31)), zone=ZONES)
def test_make_moment__is_the_inverse_of_the_wall_clock(day, zone):
    for moment in list_day_hours(day, zone):
        local = moment.astimezone(zone)
        if local.fold == 0:
            assert make_moment(day, local.hour, zone) == moment


@given(
    start=st.integers(0, 8_000).map(lambda hours: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)),
    hours=st.integers(1, 24 * 60),
    zone=ZONES,
    max_days=st.integers(1, 31),
)
def test_window__splits_into_pieces_that_cover_every_day_once(start, hours, zone, max_days):
    window = ReportWindow(start, start + timedelta(hours=hours))
    pieces = list(window.split(zone, max_days))
    days = [first + timedelta(days=n) for first, last in pieces for n in range((last - first).days + 1)]
    assert days == window.list_days(zone)
    assert days == sorted(set(days))
    assert all((last - first).days < max_days for first, last in pieces)
    assert days[0] == start.astimezone(zone).date()


def test_window__holds_its_start_and_not_its_end():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    window = ReportWindow(start, start + timedelta(hours=2))
    assert [window.holds(start + timedelta(hours=n)) for n in range(-1, 3)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        (datetime(2026, 1, 1, tzinfo=BERLIN), datetime(2026, 1, 2, tzinfo=UTC), "not aware UTC"),
        (datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), "not after"),
    ],
)
def test_window__refuses_what_is_no_window(start, end, says):
    with pytest.raises(FieldError, match=says):
        ReportWindow(start, end)
