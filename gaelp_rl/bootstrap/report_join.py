"""Platform report rows with GA4's conversions where the platform has none by hour.

GA4 knows when each conversion came, so every reading of a row gets the conversions that had come by
then; a row that was read once gets the readings that a reader at the usual ages would have had, which
is how the delay of conversions stays visible. Several campaigns and creatives of one hour share the
hour's conversions in proportion to their clicks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from gaelp_rl.bootstrap.account_hours import find_local_hours, make_instant
from gaelp_rl.bootstrap.facts import AttributedExport
from gaelp_rl.bootstrap.ga4_events import FACT_DEVICES
from gaelp_rl.config.ga4 import Ga4Config
from gaelp_rl.domain.channels import CHANNELS, Channel, Device
from gaelp_rl.domain.hourly_report import ConversionSource, HourlyReport, ReportKey
from gaelp_rl.domain.platform_rules import PLATFORM_RULES
from gaelp_rl.domain.reports import IntArray

__all__ = ["READING_AGES_HOURS", "ChannelComparison", "JoinedReports", "join_reports"]

READING_AGES_HOURS = (1, 6, 24, 72, 168, 336)
"""Hours after the first moment at which a conversion could be known, of the readings that are added."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Cell = tuple[Channel, Device | None, datetime]


@dataclass(frozen=True, slots=True)
class ChannelComparison:
    """One channel in both sources, on the hours that both cover.

    Attributes:
        platform_clicks: as the platform counted them last.
        landed_clicks: sessions that an ad click of the channel began.
        platform_conversions: as the platform counted them last.
        ga4_conversions: attributed to those hours.
        unjoined_conversions: of GA4, in hours or on devices for which the platform has no row.
    """

    platform_clicks: int
    landed_clicks: int
    platform_conversions: float
    ga4_conversions: int
    unjoined_conversions: int


@dataclass(frozen=True, slots=True)
class JoinedReports:
    """Report rows after the join.

    Attributes:
        rows: of all channels.
        joined: rows whose conversions are now GA4's.
        not_covered: rows of channels that need GA4 in hours that the export does not cover; as they came.
        channels: both sources side by side.
    """

    rows: tuple[HourlyReport, ...]
    joined: int
    not_covered: int
    channels: Mapping[Channel, ChannelComparison]


class _Conversions:
    """Attributed conversions by channel, device and account hour, in order of time."""

    def __init__(self, attributed: AttributedExport, zone: ZoneInfo) -> None:
        conversions, clicks = attributed.export.conversions, attributed.clicks
        own = np.flatnonzero(attributed.click_of >= 0)
        at = attributed.click_of[own]
        hours = find_local_hours(clicks.timestamp[at], zone).start
        stamps, values = conversions.timestamp[own].tolist(), conversions.value_micros[own].tolist()
        self.by_cell: dict[_Cell, list[tuple[int, int]]] = defaultdict(list)
        cells = zip(clicks.channel[at].tolist(), clicks.device[at].tolist(), hours.tolist(), strict=True)
        for (channel, device, hour), stamp, value in zip(cells, stamps, values, strict=True):
            for split in {_find_device(device), None}:
                self.by_cell[CHANNELS[channel], split, make_instant(hour)].append((stamp, value))

    def count(self, cell: _Cell, until: datetime) -> tuple[int, int]:
        """Conversions of a cell until a moment, and their value in micros."""
        last = (until - _EPOCH) // timedelta(microseconds=1)
        known = [value for stamp, value in self.by_cell.get(cell, ()) if stamp <= last]
        return len(known), sum(known)


def join_reports(reports: Iterable[HourlyReport], attributed: AttributedExport, settings: Ga4Config) -> JoinedReports:
    """Joins an export onto an account's rows.

    Args:
        reports: rows of one account, any number of readings of each.
        attributed: the export.
        settings: zones.
    """
    series: dict[ReportKey, list[HourlyReport]] = defaultdict(list)
    for row in reports:
        series[row.key].append(row)
    for readings in series.values():
        readings.sort(key=lambda row: row.as_of)
    conversions = _Conversions(attributed, ZoneInfo(settings.account_time_zone))
    covered = _find_covered(series, attributed, settings)
    rows: list[HourlyReport] = []
    joined = not_covered = 0
    for key, before, after in _list_shares(series):
        readings = series[key]
        if PLATFORM_RULES[key[1]].hourly_conversions:
            rows += readings
        elif key[5] not in covered:
            rows += readings
            not_covered += len(readings)
        else:
            filled = _fill(readings, conversions, make_instant(attributed.export.as_of), before, after)
            rows += filled
            joined += len(filled)
    channels = {channel: _compare(channel, series, covered, attributed, conversions, settings) for channel in CHANNELS}
    return JoinedReports(tuple(rows), joined, not_covered, channels)


