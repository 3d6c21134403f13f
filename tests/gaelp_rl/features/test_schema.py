"""The schema: named, hashed, and growing at its end only."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.errors import SchemaError
from gaelp_rl.features.schema import FeatureSpec, ObservationSchema

FEATURES = tuple(FeatureSpec(f"google.f{i}", "share", -1.0, 1.0, neutral=i / 10) for i in range(6))


def _make_schema(size: int, version: int = 1) -> ObservationSchema:
    return ObservationSchema(version, FEATURES[:size])


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 3))
def test_fit__truncates_the_newer_and_pads_the_older(mine, theirs, worlds) -> None:
    observations = np.full((worlds, theirs), 7.0, dtype=np.float32)
    fitted = _make_schema(mine, 2).fit(observations, _make_schema(theirs))
    shared = min(mine, theirs)
    assert fitted.shape == (worlds, mine)
    assert (fitted[:, :shared] == 7.0).all()
    padding = np.float32([feature.neutral for feature in FEATURES[shared:mine]])
    np.testing.assert_array_equal(fitted[:, shared:], np.tile(padding, (worlds, 1)))


def test_fit__refuses_schemas_that_differ_before_their_end_and_names_both() -> None:
    mine = _make_schema(5)
    theirs = ObservationSchema(2, (*FEATURES[:2], replace(FEATURES[2], name="google.other"), *FEATURES[3:]))
    with pytest.raises(SchemaError) as caught:
        mine.fit(np.zeros((1, 6), dtype=np.float32), theirs)
    message = str(caught.value)
    for expected in (mine.hash[:12], theirs.hash[:12], "v1", "v2", "feature 2", "'google.f2'", "'google.other'"):
        assert expected in message


def test_fit__refuses_one_name_with_two_meanings() -> None:
    theirs = ObservationSchema(1, (replace(FEATURES[0], scaling=2.0), *FEATURES[1:]))
    with pytest.raises(SchemaError, match=r"'google.f0', is defined as .*scaling=1.0.*scaling=2.0"):
        _make_schema(6).fit(np.zeros((1, 6), dtype=np.float32), theirs)


@pytest.mark.parametrize("shape", [(2, 5), (7,), ()])
def test_fit__refuses_a_vector_of_another_size(shape) -> None:
    with pytest.raises(SchemaError, match="do not fit observation schema v1"):
        _make_schema(6).fit(np.zeros(shape, dtype=np.float32), _make_schema(6))


def test_hash__depends_on_everything_and_on_nothing_else() -> None:
    """A stored policy is refused if any of this changes, so none of it may slip through."""
    schema = _make_schema(3)
    assert schema.hash == _make_schema(3).hash
    changes = {"name": "meta.f1", "unit": "x", "low": -2.0, "high": 2.0, "scaling": 3.0, "neutral": 0.9}
    others = [
        ObservationSchema(1, (FEATURES[0], replace(FEATURES[1], **{field: new}), FEATURES[2]))
        for field, new in changes.items()
    ]
    others += [_make_schema(2), _make_schema(3, 2), ObservationSchema(1, FEATURES[2::-1])]
    assert len({schema.hash, *(other.hash for other in others)}) == 1 + len(others)


def test_hash__is_the_same_in_another_process() -> None:
    code = (
        "from gaelp_rl.features.schema import *; print(ObservationSchema(3, (FeatureSpec('a.b', 'c', 0., 1.),)).hash)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == ObservationSchema(3, (FeatureSpec("a.b", "c", 0.0, 1.0),)).hash


def test_index__finds_names_and_refuses_others() -> None:
    assert _make_schema(6).index("google.f4") == 4
    with pytest.raises(SchemaError, match=r"no feature 'google\.f9'"):
        _make_schema(6).index("google.f9")


def test_check__names_the_world_and_feature_that_is_not_finite() -> None:
    observations = np.zeros((3, 6), dtype=np.float32)
    _make_schema(6).check(observations)
    observations[1, 4] = np.nan
    with pytest.raises(SchemaError, match=r"world 1: google.f4 is nan"):
        _make_schema(6).check(observations)
    for wrong in (observations[:, :5], observations[0]):
        with pytest.raises(SchemaError, match="do not fit schema"):
            _make_schema(6).check(wrong)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "cvr"},
        {"name": ".cvr"},
        {"name": "google."},
        {"low": 1.0, "high": 1.0, "neutral": 1.0},
        {"low": 0.5},
        {"high": float("inf")},
        {"scaling": 0.0},
        {"neutral": float("nan")},
    ],
)
def test_feature_spec__refuses_what_has_no_meaning(changes) -> None:
    with pytest.raises(SchemaError, match="feature"):
        replace(FEATURES[0], **changes)


def test_schema__refuses_a_name_twice() -> None:
    with pytest.raises(SchemaError, match=r"'google\.f0' twice"):
        ObservationSchema(1, (FEATURES[0], FEATURES[0]))


def test_schema__bounds_cannot_be_written_to() -> None:
    schema = _make_schema(3)
    assert (schema.low.tolist(), schema.high.tolist()) == ([-1.0] * 3, [1.0] * 3)
    with pytest.raises(ValueError, match="read-only"):
        schema.low[0] = 5.0
