"""Parameters built by columns are those that a loop over events would build."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.ga4.params import Param, make_params

_CELL = st.tuples(st.booleans(), st.booleans(), st.booleans(), st.text(max_size=3), st.integers(-5, 5), st.floats(0, 1))


@settings(max_examples=30, deadline=None)
@given(st.lists(_CELL, min_size=1, max_size=12))
def test_make_params__equals_a_loop(rows: list[tuple[bool, bool, bool, str, int, float]]) -> None:
    has_text, has_integer, has_number, text, integer, number = (list(column) for column in zip(*rows, strict=True))
    made = make_params(
        [
            Param.integer("i", np.array(integer), np.array(has_integer)),
            Param.text("t", pa.array(text), np.array(has_text)),
            Param.number("n", np.array(number), np.array(has_number)),
            Param.text("again", pa.array(text), np.array(has_text)),
        ]
    )
    expected = []
    for carries_text, carries_integer, carries_number, own_text, own_integer, own_number in rows:
        own = [_describe("i", int_value=own_integer)] if carries_integer else []
        own += [_describe("t", string_value=own_text)] if carries_text else []
        own += [_describe("n", double_value=own_number)] if carries_number else []
        own += [_describe("again", string_value=own_text)] if carries_text else []
        expected.append(own)
    assert made.to_pylist() == expected


def _describe(key: str, **held: object) -> dict[str, object]:
    empty = dict.fromkeys(("string_value", "int_value", "float_value", "double_value"))
    return {"key": key, "value": empty | held}
