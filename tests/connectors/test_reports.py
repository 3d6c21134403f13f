"""Rows from several counters become one set of rows, and none is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.reports import ConversionCount, FetchedReports, join_conversions, parse_reports
from connectors.rows import RowCollector
from gaelp_rl.domain.channels import Channel
from gaelp_rl.domain.hourly_report import ConversionSource
from gaelp_rl.errors import DataError

HOUR = datetime(2026, 1, 2, 7, tzinfo=UTC)
AS_OF = HOUR + timedelta(hours=5)


def make_row(ad="a", device="mobile", hours=0, **changes):
    return {
        "account": "1",
        "channel": "meta",
        "campaign": "c",
        "creative": ad,
        "device": device,
        "hour": HOUR + timedelta(hours=hours),
        "as_of": AS_OF,
        "impressions": 10,
        "clicks": 2,
        "spend_micros": 5,
        "currency": "USD",
        **changes,
    }


def make_count(ad="a", device="mobile", hours=0, number=1.0, channel=Channel.META):
    return ConversionCount(channel, "c", ad, device, HOUR + timedelta(hours=hours), number, 100)


def fetch(*rows, counts=(), platform="meta"):
    return FetchedReports(platform, "1", "USD", AS_OF, tuple(rows), counts=tuple(counts))


PLACES = st.tuples(st.sampled_from("abx"), st.sampled_from(["mobile", "desktop", None]), st.integers(0, 2))


@given(rows=st.sets(PLACES), counts=st.lists(st.tuples(PLACES, st.integers(1, 5))))
def test_join__keeps_every_conversion_and_every_row(rows, counts):
    fetched = fetch(*(make_row(*place) for place in rows))
    counted = fetch(counts=[make_count(*place, number) for place, number in counts], platform="ga4")
    parsed = parse_reports(fetched, counted)
    assert not parsed.quarantined
    assert sum(row.conversions for row in parsed.accepted) == sum(number for _, number in counts)
    assert sum(row.conversion_value_micros for row in parsed.accepted) == 100 * len(counts)
    assert sum(row.impressions for row in parsed.accepted) == 10 * len(rows)
    assert {row.conversion_source for row in parsed.accepted} <= {ConversionSource.GA4}


def test_join__takes_counts_of_its_own_channel_only():
    counted = fetch(counts=[make_count(channel=Channel.GOOGLE)], platform="ga4")
    assert [row["conversions"] for row in join_conversions(fetch(make_row()), counted)] == [0]


def test_join__names_what_carries_no_tags():
    counted = fetch(counts=[ConversionCount(Channel.META, "", "", None, HOUR, 1.0, 0)], platform="ga4")
    parsed = parse_reports(fetch(), counted)
    assert [(row.campaign, row.creative) for row in parsed.accepted] == [("(not set)", "(not set)")]


def test_join__leaves_rows_that_have_conversions_of_their_own():
    row = make_row(conversions=3.0, conversion_value_micros=1, conversion_source="platform")
    joined = join_conversions(fetch(row), fetch(counts=[make_count()], platform="ga4"))
    assert joined[0] is row


def test_rows__of_finer_devices_are_added_up():
    collector = RowCollector()
    for phone in ("iphone", "android_smartphone"):
        collector.add(make_row(), phone)
    collector.add(make_row(device="tablet"), "ipad")
    rows = {row["device"]: row for row in collector.make_rows()}
    assert (rows["mobile"]["impressions"], rows["mobile"]["spend_micros"]) == (20, 10)
    assert rows["tablet"]["impressions"] == 10


def test_rows__that_come_twice_count_once():
    collector = RowCollector()
    for _ in range(3):
        collector.add(make_row(), "iphone")
    assert [row["impressions"] for row in collector.make_rows()] == [10]
    assert collector.duplicates == 2


def test_rows__that_disagree_keep_the_first_and_say_so():
    collector = RowCollector()
    collector.add(make_row(), "iphone")
    collector.add(make_row(clicks=9), "iphone")
    assert [row["clicks"] for row in collector.make_rows()] == [2]
    assert len(collector.quarantined) == 1


@pytest.mark.parametrize("num_bad", [0, 3])
def test_parse__accounts_for_every_wire_row(num_bad):
    collector = RowCollector()
    for _ in range(2):
        collector.add(make_row(conversions=1.0, conversion_value_micros=0, conversion_source="platform"), "iphone")
    for _ in range(num_bad):
        collector.reject({"x": 1}, DataError("bad"))
    fetched = FetchedReports(
        "meta",
        "1",
        "USD",
        AS_OF,
        collector.make_rows(),
        quarantined=tuple(collector.quarantined),
        duplicates=collector.duplicates,
    )
    parsed = parse_reports(fetched)
    assert parsed.num_rows == 2 + num_bad
    assert (len(parsed.accepted), len(parsed.quarantined), parsed.duplicates) == (1, num_bad, 1)
