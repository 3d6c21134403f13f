"""Every row is accepted, quarantined with its field named, or a duplicate; none is lost."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaelp_rl.bootstrap.ga4_events import SeenKeys
from gaelp_rl.bootstrap.ga4_schema import EVENT_SCHEMA, OLDER_EVENT_SCHEMA
from gaelp_rl.errors import DataError
from tests.gaelp_rl.bootstrap.tiny_export import make_event, micros, read, tally, write_shard

NOON = "2026-01-06T12:00"
FAULTS = {
    "event_timestamp": [
        {"event_timestamp": None},
        {"event_timestamp": -1},
        {"event_timestamp": micros("2026-01-09T00:00")},
    ],
    "event_date": [{"event_date": None}, {"event_date": "20260105"}, {"event_date": "6 Jan"}],
    "event_name": [{"event_name": None}, {"event_name": ""}],
    "ecommerce.purchase_revenue": [
        {"ecommerce": {"purchase_revenue": -1.0}},
        {"ecommerce": {"purchase_revenue": float("nan")}},
        {"ecommerce": {"purchase_revenue": float("inf")}},
    ],
}


@pytest.mark.parametrize(("field", "fault"), [(field, fault) for field, faults in FAULTS.items() for fault in faults])
def test_read__quarantines_impossible_values_and_names_the_field(tmp_path, field, fault):
    write_shard(tmp_path, [make_event(NOON), make_event(NOON) | fault])
    assert tally(read(tmp_path)) == (2, 1, 0, {field: 1})


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("row", '{"event_date": "20260106", "event_ti'),
        ("row", "[1, 2]"),
        ("row", "NaN"),
        ("event_date", "null"),
        ("event_date", "{}"),
        ("event_timestamp", '{"event_date":"20260106","event_timestamp":"yesterday","event_name":"page_view"}'),
        ("event_timestamp", '{"event_date":"20260106","event_timestamp":1767700800000000.5,"event_name":"page_view"}'),
        (
            "device.category",
            '{"event_date":"20260106","event_timestamp":"1767700800000000","event_name":"page_view","device":"phone"}',
        ),
        (
            "event_params",
            '{"event_date":"20260106","event_timestamp":"1767700800000000","event_name":"x","event_params":"(none)"}',
        ),
        (
            "event_params.ga_session_id",
            '{"event_date":"20260106","event_timestamp":"1767700800000000","event_name":"x",'
            '"event_params":[{"key":"ga_session_id","value":{"int_value":"one"}}]}',
        ),
    ],
)
@pytest.mark.parametrize("others", [1, 200])
def test_read__quarantines_broken_lines_and_wrong_types(tmp_path, field, line, others):
    """Alone, and in a block that is parsed as a whole until it fails."""
    rows = [make_event(NOON) for _ in range(others)]
    write_shard(tmp_path, [*rows[: others // 2], line, *rows[others // 2 :]], ending=".jsonl.gz")
    assert tally(read(tmp_path)) == (others + 1, others, 0, {field: 1})


def test_read__json_lines_and_parquet_say_the_same(tmp_path):
    rows = [make_event(NOON, session=i, params={"value": 1.5 * i, "currency": "USD"}) for i in range(60)]
    rows += [make_event(NOON, "purchase", session=3, transaction="t", revenue=9.99), make_event(NOON, user=None)]
    rows.append(rows[0])
    exports = []
    for ending in (".parquet", ".jsonl", ".jsonl.gz"):
        write_shard(tmp_path / ending, rows, ending=ending)
        exports.append(read(tmp_path / ending))
    for other in exports[1:]:
        assert tally(other) == tally(exports[0]) == (63, 62, 1, {})
        for name in ("sessions", "conversions"):
            for ours, theirs in zip(getattr(exports[0], name), getattr(other, name), strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_read__older_tables_lack_columns_and_drifted_types_are_read(tmp_path):
    """2020's schema has neither traffic column; a table may hold its timestamps as text or as dates."""
    rows = [make_event(NOON, session=i, page="https://shop.example/?gclid=x") for i in range(3)]
    write_shard(tmp_path / "old", rows, schema=OLDER_EVENT_SCHEMA)
    narrow = pa.schema(
        [EVENT_SCHEMA.field(name) for name in ("event_date", "event_name", "user_pseudo_id", "event_params")]
    )
    for name, kind in (("text", pa.string()), ("date", pa.timestamp("us", tz="UTC")), ("float", pa.float64())):
        drifted = narrow.append(pa.field("event_timestamp", kind))
        cells = [str(row["event_timestamp"]) if name == "text" else row["event_timestamp"] for row in rows]
        write_shard(
            tmp_path / name, [row | {"event_timestamp": c} for row, c in zip(rows, cells, strict=True)], schema=drifted
        )
    starts = [read(tmp_path / name).sessions for name in ("old", "text", "date", "float")]
    for sessions in starts:
        np.testing.assert_array_equal(sessions.start, [micros(NOON)] * 3)
        assert sessions.has_click.all()


