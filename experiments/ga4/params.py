"""``event_params``: an array of keys and values for every event, built by columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gaelp_rl.bootstrap.ga4_schema import EVENT_SCHEMA
from gaelp_rl.domain.reports import FloatArray, IntArray

__all__ = ["Param", "make_params"]


@dataclass(frozen=True, slots=True)
class Param:
    """One key of all events; exactly one of the three arrays holds its values.

    Attributes:
        key: its name.
        has: bool [events]; which events carry it.
        strings: text [events].
        integers: int64 [events].
        numbers: float64 [events].
    """

    key: str
    has: NDArray[np.bool_]
    strings: pa.Array | None = None
    integers: IntArray | None = None
    numbers: FloatArray | None = None

    @staticmethod
    def text(key: str, strings: pa.Array, has: NDArray[np.bool_]) -> Param:
        """A ``string_value``."""
        return Param(key, has, strings=strings)

    @staticmethod
    def integer(key: str, integers: IntArray, has: NDArray[np.bool_]) -> Param:
        """An ``int_value``."""
        return Param(key, has, integers=integers)

    @staticmethod
    def number(key: str, numbers: FloatArray, has: NDArray[np.bool_]) -> Param:
        """A ``double_value``."""
        return Param(key, has, numbers=numbers)


def make_params(params: list[Param]) -> pa.Array:
    """Interleaves the keys into one array per event, in the order given.

    Args:
        params: all of the same number of events.

    Returns:
        A ListArray of the type of ``event_params``, [events].
    """
    has = np.column_stack([param.has for param in params])
    event, column = np.nonzero(has)
    count = len(has)
    strings = [i for i, param in enumerate(params) if param.strings is not None]
    pool = pa.concat_arrays([params[i].strings for i in strings])
    rank = np.zeros(len(params), dtype=np.int64)
    rank[strings] = np.arange(len(strings))
    is_text = np.isin(column, strings)
    integers, is_integer = np.zeros(len(event), dtype=np.int64), np.zeros(len(event), dtype=np.bool_)
    numbers, is_number = np.zeros(len(event)), np.zeros(len(event), dtype=np.bool_)
    for i, param in enumerate(params):
        own = column == i
        if param.integers is not None:
            integers[own], is_integer[own] = param.integers[event[own]], True
        if param.numbers is not None:
            numbers[own], is_number[own] = param.numbers[event[own]], True
    kind = EVENT_SCHEMA.field("event_params").type
    value_kind = kind.value_type.field("value").type
    value = pa.StructArray.from_arrays(
        [
            pool.take(pa.array(rank[column] * count + event, mask=~is_text)),
            pa.array(integers, mask=~is_integer),
            pa.nulls(len(event), pa.float64()),
            pa.array(numbers, mask=~is_number),
        ],
        fields=list(value_kind),
    )
    keys = pa.array([param.key for param in params]).take(pa.array(column))
    entries = pa.StructArray.from_arrays([keys, value], fields=list(kind.value_type))
    offsets = np.concatenate(([0], has.sum(axis=1).cumsum())).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), entries, type=kind)
