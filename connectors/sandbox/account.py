"""The ad account that one sandbox server keeps: campaigns, their settings, and the log of their changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from connectors.operations import Setting
from gaelp_rl.domain.bid_plan import PlanStatus
from gaelp_rl.domain.channels import DEVICES, Channel, Device
from gaelp_rl.domain.money import Micros
from gaelp_rl.errors import WriteRefusedError

__all__ = ["Change", "SandboxAccount", "SandboxCampaign"]


@dataclass(frozen=True, slots=True)
class Change:
    """A write that changed something, in the order of application.

    Attributes:
        hour: of the market.
        setting: what.
        campaign: whose.
        device: of a modifier.
        before: micros, per cent or status.
        after: likewise.
    """

    hour: int
    setting: Setting
    campaign: str
    device: Device | None
    before: int | PlanStatus
    after: int | PlanStatus


@dataclass(slots=True)
class SandboxCampaign:
    """A campaign with one ad group of one ad.

    Attributes:
        index: on the market's campaign axis.
        id: the platform's id; the ids of budget, ad group and ad follow from it.
        name: shown.
        status: whether it may deliver.
        budget_micros: daily, wherever the platform keeps it.
        bid_micros: of the ad group.
        modifier_percent: by device.
        budget_references: campaigns that spend from the budget; above 1 it is shared.
    """

    index: int
    id: str
    name: str
    status: PlanStatus
    budget_micros: Micros
    bid_micros: Micros
    modifier_percent: dict[Device, int] = field(default_factory=lambda: dict.fromkeys(DEVICES, 100))
    budget_references: int = 1

    @property
    def budget_id(self) -> str:
        """Of platforms whose budgets are entities."""
        return f"4{self.id[1:]}"

    @property
    def ad_group_id(self) -> str:
        """Of its ad group or ad set."""
        return f"2{self.id[1:]}"

    @property
    def ad_id(self) -> str:
        """Of its ad."""
        return f"3{self.id[1:]}"


class SandboxAccount:
    """One channel's account.

    Attributes:
        channel: whose.
        id: the platform's account id.
        name: shown.
        currency: of every amount.
        time_zone: of its days.
        campaigns: by id.
        changes: every write that changed something.
        num_writes: writes that were applied, those that changed nothing included.
    """

    def __init__(
        self,
        channel: Channel,
        account_id: str,
        currency: str,
        time_zone: ZoneInfo,
        unit_micros: Micros,
        minimum_micros: Mapping[Setting, Micros],
    ) -> None:
        self.channel = channel
        self.id = account_id
        self.name = f"Sandbox {channel.value}"
        self.currency = currency
        self.time_zone = time_zone
        self.campaigns: dict[str, SandboxCampaign] = {}
        self.changes: list[Change] = []
        self.num_writes = 0
        self._unit = unit_micros
        self._minimum = minimum_micros

    def find_campaign(self, campaign_id: str) -> SandboxCampaign:
        """Raises ``WriteRefusedError`` where there is none."""
        try:
            return self.campaigns[campaign_id]
        except KeyError:
            msg = f"no campaign {campaign_id}"
            raise WriteRefusedError("not_found", msg) from None

    def find_by(self, kind: str, entity_id: str) -> SandboxCampaign:
        """The campaign that an ``ad_group`` or ``budget`` id belongs to."""
        if len(entity_id) < 2:
            msg = f"no {kind} {entity_id!r}"
            raise WriteRefusedError("not_found", msg)
        campaign = self.find_campaign(f"1{entity_id[1:]}")
        if getattr(campaign, f"{kind}_id") != entity_id:
            msg = f"no {kind} {entity_id}"
            raise WriteRefusedError("not_found", msg)
        return campaign

    def write(
        self,
        campaign: SandboxCampaign,
        setting: Setting,
        amount: int | PlanStatus,
        device: Device | None,
        hour: int,
        *,
        check_only: bool = False,
    ) -> None:
        """Applies one absolute write.

        Raises:
            WriteRefusedError: the platform's rules forbid it; nothing is changed.
        """
        self._check(setting, amount)
        if check_only:
            return
        self.num_writes += 1
        before = self._read(campaign, setting, device)
        if before == amount:
            return
        self.changes.append(Change(hour, setting, campaign.id, device, before, amount))
        if isinstance(amount, PlanStatus):
            campaign.status = amount
        elif setting is Setting.DAILY_BUDGET:
            campaign.budget_micros = amount
        elif setting is Setting.BID:
            campaign.bid_micros = amount
        elif device is not None:
            campaign.modifier_percent[device] = amount

    def _read(self, campaign: SandboxCampaign, setting: Setting, device: Device | None) -> int | PlanStatus:
        if setting is Setting.STATUS:
            return campaign.status
        if setting is Setting.DAILY_BUDGET:
            return campaign.budget_micros
        return campaign.bid_micros if device is None else campaign.modifier_percent[device]

    def _check(self, setting: Setting, amount: int | PlanStatus) -> None:
        if isinstance(amount, PlanStatus):
            return
        if setting is Setting.DEVICE_MODIFIER:
            if not 10 <= amount <= 1000:
                msg = f"a modifier of {amount} per cent is not between 10 and 1000"
                raise WriteRefusedError("out_of_range", msg)
            return
        if amount % self._unit:
            msg = f"{amount} micros are not a multiple of {self._unit}"
            raise WriteRefusedError("not_a_unit", msg)
        least = self._minimum.get(setting, self._unit)
        if amount < least:
            msg = f"{amount} micros are below the minimum of {least}"
            raise WriteRefusedError("below_minimum", msg)
