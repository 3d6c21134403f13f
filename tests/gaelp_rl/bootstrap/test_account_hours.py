"""Hours on a zone's clock: days of 23 and 25 hours, zones off the full hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.bootstrap.account_hours import find_local_hours, make_instant
from tests.gaelp_rl.bootstrap.tiny_export import micros

BERLIN = ZoneInfo("Europe/Berlin")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_find_local_hours__days_have_as_many_hours_as_their_clock_shows(day, hours):
    """Berlin's clocks skip 02:00 on 29 March and show it twice on 25 October."""
    start = micros(f"{day}T00:00", "Europe/Berlin")
    every = start + np.arange(-2 * 4, 28 * 4) * 900_000_000
    local = find_local_hours(every, BERLIN)
    own = local.day == datetime.fromisoformat(day).toordinal()
    assert np.unique(local.start[own]).size == hours
    if hours == 23:
        assert set(local.hour[own].tolist()) == set(range(24)) - {2}
    if hours == 25:
        assert np.unique(local.start[own & (local.hour == 2)]).size == 2


def test_find_local_hours__knows_zones_off_the_full_hour():
    """Noon in UTC is 17:45 in Kathmandu: its hour began at 17:00, which is 11:15 in UTC."""
    local = find_local_hours(np.array([micros("2026-01-06T12:00")]), ZoneInfo("Asia/Kathmandu"))
    assert (local.hour.tolist(), local.start.tolist()) == ([17], [micros("2026-01-06T11:15")])


@given(
    st.lists(st.integers(micros("1990-01-01T00:00"), micros("2060-01-01T00:00")), min_size=1, max_size=20),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Tokyo"]),
)
def test_find_local_hours__agrees_with_the_clock_instant_by_instant(instants, name):
    zone = ZoneInfo(name)
    local = find_local_hours(np.array(instants), zone)
    for i, instant in enumerate(instants):
        clock = make_instant(instant).astimezone(zone)
        assert (int(local.day[i]), int(local.hour[i])) == (clock.toordinal(), clock.hour)
        into_hour = timedelta(minutes=clock.minute, seconds=clock.second, microseconds=clock.microsecond)
        assert make_instant(int(local.start[i])) == EPOCH + timedelta(microseconds=instant) - into_hour
