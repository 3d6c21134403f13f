"""State documents: what goes in comes out, and only plain data goes in."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from gaelp_rl.errors import CheckpointError
from gaelp_rl.training.state_codec import compute_state_hash, decode_state, encode_state

_PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
_ARRAYS = arrays(np.float32, array_shapes(max_side=3), elements=st.floats(-1e3, 1e3, width=32))
_STATES = st.recursive(
    _PLAIN | _ARRAYS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=12,
)


def _equal(one: Any, two: Any) -> bool:
    if isinstance(one, np.ndarray):
        return isinstance(two, np.ndarray) and one.dtype == two.dtype and np.array_equal(one, two)
    if isinstance(one, dict):
        return list(one) == list(two) and all(_equal(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(two) and len(one) == len(two) and all(map(_equal, one, two))
    return type(one) is type(two) and one == two


@given(_STATES)
def test_state_codec__decode_is_the_inverse_through_json(state: Any) -> None:
    document, stored = encode_state(state)
    assert _equal(decode_state(json.loads(json.dumps(document)), stored), state)


@pytest.mark.parametrize(
    ("state", "where"),
    [
        ({"a": {"b": object()}}, "state.a.b"),
        ({"a": np.array([None])}, "state.a"),
        ([{(1, 2): 3}], r"state\[0\]"),
        ({"f": print}, "state.f"),
    ],
)
def test_state_codec__names_what_it_cannot_hold(state: Any, where: str) -> None:
    with pytest.raises(CheckpointError, match=where):
        encode_state(state)


@pytest.mark.parametrize("document", [None, {}, {"array": "a9"}, {"surprise": 1}, {"plain": 1, "list": []}])
def test_state_codec__refuses_a_foreign_document(document: Any) -> None:
    with pytest.raises(CheckpointError):
        decode_state(document, {})


@given(_STATES)
def test_state_hash__survives_the_way_through_a_file(state: Any) -> None:
    document, stored = encode_state(state)
    again = decode_state(json.loads(json.dumps(document)), stored)
    assert compute_state_hash(again) == compute_state_hash(state)
    assert compute_state_hash([again]) != compute_state_hash(state)


@pytest.mark.parametrize(
    "other", [np.zeros((2, 3), np.float32), np.zeros((3, 2)), np.zeros((3, 2), np.float32) + 1e-30, np.zeros((0,))]
)
def test_state_hash__sees_shape_kind_and_the_last_bit(other: np.ndarray) -> None:
    assert compute_state_hash({"a": np.zeros((3, 2), np.float32)}) != compute_state_hash({"a": other})
