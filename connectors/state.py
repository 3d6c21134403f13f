"""What a platform holds now: the account, its campaigns, ad groups, bids and budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

from gaelp_rl.domain.bid_plan import PlanStatus
from gaelp_rl.domain.channels import Device
from gaelp_rl.domain.money import Micros

__all__ = ["Account", "AccountState", "AdGroupState", "CampaignState"]


@dataclass(frozen=True, slots=True)
class Account:
    """The advertiser's account.

    Attributes:
        id: the platform's id.
        name: as its owner calls it.
        currency: ISO 4217 code of every amount.
        time_zone: decides its days and hours.
    """

    id: str
    name: str
    currency: str
    time_zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class AdGroupState:
    """An ad group (Meta: ad set).

    Attributes:
        id: the platform's id.
        name: as its owner calls it.
        status: whether it may deliver.
        bid_micros: most to pay for a click; None where none is set.
        daily_budget_micros: None where budgets sit at the campaign.
        creatives: ids of its ads.
    """

    id: str
    name: str
    status: PlanStatus
    bid_micros: Micros | None
    daily_budget_micros: Micros | None
    creatives: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CampaignState:
    """A campaign.

    Attributes:
        id: the platform's id.
        name: as its owner calls it.
        status: whether it may deliver.
        daily_budget_micros: None where budgets sit at the ad group.
        budget_id: the budget's own id where it has one.
        budget_is_shared: whether other campaigns spend from the same budget.
        modifier_percent: bid modifiers by device in per cent of the bid; 100 where none is set.
        ad_groups: in the platform's order.
    """

    id: str
    name: str
    status: PlanStatus
    daily_budget_micros: Micros | None
    ad_groups: tuple[AdGroupState, ...]
    budget_id: str = ""
    budget_is_shared: bool = False
    modifier_percent: Mapping[Device, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class AccountState:
    """All campaigns of an account that are not removed, as read at ``as_of`` (aware UTC)."""

    account: Account
    as_of: datetime
    campaigns: tuple[CampaignState, ...]
