"""Which files are read: each day once, whatever lies in the folder."""

from __future__ import annotations

import pytest

from gaelp_rl.bootstrap.ga4_shards import find_shards
from gaelp_rl.errors import DataError
from tests.gaelp_rl.bootstrap.tiny_export import make_event, read, tally, write_shard


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_find_shards__a_daily_table_replaces_the_intraday_one(tmp_path):
    touch(tmp_path, "events_intraday_20260106.parquet", "events_20260106.jsonl", "events_intraday_20260107.jsonl.gz")
    found = find_shards(tmp_path)
    assert [shard.name for shard in found.shards] == ["events_20260106", "events_intraday_20260107"]
    assert [path.name for path in found.superseded] == ["events_intraday_20260106.parquet"]


def test_find_shards__takes_the_parts_of_a_large_table_and_leaves_sub_folders_and_other_files(tmp_path):
    parts = [f"events_20260106-00000000000{i}.parquet" for i in range(3)]
    touch(
        tmp_path, *parts, "old/events_20260105.parquet", "events.csv", "events_20260106.txt", "users_20260106.parquet"
    )
    (shard,) = find_shards(tmp_path).shards
    assert [path.name for path in shard.paths] == parts


@pytest.mark.parametrize(
    "names",
    [
        ("events_20260106.parquet", "events_20260106.jsonl"),
        ("events_20260106.parquet", "events_20260106-000000000000.parquet"),
    ],
)
def test_find_shards__refuses_two_exports_of_one_table(tmp_path, names):
    """Adding them up would double every count."""
    touch(tmp_path, *names)
    with pytest.raises(DataError, match="two exports of one table"):
        find_shards(tmp_path)


def test_find_shards__says_what_is_missing(tmp_path):
    with pytest.raises(DataError, match="no folder"):
        find_shards(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no events_YYYYMMDD file"):
        find_shards(tmp_path)
    touch(tmp_path, "events_20261340.parquet")
    with pytest.raises(DataError, match="20261340"):
        find_shards(tmp_path)


def test_read__does_not_sum_intraday_and_daily(tmp_path):
    rows = [make_event("2026-01-06T10:00", session=i) for i in range(4)]
    write_shard(tmp_path, rows[:3], intraday=True)
    write_shard(tmp_path, rows)
    export = read(tmp_path)
    assert tally(export) == (4, 4, 0, {})
    assert export.sessions.session.size == 4


def test_read__a_table_exported_again_replaces_the_old_one(tmp_path):
    """GA4 restates a day for 72 hours: the late event of the second export counts, the others once."""
    rows = [make_event("2026-01-06T10:00", session=i) for i in range(3)]
    write_shard(tmp_path, rows[:2])
    assert read(tmp_path).sessions.session.size == 2
    write_shard(tmp_path, rows)
    assert read(tmp_path).sessions.session.size == 3
