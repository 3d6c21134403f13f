"""64-bit keys for text and for rows, by the batch: an id costs eight bytes, never a Python object."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["KeyArray", "combine_keys", "hash_strings"]

KeyArray = NDArray[np.uint64]
"""Keys; 0 stands for null."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: KeyArray) -> KeyArray:
    """The finaliser of SplitMix64, a bijection of 64-bit words."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def hash_strings(texts: pa.Array) -> KeyArray:
    """Hashes text: the sum over its bytes of (byte + 1) times a pseudo-random word of the position.

    Two different texts agree with probability of about 2^-56: among ten million, about one in a
    thousand that any two do.

    Args:
        texts: strings, nulls allowed.

    Returns:
        uint64 [n], 0 for null.

    Source: multilinear hashing, Lemire and Kaser, "Strongly universal string hashing is fast", 2014.
    """
    binary = texts.cast(pa.large_binary())
    _, raw_offsets, raw_data = binary.buffers()
    if len(binary) == 0 or raw_offsets is None:
        return np.zeros(len(binary), dtype=np.uint64)
    offsets = np.frombuffer(raw_offsets, dtype=np.int64)[binary.offset : binary.offset + len(binary) + 1]
    data = np.frombuffer(raw_data or b"", dtype=np.uint8)[offsets[0] : offsets[-1]]
    lengths = np.diff(offsets)
    starts = offsets[:-1] - offsets[0]
    position = np.arange(data.size, dtype=np.int64) - np.repeat(starts, lengths)
    weights = _mix(_GOLDEN * np.arange(1, int(lengths.max(initial=0)) + 2, dtype=np.uint64))
    sums = np.concatenate(([np.uint64(0)], np.cumsum((data.astype(np.uint64) + np.uint64(1)) * weights[position])))
    keys = _mix(sums[starts + lengths] - sums[starts] + lengths.astype(np.uint64) * _GOLDEN + np.uint64(1))
    keys[keys == 0] = 1
    keys[np.asarray(binary.is_null())] = 0
    return keys


def combine_keys(*columns: NDArray[Any]) -> KeyArray:
    """One key for each row of several columns.

    Args:
        columns: uint64 or int64 [n] each.

    Returns:
        uint64 [n], never 0.
    """
    key = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        key = _mix(key * np.uint64(3) + _mix(column.astype(np.uint64, copy=False) + _GOLDEN))
    key[key == 0] = 1
    return key
