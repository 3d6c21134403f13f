from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.tracking.params import MAX_PARAM_CHARACTERS, MAX_PER_BATCH, flatten_params, make_batches


def test_flatten_params__dotted_names() -> None:
    nested = {"a": 1, "b": {"c": [1, 2], "d": {"e": None}}, "empty": {}}
    assert flatten_params(nested) == {"a": "1", "b.c": "[1, 2]", "b.d.e": "None", "empty": "{}"}


def test_flatten_params__cuts_long_text_and_says_how_long_it_was() -> None:
    assert flatten_params({"a": "x" * 6000}) == {"a": "x" * 6000}
    cut = flatten_params({"a": "x" * 6001})["a"]
    assert len(cut) == 6000
    assert cut.endswith("x... (6001 characters)")


@pytest.mark.integration
def test_limits__are_those_of_the_installed_mlflow() -> None:
    from mlflow.utils import validation

    assert (validation.MAX_PARAM_VAL_LENGTH, validation.MAX_PARAMS_TAGS_PER_BATCH) == (
        MAX_PARAM_CHARACTERS,
        MAX_PER_BATCH,
    )


@given(st.lists(st.integers()), st.integers(1, 10))
def test_make_batches__keeps_everything_in_order(items: list[int], size: int) -> None:
    batches = list(make_batches(items, size))
    assert [item for batch in batches for item in batch] == items
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(1 <= len(batch) <= size for batch in batches)