def test_read__one_bad_text_timestamp_does_not_take_its_column_with_it(tmp_path):
    drifted = EVENT_SCHEMA.set(1, pa.field("event_timestamp", pa.string()))
    rows = [make_event(NOON) for _ in range(3)]
    cells = [str(micros(NOON)), "noon", str(micros(NOON))]
    write_shard(tmp_path, [row | {"event_timestamp": c} for row, c in zip(rows, cells, strict=True)], schema=drifted)
    assert tally(read(tmp_path)) == (3, 2, 0, {"event_timestamp": 1})


def test_read__rows_without_ids_and_without_consent_are_accepted_and_counted_apart(tmp_path):
    denied = {"privacy_info": {"analytics_storage": "No"}}
    rows = [
        make_event(NOON),
        make_event(NOON, user=None),
        make_event(NOON, user=""),
        make_event(NOON, **denied),
        make_event(NOON, session=None),
        make_event(NOON, "purchase", user=None),
    ]
    write_shard(tmp_path, rows)
    export = read(tmp_path)
    one = export.tallies["events_20260106"]
    assert (one.accepted, one.without_user, one.consent_denied, one.without_session) == (6, 4, 1, 1)
    assert export.sessions.session.size == 1
    assert export.conversions.user.tolist() == [0]


def test_read__an_export_without_a_usable_row_is_refused(tmp_path):
    write_shard(tmp_path, [make_event(NOON) | {"event_name": None}])
    with pytest.raises(DataError, match="'event_name'"):
        read(tmp_path)


def test_read__a_corrupt_file_is_named(tmp_path):
    (tmp_path / "events_20260106.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match=r"events_20260106\.parquet cannot be read"):
        read(tmp_path)
    (tmp_path / "events_20260106.parquet").unlink()
    whole = write_shard(tmp_path, [make_event(NOON)], ending=".jsonl.gz")
    whole.write_bytes(whole.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"events_20260106\.jsonl\.gz cannot be read"):
        read(tmp_path)


KINDS = st.sampled_from(["good", "copy", *FAULTS, "row"])


@settings(max_examples=30)
@given(kinds=st.lists(KINDS, min_size=1, max_size=40), json_lines=st.booleans())
def test_read__rows_in_are_accepted_quarantined_or_duplicates(kinds, json_lines):
    """The identity, and each count against what was put in."""
    rows, expected = [make_event(NOON)], Counter(good=1)
    for kind in kinds:
        if kind == "row" and not json_lines:
            continue
        good = make_event(NOON)
        if kind in FAULTS:
            fault = FAULTS[kind][len(rows) % 2]
            rows.append(good | fault)
        else:
            rows.append({"good": good, "copy": rows[0], "row": "{broken"}[kind])
        expected[kind] += 1
    with tempfile.TemporaryDirectory() as folder:
        write_shard(Path(folder), rows, ending=".jsonl" if json_lines else ".parquet")
        rows_in, accepted, duplicates, quarantined = tally(read(Path(folder)))
    assert rows_in == len(rows) == accepted + duplicates + sum(quarantined.values())
    assert (accepted, duplicates) == (expected.pop("good"), expected.pop("copy", 0))
    assert quarantined == {kind: count for kind, count in expected.items() if count}


@given(st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=12))
def test_seen_keys__finds_what_a_set_finds(batches):
    seen, reference = SeenKeys(), set()
    for batch in batches:
        flags = seen.find_new(np.array(batch, dtype=np.uint64))
        for key, flag in zip(batch, flags.tolist(), strict=True):
            assert flag == (key not in reference)
            reference.add(key)
