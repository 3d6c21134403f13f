"""Report rows as the hourly batches that an account would have seen, and as matured hours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from gaelp_rl.domain.assembly import ReportAssembler
from gaelp_rl.domain.channels import CHANNELS
from gaelp_rl.domain.hourly_report import HourlyReport, ReportKey
from gaelp_rl.domain.ledger import HOURS_PER_DAY
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.reports import FloatArray, ReportBatch, ReportingProfile
from gaelp_rl.errors import DataError

__all__ = ["AccountLife", "make_account_lives"]


@dataclass(frozen=True, slots=True)
class AccountLife:
    """As much of a log as a world lives, from a Monday's midnight on; H hours, whole days.

    Attributes:
        first_day: the Monday, account time.
        reports: hours 0 to H, one world.
        conversions: float64 [H]; of all channels by hour of the click, as last read.
        spend: float64 [H]; currency units, of all channels.
        age_hours: float64 [H]; for how long each hour's conversions had been coming in when it was last
            read, at its youngest channel; an hour without rows was read when the log's last row was.
    """

    first_day: date
    reports: tuple[ReportBatch, ...]
    conversions: FloatArray
    spend: FloatArray
    age_hours: FloatArray


def make_account_lives(
    rows: Sequence[HourlyReport], zone: ZoneInfo, profile: ReportingProfile, life_days: int
) -> list[AccountLife]:
    """Cuts a log into lives of whole weeks, as training's worlds have.

    A file holds few readings of a row; an account that polls every hour knows counts as soon as they are
    due. So a row's counts enter when they are due, its conversions when a reading shows them.

    Args:
        rows: of one account and currency, any number of readings of each row.
        zone: the account's time zone.
        profile: how late the channels report.
        life_days: days of a life; a multiple of 7.

    Raises:
        DataError: there is no whole day from a Monday on.
    """
    local = [row.hour.astimezone(zone).date() for row in rows]
    if not local:
        msg = "the reports hold no usable row: transitions need hourly rows from a Monday on"
        raise DataError(msg)
    first = min(local) + timedelta(days=-min(local).weekday() % 7)
    lives = []
    while (days := min((max(local) - first).days + 1, life_days)) > 0:
        own = [row for row, day in zip(rows, local, strict=True) if 0 <= (day - first).days < days]
        if own:
            lives.append(_make_life(own, zone, profile, first, days))
        first += timedelta(days=life_days)
    if not lives:
        msg = f"the reports end on {max(local)}, before the first Monday: transitions need whole days from a Monday on"
        raise DataError(msg)
    return lives


def _make_life(
    rows: Sequence[HourlyReport], zone: ZoneInfo, profile: ReportingProfile, first: date, days: int
) -> AccountLife:
    assembler = ReportAssembler(rows[0].account, rows[0].currency, zone, first, profile)
    by_hour: defaultdict[int, list[HourlyReport]] = defaultdict(list)
    readings = _group(rows)
    hours = days * HOURS_PER_DAY
    for row in (one for series in readings.values() for one in _list_known(series, profile)):
        by_hour[assembler.compute_ledger_hour(row.as_of + timedelta(minutes=59))].append(row)
    start = datetime.combine(first, time(), zone).astimezone(UTC)
    batches: list[ReportBatch] = []
    for hour in range(hours + 1):
        moment = max([start + timedelta(hours=hour), *(row.as_of for row in by_hour[hour])])
        batches.extend(assembler.assemble(by_hour[hour], moment))
    return AccountLife(
        first, tuple(batches[: hours + 1]), *_sum_hours(list(readings.values()), assembler, profile, hours)
    )


def _group(rows: Sequence[HourlyReport]) -> dict[ReportKey, list[HourlyReport]]:
    """Readings of each row, oldest first."""
    readings: defaultdict[ReportKey, list[HourlyReport]] = defaultdict(list)
    for row in sorted(rows, key=lambda one: one.as_of):
        readings[row.key].append(row)
    return readings


def _list_known(series: Sequence[HourlyReport], profile: ReportingProfile) -> Iterable[HourlyReport]:
    """What an hourly poll would have brought of one row: counts when due, then its readings."""
    first = series[0]
    due = first.hour + timedelta(hours=1 + int(profile.lag_hours[CHANNELS.index(first.channel)]))
    if due < first.as_of:
        yield replace(first, as_of=due, conversions=0.0, conversion_value_micros=0)
    yield from series


def _sum_hours(
    readings: Sequence[Sequence[HourlyReport]], assembler: ReportAssembler, profile: ReportingProfile, hours: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    conversions, spend = np.zeros(hours), np.zeros(hours)
    age = np.full(hours, np.inf)
    last = max(series[-1].as_of for series in readings)
    for series in readings:
        row = series[-1]
        hour = assembler.compute_ledger_hour(row.hour)
        conversions[hour] += row.conversions
        spend[hour] += row.spend_micros / MICROS
        lag = 1 + int(profile.conversion_lag_hours[CHANNELS.index(row.channel)])
        age[hour] = min(age[hour], _count_hours(row.as_of - row.hour) - lag)
    first = readings[0][0]
    since_start = _count_hours(last - first.hour) + assembler.compute_ledger_hour(first.hour)
    unread = since_start - 1.0 - int(profile.conversion_lag_hours.max()) - np.arange(hours)
    return conversions, spend, np.where(np.isinf(age), unread, age)


def _count_hours(span: timedelta) -> float:
    return span.total_seconds() / 3600.0
