"""The one simulated market behind all sandbox servers: its accounts, its clock, and what it reports when."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from connectors.money import compute_unit_micros
from connectors.operations import Setting
from connectors.sandbox.account import SandboxAccount, SandboxCampaign
from connectors.sandbox.cells import CellReport, DayShare
from connectors.sandbox.faults import Fault, FaultKind
from connectors.sandbox.market import HourOutcome, SandboxMarket
from gaelp_rl.domain.bid_plan import PlanStatus
from gaelp_rl.domain.channels import CHANNELS, DEVICES, NUM_DEVICES, Channel
from gaelp_rl.domain.money import MICROS, Micros
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.platform_rules import PLATFORM_RULES
from gaelp_rl.domain.reports import IntArray
from gaelp_rl.errors import ConfigError

__all__ = ["ACCOUNT_IDS", "SandboxWorld"]

ACCOUNT_IDS: dict[Channel, str] = {
    Channel.GOOGLE: "1234567890",
    Channel.META: "1002003004005",
    Channel.TIKTOK: "7000000000000000001",
    Channel.MICROSOFT: "180000001",
}
"""Of the sandbox's accounts."""

MINIMUM_MICROS: dict[Channel, dict[Setting, Micros]] = {
    Channel.GOOGLE: {},
    Channel.META: {Setting.DAILY_BUDGET: 1 * MICROS},
    Channel.TIKTOK: {Setting.DAILY_BUDGET: 20 * MICROS},
    Channel.MICROSOFT: {Setting.DAILY_BUDGET: 50_000, Setting.BID: 50_000},
}
"""Least amounts of USD accounts. Sources: TikTok 20 a day per ad group (ads.tiktok.com/help/article/
budget-and-bidding-faq); Microsoft 0.05 (advertising/guides currencies.md); Meta's edge ``minimumbudget``."""

_HOUR = timedelta(hours=1)
_UTC = ZoneInfo("UTC")
_HIDDEN_BELOW, _HIDDEN_ABOVE = 0.0999, 0.9001


