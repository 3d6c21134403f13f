"""Reads an export's JSON lines, plain or gzipped, into the same flat batches as Parquet.

Lines in BigQuery's form (INT64 as strings, null fields left out) are parsed by the block; a block that is not
all in that form is halved until what is left is read line by line, cell by cell.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.json as pa_json

from gaelp_rl.bootstrap.ga4_columns import (
    BATCH_ROWS,
    FLAT_COLUMNS,
    PARAM_COLUMNS,
    PARAM_KINDS,
    PARAMS,
    FlatBatch,
    TypedColumn,
    flatten_batch,
    make_flat_batch,
    parse_cells,
)
from gaelp_rl.errors import DataError

__all__ = ["read_json_lines"]

_BLOCK_LINES = BATCH_ROWS // 16
_SLOW_LINES = 16


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
            while chunk := list(islice(lines, _BLOCK_LINES)):
                yield from _read_block(chunk)
    except (OSError, EOFError) as error:
        msg = f"{path} cannot be read as JSON lines: {error}; export the table again, or remove the file"
        raise DataError(msg) from error


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _make_block_schema() -> pa.Schema:
    """The wanted columns as JSON holds them: integers are strings there."""
    tree: dict[str, Any] = {}
    for path, kind in FLAT_COLUMNS.items():
        *parents, leaf = path.split(".")
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
        node[leaf] = pa.string() if pa.types.is_integer(kind) else kind
    held = pa.struct([(kind, pa.float64() if kind in _FLOAT_KINDS else pa.string()) for kind in PARAM_KINDS])
    params = pa.list_(pa.struct([("key", pa.string()), ("value", held)]))
    return pa.schema([(name, _make_type(node)) for name, node in tree.items()] + [(PARAMS, params)])


def _make_type(node: Any) -> pa.DataType:
    if isinstance(node, pa.DataType):
        return node
    return pa.struct([(name, _make_type(part)) for name, part in node.items()])


_FLOAT_KINDS = frozenset({"float_value", "double_value"})
_BLOCK_OPTIONS = pa_json.ParseOptions(explicit_schema=_make_block_schema(), unexpected_field_behavior="ignore")


def _read_block(lines: list[bytes]) -> Iterator[FlatBatch]:
    tables: list[pa.Table] = []
    others: list[bytes] = []
    _parse_block(lines, tables, others)
    if tables:
        yield flatten_batch(pa.concat_tables(tables).combine_chunks().to_batches()[0])
    if others:
        yield _read_slowly(others)


def _parse_block(lines: list[bytes], tables: list[pa.Table], others: list[bytes]) -> None:
    """Appends the lines that are in BigQuery's form as tables, and the few around one that is not as they are."""
    if len(lines) <= _SLOW_LINES:
        others += lines
        return
    text = b"".join(lines)
    try:
        reading = pa_json.ReadOptions(use_threads=False, block_size=len(text) + 1)
        table = pa_json.read_json(pa.BufferReader(text), reading, _BLOCK_OPTIONS)
    except pa.ArrowException:
        table = None
    if table is not None and table.num_rows == len(lines):
        tables.append(table)
        return
    _parse_block(lines[: len(lines) // 2], tables, others)
    _parse_block(lines[len(lines) // 2 :], tables, others)


def _read_slowly(lines: list[bytes]) -> FlatBatch:
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
    """The record of a line, an empty one for ``null``; None where the line holds none."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if record is None:
        return {}
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
