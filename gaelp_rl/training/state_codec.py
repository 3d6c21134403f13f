"""Nested training state as a JSON document plus named arrays: what pickle does, without running code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.errors import CheckpointError

__all__ = ["compute_state_hash", "decode_state", "encode_state"]

_Arrays = dict[str, NDArray[Any]]


def encode_state(state: Any) -> tuple[Any, _Arrays]:
    """Splits a state into a document for ``json.dumps`` and arrays for ``numpy.savez``.

    Args:
        state: dicts (keys: text or whole numbers), lists, tuples, None, bools, numbers, text, numpy
            arrays and scalars, nested at will.

    Returns:
        The document and its arrays; ``decode_state`` is the inverse. NaN and infinities survive.

    Raises:
        CheckpointError: something else is in the state, or an array holds objects.
    """
    arrays: _Arrays = {}
    return _encode(state, arrays, "state"), arrays


def decode_state(document: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Puts a state together again.

    Raises:
        CheckpointError: the document is not one of ``encode_state``, or an array is missing.
    """
    try:
        return _decode(document, arrays)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        msg = f"the checkpoint's state document does not fit its arrays ({error!r}): take another checkpoint"
        raise CheckpointError(msg) from error


def compute_state_hash(state: Any) -> str:
    """Sha256 over everything in a state, as hex: equal for equal contents, whatever made them.

    Args:
        state: as ``encode_state`` takes it; dicts count as sequences of their items.

    Raises:
        CheckpointError: as ``encode_state``.
    """
    document, arrays = encode_state(state)
    digest = hashlib.sha256(json.dumps(document).encode())
    for array in arrays.values():
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _encode(node: Any, arrays: _Arrays, where: str) -> Any:
    if node is None or isinstance(node, bool | int | float | str):
        return {"plain": node}
    if isinstance(node, np.ndarray | np.generic):
        array = np.asarray(node)
        if array.dtype.kind not in "biufU":
            msg = f"{where} is an array of {array.dtype}; a checkpoint holds numbers and text only"
            raise CheckpointError(msg)
        name = f"a{len(arrays)}"
        arrays[name] = array
        return {"array": name}
    if isinstance(node, Mapping):
        if not all(isinstance(key, str | int) for key in node):
            msg = f"{where} has keys {list(node)[:5]!r}; a checkpoint's keys are text or whole numbers"
            raise CheckpointError(msg)
        return {"dict": [[key, _encode(part, arrays, f"{where}.{key}")] for key, part in node.items()]}
    if isinstance(node, list | tuple):
        kind = "list" if isinstance(node, list) else "tuple"
        return {kind: [_encode(part, arrays, f"{where}[{i}]") for i, part in enumerate(node)]}
    msg = f"{where} is a {type(node).__name__}; a checkpoint holds plain data and arrays only"
    raise CheckpointError(msg)


def _decode(node: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    ((kind, content),) = node.items()
    if kind == "plain":
        return content
    if kind == "array":
        return arrays[content]
    if kind == "dict":
        return {key: _decode(part, arrays) for key, part in content}
    if kind == "list":
        return [_decode(part, arrays) for part in content]
    if kind == "tuple":
        return tuple(_decode(part, arrays) for part in content)
    msg = f"unknown kind of node {kind!r}"
    raise ValueError(msg)
