"""Hours of a time zone as instants: days of 23 and 25 hours, and zones off the full hour, come out right."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from gaelp_rl.domain.reports import IntArray

__all__ = ["MICROS_PER_DAY", "MICROS_PER_HOUR", "LocalHours", "find_local_hours", "make_instant"]

MICROS_PER_HOUR = 3_600_000_000
"""Microseconds in an hour."""

MICROS_PER_DAY = 24 * MICROS_PER_HOUR
"""Microseconds in 24 hours."""

_QUARTER = MICROS_PER_HOUR // 4
_EPOCH = date(1970, 1, 1).toordinal()


class LocalHours(NamedTuple):
    """Where instants fall in a zone.

    Attributes:
        start: int64 [n]; the start of the instant's hour on the zone's clock, microseconds UTC.
        day: int64 [n]; the zone's day, as ``date.toordinal`` counts.
        hour: int64 [n]; hour of day on the zone's clock, 0 to 23. When clocks go back, two hours of a
            day have the same number and different starts.
    """

    start: IntArray
    day: IntArray
    hour: IntArray


def find_local_hours(instants: IntArray, zone: ZoneInfo) -> LocalHours:
    """Finds the hours of instants; offsets change on a quarter of an hour and nowhere else.

    Args:
        instants: int64 [n]; microseconds UTC, between the years 1971 and 9998.
        zone: whose clock counts.
    """
    quarters, inverse = np.unique(instants // _QUARTER, return_inverse=True)
    moments = (datetime.fromtimestamp(quarter * 900, zone) for quarter in quarters.tolist())
    offsets = np.array([(m.utcoffset() or timedelta(0)) // timedelta(microseconds=1) for m in moments], dtype=np.int64)
    offset = offsets[inverse]
    local = instants + offset
    start = local // MICROS_PER_HOUR * MICROS_PER_HOUR
    return LocalHours(start - offset, start // MICROS_PER_DAY + _EPOCH, start % MICROS_PER_DAY // MICROS_PER_HOUR)


def make_instant(micros: int) -> datetime:
    """Microseconds since 1970 as an aware UTC time, exactly."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(micros))
