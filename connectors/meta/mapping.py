"""Between Meta's objects and ours; pure, and free of its SDK."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from connectors.hours import ReportWindow, make_moment
from connectors.meta.schema import CAPABILITIES, DEVICE_BREAKDOWN, DEVICES, HOUR_BREAKDOWN
from connectors.money import make_minor_units, parse_minor_units
from connectors.operations import Operation, Setting
from connectors.rows import RowCollector
from connectors.state import Account, AdGroupState, CampaignState
from gaelp_rl.domain.bid_plan import PlanStatus
from gaelp_rl.domain.channels import Channel
from gaelp_rl.domain.numbers import parse_count, parse_money_micros
from gaelp_rl.errors import DataError, FieldError

__all__ = ["add_hour_row", "make_account", "make_campaigns", "make_parameters"]

_Node = Mapping[str, Any]


def make_account(node: _Node) -> Account:
    """The ad account."""
    return Account(str(node["account_id"]), node["name"], node["currency"], ZoneInfo(node["timezone_name"]))


def make_campaigns(
    campaigns: Iterable[_Node], ad_sets: Iterable[_Node], ads: Iterable[_Node], currency: str
) -> tuple[CampaignState, ...]:
    """All campaigns from three edges; budgets sit at the campaign or at the ad set, never at both."""
    creatives: defaultdict[str, list[str]] = defaultdict(list)
    for ad in ads:
        creatives[ad["adset_id"]].append(ad["id"])
    groups: defaultdict[str, list[AdGroupState]] = defaultdict(list)
    for ad_set in ad_sets:
        groups[ad_set["campaign_id"]].append(
            AdGroupState(
                id=ad_set["id"],
                name=ad_set["name"],
                status=_make_status(ad_set["status"]),
                bid_micros=_parse_amount("bid_amount", ad_set, currency),
                daily_budget_micros=_parse_amount("daily_budget", ad_set, currency),
                creatives=tuple(creatives[ad_set["id"]]),
            )
        )
    return tuple(
        CampaignState(
            id=campaign["id"],
            name=campaign["name"],
            status=_make_status(campaign["status"]),
            daily_budget_micros=_parse_amount("daily_budget", campaign, currency),
            ad_groups=tuple(groups[campaign["id"]]),
        )
        for campaign in campaigns
    )


def make_parameters(operation: Operation, currency: str) -> tuple[str, dict[str, object]]:
    """The node to post to, and what."""
    target, intended = operation.target, operation.intended
    node = target.ad_group or target.campaign
    if target.setting is Setting.STATUS:
        return node, {"status": "ACTIVE" if intended is PlanStatus.ENABLED else "PAUSED"}
    name = "bid_amount" if target.setting is Setting.BID else "daily_budget"
    return node, {name: make_minor_units(int(intended), currency)}


def add_hour_row(collector: RowCollector, row: _Node, account: Account, window: ReportWindow, as_of: datetime) -> None:
    """Takes one row of Insights; hours outside the window are passed over."""
    try:
        hour = _parse_hour(row, account.time_zone)
        if not window.holds(hour):
            return
        device = str(row.get(DEVICE_BREAKDOWN, ""))
        collector.add(
            {
                "account": account.id,
                "channel": Channel.META.value,
                "campaign": row["campaign_id"],
                "creative": row["ad_id"],
                "device": DEVICES.get(device),
                "hour": hour,
                "as_of": as_of,
                "impressions": parse_count("impressions", row.get("impressions")) or 0,
                "clicks": parse_count("clicks", row.get("clicks")) or 0,
                "spend_micros": parse_money_micros("spend", row.get("spend")) or 0,
                "currency": account.currency,
                "is_final": CAPABILITIES.is_final(hour, as_of),
            },
            device,
        )
    except KeyError as error:
        collector.reject(row, FieldError(str(error.args[0]), None, "is missing from a row of Insights"))
    except DataError as error:
        collector.reject(row, error)


def _parse_hour(row: _Node, zone: ZoneInfo) -> datetime:
    """Reads ``"02:00:00 - 02:59:59"`` on ``date_start``."""
    text = str(row[HOUR_BREAKDOWN])
    try:
        day, hour = date.fromisoformat(str(row["date_start"])), int(text[:2])
    except ValueError:
        raise FieldError(HOUR_BREAKDOWN, text, "is not an hour such as '02:00:00 - 02:59:59'") from None
    return make_moment(day, hour, zone)


def _parse_amount(field: str, node: _Node, currency: str) -> int | None:
    """None where the field is missing, or 0, with which Meta says that a budget sits elsewhere."""
    raw = node.get(field)
    return (parse_minor_units(field, raw, currency) or None) if raw is not None else None


def _make_status(text: str) -> PlanStatus:
    return PlanStatus.ENABLED if text == "ACTIVE" else PlanStatus.PAUSED
