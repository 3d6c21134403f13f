"""Tables of the export as files, with the copies and the damage that they hold."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from experiments.ga4.events import Events
from gaelp_rl.bootstrap.ga4_schema import EVENT_SCHEMA, OLDER_EVENT_SCHEMA, make_json_record
from gaelp_rl.domain.reports import IntArray

__all__ = ["DAMAGES", "JSON_DAMAGES", "Shard", "ShardCounts"]

DAMAGES = ("no timestamp", "negative timestamp", "no event name", "year 2100")
"""What is wrong with a damaged row, in turn; JSON lines have `JSON_DAMAGES`."""

JSON_DAMAGES = ("cut line", "timestamp in words", "no event name", "event_params is text")
"""Likewise."""

_YEAR_2100_US = 4_102_444_800_000_000


@dataclass(slots=True)
class ShardCounts:
    """What a file holds: ``rows = events + duplicates + malformed``.

    Attributes:
        rows: in the file.
        events: different events, purchases that were sent again included.
        duplicates: rows equal to another.
        malformed: damaged rows.
        repeated_purchases: purchases sent again with the same transaction id, among ``events``.
        no_user: events without ``user_pseudo_id``, consent denied included.
        no_session: events without ``ga_session_id``, likewise.
        late: events that arrived after their moment.
    """

    rows: int = 0
    events: int = 0
    duplicates: int = 0
    malformed: int = 0
    repeated_purchases: int = 0
    no_user: int = 0
    no_session: int = 0
    late: int = 0

    def add(self, events: Events) -> None:
        """Counts what is about to be written.

        Args:
            events: of the table.
        """
        self.events += len(events)
        self.duplicates += int((events.copies - 1).sum())
        self.malformed += int(events.damaged.sum())
        self.rows = self.events + self.duplicates + self.malformed
        self.repeated_purchases += int(events.repeated.sum())
        self.no_user += int((~events.has_user).sum())
        self.no_session += int((~events.has_session).sum())
        self.late += int((events.arrival > events.moment).sum())


@dataclass(slots=True)
class Shard:
    """One file that is being written.

    Attributes:
        path: its ending says the format.
        as_of: microseconds UTC; events that arrive later are not in it.
        older: whether it lacks the two newer traffic columns.
        intraday: whether attribution fields are empty, as in a table that is still streamed into.
        counts: of what was written.
    """

    path: Path
    as_of: int
    older: bool = False
    intraday: bool = False
    counts: ShardCounts = field(default_factory=ShardCounts)
    _parquet: Any = None
    _text: io.TextIOBase | None = None
    _files: list[Any] = field(default_factory=list)

    @property
    def schema(self) -> pa.Schema:
        """Of its rows."""
        return OLDER_EVENT_SCHEMA if self.older else EVENT_SCHEMA

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.suffix == ".parquet":
            self._parquet = pq.ParquetWriter(
                self.path, self.schema, compression="zstd", compression_level=9, write_statistics=False
            )
            return self
        raw = self.path.open("wb")
        self._files = [raw]
        if self.path.suffix == ".gz":  # neither name nor time in its header, so that equal rows are equal bytes
            raw = gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0)  # type: ignore[assignment]
            self._files.insert(0, raw)
        self._text = io.TextIOWrapper(raw, encoding="utf-8", newline="\n")
        self._files.insert(0, self._text)
        return self

    def __exit__(self, *_: object) -> None:
        if self._parquet is not None:
            self._parquet.close()
        for file in self._files:
            file.close()

    def write(self, table: pa.Table, events: Events) -> None:
        """Writes those of some events that have arrived.

        Args:
            table: of `EventTables`, one row per event.
            events: the same events.
        """
        arrived = np.flatnonzero(events.arrival <= self.as_of)
        own = events.take(arrived)
        self.counts.add(own)
        rows = np.repeat(arrived, own.copies)
        broken = arrived[own.damaged]
        order = np.argsort(np.concatenate((rows, broken)), kind="stable")
        row, is_broken = np.concatenate((rows, broken))[order], (order >= len(rows))
        part = table.take(pa.array(row)).select(self.schema.names)
        if self.intraday:
            part = _clear_attribution(part)
        if self._text is None:
            self._parquet.write_table(_damage_table(part, is_broken))
        else:
            _write_lines(self._text, part, is_broken)


def _write_lines(text: io.TextIOBase, table: pa.Table, is_broken: NDArray[np.bool_]) -> None:
    turn = is_broken.cumsum() - 1
    for row, record in enumerate(table.to_pylist()):
        kind = JSON_DAMAGES[turn[row] % len(JSON_DAMAGES)] if is_broken[row] else ""
        text.write(_format_line(make_json_record(record), kind) + "\n")


def _clear_attribution(table: pa.Table) -> pa.Table:
    for name in ("traffic_source", "session_traffic_source_last_click"):
        at = table.schema.get_field_index(name)
        if at >= 0:
            table = table.set_column(at, table.schema.field(at), pa.nulls(len(table), table.schema.field(at).type))
    return table


def _damage_table(table: pa.Table, is_broken: NDArray[np.bool_]) -> pa.Table:
    if not is_broken.any():
        return table
    rows = np.flatnonzero(is_broken)
    turn = np.arange(len(rows)) % len(DAMAGES)
    moment: IntArray = table["event_timestamp"].to_numpy().copy()
    moment[rows[turn == 1]] = -1
    moment[rows[turn == 3]] = _YEAR_2100_US
    hidden = np.zeros(len(table), dtype=np.bool_)
    hidden[rows[turn == 0]] = True
    nameless = np.zeros(len(table), dtype=np.bool_)
    nameless[rows[turn == 2]] = True
    names = table["event_name"].combine_chunks()
    changed = {
        "event_timestamp": pa.array(moment, mask=hidden),
        "event_name": names.take(pa.array(np.arange(len(table)), mask=nameless)),
    }
    for name, column in changed.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


def _format_line(record: dict[str, Any], damage: str) -> str:
    if damage == "timestamp in words":
        record = record | {"event_timestamp": "yesterday"}
    elif damage == "no event name":
        record = {key: item for key, item in record.items() if key != "event_name"}
    elif damage == "event_params is text":
        record = record | {"event_params": "(none)"}
    line = json.dumps(record, separators=(",", ":"))
    return line[: len(line) // 2] if damage == "cut line" else line
