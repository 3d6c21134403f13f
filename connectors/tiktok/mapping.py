"""Between TikTok's objects and ours; pure, and free of its SDK."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from connectors.hours import ReportWindow, make_moment
from connectors.money import make_decimal
from connectors.operations import Operation, Setting
from connectors.rows import RowCollector
from connectors.state import Account, AdGroupState, CampaignState
from connectors.tiktok.schema import CAPABILITIES, VALUE_METRIC
from gaelp_rl.domain.bid_plan import PlanStatus
from gaelp_rl.domain.channels import Channel
from gaelp_rl.domain.hourly_report import ConversionSource
from gaelp_rl.domain.numbers import parse_count, parse_money_micros, parse_number
from gaelp_rl.errors import DataError, FieldError

__all__ = ["add_hour_row", "make_account", "make_body", "make_campaigns"]

_Node = Mapping[str, Any]


def make_account(node: _Node) -> Account:
    """The advertiser."""
    return Account(str(node["advertiser_id"]), node["name"], node["currency"], ZoneInfo(node["timezone"]))


def make_campaigns(
    campaigns: Iterable[_Node], ad_groups: Iterable[_Node], ads: Iterable[_Node]
) -> tuple[CampaignState, ...]:
    """All campaigns from three lists; a budget of 0 sits at the other level."""
    creatives: defaultdict[str, list[str]] = defaultdict(list)
    for ad in ads:
        creatives[str(ad["adgroup_id"])].append(str(ad["ad_id"]))
    groups: defaultdict[str, list[AdGroupState]] = defaultdict(list)
    for group in ad_groups:
        groups[str(group["campaign_id"])].append(
            AdGroupState(
                id=str(group["adgroup_id"]),
                name=group["adgroup_name"],
                status=_make_status(group["operation_status"]),
                bid_micros=parse_money_micros("bid_price", group.get("bid_price")) or None,
                daily_budget_micros=parse_money_micros("budget", group.get("budget")) or None,
                creatives=tuple(creatives[str(group["adgroup_id"])]),
            )
        )
    return tuple(
        CampaignState(
            id=str(campaign["campaign_id"]),
            name=campaign["campaign_name"],
            status=_make_status(campaign["operation_status"]),
            daily_budget_micros=parse_money_micros("budget", campaign.get("budget")) or None,
            ad_groups=tuple(groups[str(campaign["campaign_id"])]),
        )
        for campaign in campaigns
    )


def make_body(operation: Operation, advertiser: str) -> dict[str, object]:
    """What to post for a bid or a budget. A plain dict: the SDK's own class adds settings nobody asked for."""
    target, amount = operation.target, float(make_decimal(int(operation.intended)))
    name = "bid_price" if target.setting is Setting.BID else "budget"
    key, entity = ("adgroup_id", target.ad_group) if target.ad_group else ("campaign_id", target.campaign)
    return {"advertiser_id": advertiser, key: entity, name: amount}


def add_hour_row(collector: RowCollector, row: _Node, account: Account, window: ReportWindow, as_of: datetime) -> None:
    """Takes one row of a report; hours outside the window are passed over."""
    try:
        dimensions, metrics = row["dimensions"], row["metrics"]
        hour = _parse_hour(str(dimensions["stat_time_hour"]), account.time_zone)
        if not window.holds(hour):
            return
        collector.add(
            {
                "account": account.id,
                "channel": Channel.TIKTOK.value,
                "campaign": str(metrics["campaign_id"]),
                "creative": str(dimensions["ad_id"]),
                "device": None,
                "hour": hour,
                "as_of": as_of,
                "impressions": parse_count("impressions", metrics.get("impressions")) or 0,
                "clicks": parse_count("clicks", metrics.get("clicks")) or 0,
                "spend_micros": parse_money_micros("spend", metrics.get("spend")) or 0,
                "conversions": parse_number("conversion", metrics.get("conversion")) or 0.0,
                "conversion_value_micros": parse_money_micros(VALUE_METRIC, metrics.get(VALUE_METRIC)) or 0,
                "conversion_source": ConversionSource.PLATFORM.value,
                "currency": account.currency,
                "is_final": CAPABILITIES.is_final(hour, as_of),
            }
        )
    except KeyError as error:
        collector.reject(row, FieldError(str(error.args[0]), None, "is missing from a row of the report"))
    except DataError as error:
        collector.reject(row, error)


def _parse_hour(text: str, zone: ZoneInfo) -> datetime:
    """Reads ``"2026-11-02 05:00:00"``, the advertiser's wall clock."""
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        raise FieldError("stat_time_hour", text, "is not an hour such as '2026-11-02 05:00:00'") from None
    return make_moment(local.date(), local.hour, zone)


def _make_status(text: str) -> PlanStatus:
    return PlanStatus.ENABLED if text == "ENABLE" else PlanStatus.PAUSED
