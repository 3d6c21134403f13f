"""Report rows: parsed or quarantined, never guessed and never lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.domain.channels import Channel, Device
from gaelp_rl.domain.hourly_report import ConversionSource, parse_hourly_report, parse_hourly_reports
from gaelp_rl.domain.numbers import CensoredShare, Censoring
from gaelp_rl.errors import DataError, FieldError

ROW: dict[str, object] = {
    "account": "acme",
    "channel": "google",
    "campaign": 123456,
    "creative": "ad-7",
    "device": "mobile",
    "hour": "2026-01-02T07:00:00+01:00",
    "as_of": datetime(2026, 1, 2, 9, 5, tzinfo=UTC),
    "impressions": "1,234",
    "clicks": "56",
    "spend": "98.765432",
    "conversions": "2.5",
    "conversion_value": "250.00",
    "conversion_source": "platform",
    "currency": "USD",
    "eligible_impressions": "4,000",
    "lost_share_budget": "--",
    "lost_share_rank": "> 90%",
}


def test_parse_hourly_report__reads_every_column() -> None:
    report = parse_hourly_report(ROW)
    assert (report.account, report.channel, report.campaign, report.device) == (
        "acme",
        Channel.GOOGLE,
        "123456",
        Device.MOBILE,
    )
    assert report.hour == datetime(2026, 1, 2, 6, tzinfo=UTC)
    assert report.hour.utcoffset() == timedelta(0)
    assert (report.impressions, report.clicks, report.eligible_impressions) == (1234, 56, 4000)
    assert (report.spend_micros, report.conversions, report.conversion_value_micros) == (98_765_432, 2.5, 250_000_000)
    assert report.conversion_source is ConversionSource.PLATFORM
    assert report.lost_share_budget is None
    assert report.lost_share_rank == CensoredShare(0.9, Censoring.ABOVE)
    assert report.key == ("acme", Channel.GOOGLE, "123456", "ad-7", Device.MOBILE, report.hour)


def test_parse_hourly_report__takes_micros_instead_of_units() -> None:
    row = {key: cell for key, cell in ROW.items() if key != "spend"}
    assert parse_hourly_report(row | {"spend_micros": "98765432"}) == parse_hourly_report(ROW)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("clicks", {"clicks": "1,235"}),
        ("clicks", {"clicks": "--"}),
        ("clicks", {"clicks": True}),
        ("impressions", {"impressions": "NaN"}),
        ("impressions", {"impressions": -1}),
        ("impressions", {"eligible_impressions": 1233}),
        ("spend", {"spend": "1e309"}),
        ("spend", {"spend": None}),
        ("spend", {"spend_micros": 98_765_432}),
        ("spend_micros", {"spend": "-1"}),
        ("conversions", {"conversions": None}),
        ("conversions", {"conversions": -0.5}),
        ("conversion_value", {"conversion_value": "< 10%"}),
        ("channel", {"channel": "gogle"}),
        ("device", {"device": "fridge"}),
        ("conversion_source", {"conversion_source": None}),
        ("hour", {"hour": "2026-01-02T07:00:00"}),
        ("hour", {"hour": "2026-01-02T07:05:00Z"}),
        ("hour", {"hour": "yesterday"}),
        ("hour", {"hour": 7}),
        ("hour", {"hour": "0001-01-01T00:00:00+14:00"}),
        ("as_of", {"as_of": "2026-01-02T05:59:59Z"}),
        ("as_of", {"as_of": datetime(2026, 1, 2, 9)}),  # noqa: DTZ001 - a naive time is the case
        ("currency", {"currency": "usd"}),
        ("currency", {"currency": "ÄÖÜ"}),
        ("account", {"account": " "}),
        ("lost_share_rank", {"lost_share_rank": "95"}),
        ("clics", {"clics": 5}),
    ],
)
def test_parse_hourly_report__names_the_column_that_cannot_be_used(field, changes) -> None:
    with pytest.raises(FieldError) as caught:
        parse_hourly_report(ROW | changes)
    assert caught.value.field == field
    assert repr(field) in str(caught.value)


def test_parse_hourly_report__suggests_the_nearest_word() -> None:
    with pytest.raises(FieldError, match="Did you mean 'google'"):
        parse_hourly_report(ROW | {"channel": "gogle"})


def test_parse_hourly_report__accepts_half_hour_zones() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    report = parse_hourly_report(ROW | {"hour": datetime(2026, 1, 2, 7, tzinfo=india)})
    assert report.hour == datetime(2026, 1, 2, 1, 30, tzinfo=UTC)


def test_parse_hourly_reports__keeps_restatements_and_counts_duplicates() -> None:
    restated = ROW | {"as_of": "2026-01-02T10:05:00Z", "conversions": 3}
    parsed = parse_hourly_reports([ROW, restated, dict(ROW), ROW | {"spend": "98.765432000"}])
    assert len(parsed.accepted) == 2
    assert parsed.duplicates == 2
    assert parsed.quarantined == ()


def test_parse_hourly_reports__quarantines_two_readings_that_disagree() -> None:
    """Neither is more true than the other: guessing would hide a broken connector."""
    conflicting = ROW | {"clicks": 57}
    parsed = parse_hourly_reports([ROW, conflicting])
    assert parsed.accepted == (parse_hourly_report(ROW),)
    [(row, error)] = parsed.quarantined
    assert row is conflicting
    assert isinstance(error, DataError)
    assert "clicks 56 and 57" in str(error)


_CELLS = st.sampled_from(["--", "", None, "1,23", "NaN", "5", 7, "< 10%", True, -1])
_ROWS = st.lists(
    st.dictionaries(st.sampled_from(["clicks", "impressions", "conversions", "device"]), _CELLS, max_size=2).map(
        lambda changes: ROW | changes
    ),
    max_size=12,
)


@given(_ROWS)
def test_parse_hourly_reports__loses_no_row(rows) -> None:
    parsed = parse_hourly_reports(rows)
    assert len(rows) == len(parsed.accepted) + len(parsed.quarantined) + parsed.duplicates == parsed.num_rows
    assert len({(report.key, report.as_of) for report in parsed.accepted}) == len(parsed.accepted)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("creative", ""), ("hour", datetime(2026, 1, 2, 6)), ("clicks", 5.0), ("spend_micros", -1)],  # noqa: DTZ001
)
def test_hourly_report__checks_itself_however_it_is_made(field, wrong) -> None:
    with pytest.raises(FieldError, match=f"'{field}'"):
        replace(parse_hourly_report(ROW), **{field: wrong})
