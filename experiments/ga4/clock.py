"""The property's days: which table an event belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from experiments.ga4.sessions import MICROS_PER_HOUR
from experiments.report_rows import FIRST_HOUR
from gaelp_rl.domain.reports import IntArray

__all__ = ["PropertyClock", "make_clock", "name_day"]

_EPOCH = date(1970, 1, 1)
_SPARE_HOURS = 48
_QUARTER_US = MICROS_PER_HOUR // 4


@dataclass(frozen=True, slots=True)
class PropertyClock:
    """Moments as days of the property's time zone.

    Attributes:
        first: microseconds UTC at which the account starts.
        horizon: microseconds UTC at which the account ends and the export is taken.
        offsets: int64 [quarter hours]; microseconds that the zone is ahead of UTC, from ``first``.
        zone: the property's.
    """

    first: int
    horizon: int
    offsets: IntArray
    zone: ZoneInfo

    def compute_days(self, moments: IntArray) -> IntArray:
        """Days since 1970-01-01 in the property's zone.

        Args:
            moments: int64; microseconds UTC, none before ``first``.
        """
        quarter = np.minimum((moments - self.first) // _QUARTER_US, len(self.offsets) - 1)
        return np.asarray((moments + self.offsets[quarter]) // (24 * MICROS_PER_HOUR))

    def compute_end(self, day: int) -> int:
        """Microseconds UTC at which a day ends.

        Args:
            day: days since 1970-01-01.
        """
        after = _EPOCH + timedelta(days=day + 1)
        return round(datetime(after.year, after.month, after.day, tzinfo=self.zone).timestamp()) * 1_000_000

    def list_days(self) -> list[int]:
        """Every day that the account touches."""
        first, last = self.compute_days(np.array([self.first, self.horizon - 1])).tolist()
        return list(range(first, last + 1))


def make_clock(zone: str, days: int) -> PropertyClock:
    """The clock of a property.

    Args:
        zone: IANA name.
        days: length of the account.
    """
    where = ZoneInfo(zone)
    quarters = (days * 24 + _SPARE_HOURS) * 4
    moments = (FIRST_HOUR.astimezone(UTC) + timedelta(minutes=15 * i) for i in range(quarters))
    offsets = [(m.astimezone(where).utcoffset() or timedelta()) // timedelta(microseconds=1) for m in moments]
    first = round(FIRST_HOUR.timestamp()) * 1_000_000
    return PropertyClock(first, first + days * 24 * MICROS_PER_HOUR, np.array(offsets, dtype=np.int64), where)


def name_day(day: int) -> str:
    """A day as a table's suffix, ``YYYYMMDD``.

    Args:
        day: days since 1970-01-01.
    """
    return (_EPOCH + timedelta(days=day)).strftime("%Y%m%d")
