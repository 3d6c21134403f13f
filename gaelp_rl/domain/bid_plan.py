"""One account's bid plan, as a live platform takes it: absolute bids, budgets and states."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from gaelp_rl.domain.channels import CHANNEL_BID_KIND, CHANNELS, DEVICES, BidKind, Channel, Device
from gaelp_rl.domain.money import Micros
from gaelp_rl.errors import PlanError, suggest

__all__ = ["BidPlan", "ChannelPlan", "PlanStatus"]

_NEUTRAL_MODIFIERS: Mapping[Device, float] = MappingProxyType(dict.fromkeys(DEVICES, 1.0))


class PlanStatus(StrEnum):
    """Whether a channel may spend."""

    ENABLED = "enabled"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class ChannelPlan:
    """What one channel is told.

    Attributes:
        bid_micros: the bid, in the meaning of ``kind``; above 0 where the channel is enabled.
        kind: what the platform understands by a bid.
        daily_budget_micros: nominal daily budget, 0 or more.
        device_modifiers: multiplier of the bid per device, above 0; 1 where the platform has none.
        status: ENABLED or PAUSED.
    """

    bid_micros: Micros
    kind: BidKind
    daily_budget_micros: Micros
    device_modifiers: Mapping[Device, float] = field(default_factory=lambda: _NEUTRAL_MODIFIERS)
    status: PlanStatus = PlanStatus.ENABLED

    def __post_init__(self) -> None:
        object.__setattr__(self, "device_modifiers", MappingProxyType(dict(self.device_modifiers)))


@dataclass(frozen=True, slots=True)
class BidPlan:
    """The plan of one account for one hour; every channel is named, a pause included.

    Attributes:
        account: the advertiser's account.
        made_at: when the plan was made, aware UTC; not after the end of the hour it is for.
        valid_for_hour: start of the hour it is for, aware UTC.
        currency: ISO 4217 code of every amount.
        channels: a plan for each channel.
    """

    account: str
    made_at: datetime
    valid_for_hour: datetime
    currency: str
    channels: Mapping[Channel, ChannelPlan]

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", MappingProxyType(dict(self.channels)))
        self._check_head()
        for channel in self.channels:
            if channel not in CHANNELS:
                msg = f"plan for unknown channel {channel!r}.{suggest(str(channel), CHANNELS)}"
                raise PlanError(msg)
        for channel in CHANNELS:
            if channel not in self.channels:
                msg = f"plan has no {channel}: a plan is absolute; name every channel, PAUSED where it is not used"
                raise PlanError(msg)
            _check_channel_plan(channel, self.channels[channel])

    def _check_head(self) -> None:
        if not self.account:
            msg = "plan account is empty; a plan must say whose it is"
            raise PlanError(msg)
        code = self.currency
        if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
            msg = f"plan currency is {code!r}; it must be an ISO 4217 code such as 'USD'"
            raise PlanError(msg)
        for name in ("made_at", "valid_for_hour"):
            if getattr(self, name).utcoffset() != timedelta(0):
                msg = f"plan {name} is {getattr(self, name).isoformat()}; it must be aware UTC"
                raise PlanError(msg)
        if self.made_at >= self.valid_for_hour + timedelta(hours=1):
            msg = (
                f"plan made_at {self.made_at.isoformat()} is after its hour {self.valid_for_hour.isoformat()} has ended"
            )
            raise PlanError(msg)


def _check_channel_plan(channel: Channel, plan: ChannelPlan) -> None:
    for name in ("bid_micros", "daily_budget_micros"):
        amount = getattr(plan, name)
        if not isinstance(amount, int) or isinstance(amount, bool) or not 0 <= amount < 2**63:
            msg = f"{channel} {name} is {amount!r}; it must be a whole number of micros, 0 or more, within 64 bits"
            raise PlanError(msg)
    if plan.status is PlanStatus.ENABLED and plan.bid_micros == 0:
        msg = f"{channel} bid_micros is 0 while the channel is enabled; bid more or pause it"
        raise PlanError(msg)
    if plan.kind is not CHANNEL_BID_KIND[channel]:
        msg = f"{channel} kind is {plan.kind!r}; the channel takes {CHANNEL_BID_KIND[channel].value!r} bids"
        raise PlanError(msg)
    for device in DEVICES:
        modifier = plan.device_modifiers.get(device)
        if modifier is None or not math.isfinite(modifier) or modifier <= 0:
            msg = f"{channel} device_modifiers[{device}] is {modifier!r}; it must be a finite number above 0"
            raise PlanError(msg)