def _find_device(code: int) -> Device | None:
    return Device(FACT_DEVICES[code]) if FACT_DEVICES[code] in set(Device) else None


def _find_covered(
    series: Iterable[ReportKey], attributed: AttributedExport, settings: Ga4Config
) -> frozenset[datetime]:
    """Hours of the rows that lie in a day of the export and before its newest event."""
    hours = sorted({key[5] for key in series})
    instants: IntArray = np.array([(hour - _EPOCH) // timedelta(microseconds=1) for hour in hours], dtype=np.int64)
    days = [shard.day.toordinal() for shard in attributed.export.shards]
    own = np.isin(find_local_hours(instants, ZoneInfo(settings.property_time_zone)).day, days)
    own &= instants < attributed.export.as_of
    return frozenset(hour for hour, inside in zip(hours, own.tolist(), strict=True) if inside)


def _list_shares(series: Mapping[ReportKey, list[HourlyReport]]) -> Iterator[tuple[ReportKey, float, float]]:
    """Each key with where its share of its hour's conversions begins and ends, by clicks."""
    cells: dict[_Cell, list[ReportKey]] = defaultdict(list)
    for key in series:
        cells[key[1], key[4], key[5]].append(key)
    for keys in cells.values():
        clicks = [series[key][-1].clicks for key in keys]
        weights = clicks if sum(clicks) else [1] * len(keys)
        total, before = sum(weights), 0
        for key, weight in zip(keys, weights, strict=True):
            yield key, before / total, (before + weight) / total
            before += weight


def _fill(
    readings: list[HourlyReport], conversions: _Conversions, newest: datetime, before: float, after: float
) -> list[HourlyReport]:
    """The readings with GA4's conversions; none is said to be newer than GA4 can be."""
    rules = PLATFORM_RULES[readings[0].channel]
    latency = timedelta(hours=rules.conversion_lag_hours)
    by_moment = {min(row.as_of, newest + latency): row for row in _add_readings(readings)}
    cell = (readings[0].channel, readings[0].device, readings[0].hour)
    filled = []
    for as_of, row in by_moment.items():
        count, worth = conversions.count(cell, as_of - latency)
        filled.append(
            replace(
                row,
                as_of=as_of,
                conversions=count * (after - before),
                conversion_value_micros=round(worth * after) - round(worth * before),
                conversion_source=ConversionSource.GA4,
            )
        )
    return filled


def _add_readings(readings: list[HourlyReport]) -> list[HourlyReport]:
    if len(readings) > 1:
        return readings
    row = readings[0]
    rules = PLATFORM_RULES[row.channel]
    first = row.hour + timedelta(hours=1 + rules.lag_hours + rules.conversion_lag_hours)
    moments = (first + timedelta(hours=age) for age in READING_AGES_HOURS)
    return [*(replace(row, as_of=moment) for moment in moments if moment < row.as_of), row]


def _compare(
    channel: Channel,
    series: Mapping[ReportKey, list[HourlyReport]],
    covered: frozenset[datetime],
    attributed: AttributedExport,
    conversions: _Conversions,
    settings: Ga4Config,
) -> ChannelComparison:
    newest = [rows[-1] for key, rows in series.items() if key[1] == channel and key[5] in covered]
    hours = {row.hour for row in newest}
    clicks = attributed.clicks
    own = clicks.timestamp[clicks.channel == CHANNELS.index(channel)]
    starts = find_local_hours(own, ZoneInfo(settings.account_time_zone)).start
    wanted = np.array([(hour - _EPOCH) // timedelta(microseconds=1) for hour in hours], dtype=np.int64)
    total = {cell: len(found) for cell, found in conversions.by_cell.items() if cell[0] == channel}
    counted = {(row.channel, row.device, row.hour) for row in newest}
    matched = sum(count for cell, count in total.items() if cell in counted)
    every = sum(len(found) for cell, found in conversions.by_cell.items() if cell[0] == channel and cell[1] is None)
    return ChannelComparison(
        platform_clicks=sum(row.clicks for row in newest),
        landed_clicks=int(np.isin(starts, wanted).sum()),
        platform_conversions=float(sum(row.conversions for row in newest)),
        ga4_conversions=matched,
        unjoined_conversions=every - matched,
    )
