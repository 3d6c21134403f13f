"""The generated export adds up, is what its seed says, and is what the repository ships."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from experiments.ga4.export import FIRST_EDITION, make_site, run_ga4_export
from experiments.ga4.sessions import PAID_SOURCES
from experiments.ga4.settings import make_settings
from gaelp_rl.bootstrap.ga4_schema import EVENT_SCHEMA, OLDER_EVENT_SCHEMA
from gaelp_rl.domain.channels import CHANNELS, DEVICES
from gaelp_rl.errors import ConfigError
from gaelp_rl.response.report_files import load_plans, load_reports

SHIPPED = Path(__file__).parents[2] / "data" / "ga4"
_SILENT = {"console": Console(file=io.StringIO())}
_KEYS = ["user_pseudo_id", "event_timestamp", "event_name", "batch_event_index", "event_bundle_sequence_id"]
_QUICK = ["days=3", "daily_budget=150.0", "events=4000", "older_days=0"]
_QUICK += ["dirt.malformed=0.01", "dirt.duplicate=0.02", "dirt.late=0.2"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ga4") / "export"
    run_ga4_export(make_settings(small=True), out, **_SILENT)
    return out


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parquet alone, with more dirt."""
    out = tmp_path_factory.mktemp("plain") / "export"
    run_ga4_export(make_settings(_QUICK), out, **_SILENT)
    return out


def _load_truth(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "truth.json").read_text())


def _read_lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def _list_newest(folder: Path) -> Iterator[Path]:
    daily = {path.name.split("_")[-1]: path for path in folder.glob("events_[0-9]*")}
    streamed = {path.name.split("_")[-1]: path for path in folder.glob("events_intraday_*")}
    yield from (streamed | daily).values()


def _read_newest(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in _list_newest(folder)], promote_options="default")


def _is_whole(table: pa.Table) -> pa.Array:
    moment = table["event_timestamp"]
    sane = pc.and_(pc.greater(moment, 0), pc.less(moment, 4_000_000_000_000_000))
    return pc.fill_null(pc.and_kleene(sane, pc.is_valid(table["event_name"])), False)


def test_shipped_export__is_what_the_generator_writes(small: Path) -> None:
    """Compared by rows, not bytes: another Arrow may compress otherwise."""
    assert {p.relative_to(small) for p in small.rglob("*.*")} == {
        p.relative_to(SHIPPED) for p in SHIPPED.rglob("*.*") if p.name != "README.md"
    }
    for path in small.rglob("*.*"):
        shipped = SHIPPED / path.relative_to(small)
        if path.suffix == ".parquet":
            assert pq.read_table(path).equals(pq.read_table(shipped)), path.name
        elif path.suffix == ".gz":
            assert _read_lines(path) == _read_lines(shipped), path.name
        else:
            assert json.loads(path.read_text()) == json.loads(shipped.read_text())


def test_shipped_export__is_small_and_holds_every_kind_of_file() -> None:
    files = [p for p in SHIPPED.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) < 700_000
    truth = _load_truth(SHIPPED)
    editions = {(shard["edition"], shard["file"].partition(".")[2]) for shard in truth["shards"]}
    assert {("daily", "parquet"), ("daily", "jsonl.gz"), ("intraday", "parquet"), ("first", "parquet")} <= editions
    for count in ("duplicates", "malformed", "repeated_purchases", "no_user", "no_session", "late", "not_arrived"):
        assert truth["totals"][count] > 0, count


def test_shards__have_the_schema_of_their_age(small: Path) -> None:
    for shard in _load_truth(small)["shards"]:
        if shard["file"].endswith(".parquet"):
            expected = OLDER_EVENT_SCHEMA if shard["older"] else EVENT_SCHEMA
            assert pq.read_schema(small / shard["file"]).equals(expected)
    older = pq.read_table(next(small.glob("events_20260104*")))
    assert "session_traffic_source_last_click" not in older.column_names


def test_shards__rows_are_events_and_duplicates_and_malformed(small: Path, plain: Path) -> None:
    """The identity on which a reader's ``rows in = accepted + quarantined + duplicates`` is checked."""
    for folder in (small, plain):
        for shard in _load_truth(folder)["shards"]:
            path = folder / shard["file"]
            parquet = path.suffix == ".parquet"
            rows = pq.read_metadata(path).num_rows if parquet else len(_read_lines(path))
            assert rows == shard["rows"] == shard["events"] + shard["duplicates"] + shard["malformed"]
            if parquet:
                table = pq.read_table(path)
                whole = table.filter(_is_whole(table))
                assert len(table) - len(whole) == shard["malformed"]
                groups = whole.select(_KEYS).group_by(_KEYS).aggregate([])
                assert len(whole) - len(groups) == shard["duplicates"]
                assert len(groups) == shard["events"]


