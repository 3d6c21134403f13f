"""From a plan to the writes that are missing: absolute values, one operation per setting of an entity."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from connectors.money import compute_unit_micros, round_down
from connectors.state import AccountState, AdGroupState, CampaignState
from gaelp_rl.domain.bid_plan import ChannelPlan, PlanStatus
from gaelp_rl.domain.channels import DEVICES, Device
from gaelp_rl.domain.money import Micros
from gaelp_rl.errors import PlanError

__all__ = [
    "LOWERING",
    "Operation",
    "Setting",
    "Target",
    "compute_rank",
    "list_settings",
    "plan_operations",
    "split_budget",
]

LOWERING = 1
"""Highest rank of operations that cannot raise spend."""


class Setting(StrEnum):
    """What an operation sets."""

    STATUS = "status"
    DAILY_BUDGET = "daily_budget"
    BID = "bid"
    DEVICE_MODIFIER = "device_modifier"


@dataclass(frozen=True, slots=True)
class Target:
    """The one thing that an operation sets.

    Attributes:
        setting: what is set.
        campaign: id of the campaign.
        ad_group: id of the ad group; empty where the setting is the campaign's.
        device: of a device modifier.
        budget_id: of a budget that is an entity of its own; empty otherwise.
    """

    setting: Setting
    campaign: str
    ad_group: str = ""
    device: Device | None = None
    budget_id: str = ""

    def __str__(self) -> str:
        where = f"campaign {self.campaign}" + (f" ad group {self.ad_group}" if self.ad_group else "")
        return f"{self.setting}{f' {self.device}' if self.device else ''} of {where}"


@dataclass(frozen=True, slots=True)
class Operation:
    """One absolute write.

    Attributes:
        target: what is set.
        intended: micros, per cent of a modifier, or a status.
        previous: what the platform held when the operation was planned; None where nothing was set.
    """

    target: Target
    intended: int | PlanStatus
    previous: int | PlanStatus | None


def plan_operations(
    state: AccountState,
    plan: ChannelPlan,
    managed: Collection[str],
    *,
    device_modifiers: bool,
) -> list[Operation]:
    """Lists what must be written so that the account does what the plan says; nothing where it already does.

    The channel's budget is split over the managed campaigns (or their ad groups) in the proportions
    in which they hold budgets now, to the currency's unit and never above the plan's; every managed
    ad group bids the channel's bid. Ids that are not managed are never touched.

    A paused campaign is never given the money or bids it would run with later: it is only paused.
    Lowering comes before raising, so that a half-applied plan never spends more than either.

    Args:
        state: what the account holds.
        plan: what the channel is told.
        managed: ids of the campaigns that plans may change.
        device_modifiers: whether the platform has them.

    Returns:
        The operations, statuses that pause first, then budgets that sink, ..., statuses that enable last.

    Raises:
        PlanError: a managed campaign is missing, has no ad group, or shares its budget with others.
    """
    campaigns = _find_managed(state, managed)
    intended = _list_intended(campaigns, plan, state.account.currency, device_modifiers)
    present = list_settings(campaigns)
    operations = [
        Operation(target, value, present.get(target)) for target, value in intended if present.get(target) != value
    ]
    return sorted(operations, key=compute_rank)


def list_settings(campaigns: Collection[CampaignState]) -> dict[Target, int | PlanStatus]:
    """Everything that operations can set, with what it is set to now; unset bids are left out."""
    settings: dict[Target, int | PlanStatus] = {}
    for campaign in campaigns:
        settings[Target(Setting.STATUS, campaign.id)] = campaign.status
        if campaign.daily_budget_micros is not None:
            target = Target(Setting.DAILY_BUDGET, campaign.id, budget_id=campaign.budget_id)
            settings[target] = campaign.daily_budget_micros
        for device, percent in campaign.modifier_percent.items():
            settings[Target(Setting.DEVICE_MODIFIER, campaign.id, device=device)] = percent
        for group in campaign.ad_groups:
            if group.bid_micros is not None:
                settings[Target(Setting.BID, campaign.id, group.id)] = group.bid_micros
            if group.daily_budget_micros is not None:
                settings[Target(Setting.DAILY_BUDGET, campaign.id, group.id)] = group.daily_budget_micros
    return settings


def split_budget(total: Micros, weights: list[Micros], unit: Micros) -> list[Micros]:
    """Splits a budget in proportion, to whole units, by largest remainders.

    Splitting again by the result gives the result: pushing a plan twice writes nothing the second time.

    Args:
        total: to split; what is less than a unit is left out.
        weights: what each part holds now; equal parts where all are 0.
        unit: the smallest amount.

    Returns:
        One amount per weight, in order; they sum to ``total`` rounded down to a unit.
    """
    if not any(weights):
        weights = [1] * len(weights)
    units, whole = total // unit, sum(weights)
    parts = [units * weight // whole for weight in weights]
    remainders = [units * weight % whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-remainders[i], i))
    for i in by_remainder[: units - sum(parts)]:
        parts[i] += 1
    return [part * unit for part in parts]


def _find_managed(state: AccountState, managed: Collection[str]) -> list[CampaignState]:
    known = {campaign.id: campaign for campaign in state.campaigns}
    missing = sorted(set(managed) - set(known))
    if missing:
        msg = f"account {state.account.id} has no campaign {', '.join(missing)}: correct the managed campaigns"
        raise PlanError(msg)
    if not managed:
        msg = f"no campaign of account {state.account.id} is managed: name those that plans may change"
        raise PlanError(msg)
    campaigns = [campaign for campaign in state.campaigns if campaign.id in managed]
    for campaign in campaigns:
        if not campaign.ad_groups:
            msg = f"campaign {campaign.id} has no ad group to bid with: add one, or do not manage it"
            raise PlanError(msg)
        if campaign.budget_is_shared:
            msg = (
                f"campaign {campaign.id} spends from the shared budget {campaign.budget_id}: "
                "give it a budget of its own, since a change would reach campaigns that are not managed"
            )
            raise PlanError(msg)
    return campaigns


def _list_intended(
    campaigns: list[CampaignState], plan: ChannelPlan, currency: str, device_modifiers: bool
) -> Iterator[tuple[Target, int | PlanStatus]]:
    for campaign in campaigns:
        yield Target(Setting.STATUS, campaign.id), plan.status
    if plan.status is PlanStatus.PAUSED:
        return
    yield from _list_budgets(campaigns, plan.daily_budget_micros, currency)
    bid = round_down(plan.bid_micros, currency)
    if bid == 0:
        msg = f"a bid of {plan.bid_micros} micros is less than the smallest unit of {currency}: bid more, or pause"
        raise PlanError(msg)
    for campaign in campaigns:
        for group in campaign.ad_groups:
            yield Target(Setting.BID, campaign.id, group.id), bid
        for device in DEVICES if device_modifiers else ():
            percent = round(100 * plan.device_modifiers[device])
            yield Target(Setting.DEVICE_MODIFIER, campaign.id, device=device), percent


def _list_budgets(
    campaigns: list[CampaignState], total: Micros, currency: str
) -> Iterator[tuple[Target, int | PlanStatus]]:
    unit = compute_unit_micros(currency)
    holders: list[tuple[CampaignState, AdGroupState | None]] = []
    for campaign in campaigns:
        if campaign.daily_budget_micros is not None:
            holders.append((campaign, None))
        else:
            holders.extend((campaign, group) for group in campaign.ad_groups)
    weights = [(group or campaign).daily_budget_micros or 0 for campaign, group in holders]
    for (campaign, group), amount in zip(holders, split_budget(total, weights, unit), strict=True):
        if group is None:
            yield Target(Setting.DAILY_BUDGET, campaign.id, budget_id=campaign.budget_id), amount
        else:
            yield Target(Setting.DAILY_BUDGET, campaign.id, group.id), amount


def compute_rank(operation: Operation) -> int:
    """When an operation is sent: pauses (0), what lowers (1, ``LOWERING``), what raises (2), what enables (3)."""
    value, previous = operation.intended, operation.previous
    if isinstance(value, PlanStatus):
        return 0 if value is PlanStatus.PAUSED else 3
    lowers = isinstance(previous, int) and value < previous
    return LOWERING if lowers else 2
