"""Reads report rows and plans in force from CSV or Parquet files, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from gaelp_rl.domain.channels import DEVICES, Channel
from gaelp_rl.domain.hourly_report import ParsedReports, parse_hourly_reports
from gaelp_rl.domain.numbers import parse_number
from gaelp_rl.errors import DataError, FieldError, suggest
from gaelp_rl.response.observations import PlannedHour

__all__ = ["PLAN_COLUMNS", "load_plans", "load_reports"]

PLAN_COLUMNS = ("channel", "hour", "bid", "daily_budget", "active", *(f"modifier_{device}" for device in DEVICES))
"""Columns of a plans file; ``active`` and the modifiers may be missing: running, and 1."""

_REQUIRED_PLAN_COLUMNS = PLAN_COLUMNS[:4]
_BATCH_ROWS = 65_536
_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})


def load_reports(path: Path) -> ParsedReports:
    """Reads a file of report rows; see ``parse_hourly_reports`` for the columns.

    Args:
        path: ends in ``.csv`` or ``.parquet``. CSV cells are taken as text, empty ones as missing.

    Returns:
        Accepted and quarantined rows and the number of duplicates; together all rows of the file.

    Raises:
        DataError: the file is missing, of another type, or cannot be read.
    """
    return parse_hourly_reports(_read_rows(path))


def load_plans(path: Path) -> dict[tuple[Channel, datetime], PlannedHour]:
    """Reads a file of what was in force, one row per (channel, hour).

    Args:
        path: ends in ``.csv`` or ``.parquet``; columns ``PLAN_COLUMNS``: ``channel``; ``hour``, ISO 8601
            with its zone; ``bid``, currency units per click; ``daily_budget``, currency units;
            ``active``; ``modifier_mobile``, ``modifier_desktop``, ``modifier_tablet``.

    Returns:
        What was in force, by channel and start of the hour in UTC.

    Raises:
        DataError: the file cannot be read, or a column or cell cannot be used; the message names it.
    """
    plans: dict[tuple[Channel, datetime], PlannedHour] = {}
    for number, row in enumerate(_read_rows(path), start=1):
        try:
            key, planned = _parse_plan(row)
        except DataError as error:
            msg = f"{path}, plan {number}: {error}"
            raise DataError(msg) from None
        plans[key] = planned
    return plans


def _parse_plan(row: Mapping[str, object]) -> tuple[tuple[Channel, datetime], PlannedHour]:
    for column in row:
        if column not in PLAN_COLUMNS:
            raise FieldError(column, row[column], f"is in an unknown column.{suggest(column, PLAN_COLUMNS)}")
    for column in _REQUIRED_PLAN_COLUMNS:
        if row.get(column) is None:
            raise FieldError(column, None, f"is missing; a plan needs {', '.join(_REQUIRED_PLAN_COLUMNS)}")
    try:
        channel = Channel(str(row["channel"]))
    except ValueError:
        raise FieldError(
            "channel", row["channel"], f"is not a channel.{suggest(str(row['channel']), map(str, Channel))}"
        ) from None
    base, budget = _parse_amount(row, "bid"), _parse_amount(row, "daily_budget")
    modifiers = [_parse_amount(row, f"modifier_{device}", 1.0) for device in DEVICES]
    active = str(row.get("active", "true") if row.get("active") is not None else "true").lower()
    if active not in _TRUE | _FALSE:
        raise FieldError("active", row["active"], "is neither true nor false")
    planned = PlannedHour(tuple(base * modifier for modifier in modifiers), budget, active in _TRUE)
    return (channel, _parse_hour(row["hour"])), planned


def _parse_amount(row: Mapping[str, object], column: str, default: float = 0.0) -> float:
    amount = parse_number(column, row.get(column))
    if amount is not None and amount < 0.0:
        raise FieldError(column, row[column], "is negative; it must be 0 or more")
    return default if amount is None else amount


def _parse_hour(raw: object) -> datetime:
    try:
        moment = datetime.fromisoformat(raw) if isinstance(raw, str) else raw
    except ValueError:
        raise FieldError("hour", raw, "is not an ISO 8601 time such as '2026-01-02T07:00:00Z'") from None
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise FieldError("hour", raw, "has no time zone; add its offset, or 'Z' for UTC")
    return moment.astimezone(UTC)


def _read_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    if not path.is_file():
        near = suggest(path.name, (item.name for item in path.parent.glob("*"))) if path.parent.is_dir() else ""
        msg = f"no file {str(path)!r}.{near}"
        raise DataError(msg)
    readers = {".csv": _read_csv, ".parquet": _read_parquet}
    if path.suffix not in readers:
        msg = f"{path}: files that end in {path.suffix!r} cannot be read; give .csv or .parquet"
        raise DataError(msg)
    try:
        for batch in readers[path.suffix](path):
            yield from batch.to_pylist()
    except pa.ArrowException as error:
        msg = f"{path} cannot be read as {path.suffix[1:]}: {error}"
        raise DataError(msg) from error


def _read_parquet(path: Path) -> Iterator[Any]:
    yield from pq.ParquetFile(path).iter_batches(batch_size=_BATCH_ROWS)


def _read_csv(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8", newline="") as file:
        names = file.readline().rstrip("\r\n").replace('"', "").split(",")
    convert = pa_csv.ConvertOptions(
        column_types={name: pa.string() for name in names}, strings_can_be_null=True, null_values=[""]
    )
    with pa_csv.open_csv(path, convert_options=convert) as reader:
        yield from reader
