"""Between Google's messages and ours; pure, and free of its SDK."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from connectors.google.schema import CAPABILITIES, DEVICES
from connectors.hours import ReportWindow, make_moment
from connectors.operations import Operation, Setting, Target
from connectors.rows import RowCollector
from connectors.state import Account, AdGroupState, CampaignState
from gaelp_rl.domain.bid_plan import PlanStatus
from gaelp_rl.domain.channels import Channel, Device
from gaelp_rl.domain.daily_share import DailyShare
from gaelp_rl.domain.hourly_report import ConversionSource
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.numbers import parse_share
from gaelp_rl.errors import DataError, PlanError

__all__ = ["MUTATIONS", "Mutation", "add_hour_row", "make_account", "make_campaigns", "make_share"]

_ENABLED, _PAUSED = 2, 3
_DEVICE_CRITERIA = {Device.DESKTOP: 30000, Device.MOBILE: 30001, Device.TABLET: 30002}
"""Ids of the device criteria that every campaign has."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """How one kind of setting is written.

    Attributes:
        service: of the API.
        method: of the service's client.
        request: message of the call.
        field: that is set, and the whole of the update mask.
        find_resource: name of the entity, below its customer.
        find_value: of the field.
    """

    service: str
    method: str
    request: str
    field: str
    find_resource: Callable[[Target], str]
    find_value: Callable[[Operation], float]


MUTATIONS: Mapping[Setting, Mutation] = {
    Setting.STATUS: Mutation(
        "CampaignService",
        "mutate_campaigns",
        "MutateCampaignsRequest",
        "status",
        lambda target: f"campaigns/{target.campaign}",
        lambda op: _ENABLED if op.intended is PlanStatus.ENABLED else _PAUSED,
    ),
    Setting.DAILY_BUDGET: Mutation(
        "CampaignBudgetService",
        "mutate_campaign_budgets",
        "MutateCampaignBudgetsRequest",
        "amount_micros",
        lambda target: f"campaignBudgets/{target.budget_id}",
        lambda op: int(op.intended),
    ),
    Setting.BID: Mutation(
        "AdGroupService",
        "mutate_ad_groups",
        "MutateAdGroupsRequest",
        "cpc_bid_micros",
        lambda target: f"adGroups/{target.ad_group}",
        lambda op: int(op.intended),
    ),
    Setting.DEVICE_MODIFIER: Mutation(
        "CampaignCriterionService",
        "mutate_campaign_criteria",
        "MutateCampaignCriteriaRequest",
        "bid_modifier",
        lambda target: f"campaignCriteria/{target.campaign}~{_find_criterion(target)}",
        lambda op: int(op.intended) / 100,
    ),
}


def make_account(row: Any) -> Account:
    """The customer that a query of ``account`` gave."""
    customer = row.customer
    return Account(str(customer.id), customer.descriptive_name, customer.currency_code, ZoneInfo(customer.time_zone))


def make_campaigns(
    campaigns: Iterable[Any], ad_groups: Iterable[Any], ads: Iterable[Any], modifiers: Iterable[Any]
) -> tuple[CampaignState, ...]:
    """All campaigns from the rows of four queries."""
    creatives: defaultdict[str, list[str]] = defaultdict(list)
    for row in ads:
        creatives[str(row.ad_group.id)].append(str(row.ad_group_ad.ad.id))
    groups: defaultdict[str, list[AdGroupState]] = defaultdict(list)
    for row in ad_groups:
        groups[str(row.campaign.id)].append(_make_ad_group(row.ad_group, creatives))
    percents: defaultdict[str, dict[Device, int]] = defaultdict(dict)
    for row in modifiers:
        device = DEVICES.get(row.campaign_criterion.device.type_)
        if device is not None:
            percents[str(row.campaign.id)][device] = round(100 * row.campaign_criterion.bid_modifier)
    return tuple(
        CampaignState(
            id=str(row.campaign.id),
            name=row.campaign.name,
            status=_make_status(row.campaign.status),
            daily_budget_micros=row.campaign_budget.amount_micros,
            ad_groups=tuple(groups[str(row.campaign.id)]),
            budget_id=str(row.campaign_budget.id),
            budget_is_shared=row.campaign_budget.explicitly_shared or row.campaign_budget.reference_count > 1,
            modifier_percent=dict.fromkeys(Device, 100) | percents[str(row.campaign.id)],
        )
        for row in campaigns
    )


def _make_ad_group(group: Any, creatives: Mapping[str, list[str]]) -> AdGroupState:
    return AdGroupState(
        id=str(group.id),
        name=group.name,
        status=_make_status(group.status),
        bid_micros=group.cpc_bid_micros or None,
        daily_budget_micros=None,
        creatives=tuple(creatives.get(str(group.id), ())),
    )


def _make_status(number: int) -> PlanStatus:
    return PlanStatus.ENABLED if number == _ENABLED else PlanStatus.PAUSED


def add_hour_row(collector: RowCollector, row: Any, account: Account, window: ReportWindow, as_of: datetime) -> None:
    """Takes one row of the query ``hours``; hours outside the window are passed over."""
    try:
        hour = make_moment(date.fromisoformat(row.segments.date), row.segments.hour, account.time_zone)
    except DataError as error:
        collector.reject({"date": row.segments.date, "hour": row.segments.hour, "ad": row.ad_group_ad.ad.id}, error)
        return
    if not window.holds(hour):
        return
    metrics = row.metrics
    collector.add(
        {
            "account": account.id,
            "channel": Channel.GOOGLE.value,
            "campaign": str(row.campaign.id),
            "creative": str(row.ad_group_ad.ad.id),
            "device": DEVICES.get(row.segments.device),
            "hour": hour,
            "as_of": as_of,
            "impressions": metrics.impressions,
            "clicks": metrics.clicks,
            "spend_micros": metrics.cost_micros,
            "conversions": metrics.conversions,
            "conversion_value_micros": round(metrics.conversions_value * MICROS),
            "conversion_source": ConversionSource.PLATFORM.value,
            "currency": account.currency,
            "is_final": CAPABILITIES.is_final(hour, as_of),
        },
        str(row.segments.device),
    )


def make_share(row: Any, account: Account, as_of: datetime) -> DailyShare | None:
    """One row of the query ``shares``; None where Google does not report a share (yet)."""
    metrics = row.metrics
    if not metrics.HasField("search_impression_share"):
        return None
    share = parse_share("search_impression_share", metrics.search_impression_share)
    if share is None or not share.share:
        return None
    lost = {
        name: parse_share(name, getattr(metrics, name)) if metrics.HasField(name) else None
        for name in ("search_budget_lost_impression_share", "search_rank_lost_impression_share")
    }
    return DailyShare(
        account=account.id,
        channel=Channel.GOOGLE,
        campaign=str(row.campaign.id),
        day=date.fromisoformat(row.segments.date),
        as_of=as_of,
        impressions=metrics.impressions,
        impression_share=share,
        lost_share_budget=lost["search_budget_lost_impression_share"],
        lost_share_rank=lost["search_rank_lost_impression_share"],
    )


def _find_criterion(target: Target) -> int:
    if target.device is None:
        msg = f"{target} names no device"
        raise PlanError(msg)
    return _DEVICE_CRITERIA[target.device]
