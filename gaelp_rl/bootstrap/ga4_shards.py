"""Which files of a folder make up a GA4 export, each day once.

A daily table wins over the intraday table of its day; the two are never summed. A day may be exported
again, with events that came late: put later exports into sub-folders whose names sort later (a date,
say), and the newest one of a day replaces the others.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from gaelp_rl.errors import DataError

__all__ = ["Shard", "ShardList", "find_shards"]

_NAME = re.compile(r"events_(?P<intraday>intraday_)?(?P<day>\d{8})(?P<part>[-_.]\d+)?\.(?:parquet|jsonl(?:\.gz)?)")


@dataclass(frozen=True, slots=True)
class Shard:
    """One table of one day.

    Attributes:
        day: in the property's time zone.
        is_intraday: streamed, and not yet replaced by a daily table.
        paths: its files; BigQuery splits large tables over several.
    """

    day: date
    is_intraday: bool
    paths: tuple[Path, ...]

    @property
    def name(self) -> str:
        """The table's name in BigQuery."""
        return f"events_{'intraday_' if self.is_intraday else ''}{self.day:%Y%m%d}"


@dataclass(frozen=True, slots=True)
class ShardList:
    """What a folder holds.

    Attributes:
        shards: to read, one per day, oldest first.
        superseded: files that a daily table or a later export of the same day replaces.
    """

    shards: tuple[Shard, ...]
    superseded: tuple[Path, ...]


def find_shards(folder: Path) -> ShardList:
    """Finds the tables of an export.

    Args:
        folder: holds ``events_YYYYMMDD`` and ``events_intraday_YYYYMMDD`` files that end in
            ``.parquet``, ``.jsonl`` or ``.jsonl.gz``, itself or in sub-folders.

    Raises:
        DataError: the folder does not exist or holds no such file, or a name's day is not in the calendar.
    """
    if not folder.is_dir():
        msg = f"no folder {str(folder)!r}: give the folder that holds the export's events_YYYYMMDD files"
        raise DataError(msg)
    tables: dict[tuple[date, bool, Path], list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("events_*")):
        match = _NAME.fullmatch(path.name)
        if match and path.is_file():
            tables[_parse_day(path, match["day"]), match["intraday"] is None, path.parent].append(path)
    if not tables:
        msg = f"{str(folder)!r} holds no events_YYYYMMDD file that ends in .parquet, .jsonl or .jsonl.gz"
        raise DataError(msg)
    chosen = {day: max(key for key in tables if key[0] == day) for day in _list_days(tables)}
    shards = [Shard(day, not key[1], tuple(tables[key])) for day, key in chosen.items()]
    superseded = [path for key in tables if chosen[key[0]] != key for path in tables[key]]
    return ShardList(tuple(shards), tuple(superseded))


def _list_days(keys: Iterable[tuple[date, bool, Path]]) -> list[date]:
    return sorted({key[0] for key in keys})


def _parse_day(path: Path, digits: str) -> date:
    try:
        return datetime.strptime(digits, "%Y%m%d").date()  # noqa: DTZ007  a day has no zone of its own
    except ValueError:
        msg = f"{path.name} names the day {digits!r}, which is not in the calendar; rename or remove the file"
        raise DataError(msg) from None
