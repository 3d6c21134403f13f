"""The columns that the reader takes from an export, flat, whatever shape a table has.

A column that a table lacks is null. A type that drifted (an integer written as text, say) is read as
the type it should have; what cannot be is marked, with the column's name, and becomes null.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gaelp_rl.errors import DataError

__all__ = [
    "BATCH_ROWS",
    "FLAT_COLUMNS",
    "PARAMS",
    "PARAM_COLUMNS",
    "PARAM_KINDS",
    "FlatBatch",
    "TypedColumn",
    "flatten_batch",
    "make_flat_batch",
    "parse_cells",
    "read_parquet",
]

BATCH_ROWS = 65_536
"""Rows in memory at a time."""

FLAT_COLUMNS: dict[str, pa.DataType] = {
    "event_date": pa.string(),
    "event_timestamp": pa.int64(),
    "event_name": pa.string(),
    "user_pseudo_id": pa.string(),
    "event_bundle_sequence_id": pa.int64(),
    "batch_event_index": pa.int64(),
    "batch_page_id": pa.int64(),
    "batch_ordering_id": pa.int64(),
    "event_value_in_usd": pa.float64(),
    "privacy_info.analytics_storage": pa.string(),
    "device.category": pa.string(),
    "ecommerce.transaction_id": pa.string(),
    "ecommerce.purchase_revenue": pa.float64(),
    "collected_traffic_source.gclid": pa.string(),
    "collected_traffic_source.manual_source": pa.string(),
    "collected_traffic_source.manual_medium": pa.string(),
    "session_traffic_source_last_click.google_ads_campaign.campaign_id": pa.string(),
    "session_traffic_source_last_click.manual_campaign.source": pa.string(),
    "session_traffic_source_last_click.manual_campaign.medium": pa.string(),
    "session_traffic_source_last_click.cross_channel_campaign.source": pa.string(),
    "session_traffic_source_last_click.cross_channel_campaign.default_channel_group": pa.string(),
}
"""Path of every column that is read, and its type."""

PARAM_COLUMNS: dict[str, pa.DataType] = {
    "ga_session_id": pa.int64(),
    "page_location": pa.string(),
    "transaction_id": pa.string(),
    "currency": pa.string(),
    "value": pa.float64(),
}
"""Keys of ``event_params`` that are read, and their types; flat columns ``event_params.<key>``."""

PARAMS = "event_params"
"""The column of key-value pairs."""

PARAM_KINDS = ("string_value", "int_value", "double_value", "float_value")
"""Where a pair's value may stand."""

TypedColumn = tuple[pa.Array, NDArray[np.bool_]]
"""A column in its type, and where a cell could not be read as that type (it is null there), bool [rows]."""

_LIST_PARTS = frozenset({"list", "element", "item", "array", "bag"})


@dataclass(frozen=True, slots=True)
class FlatBatch:
    """Some rows of a table.

    Attributes:
        columns: by path, as ``FLAT_COLUMNS`` and ``event_params.<key>`` name them; [rows] each.
        malformed: by path, bool [rows]; cells that cannot be what their column holds. The path ``row``
            marks rows that are no records at all.
        num_rows: rows.
    """

    columns: dict[str, pa.Array]
    malformed: dict[str, NDArray[np.bool_]]
    num_rows: int


