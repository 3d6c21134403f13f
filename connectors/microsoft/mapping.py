"""Between Microsoft's objects and ours; pure, and free of its SDK."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from connectors.hours import ReportWindow
from connectors.microsoft.schema import (
    CAPABILITIES,
    DEVICE_CRITERIA,
    HOUR_COLUMNS,
    REPORT_DEVICES,
    REPORT_ZONE,
    SHARE_COLUMNS,
    TIME_ZONES,
)
from connectors.rows import RowCollector
from connectors.state import Account, AdGroupState, CampaignState
from gaelp_rl.domain.bid_plan import PlanStatus
from gaelp_rl.domain.channels import Channel, Device
from gaelp_rl.domain.daily_share import DailyShare
from gaelp_rl.domain.hourly_report import ConversionSource
from gaelp_rl.domain.numbers import CensoredShare, parse_count, parse_money_micros, parse_number, parse_share
from gaelp_rl.errors import DataError, FieldError, suggest

__all__ = [
    "add_hour_row",
    "make_account",
    "make_campaign",
    "make_report_request",
    "make_share",
    "read_archive",
    "read_csv",
    "read_modifiers",
]

_Node = Mapping[str, Any]
_MAX_REPORT_BYTES = 512 * 1024 * 1024


def make_account(node: _Node) -> Account:
    """The account; its time zone is one of Microsoft's own names.

    Raises:
        FieldError: a time zone that ``TIME_ZONES`` does not know.
    """
    zone = str(node["TimeZone"])
    if zone not in TIME_ZONES:
        raise FieldError("TimeZone", zone, f"is not a time zone of Microsoft Advertising.{suggest(zone, TIME_ZONES)}")
    return Account(str(node["Id"]), str(node["Name"]), str(node["CurrencyCode"]), ZoneInfo(TIME_ZONES[zone]))


def make_campaign(
    campaign: _Node, groups: Sequence[_Node], ads: Callable[[str], Sequence[_Node]], percents: Mapping[Device, int]
) -> CampaignState:
    """One campaign; a ``BudgetId`` means that its budget is shared."""
    budget_id = str(campaign.get("BudgetId") or "")
    return CampaignState(
        id=str(campaign["Id"]),
        name=str(campaign["Name"]),
        status=_make_status(str(campaign["Status"])),
        daily_budget_micros=parse_money_micros("DailyBudget", campaign.get("DailyBudget")),
        ad_groups=tuple(_make_ad_group(group, ads(str(group["Id"]))) for group in groups),
        budget_id=budget_id,
        budget_is_shared=bool(budget_id),
        modifier_percent=dict.fromkeys(Device, 100) | dict(percents),
    )


def read_modifiers(criteria: Sequence[_Node]) -> dict[Device, tuple[str, int]]:
    """Device criteria of one campaign: id and per cent of the bid (Microsoft counts what is added to it)."""
    found = {}
    for node in criteria:
        device = DEVICE_CRITERIA.get(str((node.get("Criterion") or {}).get("DeviceName")))
        if device is not None:
            added = parse_number("Multiplier", (node.get("CriterionBid") or {}).get("Multiplier")) or 0.0
            found[device] = (str(node["Id"]), 100 + round(added))
    return found


def make_report_request(kind: str, account: str, first: date, last: date) -> dict[str, object]:
    """The request of a report: ``hours`` by ad and device, or ``shares`` by campaign and day."""
    hourly = kind == "hours"
    name = "AdPerformanceReportRequest" if hourly else "CampaignPerformanceReportRequest"
    return {
        "Type": name,
        "ReportName": f"gaelp {kind}",
        "Format": "Csv",
        "FormatVersion": "2.0",
        "ExcludeReportHeader": True,
        "ExcludeReportFooter": True,
        "ExcludeColumnHeaders": False,
        "ReturnOnlyCompleteData": False,
        "Aggregation": "Hourly" if hourly else "Daily",
        "Columns": HOUR_COLUMNS if hourly else SHARE_COLUMNS,
        "Scope": {"AccountIds": [account]},
        "Time": {
            "CustomDateRangeStart": {"Day": first.day, "Month": first.month, "Year": first.year},
            "CustomDateRangeEnd": {"Day": last.day, "Month": last.month, "Year": last.year},
            "ReportTimeZone": REPORT_ZONE,
        },
    }


def read_archive(content: bytes) -> list[dict[str, str]]:
    """The rows of the one file in a downloaded archive.

    Raises:
        ValueError: it would unpack to more than ``_MAX_REPORT_BYTES``.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        member = archive.infolist()[0]
        if member.file_size > _MAX_REPORT_BYTES:
            msg = f"the report would unpack to {member.file_size} bytes: ask for fewer days"
            raise ValueError(msg)
        return list(read_csv(archive.read(member)))


