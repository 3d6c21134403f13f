"""Which files of a folder make up a GA4 export, each day once.

A daily table wins over the intraday table of its day; the two are never summed. GA4 restates a daily
table for three days: export it again over the old file. Sub-folders, such as those of older
exports, are not read.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from gaelp_rl.errors import DataError

__all__ = ["Shard", "ShardList", "find_shards"]

_NAME = re.compile(r"events_(?P<intraday>intraday_)?(?P<day>\d{8})(?P<part>-\d+)?\.(?:parquet|jsonl(?:\.gz)?)")


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
        superseded: intraday files that the daily table of their day replaces.
    """

    shards: tuple[Shard, ...]
    superseded: tuple[Path, ...]


def find_shards(folder: Path) -> ShardList:
    """Finds the tables of an export.

    Args:
        folder: holds ``events_YYYYMMDD`` and ``events_intraday_YYYYMMDD`` files that end in
            ``.parquet``, ``.jsonl`` or ``.jsonl.gz``; a table in parts has ``-000000000000`` and so on
            behind its day.

    Raises:
        DataError: the folder does not exist or holds no such file, a name's day is not in the calendar, or a
            table stands there twice.
    """
    if not folder.is_dir():
        msg = f"no folder {str(folder)!r}: give the folder that holds the export's events_YYYYMMDD files"
        raise DataError(msg)
    tables: dict[date, dict[bool, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(folder.glob("events_*")):
        match = _NAME.fullmatch(path.name)
        if match and path.is_file():
            tables[_parse_day(path, match["day"])][match["intraday"] is not None].append(path)
    if not tables:
        msg = f"{str(folder)!r} holds no events_YYYYMMDD file that ends in .parquet, .jsonl or .jsonl.gz"
        raise DataError(msg)
    for kinds in tables.values():
        for paths in kinds.values():
            _check_parts(paths)
    shards = [Shard(day, False not in kinds, tuple(kinds[False not in kinds])) for day, kinds in sorted(tables.items())]
    superseded = [path for _, kinds in sorted(tables.items()) if len(kinds) > 1 for path in kinds[True]]
    return ShardList(tuple(shards), tuple(superseded))


def _check_parts(paths: list[Path]) -> None:
    """One whole table, or parts of one format: two exports of a table must not be added up."""
    endings = {"".join(path.suffixes) for path in paths}
    whole = [path for path in paths if "-" not in path.name]
    if len(paths) > 1 and (whole or len(endings) > 1):
        msg = f"{paths[0].name} and {paths[1].name} are two exports of one table: keep the newer, move the other away"
        raise DataError(msg)


def _parse_day(path: Path, digits: str) -> date:
    try:
        return datetime.strptime(digits, "%Y%m%d").date()  # noqa: DTZ007  a day has no zone of its own
    except ValueError:
        msg = f"{path.name} names the day {digits!r}, which is not in the calendar; rename or remove the file"
        raise DataError(msg) from None
