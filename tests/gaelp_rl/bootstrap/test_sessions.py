"""Sessions, conversions and their clicks, against a slow implementation that shares no code."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

from gaelp_rl.bootstrap.channel_rules import SESSION_CHANNELS
from gaelp_rl.bootstrap.ga4_events import FACT_DEVICES
from gaelp_rl.config.ga4 import KeyEvent
from tests.gaelp_rl.bootstrap.tiny_export import (
    PAGE,
    make_event,
    micros,
    read,
    read_attributed,
    write_by_day,
    write_shard,
)

HOUR = 3_600_000_000
KEYS = (KeyEvent(name="purchase", default_value_micros=7), KeyEvent(name="lead", counting_method="once_per_session"))
CHANNEL_OF = {"gclid": "google", "fbclid": "meta", "ttclid": "tiktok", "msclkid": "microsoft"}


def test_sessions__need_user_and_session_id_together(tmp_path):
    """The same ``ga_session_id`` of two users is two sessions, and so are two ids of one user."""
    rows = [make_event("2026-01-06T10:00", user=u, session=s) for u in ("a", "b") for s in (1, 2) for _ in range(3)]
    write_shard(tmp_path, rows)
    assert read(tmp_path).sessions.session.size == 4


def test_sessions__the_earliest_event_tells_whatever_order_the_rows_have(tmp_path):
    """A click identifier on a later page is no landing; one on the first page is, wherever the row stands."""
    rows = [
        make_event("2026-01-06T10:05", page=PAGE + "?fbclid=late", device="desktop"),
        make_event("2026-01-06T10:00", page=PAGE + "?gclid=first", device="tablet"),
        make_event("2026-01-06T11:00", session=2),
        make_event("2026-01-06T11:01", session=2, page=PAGE + "?gclid=second"),
    ]
    write_shard(tmp_path, rows)
    clicks = read_attributed(tmp_path).clicks
    assert [SESSION_CHANNELS[c] for c in clicks.channel] == ["google"]
    assert [FACT_DEVICES[d] for d in clicks.device] == ["tablet"]
    assert clicks.timestamp.tolist() == [micros("2026-01-06T10:00")]


def test_sessions__of_events_at_one_instant_the_most_decisive_tells(tmp_path):
    """``session_start`` and the first ``page_view`` share their timestamp; either may carry the page."""
    rows = [make_event("2026-01-06T10:00", "session_start"), make_event("2026-01-06T10:00", page=PAGE + "?ttclid=x")]
    for order in (rows, rows[::-1]):
        write_shard(tmp_path, order)
        assert [SESSION_CHANNELS[c] for c in read_attributed(tmp_path).clicks.channel] == ["tiktok"]


def test_sessions__reach_over_midnight_into_the_next_table(tmp_path):
    rows = [
        make_event("2026-01-06T23:59", page=PAGE + "?gclid=x"),
        make_event("2026-01-07T00:01", page=PAGE + "?fbclid=y"),
    ]
    write_by_day(tmp_path, rows)
    sessions = read(tmp_path).sessions
    assert (sessions.session.size, sessions.start.tolist()) == (1, [micros("2026-01-06T23:59")])


def test_conversions__count_once_per_transaction_event_or_session(tmp_path):
    noon = "2026-01-06T12:00"
    rows = [
        make_event("2026-01-06T12:30", "purchase", transaction="T1", revenue=5.0),
        make_event(noon, "purchase", transaction="T1", revenue=5.0, session=2),
        make_event(noon, "purchase", revenue=2.0),
        make_event(noon, "purchase", transaction="(not set)", revenue=2.0),
        make_event(noon, "purchase", transaction="", revenue=2.0),
        *(make_event(noon, "lead") for _ in range(3)),
        make_event(noon, "lead", session=2),
        make_event(noon, "lead", params={"transaction_id": "T1"}),
        make_event(noon, "add_to_cart"),
    ]
    write_shard(tmp_path, rows)
    export = read(tmp_path, key_events=KEYS)
    assert Counter(export.conversions.key_event.tolist()) == {0: 4, 1: 3}
    assert export.repeated_key_events == 3
    assert export.conversions.timestamp.tolist() == [micros(noon)] * 7  # the earlier T1 stays


def test_conversions__take_their_value_from_revenue_parameter_dollars_or_default(tmp_path):
    when = "2026-01-06T12:00"
    rows = [
        make_event(when, "purchase", revenue=9.99, params={"value": 1.0}),
        make_event(when, "purchase", params={"value": 12}),
        make_event(when, "purchase", params={"value": 3.5, "currency": "usd"}),
        make_event(when, "purchase", params={"value": 3.5, "currency": "EUR"}, event_value_in_usd=4.25),
        make_event(when, "purchase", revenue=9.0, params={"currency": "EUR"}),
        make_event(when, "purchase"),
    ]
    write_shard(tmp_path, rows)
    values = read(tmp_path, key_events=KEYS).conversions.value_micros
    assert sorted(values.tolist()) == [7, 7, 3_500_000, 4_250_000, 9_990_000, 12_000_000]


EVENTS = st.fixed_dictionaries(
    {
        "user": st.sampled_from(["a", "b", "c", None]),
        "session": st.sampled_from([1, 2, 3, None]),
        "hours": st.integers(0, 90),
        "name": st.sampled_from(["page_view", "page_view", "purchase", "lead"]),
        "click": st.sampled_from([None, None, *CHANNEL_OF]),
        "device": st.sampled_from(["mobile", "desktop", "tablet", "smart tv"]),
        "transaction": st.sampled_from([None, "T1", "T2"]),
    }
)


@settings(max_examples=40)
@given(events=st.lists(EVENTS, min_size=1, max_size=30), first=st.booleans())
def test_attribution__agrees_with_a_slow_implementation(events, first):
    rows = [make_row(event) for event in events]
    with tempfile.TemporaryDirectory() as folder:
        write_by_day(Path(folder), rows, ending=".jsonl")
        model = "first_click" if first else "last_click"
        found = read_attributed(Path(folder), key_events=KEYS, lookback_days=1, attribution=model)
    clicks, conversions = found.clicks, found.export.conversions
    ours = Counter(
        (
            KEYS[k].name,
            stamp,
            (int(clicks.timestamp[at]), SESSION_CHANNELS[clicks.channel[at]], FACT_DEVICES[clicks.device[at]])
            if at >= 0
            else None,
        )
        for k, stamp, at in zip(
            conversions.key_event.tolist(), conversions.timestamp.tolist(), found.click_of.tolist(), strict=True
        )
    )
    expected_clicks, expected = attribute_slowly(rows, first)
    assert Counter(map(int, clicks.timestamp)) == Counter(stamp for _, stamp, _, _ in expected_clicks)
    assert ours == expected


def make_row(event):
    page = PAGE + (f"?{event['click']}=id" if event["click"] else "")
    stamp = micros("2026-01-06T00:00") + event["hours"] * HOUR
    return make_event(
        stamp, event["name"], event["user"], event["session"], page, event["device"], transaction=event["transaction"]
    )


def attribute_slowly(rows, first):
    """Plain Python over rows: clicks as (user, stamp, channel, device), conversions with their click."""
    sessions = defaultdict(list)
    for row in rows:
        params = read_params(row)
        if row["user_pseudo_id"] and "ga_session_id" in params:
            sessions[row["user_pseudo_id"], params["ga_session_id"]].append(row)
    clicks = [click for (user, _), own in sessions.items() if (click := find_click(user, own))]
    conversions = Counter()
    for name, row in list_conversions(rows):
        stamp = row["event_timestamp"]
        own = [c for c in clicks if c[0] == row["user_pseudo_id"] and 0 <= stamp - c[1] <= 24 * HOUR]
        chosen = (min if first else max)(own, key=rank_click, default=None)
        conversions[name, stamp, chosen[1:] if chosen else None] += 1
    return clicks, conversions


def rank_click(click):
    """At one instant the order of channels and devices decides."""
    return click[1], SESSION_CHANNELS.index(click[2]), FACT_DEVICES.index(click[3])


def read_params(row):
    return {pair["key"]: next(iter(pair["value"].values())) for pair in row["event_params"]}


def find_click(user, rows):
    start = min(row["event_timestamp"] for row in rows)
    landing = [row for row in rows if row["event_timestamp"] == start]
    ids = [key for row in landing for key in parse_qs(urlsplit(read_params(row)["page_location"]).query)]
    channels = [channel for key, channel in CHANNEL_OF.items() if key in ids]
    device = min((row["device"]["category"] for row in landing), key=["mobile", "desktop", "tablet", "smart tv"].index)
    return (user, start, channels[0], device.replace("smart tv", "other")) if channels else None


def list_conversions(rows):
    groups = defaultdict(list)
    for i, row in enumerate(rows):
        transaction = row.get("ecommerce", {}).get("transaction_id")
        session = read_params(row).get("ga_session_id")
        if row["event_name"] not in {"purchase", "lead"}:
            continue
        key = ("row", i)
        if transaction:
            key = ("transaction", transaction)
        elif row["event_name"] == "lead" and row["user_pseudo_id"] and session:
            key = ("session", row["user_pseudo_id"], session)
        groups[row["event_name"], key].append(row)
    return [(name, min(own, key=lambda row: row["event_timestamp"])) for (name, _), own in groups.items()]