def read_parquet(path: Path) -> Iterator[FlatBatch]:
    """Reads a Parquet file in batches, only the columns that are needed.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        file = pq.ParquetFile(path)
        wanted = [leaf for leaf in _list_leaves(file) if _is_wanted(leaf)]
        if not wanted:
            for start in range(0, file.metadata.num_rows, BATCH_ROWS):
                yield make_flat_batch({}, min(BATCH_ROWS, file.metadata.num_rows - start))
            return
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=wanted, use_threads=False):
            yield flatten_batch(batch)
    except (pa.ArrowException, OSError) as error:
        msg = f"{path} cannot be read as Parquet: {error}; export the table again, or remove the file"
        raise DataError(msg) from error


def make_flat_batch(read: Mapping[str, TypedColumn], num_rows: int) -> FlatBatch:
    """Completes a batch: columns that a table lacks are null.

    Args:
        read: by path.
        num_rows: rows.
    """
    types = FLAT_COLUMNS | {f"{PARAMS}.{key}": kind for key, kind in PARAM_COLUMNS.items()}
    columns = {path: read[path][0] if path in read else pa.nulls(num_rows, kind) for path, kind in types.items()}
    return FlatBatch(columns, {path: bad for path, (_, bad) in read.items() if bad.any()}, num_rows)


def parse_cells(cells: Sequence[Any], kind: pa.DataType) -> TypedColumn:
    """Reads cells one by one as a type.

    Args:
        cells: Python objects, None for null.
        kind: string, int64 or float64.
    """
    parsed = [_parse_cell(cell, kind) for cell in cells]
    bad = np.array([item is _BAD for item in parsed], dtype=np.bool_)
    return pa.array([None if item is _BAD else item for item in parsed], kind), bad


def _coerce(column: pa.Array, kind: pa.DataType) -> TypedColumn:
    """Reads a column of any type as another; cell by cell only where the types do not convert."""
    fine = np.zeros(len(column), dtype=np.bool_)
    if column.type == kind or pa.types.is_null(column.type):
        return column.cast(kind), fine
    if pa.types.is_timestamp(column.type) and pa.types.is_integer(kind):
        return column.cast(pa.timestamp("us", column.type.tz)).cast(kind), fine
    if not pa.types.is_nested(column.type):
        try:
            return column.cast(kind), fine
        except pa.ArrowException:
            pass
    return parse_cells(column.to_pylist(), kind)


_BAD = object()


def _parse_cell(cell: Any, kind: pa.DataType) -> Any:
    """A cell as the column's type, None for null, ``_BAD`` where it cannot be."""
    if cell is None:
        return None
    if isinstance(cell, (dict, list, bool)):
        return _BAD
    if pa.types.is_string(kind):
        return str(cell)
    try:
        number = float(cell)
        if pa.types.is_floating(kind):
            return number
        whole = int(cell) if isinstance(cell, (int, str)) else int(number)
    except (TypeError, ValueError, OverflowError):
        return _BAD
    exact = isinstance(cell, str) or (math.isfinite(number) and whole == cell)
    return whole if exact and -(2**63) <= whole < 2**63 else _BAD


def _list_leaves(file: pq.ParquetFile) -> list[str]:
    return [file.schema.column(i).path for i in range(len(file.schema))]


def _is_wanted(leaf: str) -> bool:
    parts = [part for part in leaf.split(".") if part not in _LIST_PARTS]
    return parts[0] == PARAMS or ".".join(parts) in FLAT_COLUMNS


def flatten_batch(batch: pa.RecordBatch) -> FlatBatch:
    """Takes the columns that are needed out of nested ones, each in its type."""
    read: dict[str, TypedColumn] = {}
    for path, kind in FLAT_COLUMNS.items():
        column = _follow(batch, path.split("."))
        if column is not None:
            read[path] = _coerce(column, kind)
    if PARAMS in batch.schema.names:
        read |= _read_params(batch.column(PARAMS), batch.num_rows)
    return make_flat_batch(read, batch.num_rows)


def _follow(batch: pa.RecordBatch, parts: list[str]) -> pa.Array | None:
    if parts[0] not in batch.schema.names:
        return None
    column = batch.column(parts[0])
    for part in parts[1:]:
        if not pa.types.is_struct(column.type) or column.type.get_field_index(part) < 0:
            return None
        column = pc.struct_field(column, part)
    return column


def _read_params(params: pa.Array, num_rows: int) -> dict[str, TypedColumn]:
    """Flat columns of the keys that are read; of a key that comes twice in a row, the first."""
    if not (pa.types.is_list(params.type) or pa.types.is_large_list(params.type)):
        return {PARAMS: (pa.nulls(num_rows), np.asarray(params.is_valid()))}
    parent = np.asarray(pc.list_parent_indices(params))
    entries = pc.list_flatten(params)
    keys, held = pc.struct_field(entries, "key"), pc.struct_field(entries, "value")
    read = {}
    for key, kind in PARAM_COLUMNS.items():
        where = np.flatnonzero(np.asarray(pc.fill_null(pc.equal(keys, key), False)))
        rows, first = np.unique(parent[where], return_index=True)
        column, bad = _read_any_kind(held.take(pa.array(where[first])), kind)
        index = np.full(num_rows, -1, dtype=np.int64)
        index[rows] = np.arange(rows.size)
        spread = np.zeros(num_rows, dtype=np.bool_)
        spread[rows] = bad
        read[f"{PARAMS}.{key}"] = column.take(pa.array(index, mask=index < 0)), spread
    return read


def _read_any_kind(held: pa.Array, kind: pa.DataType) -> TypedColumn:
    """The kind of a parameter's struct that is not null, as the type that the key should have."""
    parts = [_coerce(pc.struct_field(held, name), kind) for name in PARAM_KINDS if held.type.get_field_index(name) >= 0]
    if not parts:
        return pa.nulls(len(held), kind), np.zeros(len(held), dtype=np.bool_)
    found = pc.coalesce(*(column for column, _ in parts))
    bad = np.any([flags for _, flags in parts], axis=0)
    return found, np.asarray(bad & np.asarray(found.is_null()))
