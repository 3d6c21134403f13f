"""Days are the property's, whatever its zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.ga4.clock import make_clock, name_day
from experiments.report_rows import FIRST_HOUR

_ZONES = ("UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Auckland", "America/St_Johns")


@given(zone=st.sampled_from(_ZONES), seconds=st.floats(0, 28 * 86_400 - 1))
def test_clock__names_the_day_as_the_calendar_does(zone: str, seconds: float) -> None:
    """Against the standard library, one moment at a time; Kathmandu is 5:45 ahead."""
    clock = make_clock(zone, 28)
    moment = FIRST_HOUR + timedelta(seconds=seconds)
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    day = int(clock.compute_days(np.array([micros]))[0])
    assert name_day(day) == moment.astimezone(ZoneInfo(zone)).strftime("%Y%m%d")
    assert day in clock.list_days()
    assert clock.compute_end(day) - 24 * 3_600_000_000 <= micros < clock.compute_end(day)


@pytest.mark.parametrize(("zone", "days"), [("UTC", 2), ("America/New_York", 3), ("Pacific/Auckland", 3)])
def test_clock__two_account_days_touch_three_days_elsewhere(zone: str, days: int) -> None:
    assert len(make_clock(zone, 2).list_days()) == days
