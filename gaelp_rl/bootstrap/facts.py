"""Hourly facts of an export: sessions and landed clicks in their hour, conversions in the hour of their click."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from gaelp_rl.bootstrap.account_hours import find_local_hours
from gaelp_rl.bootstrap.attribution import LandedClicks
from gaelp_rl.bootstrap.channel_rules import SESSION_CHANNELS, UNPAID, Codes, split_rank
from gaelp_rl.bootstrap.ga4_events import FACT_DEVICES
from gaelp_rl.bootstrap.ga4_reader import Ga4Export
from gaelp_rl.config.ga4 import Ga4Config
from gaelp_rl.domain.reports import FloatArray, IntArray

__all__ = ["FACT_SCHEMA", "AttributedExport", "make_facts"]

FACT_SCHEMA = pa.schema(
    [
        ("hour", pa.timestamp("us", tz="UTC")),
        ("local_date", pa.string()),
        ("local_hour", pa.int8()),
        ("channel", pa.string()),
        ("device", pa.string()),
        ("sessions", pa.int64()),
        ("landed_clicks", pa.int64()),
        ("conversions", pa.int64()),
        ("conversion_value_micros", pa.int64()),
        ("provisional", pa.bool_()),
        ("as_of", pa.timestamp("us", tz="UTC")),
    ]
)
"""Columns of the facts: ``hour`` is the start of the account's hour, ``local_*`` that zone's clock."""

_MEASURES = ("sessions", "landed_clicks", "conversions", "conversion_value_micros")


@dataclass(frozen=True, slots=True)
class AttributedExport:
    """An export with each conversion's click.

    Attributes:
        export: as read.
        clicks: that landed.
        click_of: int64 [conversions]; position in ``clicks``, -1 for none.
    """

    export: Ga4Export
    clicks: LandedClicks
    click_of: IntArray


def make_facts(attributed: AttributedExport, settings: Ga4Config) -> pa.Table:
    """Adds up an export by account hour, channel and device.

    A conversion stands in the hour, channel and device of its click; one without a click stands under
    ``unpaid`` in its own hour. So ``conversions`` add up to all that were counted. Hours are
    ``provisional`` where GA4 may still restate their day.

    Args:
        attributed: the export.
        settings: zones, and which days are provisional.

    Returns:
        Rows of ``FACT_SCHEMA`` in order of hour, channel, device; combinations without a count are left out.
    """
    zone = ZoneInfo(settings.account_time_zone)
    export, clicks = attributed.export, attributed.clicks
    sessions, conversions = export.sessions, export.conversions
    has_click = attributed.click_of >= 0
    at = attributed.click_of[has_click]
    when, where, what = (
        conversions.timestamp.copy(),
        np.full(has_click.size, UNPAID, np.uint8),
        conversions.device.copy(),
    )
    when[has_click], where[has_click], what[has_click] = clicks.timestamp[at], clicks.channel[at], clicks.device[at]
    instants = np.concatenate((sessions.start, clicks.timestamp, when))
    channel = np.concatenate((split_rank(sessions.rank)[1], clicks.channel, where))
    device = np.concatenate((sessions.device, clicks.device, what))
    measures = np.zeros((len(_MEASURES), instants.size))
    ends = np.cumsum([sessions.start.size, clicks.user.size, has_click.size])
    measures[0, : ends[0]] = measures[1, ends[0] : ends[1]] = measures[2, ends[1] :] = 1.0
    measures[3, ends[1] :] = conversions.value_micros
    return _add_up(instants, channel, device, measures, zone, attributed, settings)


def _add_up(
    instants: IntArray,
    channel: Codes,
    device: Codes,
    measures: FloatArray,
    zone: ZoneInfo,
    attributed: AttributedExport,
    settings: Ga4Config,
) -> pa.Table:
    local = find_local_hours(instants, zone)
    hour_index = np.unique(local.start, return_inverse=True)[1]
    cell = (hour_index * len(SESSION_CHANNELS) + channel) * len(FACT_DEVICES) + device
    cells, first, where = np.unique(cell, return_index=True, return_inverse=True)
    sums = {
        name: np.rint(np.bincount(where, row)).astype(np.int64) for name, row in zip(_MEASURES, measures, strict=True)
    }
    start = local.start[first]
    newest_day = max(shard.day for shard in attributed.export.shards).toordinal()
    property_day = find_local_hours(start, ZoneInfo(settings.property_time_zone)).day
    columns = {
        "hour": start,
        "local_date": [date.fromordinal(day).isoformat() for day in local.day[first].tolist()],
        "local_hour": local.hour[first].astype(np.int8),
        "channel": [SESSION_CHANNELS[c] for c in (cells // len(FACT_DEVICES) % len(SESSION_CHANNELS)).tolist()],
        "device": [FACT_DEVICES[d] for d in (cells % len(FACT_DEVICES)).tolist()],
        **sums,
        "provisional": newest_day - property_day < settings.provisional_days,
        "as_of": np.full(cells.size, attributed.export.as_of),
    }
    return pa.table({name: pa.array(column) for name, column in columns.items()}).cast(FACT_SCHEMA)