def test_totals__count_the_newest_edition_of_each_day_once(plain: Path) -> None:
    truth = _load_truth(plain)
    table = _read_newest(plain)
    assert len(table) == truth["totals"]["rows"]
    assert sum(truth["totals"]["by_name"].values()) == truth["totals"]["events"]
    whole = table.filter(_is_whole(table)).group_by([*_KEYS]).aggregate([])
    counts = {row["values"]: row["counts"] for row in pc.value_counts(whole["event_name"]).to_pylist()}
    assert counts == truth["totals"]["by_name"]


def test_events__lie_in_the_table_of_the_propertys_day(plain: Path) -> None:
    """New York is five hours behind in January: an event at 03:00 UTC is of the day before."""
    for path in _list_newest(plain):
        table = pq.read_table(path)
        table = table.filter(_is_whole(table))
        local = pc.subtract(table["event_timestamp"], 5 * 3_600_000_000).cast(pa.timestamp("us"))
        assert pc.all(pc.equal(pc.strftime(local, "%Y%m%d"), table["event_date"])).as_py()
        assert set(table["event_date"].to_pylist()) == {path.stem[-8:]}


def test_editions__late_events_come_with_the_restatement(plain: Path) -> None:
    """What was exported first is part of what is there now, and the difference is late."""
    firsts = sorted((plain / FIRST_EDITION).glob("events_*"))
    assert firsts
    for path in firsts:
        first, newest = pq.read_table(path), pq.read_table(plain / path.name)
        first, newest = (t.filter(_is_whole(t)).select(_KEYS) for t in (first, newest))
        assert set(map(str, first.to_pylist())) < set(map(str, newest.to_pylist()))
        shards = {shard["file"]: shard for shard in _load_truth(plain)["shards"]}
        before, after = shards[f"{FIRST_EDITION}/{path.name}"], shards[path.name]
        assert after["events"] - before["events"] == after["late"] - before["late"] > 0


def test_intraday__holds_no_attribution(plain: Path) -> None:
    for path in plain.glob("events_intraday_*"):
        table = pq.read_table(path)
        assert table["traffic_source"].null_count == len(table)
        assert table["session_traffic_source_last_click"].null_count == len(table)


def test_json_lines__follow_the_rules_of_the_bigquery_export(small: Path) -> None:
    """INT64 as text, nulls left out; damaged lines are exactly those counted."""
    path = next(small.glob("events_20260105.jsonl.gz"))
    bad = 0
    for line in _read_lines(path):
        try:
            row = json.loads(line)
            moment, params = int(row["event_timestamp"]), {p["key"]: p["value"] for p in row["event_params"]}
            _ = row["event_name"]
        except (ValueError, KeyError, TypeError):
            bad += 1
            continue
        assert isinstance(row["event_timestamp"], str)
        assert moment > 1_700_000_000_000_000
        assert None not in row.values()
        assert all(isinstance(p["int_value"], str) for p in params.values() if "int_value" in p)
    shard = next(s for s in _load_truth(small)["shards"] if s["file"] == path.name)
    assert bad == shard["malformed"] > 0


def test_paid__every_landing_carries_the_click_id_of_its_channel(plain: Path) -> None:
    """Landings by channel in the tables are those of the truth, all of them."""
    table = _read_newest(plain)
    table = table.filter(_is_whole(table))
    rows = [r for r in table.to_pylist() if r["event_name"] == "session_start"]
    channel_of = {"gclid": "google", "gbraid": "google", "wbraid": "google", "fbclid": "meta"}
    channel_of |= {"ttclid": "tiktok", "msclkid": "microsoft"}
    seen: dict[str, set[str]] = {channel: set() for channel in CHANNELS}
    for row in rows:
        page = next(p["value"]["string_value"] for p in row["event_params"] if p["key"] == "page_location")
        for kind, channel in channel_of.items():
            if f"{kind}=" in page:
                click_id = page.partition(f"{kind}=")[2]
                seen[channel].add(click_id)
                collected = row["collected_traffic_source"]
                assert (collected or {}).get("gclid") == (click_id if kind == "gclid" else None)
    truth = _load_truth(plain)
    for channel, ids in seen.items():
        landed = sum(cell["landed"] for cell in truth["paid"][channel].values())
        lost = truth["totals"]["not_arrived"]  # of all events; a few session_start among them
        assert landed - lost <= len(ids) <= landed


