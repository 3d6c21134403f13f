"""Hours of an account's day and the moments they stand for, on days of 23, 24 and 25 hours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from gaelp_rl.errors import FieldError

__all__ = ["ReportWindow", "list_day_hours", "make_moment"]

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ReportWindow:
    """The hours that a report is asked for: from ``start``, up to but not including ``end``.

    Attributes:
        start: first moment, aware UTC.
        end: aware UTC; after ``start``.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            moment: datetime = getattr(self, name)
            if moment.utcoffset() != timedelta(0):
                raise FieldError(name, moment.isoformat(), "is not aware UTC")
        if self.end <= self.start:
            raise FieldError("end", self.end.isoformat(), f"is not after the window's start {self.start.isoformat()}")

    def holds(self, hour: datetime) -> bool:
        """Whether the hour that starts at this moment is asked for."""
        return self.start <= hour < self.end

    def list_days(self, zone: ZoneInfo) -> list[date]:
        """The account's days that the window touches, in order."""
        first = self.start.astimezone(zone).date()
        last = (self.end - timedelta(microseconds=1)).astimezone(zone).date()
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]

    def split(self, zone: ZoneInfo, max_days: int) -> Iterator[tuple[date, date]]:
        """The days in pieces that one call may span, as (first, last), both included."""
        days = self.list_days(zone)
        for at in range(0, len(days), max_days):
            piece = days[at : at + max_days]
            yield piece[0], piece[-1]


def list_day_hours(day: date, zone: ZoneInfo) -> list[datetime]:
    """The moments, aware UTC, at which the hours of an account's day start: 23, 24 or 25 of them."""
    start = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    following = day + timedelta(days=1)
    end = datetime(following.year, following.month, following.day, tzinfo=zone).astimezone(UTC)
    return [start + n * HOUR for n in range(round((end - start) / HOUR))]


def make_moment(day: date, hour: int, zone: ZoneInfo) -> datetime:
    """The moment, aware UTC, at which an hour of the account's wall clock starts.

    An hour that the clocks pass twice is the first of the two: platforms that report by wall clock
    add both into one row.

    Args:
        day: the account's day.
        hour: 0 to 23.
        zone: the account's.

    Raises:
        FieldError: no such hour, or the clocks skip it on that day.
    """
    if not 0 <= hour <= 23:
        raise FieldError("hour", hour, "is not an hour of a day; it must be 0 to 23")
    local = datetime(day.year, day.month, day.day, hour, tzinfo=zone)
    moment = local.astimezone(UTC)
    if moment.astimezone(zone).hour != hour:
        raise FieldError("hour", hour, f"does not exist on {day} in {zone}: the clocks go forward over it")
    return moment
