"""Reads an export's JSON lines, plain or gzipped, into the same flat batches as Parquet.

Source: BigQuery's JSON export writes INT64 as strings and leaves out null fields.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from gaelp_rl.bootstrap.ga4_columns import (
    BATCH_ROWS,
    FLAT_COLUMNS,
    PARAM_COLUMNS,
    PARAM_KINDS,
    PARAMS,
    FlatBatch,
    TypedColumn,
    make_flat_batch,
    parse_cells,
)
from gaelp_rl.errors import DataError

__all__ = ["read_json_lines"]

_BATCH_LINES = BATCH_ROWS // 4


def read_json_lines(path: Path) -> Iterator[FlatBatch]:
    """Reads a file in batches; a line that is no JSON object is marked, and none is lost but blank ones.

    Args:
        path: ends in ``.jsonl`` or ``.jsonl.gz``.

    Raises:
        DataError: the file cannot be read, or its gzip stream is broken.
    """
    try:
        with _open(path) as file:
            lines = (line for line in file if line.strip())
            while chunk := list(islice(lines, _BATCH_LINES)):
                yield _read_chunk(chunk)
    except (OSError, EOFError) as error:
        msg = f"{path} cannot be read as JSON lines: {error}; export the table again, or remove the file"
        raise DataError(msg) from error


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _read_chunk(lines: list[bytes]) -> FlatBatch:
    records = [_parse_line(line) for line in lines]
    broken = np.array([record is None for record in records], dtype=np.bool_)
    read: dict[str, TypedColumn] = {}
    for path, kind in FLAT_COLUMNS.items():
        parts = path.split(".")
        read[path] = parse_cells([_follow(record, parts) for record in records], kind)
    params = [_read_params(record) for record in records]
    for key, kind in PARAM_COLUMNS.items():
        read[f"{PARAMS}.{key}"] = parse_cells([found.get(key) for found in params], kind)
    batch = make_flat_batch(read, len(records))
    no_list = np.array([not isinstance((record or {}).get(PARAMS, []), list) for record in records], dtype=np.bool_)
    for name, bad in (("row", broken), (PARAMS, no_list)):
        if bad.any():
            batch.malformed[name] = bad
    return batch


def _parse_line(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _follow(record: dict[str, Any] | None, parts: list[str]) -> Any:
    """The cell at a path; a list, which no column can hold, where a struct on the way is none."""
    cell: Any = record
    for part in parts:
        if cell is None:
            return None
        if not isinstance(cell, dict):
            return []
        cell = cell.get(part)
    return cell


def _read_params(record: dict[str, Any] | None) -> dict[str, Any]:
    entries = record.get(PARAMS) if record else None
    found: dict[str, Any] = {}
    if not isinstance(entries, list):
        return found
    for entry in entries:
        key = entry.get("key") if isinstance(entry, dict) else None
        if key in PARAM_COLUMNS and key not in found:
            held = entry.get("value")
            kinds = [held.get(kind) for kind in PARAM_KINDS] if isinstance(held, dict) else [held]
            found[key] = next((cell for cell in kinds if cell is not None), None)
    return found