def test_paid__every_purchase_traces_to_its_click_or_to_nobodys(plain: Path) -> None:
    """A purchase of somebody who clicked is the one of clicks.parquet, to the microsecond; others never clicked."""
    table = _read_newest(plain)
    table = table.filter(_is_whole(table))
    buys = table.filter(pc.and_(pc.equal(table["event_name"], "purchase"), pc.is_valid(table["user_pseudo_id"])))
    clicks = pq.read_table(plain / "clicks.parquet")
    known = dict(zip(clicks["user_pseudo_id"].to_pylist(), clicks["conversion"].to_pylist(), strict=True))
    paid_sources = {"google-1", "meta-1", "tiktok-1", "microsoft-1"}
    traced: set[str] = set()
    for row in buys.select(["user_pseudo_id", "event_timestamp", "traffic_source"]).to_pylist():
        user = row["user_pseudo_id"]
        source = (row["traffic_source"] or {}).get("name")
        if user not in known:
            assert source not in paid_sources
            continue
        assert source is None or source in paid_sources
        assert row["event_timestamp"] in {known[user], known[user] + 45_000_000}  # sent again after 45 s
        traced.add(user)
    exported = sum(cell["conversions_exported"] for row in _load_truth(plain)["paid"].values() for cell in row.values())
    assert len(traced) >= exported > 0


def test_truth__agrees_with_reports(plain: Path) -> None:
    """Clicks by channel and device are those that the platforms report in the end; spend makes plans' CSV load."""
    truth = _load_truth(plain)["paid"]
    parsed = load_reports(plain / "reports.csv")
    assert not parsed.quarantined
    assert load_plans(plain / "plans.csv")
    last = {(r.channel, r.device, r.hour): r for r in sorted(parsed.accepted, key=lambda r: r.as_of)}
    for channel in ("google", "meta"):
        for device in DEVICES:
            rows = [r for (c, d, _), r in last.items() if c == channel and d == device]
            reported = sum(r.clicks for r in rows)
            hidden = truth[channel][device]["clicks"]
            assert hidden * 0.9 <= reported <= hidden  # the last hours have no row yet


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 1_000), days=st.integers(1, 3))
def test_site__is_a_function_of_its_seed(seed: int, days: int) -> None:
    asked = make_settings([f"seed={seed}", f"days={days}", "events=4000", "daily_budget=50.0"])
    one, two = make_site(asked), make_site(asked)
    assert np.array_equal(one.sessions.start, two.sessions.start)
    assert np.array_equal(one.clicks.conversion, two.clicks.conversion)
    other = make_site(asked.model_copy(update={"seed": seed + 1}))
    assert not np.array_equal(one.sessions.start[:50], other.sessions.start[:50])


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_site__conversions_are_the_markets(seed: int) -> None:
    """As many as the record holds, after their click, at the age in hours that the market drew."""
    site = make_site(make_settings([f"seed={seed}", "days=5", "events=20000", "daily_budget=400.0"]))
    clicks, record = site.clicks, site.account.record
    assert len(clicks) == record.clicks.sum()
    converted = clicks.conversion >= 0
    assert converted.sum() == len(record.arrivals)
    wait_hours = (clicks.conversion - clicks.moment)[converted] / 3_600e6
    assert (wait_hours > 0).all()
    for channel in range(PAID_SOURCES):
        ages = record.arrivals[record.arrivals[:, 2] == channel, 4]
        waited = np.ceil(wait_hours[clicks.channel[converted] == channel])
        assert np.array_equal(np.sort(waited[waited > 1]), np.sort(ages[ages > 1]))  # ages 0 and 1: within the hour
    assert clicks.landed[converted].all()


def test_export__refuses_a_folder_with_events_and_too_few_events(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds events already"):
        run_ga4_export(make_settings(_QUICK), plain, **_SILENT)
    with pytest.raises(ConfigError, match="paid clicks alone"):
        run_ga4_export(make_settings(["events=10", "days=1"]), tmp_path / "x", **_SILENT)
    assert not (tmp_path / "x").exists()


def test_export__writes_a_day_in_blocks(tmp_path: Path) -> None:
    """Memory is bounded by the block, whatever a day holds: 28,000 visits of a day are four row groups."""
    asked = ["days=1", "events=120000", "daily_budget=20.0", "property_time_zone=UTC", "older_days=0"]
    run_ga4_export(make_settings(asked), tmp_path, **_SILENT)
    groups = pq.read_metadata(tmp_path / "events_intraday_20260105.parquet")
    assert groups.num_row_groups == 4
    assert max(groups.row_group(i).num_rows for i in range(4)) < 8_000 * 6


@pytest.mark.parametrize("asked", [["daily_budget=0.01", "events=1"], ["daily_budget=0.01", "events=60"]])
def test_export__of_next_to_nothing_still_adds_up(asked: list[str], tmp_path: Path) -> None:
    """No click, hardly a visitor: empty tables with their schema, and a truth without rates."""
    run_ga4_export(make_settings([*asked, "days=2", "dirt.consent_denied=0"]), tmp_path, **_SILENT)
    truth = _load_truth(tmp_path)
    assert sum(pq.read_metadata(path).num_rows for path in _list_newest(tmp_path)) == truth["totals"]["rows"]
    assert truth["paid"]["google"]["mobile"]["expected_cvr"] is None
