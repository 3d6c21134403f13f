"""Microsoft's own formats: hours in UTC, shares in per cent, time zones by the names of cities."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from openapi_client.models.customer.time_zone_type import TimeZoneType

from connectors.hours import ReportWindow
from connectors.microsoft.mapping import add_hour_row, make_account, make_campaign, make_share, read_csv, read_modifiers
from connectors.microsoft.schema import TIME_ZONES
from connectors.rows import RowCollector
from connectors.state import Account
from gaelp_rl.domain.bid_plan import PlanStatus
from gaelp_rl.domain.channels import Device
from gaelp_rl.domain.numbers import Censoring
from gaelp_rl.errors import FieldError

ACCOUNT = Account("1", "acme", "USD", ZoneInfo("America/New_York"))
AS_OF = datetime(2026, 1, 3, tzinfo=UTC)
WINDOW = ReportWindow(datetime(2026, 1, 1, tzinfo=UTC), AS_OF)
HEAD = (
    '"TimePeriod","CampaignId","AdId","DeviceType","Impressions","Clicks","Spend","ConversionsQualified","Revenue"\r\n'
)


def collect(line):
    collector = RowCollector()
    for row in read_csv(("\ufeff" + HEAD + line).encode()):
        add_hour_row(collector, row, ACCOUNT, WINDOW, AS_OF)
    return collector


def test_row__is_read_as_microsoft_writes_it():
    (row,) = collect('"2026-01-02|7","11","22","Smartphone","1,234","5","1,012.50","2.50","99.00"').make_rows()
    assert row["hour"] == datetime(2026, 1, 2, 7, tzinfo=UTC)
    assert (row["impressions"], row["clicks"], row["spend_micros"]) == (1234, 5, 1_012_500_000)
    assert (row["conversions"], row["conversion_value_micros"], row["device"]) == (2.5, 99_000_000, Device.MOBILE)


def test_row__of_another_screen_counts_without_a_device():
    (row,) = collect('"2026-01-02|7","11","22","Xbox","3","0","0.00","0","0"').make_rows()
    assert row["device"] is None


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('"2026-01-02","1","2","Tablet","1","0","0","0","0"', "TimePeriod"),
        ('"2026-01-02|25x","1","2","Tablet","1","0","0","0","0"', "TimePeriod"),
        ('"2026-01-02|7","1","2","Tablet","many","0","0","0","0"', "Impressions"),
        ('"2026-01-02|7","1","2","Tablet","1","0","$3","0","0"', "Spend"),
        ('"2026-01-02|7","1","2","Tablet","1","0","0","0","1e-9"', "Revenue"),
    ],
)
def test_row__that_cannot_be_read_is_kept_with_its_field(line, field):
    collector = collect(line)
    assert collector.make_rows() == ()
    assert field in str(collector.quarantined[0][1])


@pytest.mark.parametrize(("text", "share"), [("12.50%", 0.125), ("12.50", 0.125), ("100", 1.0)])
def test_share__is_per_cent_with_or_without_its_sign(text, share):
    row = {"TimePeriod": "2026-01-02", "CampaignId": "1", "Impressions": "10", "ImpressionSharePercent": text}
    found = make_share(row, ACCOUNT, AS_OF)
    assert (found.impression_share.share, found.day, found.lost_share_rank) == (share, date(2026, 1, 2), None)


def test_share__below_a_bound_stays_censored():
    row = {"TimePeriod": "2026-01-02", "CampaignId": "1", "Impressions": "10", "ImpressionSharePercent": "< 10%"}
    assert make_share(row, ACCOUNT, AS_OF).impression_share.censoring is Censoring.BELOW


@pytest.mark.parametrize("text", ["", "0%"])
def test_share__that_is_not_there_is_none(text):
    row = {"TimePeriod": "2026-01-02", "CampaignId": "1", "Impressions": "0", "ImpressionSharePercent": text}
    assert make_share(row, ACCOUNT, AS_OF) is None


def test_time_zones__cover_what_the_sdk_knows():
    """All but the date line, where nobody lives; each a zone that exists."""
    known = {member.value for member in TimeZoneType}
    assert known - set(TIME_ZONES) == {"InternationalDateLineWest"}
    assert set(TIME_ZONES.values()) <= available_timezones()


def test_account__in_an_unknown_zone_is_refused_by_name():
    node = {"Id": "1", "Name": "a", "CurrencyCode": "USD", "TimeZone": "EasternTimeUsCanada"}
    with pytest.raises(FieldError, match="EasternTimeUSCanada"):
        make_account(node)


def test_campaign__whose_budget_ran_out_may_still_deliver():
    node = {"Id": 1, "Name": "a", "Status": "BudgetPaused", "DailyBudget": 25.5, "BudgetId": None}
    campaign = make_campaign(node, [], lambda _: [], {})
    assert (campaign.status, campaign.daily_budget_micros, campaign.budget_is_shared) == (
        PlanStatus.ENABLED,
        25_500_000,
        False,
    )


def test_modifiers__count_from_the_bid():
    """Microsoft writes what is added, in per cent: -30 is 70 % of the bid."""
    nodes = [{"Id": 9, "Criterion": {"DeviceName": "Tablets"}, "CriterionBid": {"Multiplier": -30.0}}]
    assert read_modifiers(nodes) == {Device.TABLET: ("9", 70)}
