"""Hourly facts: in the account's hours, with every conversion exactly once."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gaelp_rl.bootstrap.facts import FACT_SCHEMA, make_facts
from gaelp_rl.config.ga4 import Ga4Config
from tests.gaelp_rl.bootstrap.tiny_export import PAGE, make_event, micros, moment, read_attributed, write_by_day

ZONE = "America/New_York"


def make(tmp_path, rows, **settings):
    write_by_day(tmp_path, rows)
    table = make_facts(read_attributed(tmp_path, **settings), Ga4Config(**settings))
    assert table.schema == FACT_SCHEMA
    return table.to_pylist()


def pick(rows, *names):
    return [tuple(row[name] for name in names) for row in rows]


def test_make_facts__puts_a_conversion_into_the_hour_channel_and_device_of_its_click(tmp_path):
    rows = [
        make_event("2026-01-06T10:30", page=PAGE + "?fbclid=a"),
        make_event("2026-01-07T20:00", "purchase", session=2, device="desktop", revenue=10.0),
        make_event("2026-01-07T21:00", "purchase", user="else", device="tablet", revenue=4.0),
    ]
    found = make(tmp_path, rows)
    names = ("local_date", "local_hour", "channel", "device", "sessions", "landed_clicks", "conversions")
    assert pick(found, *names, "conversion_value_micros") == [
        ("2026-01-06", 10, "meta", "mobile", 1, 1, 1, 10_000_000),
        ("2026-01-07", 20, "unpaid", "desktop", 1, 0, 0, 0),
        ("2026-01-07", 21, "unpaid", "tablet", 1, 0, 1, 4_000_000),
    ]


def test_make_facts__hours_are_the_accounts_and_days_of_tables_the_propertys(tmp_path):
    """23:30 in New York on the 6th is 05:30 in Berlin on the 7th: shifted hours would teach the wrong hour of day."""
    rows = [make_event("2026-01-06T23:30", zone=ZONE, page=PAGE + "?gclid=a")]
    (row,) = make(tmp_path, rows, property_time_zone=ZONE, account_time_zone="Europe/Berlin")
    assert rows[0]["event_date"] == "20260106"
    assert (row["local_date"], row["local_hour"]) == ("2026-01-07", 5)
    assert moment(row["hour"].timestamp() * 1e6) == "2026-01-07 04:00"


def test_make_facts__a_day_of_25_hours_has_25(tmp_path):
    first = micros("2026-10-25T00:00", "Europe/Berlin")
    rows = [make_event(first + i * 3_600_000_000, session=i, zone="Europe/Berlin") for i in range(25)]
    found = make(tmp_path, rows, property_time_zone="Europe/Berlin", account_time_zone="Europe/Berlin")
    assert {row["local_date"] for row in found} == {"2026-10-25"}
    assert len({row["hour"] for row in found}) == 25
    assert sum(row["local_hour"] == 2 for row in found) == 2


def test_make_facts__marks_the_newest_days_provisional(tmp_path):
    """GA4 restates for 72 hours: of six days the newest four."""
    rows = [make_event(f"2026-01-0{day}T12:00", session=day) for day in range(1, 7)]
    assert pick(make(tmp_path, rows, provisional_days=4), "provisional") == [(False,)] * 2 + [(True,)] * 4


def test_make_facts__say_until_when_they_know(tmp_path):
    rows = [make_event("2026-01-06T10:30"), make_event("2026-01-06T17:45", session=2)]
    assert {moment(row["as_of"].timestamp() * 1e6) for row in make(tmp_path, rows)} == {"2026-01-06 17:45"}


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(st.integers(0, 100), st.sampled_from("abc"), st.booleans(), st.booleans()), min_size=1, max_size=25
    )
)
def test_make_facts__sums_are_the_exports(tmp_path_factory, visits):
    """Whatever the hours, sessions, clicks and conversions of all rows add up to what was read."""
    folder = tmp_path_factory.mktemp("facts")
    start = micros("2026-01-06T00:00")
    rows = []
    for i, (hours, user, is_click, buys) in enumerate(visits):
        page = PAGE + ("?gclid=a" if is_click else "")
        stamp = start + hours * 3_600_000_000
        rows.append(
            make_event(stamp, "purchase" if buys else "page_view", user, i, page, revenue=2.5 if buys else None)
        )
    write_by_day(folder, rows, ending=".jsonl")
    facts = make_facts(read_attributed(folder), Ga4Config()).to_pylist()
    bought = sum(buys for *_, buys in visits)
    sums = [sum(row[name] for row in facts) for name in ("sessions", "landed_clicks", "conversions")]
    assert sums == [len(visits), sum(is_click for _, _, is_click, _ in visits), bought]
    assert sum(row["conversion_value_micros"] for row in facts) == 2_500_000 * bought
