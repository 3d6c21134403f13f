"""An account's reports as arrays: what each channel showed, sold and converted in every hour.

Rows of several campaigns and creatives are added up; of each row's readings the newest gives
impressions, clicks and spend, and all of them together tell when conversions arrived.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.domain.channels import CHANNELS, DEVICES, NUM_DEVICES, Channel
from gaelp_rl.domain.hourly_report import HourlyReport
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.platform_rules import PLATFORM_RULES
from gaelp_rl.domain.reports import FloatArray, IntArray
from gaelp_rl.errors import DataError

__all__ = [
    "HOURS_PER_DAY",
    "AccountObservations",
    "Arrivals",
    "ChannelObservations",
    "PlannedHour",
    "make_account_observations",
]

HOURS_PER_DAY = 24
_DEVICE_INDEX = {device: d for d, device in enumerate(DEVICES)}


class Arrivals(NamedTuple):
    """Conversions that appeared between two readings of a row; one entry per pair, arrays [entries].

    Attributes:
        hour_index: position of the click hour in the channel's hours.
        device: index of the device; 0 where the channel has no split.
        age_from: hours since the first moment at which a conversion could be reported, at the
            reading before; negative for none.
        age_to: likewise at the reading itself, 0 or more.
        clicks: clicks of the row.
        conversions: that appeared in between.
    """

    hour_index: IntArray
    device: IntArray
    age_from: FloatArray
    age_to: FloatArray
    clicks: FloatArray
    conversions: FloatArray


@dataclass(frozen=True, slots=True)
class ChannelObservations:
    """One channel's hours, in order; hours without any row are left out.

    Attributes:
        hour: int64 [hours]; since the midnight that begins the account's first day.
        has_devices: whether rows are split by device; if not, everything stands in device 0.
        impressions: float64 [hours, devices].
        clicks: float64 [hours, devices].
        spend: float64 [hours, devices]; currency units.
        eligible: float64 [hours, devices]; NaN where not reported.
        lost_to_budget: float64 [hours]; share of eligible impressions, NaN where not reported.
        arrivals: conversions by click hour and age.
        bid: float64 [hours, devices]; in force, device modifier included, NaN where not known.
        daily_budget: float64 [hours]; in force, NaN where not known.
        active: bool [hours]; False where the plan says paused.
    """

    hour: IntArray
    has_devices: bool
    impressions: FloatArray
    clicks: FloatArray
    spend: FloatArray
    eligible: FloatArray
    lost_to_budget: FloatArray
    arrivals: Arrivals
    bid: FloatArray
    daily_budget: FloatArray
    active: NDArray[np.bool_]

    @property
    def has_share(self) -> bool:
        """Whether eligible impressions are reported."""
        return bool(np.isfinite(self.eligible).any())

    @property
    def has_bids(self) -> bool:
        """Whether bids in force are known."""
        return bool(np.isfinite(self.bid).any())


@dataclass(frozen=True, slots=True)
class AccountObservations:
    """One account.

    Attributes:
        first_weekday: weekday of day 0, Monday is 0.
        num_days: days from the first hour's to the last hour's.
        currency: ISO 4217 code of all amounts.
        channels: observations by channel; channels without rows are missing.
    """

    first_weekday: int
    num_days: int
    currency: str
    channels: Mapping[Channel, ChannelObservations]


class PlannedHour(NamedTuple):
    """What was in force on one channel in one hour.

    Attributes:
        bid: currency units per click, by device, modifiers included.
        daily_budget: currency units.
        active: whether the channel was running.
    """

    bid: tuple[float, ...]
    daily_budget: float
    active: bool


def make_account_observations(
    reports: Iterable[HourlyReport],
    plans: Mapping[tuple[Channel, datetime], PlannedHour] | None = None,
    time_zone: ZoneInfo | None = None,
) -> AccountObservations:
    """Collects an account's rows.

    Args:
        reports: rows of one account, any order, any number of readings of each.
        plans: what was in force, by channel and start of the hour in UTC.
        time_zone: the account's; it decides days and hours of day. UTC if not given.

    Returns:
        The observations.

    Raises:
        DataError: there are no rows, or rows of several accounts or currencies.
    """
    rows = list(reports)
    _check_one_account(rows)
    zone = time_zone or ZoneInfo("UTC")
    local = [row.hour.astimezone(zone) for row in rows]
    first_day, last_day = min(local).date(), max(local).date()
    readings: dict[Channel, dict[object, list[HourlyReport]]] = {c: defaultdict(list) for c in CHANNELS}
    for row in rows:
        readings[row.channel][row.key].append(row)
    channels = {
        channel: _collect_channel(channel, by_key, plans or {}, zone, first_day)
        for channel, by_key in readings.items()
        if by_key
    }
    return AccountObservations(first_day.weekday(), (last_day - first_day).days + 1, rows[0].currency, channels)


def _check_one_account(rows: list[HourlyReport]) -> None:
    if not rows:
        msg = "the reports hold no usable row: a calibration needs the hourly rows of at least 7 days"
        raise DataError(msg)
    for name in ("account", "currency"):
        found = sorted({getattr(row, name) for row in rows})
        if len(found) > 1:
            msg = f"the reports mix {len(found)} values of {name!r}, such as {found[0]!r} and {found[1]!r}: split them"
            raise DataError(msg)


def _collect_channel(
    channel: Channel,
    by_key: Mapping[object, list[HourlyReport]],
    plans: Mapping[tuple[Channel, datetime], PlannedHour],
    zone: ZoneInfo,
    first_day: date,
) -> ChannelObservations:
    series = [sorted(rows, key=lambda row: row.as_of) for rows in by_key.values()]
    moments = sorted({rows[-1].hour for rows in series})
    position = {moment: i for i, moment in enumerate(moments)}
    grid = (len(moments), NUM_DEVICES)
    impressions, clicks, spend = np.zeros(grid), np.zeros(grid), np.zeros(grid)
    eligible, lost, weight = np.zeros(grid), np.zeros(len(moments)), np.zeros(len(moments))
    unknown = np.zeros(len(moments), dtype=np.bool_)
    for rows in series:
        row = rows[-1]
        i, d = position[row.hour], _find_device(row)
        impressions[i, d] += row.impressions
        clicks[i, d] += row.clicks
        spend[i, d] += row.spend_micros / MICROS
        eligible[i, d] += row.eligible_impressions or 0
        unknown[i] |= row.eligible_impressions is None
        if row.lost_share_budget is not None and row.eligible_impressions:
            lost[i] += row.lost_share_budget.share * row.eligible_impressions
            weight[i] += row.eligible_impressions
    planned = [plans.get((channel, moment)) for moment in moments]
    return ChannelObservations(
        hour=np.array([_compute_hour(moment, zone, first_day) for moment in moments], dtype=np.int64),
        has_devices=any(rows[-1].device is not None for rows in series),
        impressions=impressions,
        clicks=clicks,
        spend=spend,
        eligible=np.where(unknown[:, None], np.nan, eligible),
        lost_to_budget=np.where(weight > 0.0, lost / np.where(weight > 0.0, weight, 1.0), np.nan),
        arrivals=_collect_arrivals(channel, series, position),
        bid=np.array([plan.bid if plan else (np.nan,) * NUM_DEVICES for plan in planned]),
        daily_budget=np.array([plan.daily_budget if plan else np.nan for plan in planned]),
        active=np.array([plan is None or plan.active for plan in planned]),
    )


def _find_device(row: HourlyReport) -> int:
    return 0 if row.device is None else _DEVICE_INDEX[row.device]


def _compute_hour(moment: datetime, zone: ZoneInfo, first_day: date) -> int:
    local = moment.astimezone(zone)
    return (local.date() - first_day).days * HOURS_PER_DAY + local.hour


def _collect_arrivals(
    channel: Channel, series: Iterable[list[HourlyReport]], position: Mapping[datetime, int]
) -> Arrivals:
    rules = PLATFORM_RULES[channel]
    first_report = timedelta(hours=1 + rules.lag_hours + rules.conversion_lag_hours)
    entries = []
    for rows in series:
        newest = rows[-1]
        if not newest.clicks:
            continue
        known = np.minimum.accumulate([row.conversions for row in reversed(rows)])[::-1]
        before, reported = -1.0, 0.0
        for row, conversions in zip(rows, known, strict=True):
            age = float((row.as_of - row.hour - first_report) // timedelta(hours=1))
            if age < 0.0 or (age == before and conversions == reported):
                continue
            entry = (position[row.hour], _find_device(row), before, age, newest.clicks, conversions - reported)
            entries.append(entry)
            before, reported = age, conversions
    columns = np.array(entries, dtype=np.float64).reshape(-1, 6).T
    return Arrivals(columns[0].astype(np.int64), columns[1].astype(np.int64), *columns[2:])