def read_csv(content: bytes) -> Iterator[dict[str, str]]:
    """Rows of a downloaded report, by column."""
    yield from csv.DictReader(io.StringIO(content.decode("utf-8-sig")))


def add_hour_row(collector: RowCollector, row: _Node, account: Account, window: ReportWindow, as_of: datetime) -> None:
    """Takes one row of ``hours``, whose time is UTC; hours outside the window are passed over."""
    try:
        hour = _parse_hour(str(row["TimePeriod"]))
        if not window.holds(hour):
            return
        collector.add(
            {
                "account": account.id,
                "channel": Channel.MICROSOFT.value,
                "campaign": row["CampaignId"],
                "creative": row["AdId"],
                "device": REPORT_DEVICES.get(str(row["DeviceType"])),
                "hour": hour,
                "as_of": as_of,
                "impressions": parse_count("Impressions", row["Impressions"]) or 0,
                "clicks": parse_count("Clicks", row["Clicks"]) or 0,
                "spend_micros": parse_money_micros("Spend", row["Spend"]) or 0,
                "conversions": parse_number("ConversionsQualified", row["ConversionsQualified"]) or 0.0,
                "conversion_value_micros": parse_money_micros("Revenue", row["Revenue"]) or 0,
                "conversion_source": ConversionSource.PLATFORM.value,
                "currency": account.currency,
                "is_final": CAPABILITIES.is_final(hour, as_of),
            },
            str(row["DeviceType"]),
        )
    except KeyError as error:
        collector.reject(row, FieldError(str(error.args[0]), None, "is missing from the report's columns"))
    except DataError as error:
        collector.reject(row, error)


def make_share(row: _Node, account: Account, as_of: datetime) -> DailyShare | None:
    """One row of ``shares``; None where Microsoft does not report a share (yet)."""
    share = _parse_percent("ImpressionSharePercent", row)
    if share is None or not share.share:
        return None
    return DailyShare(
        account=account.id,
        channel=Channel.MICROSOFT,
        campaign=str(row["CampaignId"]),
        day=date.fromisoformat(str(row["TimePeriod"])),
        as_of=as_of,
        impressions=parse_count("Impressions", row["Impressions"]) or 0,
        impression_share=share,
        lost_share_budget=_parse_percent("ImpressionLostToBudgetPercent", row),
        lost_share_rank=_parse_percent("ImpressionLostToRankAggPercent", row),
    )


def _parse_hour(text: str) -> datetime:
    """Reads ``2026-01-02|7``."""
    day, _, hour = text.partition("|")
    try:
        moment = date.fromisoformat(day)
        start = datetime(moment.year, moment.month, moment.day, tzinfo=UTC) + timedelta(hours=int(hour))
    except ValueError:
        raise FieldError("TimePeriod", text, "is not an hour such as '2026-01-02|7'") from None
    return start


def _parse_percent(column: str, row: _Node) -> CensoredShare | None:
    """Per cent with or without its sign; empty where there is none."""
    text = str(row.get(column) or "").strip()
    if text and text[-1].isdigit():
        text += "%"
    return parse_share(column, text)


def _make_ad_group(group: _Node, ads: Sequence[_Node]) -> AdGroupState:
    return AdGroupState(
        id=str(group["Id"]),
        name=str(group["Name"]),
        status=_make_status(str(group["Status"])),
        bid_micros=parse_money_micros("CpcBid", (group.get("CpcBid") or {}).get("Amount")) or None,
        daily_budget_micros=None,
        creatives=tuple(str(ad["Id"]) for ad in ads),
    )


def _make_status(text: str) -> PlanStatus:
    """``BudgetPaused`` is a campaign that may deliver and has no money left."""
    return PlanStatus.ENABLED if text in {"Active", "BudgetPaused"} else PlanStatus.PAUSED
