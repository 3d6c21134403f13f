"""GA4's conversions in platform rows: where they belong, as known at each reading, none invented."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gaelp_rl.bootstrap.report_join import join_reports
from gaelp_rl.config.ga4 import Ga4Config
from gaelp_rl.domain.channels import Channel, Device
from gaelp_rl.domain.hourly_report import ConversionSource, HourlyReport
from tests.gaelp_rl.bootstrap.tiny_export import PAGE, make_event, read_attributed, write_by_day

HOUR = datetime(2026, 1, 6, 10, tzinfo=UTC)
LATE = datetime(2026, 1, 30, tzinfo=UTC)


def make_report(
    channel=Channel.META, as_of=LATE, creative="a", device=Device.MOBILE, clicks=10, hour=HOUR, conversions=0.0
):
    return HourlyReport(
        account="acme",
        channel=channel,
        campaign="c",
        creative=creative,
        device=device,
        hour=hour,
        as_of=as_of,
        impressions=1000,
        clicks=clicks,
        spend_micros=5_000_000,
        conversions=conversions,
        conversion_value_micros=0,
        conversion_source=ConversionSource.PLATFORM,
        currency="USD",
    )


def write_export(tmp_path, key="fbclid", device="mobile"):
    """One click at 10:30 on the 6th that converts after 1, 30 and 100 hours; the export ends on the 20th."""
    rows = [make_event("2026-01-06T10:30", page=f"{PAGE}?{key}=x", device=device)]
    for i, when in enumerate(("2026-01-06T11:30", "2026-01-07T16:30", "2026-01-10T14:30"), start=2):
        rows.append(make_event(when, "purchase", session=i, revenue=10.0))
    rows += [make_event(f"2026-01-{day:02}T12:00", user="else", session=day) for day in range(6, 21)]
    write_by_day(tmp_path, rows)
    return read_attributed(tmp_path)


def join(attributed, *reports, **settings):
    return join_reports(reports, attributed, Ga4Config(**settings))


def test_join_reports__gives_each_reading_what_had_come_by_then(tmp_path):
    """GA4 is read about four hours late: of the conversions at 11:30, 16:30 (7th) and 14:30 (10th)."""
    moments = [datetime(2026, 1, *at, tzinfo=UTC) for at in ((6, 15, 29), (6, 15, 30), (7, 21), (12, 0))]
    joined = join(write_export(tmp_path), *(make_report(as_of=as_of) for as_of in moments))
    assert [(row.as_of, row.conversions) for row in joined.rows] == list(zip(moments, (0, 1, 2, 3), strict=True))
    assert {row.conversion_source for row in joined.rows} == {ConversionSource.GA4}
    assert joined.rows[-1].conversion_value_micros == 30_000_000


def test_join_reports__adds_the_readings_of_a_row_that_was_read_once(tmp_path):
    """So that the delay stays visible: 5 hours after the hour's start a conversion can be known first."""
    joined = join(write_export(tmp_path), make_report())
    first = HOUR + timedelta(hours=5)
    ages = [(row.as_of - first) / timedelta(hours=1) for row in joined.rows]
    assert ages[:-1] == [1, 6, 24, 72, 168, 336]
    assert [row.conversions for row in joined.rows] == [1, 1, 1, 2, 3, 3, 3]


def test_join_reports__claims_no_knowledge_past_the_end_of_the_export(tmp_path):
    joined = join(write_export(tmp_path), make_report(as_of=LATE), make_report(as_of=LATE + timedelta(days=1)))
    assert [row.as_of for row in joined.rows] == [datetime(2026, 1, 20, 16, tzinfo=UTC)]


def test_join_reports__leaves_platforms_that_count_by_hour_alone_and_compares(tmp_path):
    own = make_report(Channel.GOOGLE, conversions=2.0, clicks=4)
    joined = join(write_export(tmp_path, "gclid"), own)
    assert joined.rows == (own,)
    one = joined.channels[Channel.GOOGLE]
    assert (one.platform_clicks, one.landed_clicks, one.platform_conversions, one.ga4_conversions) == (4, 1, 2.0, 3)


def test_join_reports__shares_an_hour_over_creatives_by_clicks(tmp_path):
    reports = [make_report(creative="a", clicks=30), make_report(creative="b", clicks=10)]
    newest = join(write_export(tmp_path), *reports).rows[6::7]
    assert [(row.creative, row.conversions) for row in newest] == [("a", 2.25), ("b", 0.75)]
    assert sum(row.conversion_value_micros for row in newest) == 30_000_000


def test_join_reports__leaves_hours_that_the_export_does_not_cover_as_they_came(tmp_path):
    early, late = (make_report(hour=datetime(2026, 1, day, 10, tzinfo=UTC)) for day in (3, 25))
    joined = join(write_export(tmp_path), early, late)
    assert set(joined.rows) == {early, late}
    assert (joined.joined, joined.not_covered) == (0, 2)


@pytest.mark.parametrize(
    ("report", "device", "unjoined"),
    [
        (make_report(device=Device.DESKTOP), "mobile", 3),
        (make_report(device=None), "mobile", 0),
        (make_report(device=None), "smart tv", 0),
        (make_report(device=Device.MOBILE), "smart tv", 3),
    ],
)
def test_join_reports__counts_conversions_that_no_row_can_take(tmp_path, report, device, unjoined):
    joined = join(write_export(tmp_path, device=device), report)
    one = joined.channels[Channel.META]
    assert (one.ga4_conversions, one.unjoined_conversions) == (3 - unjoined, unjoined)
    assert joined.rows[-1].conversions == 3 - unjoined
