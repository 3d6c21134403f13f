"""Exports of a few hand-made events, in the exact nested schema."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from gaelp_rl.bootstrap.attribution import attribute, list_landed_clicks
from gaelp_rl.bootstrap.facts import AttributedExport
from gaelp_rl.bootstrap.ga4_reader import Ga4Export, read_export
from gaelp_rl.bootstrap.ga4_schema import EVENT_SCHEMA, make_json_record
from gaelp_rl.bootstrap.ga4_shards import find_shards
from gaelp_rl.config.ga4 import Ga4Config

PAGE = "https://shop.example/"
_COUNTER = iter(range(10**9))


def micros(text, zone="UTC"):
    """Microseconds UTC of a zone's clock."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000


def make_event(when, name="page_view", user="u1", session=1, page=PAGE, device="mobile", day=None, zone="UTC", **more):
    """One row as ``Table.to_pylist`` would give it.

    ``more``: ``params``, further event params; ``transaction``, ``revenue``; any top-level column. Rows
    differ in ``event_bundle_sequence_id``, so that only copies of one dict are duplicates.
    """
    stamp = micros(when, zone) if isinstance(when, str) else when
    params = {"ga_session_id": session, "page_location": page} | more.pop("params", {})
    day = day or datetime.fromtimestamp(stamp / 1e6, ZoneInfo(zone)).strftime("%Y%m%d")
    row = {
        "event_date": day,
        "event_timestamp": stamp,
        "event_name": name,
        "event_bundle_sequence_id": next(_COUNTER),
        "user_pseudo_id": user,
        "device": {"category": device},
        "event_params": [{"key": key, "value": _hold(item)} for key, item in params.items() if item is not None],
    }
    shop = {"transaction_id": more.pop("transaction", None), "purchase_revenue": more.pop("revenue", None)}
    if any(item is not None for item in shop.values()):
        row["ecommerce"] = shop
    return row | more


def _hold(item):
    kind = {int: "int_value", float: "double_value", str: "string_value"}[type(item)]
    return {kind: item}


def write_shard(folder, rows, day="20260106", intraday=False, ending=".parquet", schema=EVENT_SCHEMA):
    """Writes rows as one table; ``ending`` says the format."""
    folder.mkdir(parents=True, exist_ok=True)
    path = Path(folder) / f"events_{'intraday_' if intraday else ''}{day}{ending}"
    if ending == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
        return path
    lines = [row if isinstance(row, str) else json.dumps(make_json_record(row)) for row in rows]
    text = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(text) if ending.endswith(".gz") else text)
    return path


def write_by_day(folder, rows, **how):
    """Writes rows into the daily tables of their ``event_date``."""
    for day in sorted({row["event_date"] for row in rows}):
        write_shard(folder, [row for row in rows if row["event_date"] == day], day=day, **how)


def read(folder, **settings) -> Ga4Export:
    """Reads an export; keyword arguments are settings."""
    return read_export(find_shards(folder), Ga4Config(**settings))


def read_attributed(folder, **settings) -> AttributedExport:
    """Reads an export and finds each conversion's click."""
    config = Ga4Config(**settings)
    export = read_export(find_shards(folder), config)
    clicks = list_landed_clicks(export.sessions)
    found = attribute(export.conversions, clicks, config.attribution, config.lookback_days)
    return AttributedExport(export, clicks, found)


def tally(export, name="events_20260106"):
    """Counts of a table: rows, accepted, duplicates, quarantined by field."""
    one = export.tallies[name]
    return one.rows, one.accepted, one.duplicates, dict(one.quarantined)


def moment(stamp):
    """A stamp as text, for readable assertions."""
    return datetime.fromtimestamp(stamp / 1e6, UTC).strftime("%Y-%m-%d %H:%M")
