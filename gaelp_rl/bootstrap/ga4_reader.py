"""Streams an export, one table after another, into sessions and conversions.

Of each table only a batch of rows is in memory at a time, besides eight bytes per row against
duplicates; what stays is 27 bytes per session and 42 per key event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.bootstrap.channel_rules import Codes
from gaelp_rl.bootstrap.ga4_columns import FlatBatch, read_parquet
from gaelp_rl.bootstrap.ga4_events import EventBatch, SeenKeys, Tally, accept_events
from gaelp_rl.bootstrap.ga4_lines import read_json_lines
from gaelp_rl.bootstrap.ga4_shards import Shard, ShardList
from gaelp_rl.bootstrap.hashing import KeyArray
from gaelp_rl.bootstrap.sessions import Sessions, merge_sessions, reduce_events
from gaelp_rl.config.ga4 import Ga4Config
from gaelp_rl.domain.reports import IntArray
from gaelp_rl.errors import DataError

__all__ = ["Ga4Export", "KeyEvents", "count_conversions", "read_export"]


class KeyEvents(NamedTuple):
    """Key events, arrays [n].

    Attributes:
        timestamp: microseconds UTC.
        user: key, 0 without one.
        session: key, 0 without one.
        device: position in ``FACT_DEVICES``.
        key_event: position in the settings' key events.
        transaction: key, 0 without one.
        value_micros: what it was worth.
    """

    timestamp: IntArray
    user: KeyArray
    session: KeyArray
    device: Codes
    key_event: NDArray[np.int8]
    transaction: KeyArray
    value_micros: IntArray


@dataclass(frozen=True, slots=True)
class Ga4Export:
    """What an export holds.

    Attributes:
        sessions: of all tables.
        conversions: key events, each conversion once; see ``count_conversions``.
        repeated_key_events: key events that repeat a conversion.
        tallies: by table name.
        shards: that were read.
        as_of: microseconds UTC of the newest accepted event: what came later is not known.
    """

    sessions: Sessions
    conversions: KeyEvents
    repeated_key_events: int
    tallies: dict[str, Tally]
    shards: tuple[Shard, ...]
    as_of: int


def read_export(
    shards: ShardList, settings: Ga4Config, on_shard: Callable[[int, int], None] | None = None
) -> Ga4Export:
    """Reads all tables.

    Args:
        shards: as ``find_shards`` found them.
        settings: of the export.
        on_shard: called after every table with tables and rows read so far.

    Raises:
        DataError: a file cannot be read, or no row of the export can be used.
    """
    sessions: list[Sessions] = []
    key_events: list[KeyEvents] = []
    tallies: dict[str, Tally] = {}
    as_of, rows = 0, 0
    for done, shard in enumerate(shards.shards, start=1):
        tally, parts, newest = _read_shard(shard, settings, key_events)
        sessions.append(merge_sessions(parts) if parts else reduce_events(_make_no_events()))
        tallies[shard.name] = tally
        as_of, rows = max(as_of, newest), rows + tally.rows
        if on_shard is not None:
            on_shard(done, rows)
    if as_of == 0:
        msg = f"no row of {rows:,} can be used: look at quarantined fields, first {_find_worst(tallies)!r}"
        raise DataError(msg)
    every = KeyEvents._make(np.concatenate(columns) for columns in zip(*key_events, strict=True))
    conversions = count_conversions(every, settings)
    repeated = every.timestamp.size - conversions.timestamp.size
    return Ga4Export(merge_sessions(sessions), conversions, repeated, tallies, shards.shards, as_of)


def count_conversions(events: KeyEvents, settings: Ga4Config) -> KeyEvents:
    """Each conversion once, the earliest of its events.

    Events with a transaction id count once per id; the others by the key event's counting method.

    Args:
        events: key events, in any order.
        settings: of the export.

    Returns:
        Conversions in order of time.
    """
    once = np.array([event.counting_method == "once_per_session" for event in settings.key_events])
    by_transaction = events.transaction != 0
    by_session = ~by_transaction & once[events.key_event] & (events.session != 0)
    kind = np.where(by_transaction, 0, np.where(by_session, 1, 2))
    own = np.arange(events.timestamp.size, dtype=np.uint64)
    key = np.where(by_transaction, events.transaction, np.where(by_session, events.session, own))
    order = np.lexsort((events.timestamp, key, events.key_event, kind))
    columns = np.stack((kind.astype(np.uint64), events.key_event.astype(np.uint64), key))[:, order]
    is_first = np.ones(order.size, dtype=np.bool_)
    is_first[1:] = (columns[:, 1:] != columns[:, :-1]).any(axis=0)
    kept = order[is_first]
    kept = kept[np.argsort(events.timestamp[kept], kind="stable")]
    return KeyEvents._make(column[kept] for column in events)


def _read_shard(shard: Shard, settings: Ga4Config, key_events: list[KeyEvents]) -> tuple[Tally, list[Sessions], int]:
    tally, seen, newest = Tally(), SeenKeys(), 0
    parts: list[Sessions] = []
    for batch in _read_batches(shard):
        events = accept_events(batch, shard.day, settings, seen, tally)
        parts.append(reduce_events(events))
        key_events.append(_pick_key_events(events))
        newest = max(newest, int(events.timestamp.max(initial=0)))
    return tally, parts, newest


def _read_batches(shard: Shard) -> Iterator[FlatBatch]:
    for path in shard.paths:
        yield from read_parquet(path) if path.suffix == ".parquet" else read_json_lines(path)


def _pick_key_events(events: EventBatch) -> KeyEvents:
    own = events.key_event >= 0
    return KeyEvents._make(getattr(events, name)[own] for name in KeyEvents._fields)


def _make_no_events() -> EventBatch:
    empty = {"user": np.uint64, "session": np.uint64, "transaction": np.uint64, "key_event": np.int8}
    empty |= dict.fromkeys(("rank", "click", "device"), np.uint8)
    return EventBatch._make(np.zeros(0, dtype=empty.get(name, np.int64)) for name in EventBatch._fields)


def _find_worst(tallies: dict[str, Tally]) -> str:
    total = sum((tally.quarantined for tally in tallies.values()), start=Tally().quarantined)
    return total.most_common(1)[0][0] if total else "none"