class SandboxWorld:
    """Accounts on all channels over one market.

    Attributes:
        lock: held by whoever reads or changes anything.
        accounts: by channel.
        hour: hours that have passed.
        start: of hour 0, aware UTC: a midnight of the accounts' time zone.
        conversion_value_micros: what a conversion is worth.
        history: every hour's truth.
    """

    def __init__(
        self, market: SandboxMarket, first_day: date, time_zone: ZoneInfo = _UTC, currency: str = "USD"
    ) -> None:
        """Opens the accounts with the market's initial plan.

        Args:
            market: at hour 0; stepped by the world only.
            first_day: whose midnight is hour 0.
            time_zone: of all accounts.
            currency: of all accounts.
        """
        if compute_unit_micros(currency) > 10_000:
            msg = f"currency {currency!r} has no cents, in which the market counts: take one that has"
            raise ConfigError(msg)
        self._market = market
        self.lock = threading.RLock()
        self.start = datetime(first_day.year, first_day.month, first_day.day, tzinfo=time_zone).astimezone(UTC)
        self.hour = 0
        self.time_zone = time_zone
        self.conversion_value_micros = market.conversion_value_micros
        self.history: list[HourOutcome] = []
        self.accounts = {channel: self._open_account(channel, currency) for channel in CHANNELS}
        self._fill_accounts(market.make_initial_plan())

    @property
    def now(self) -> datetime:
        """The simulated time, aware UTC."""
        return self.start + self.hour * _HOUR

    def advance(self, hours: int = 1) -> None:
        """Lets hours pass under the settings that the accounts hold."""
        with self.lock:
            for _ in range(hours):
                self.history.append(self._market.step(self._read_plan()))
                self.hour += 1

    def list_cells(
        self,
        channel: Channel,
        days: tuple[date, date],
        zone: ZoneInfo,
        *,
        device_split: bool = True,
        fault: Fault | None = None,
    ) -> list[CellReport]:
        """What a channel reports now about whole days, both included.

        Args:
            channel: whose.
            days: first and last.
            zone: whose days and hours.
            device_split: sums over devices where not.
            fault: one that concerns rows.

        Returns:
            Cells with impressions, by hour, campaign and device.
        """
        kind = fault.kind if fault else None
        lag = PLATFORM_RULES[channel].lag_hours + (kind is FaultKind.LATE_ROWS)
        first = max(self._find_hour(days[0], zone), 0)
        last = min(self._find_hour(days[1] + timedelta(days=1), zone), self.hour - lag)
        if last <= first:
            return []
        cells = self._make_cells(channel, first, last, zone, device_split=device_split)
        if kind is FaultKind.UNFINISHED_ROWS:
            cells = [cell.halve() if cell.local == cells[-1].local else cell for cell in cells]
        return cells

    def _make_cells(
        self, channel: Channel, first: int, last: int, zone: ZoneInfo, *, device_split: bool
    ) -> list[CellReport]:
        c = CHANNELS.index(channel)
        names = ("impressions", "clicks", "spend_micros")
        counts = [np.stack([getattr(hour, name)[:, c] for hour in self.history[first:last]]) for name in names]
        table = np.stack([*counts, self._count_conversions(c, first, last)])
        if not device_split:
            table = table.sum(axis=3, keepdims=True)
        campaigns = list(self.accounts[channel].campaigns.values())
        locals_ = [
            (self.start + hour * _HOUR).astimezone(zone).replace(tzinfo=None, fold=0) for hour in range(first, last)
        ]
        cells: dict[tuple[datetime, int, int], CellReport] = {}
        for h, i, d in zip(*(where.tolist() for where in table[0].nonzero()), strict=True):
            cell = CellReport(campaigns[i], d if device_split else None, locals_[h], *table[:, h, i, d].tolist())
            place = (locals_[h], i, d)
            cells[place] = cells[place].add(cell) if place in cells else cell
        return list(cells.values())

    def _find_hour(self, day: date, zone: ZoneInfo) -> int:
        """The market's hour at which a day begins."""
        return round((datetime(day.year, day.month, day.day, tzinfo=zone) - self.start) / _HOUR)

    def list_event_counts(self, channel: Channel, days: tuple[date, date]) -> list[tuple[datetime, int, int, int]]:
        """Conversions by the hour in which they happen: (wall clock, campaign index, device index, count).

        GA4 shows an hour once its data are as old as the channel's conversion lag says.
        """
        c = CHANNELS.index(channel)
        lag = PLATFORM_RULES[channel].conversion_lag_hours
        first = self._find_hour(days[0], self.time_zone)
        last = min(self._find_hour(days[1] + timedelta(days=1), self.time_zone), self.hour - lag)
        counts: Counter[tuple[datetime, int, int]] = Counter()
        for hour, outcome in enumerate(self.history):
            own = outcome.conversions[outcome.conversions[:, 1] == c]
            for campaign, _, device, age in own.tolist():
                if first <= hour + age < last:
                    local = (self.start + (hour + age) * _HOUR).astimezone(self.time_zone)
                    counts[local.replace(tzinfo=None, fold=0), campaign, device] += 1
        return [(*place, count) for place, count in sorted(counts.items())]

    def list_day_shares(self, channel: Channel, days: list[date]) -> list[DayShare]:
        """Impression shares of days that the platform has published, cut off where it cuts them off."""
        share_hour = PLATFORM_RULES[channel].share_hour
        if share_hour is None:
            return []
        shares = []
        for day in days:
            midnight = datetime(day.year, day.month, day.day, tzinfo=self.time_zone)
            end = midnight.astimezone(UTC) + timedelta(days=1)
            if self.now >= end + share_hour * _HOUR:
                shares += self._list_shares_of_day(channel, day, end)
        return shares

    def _list_shares_of_day(self, channel: Channel, day: date, end: datetime) -> list[DayShare]:
        c = CHANNELS.index(channel)
        last = round((end - self.start) / _HOUR)
        hours = self.history[max(last - 24, 0) : last]
        shares = []
        for campaign in self.accounts[channel].campaigns.values() if hours else ():
            won = sum(int(hour.impressions[campaign.index, c].sum()) for hour in hours)
            by_hour = [int(hour.eligible[campaign.index, c].sum()) for hour in hours]
            eligible = sum(by_hour)
            if not won:
                continue
            lost = sum(n * hour.lost_to_budget[campaign.index, c] for n, hour in zip(by_hour, hours, strict=True))
            to_budget = float(lost) / eligible
            to_rank = max(1.0 - won / eligible - to_budget, 0.0)
            shares.append(
                DayShare(
                    campaign,
                    day,
                    won,
                    max(won / eligible, _HIDDEN_BELOW),
                    min(to_budget, _HIDDEN_ABOVE),
                    min(to_rank, _HIDDEN_ABOVE),
                )
            )
        return shares

    def _count_conversions(self, c: int, first: int, last: int) -> IntArray:
        """Conversions of click hours as reported by now, int64 [hours, campaigns, devices]."""
        rules = PLATFORM_RULES[CHANNELS[c]]
        lag = 1 + rules.lag_hours + rules.conversion_lag_hours
        counts = np.zeros((last - first, self._market.num_campaigns, NUM_DEVICES), dtype=np.int64)
        for at, outcome in enumerate(self.history[first:last]):
            own = outcome.conversions[outcome.conversions[:, 1] == c]
            seen = own[own[:, 3] <= self.hour - (first + at) - lag]
            np.add.at(counts[at], (seen[:, 0], seen[:, 2]), 1)
        return counts

    def _open_account(self, channel: Channel, currency: str) -> SandboxAccount:
        return SandboxAccount(
            channel,
            ACCOUNT_IDS[channel],
            currency,
            self.time_zone,
            compute_unit_micros(currency),
            MINIMUM_MICROS[channel] if currency == "USD" else {},
        )

    def _fill_accounts(self, plan: PlanBatch) -> None:
        for c, channel in enumerate(CHANNELS):
            for i in range(self._market.num_campaigns):
                campaign = SandboxCampaign(
                    index=i,
                    id=f"1{i + 1:05d}{c + 1}",
                    name=f"{channel.value} campaign {i + 1}",
                    status=PlanStatus.ENABLED if plan.active[i, c] else PlanStatus.PAUSED,
                    budget_micros=int(plan.daily_budget_micros[i, c]),
                    bid_micros=int(plan.bid_micros[i, c]),
                )
                self.accounts[channel].campaigns[campaign.id] = campaign

    def _read_plan(self) -> PlanBatch:
        campaigns = [list(self.accounts[channel].campaigns.values()) for channel in CHANNELS]
        return PlanBatch(
            bid_micros=np.array([[of.bid_micros for of in row] for row in zip(*campaigns, strict=True)]),
            daily_budget_micros=np.array([[of.budget_micros for of in row] for row in zip(*campaigns, strict=True)]),
            device_modifier=np.array(
                [
                    [[of.modifier_percent[d] / 100 for d in DEVICES] for of in row]
                    for row in zip(*campaigns, strict=True)
                ]
            ),
            active=np.array([[of.status is PlanStatus.ENABLED for of in row] for row in zip(*campaigns, strict=True)]),
        )
