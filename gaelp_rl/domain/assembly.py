"""From snapshots of report rows to the hourly batches that the ledger takes, with nothing lost.

A live account re-reads a trailing window every hour, because platforms report late and restate.
The assembler remembers what it has passed on of every row and passes on only the difference, so
that the sum over all batches is always the latest state of all due rows.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from gaelp_rl.domain.channels import CHANNELS, DEVICES, NUM_CHANNELS, NUM_DEVICES, Channel
from gaelp_rl.domain.daily_share import DailyShare
from gaelp_rl.domain.hourly_report import HourlyReport, ReportKey
from gaelp_rl.domain.ledger import HOURS_PER_DAY
from gaelp_rl.domain.numbers import CensoredShare
from gaelp_rl.domain.reports import FloatArray, IntArray, ReportBatch, ReportingProfile
from gaelp_rl.errors import DataError

__all__ = ["ReportAssembler"]

_MIN_IMPRESSION_SHARE = 0.1
_MAX_LOST_SHARE = 0.9
_CHANNEL_INDEX = {channel: c for c, channel in enumerate(CHANNELS)}
_DEVICE_INDEX = {device: d for d, device in enumerate(DEVICES)}

_DayShares = tuple[int, float, float, float]
"""Day, impression share, share lost to budget, share lost to rank."""


class ReportAssembler:
    """Turns snapshots of one account's rows into one ``ReportBatch`` per ledger hour.

    Ledger hours are wall-clock hours of the account, 24 to every day: hour 0 is the first midnight.
    When clocks go forward, the hour that does not exist is an empty batch; when they go back, both
    passes of the repeated hour count as one, and a read during the second pass gives no batch.

    A row is due ``lag_hours`` after its hour has ended; from then on, all that changes in it
    (conversions growing, spend corrected, also downward) enters the next batch.
    """

    def __init__(
        self, account: str, currency: str, time_zone: ZoneInfo, first_day: date, profile: ReportingProfile
    ) -> None:
        """Starts with no rows.

        Args:
            account: the account whose rows are taken.
            currency: ISO 4217 code that every row must carry.
            time_zone: the account's; it decides days and hours of day.
            first_day: the account day whose midnight is ledger hour 0.
            profile: what the channels report, and how late.
        """
        self._account = account
        self._currency = currency
        self._time_zone = time_zone
        self._first_day = first_day
        self._profile = profile
        self._hour = -1
        self._latest: dict[ReportKey, HourlyReport] = {}
        self._passed_on: dict[ReportKey, HourlyReport] = {}
        self._changed: dict[ReportKey, None] = {}
        self._day_keys: defaultdict[tuple[int, int], dict[ReportKey, None]] = defaultdict(dict)
        self._daily_shares: defaultdict[tuple[Channel, date], dict[str, DailyShare]] = defaultdict(dict)
        self._published: dict[int, _DayShares] = {}

    @property
    def num_pending(self) -> int:
        """How many rows hold something that no batch has passed on yet."""
        return len(self._changed)

    def compute_ledger_hour(self, moment: datetime) -> int:
        """The ledger hour in which an aware moment falls; negative before the first day."""
        local = moment.astimezone(self._time_zone)
        return (local.date() - self._first_day).days * HOURS_PER_DAY + local.hour

    def assemble(
        self, rows: Iterable[HourlyReport], as_of: datetime, shares: Iterable[DailyShare] = ()
    ) -> tuple[ReportBatch, ...]:
        """Takes one snapshot and gives the batches that it completes.

        Args:
            rows: the rows that were read, in any order; rows already known do no harm.
            as_of: when the snapshot was taken, aware UTC.
            shares: impression shares of whole days, where the platform publishes them so; a day
                that has some takes its share from them and not from its rows.

        Returns:
            One batch (``worlds = 1``) for every ledger hour since the last call, in order: none
            within the same hour, several after hours in which nothing was read.

        Raises:
            DataError: a row of another account or currency, read after ``as_of``, or from before
                the first day; nothing of the snapshot is kept.
        """
        snapshot, published = list(rows), list(shares)
        for row in snapshot:
            self._check_row(row, as_of)
        for share in published:
            self._check_share(share, as_of)
        for row in snapshot:
            self._keep(row)
        for share in published:
            of_day = self._daily_shares[share.channel, share.day]
            known = of_day.get(share.campaign)
            if known is None or known.as_of < share.as_of:
                of_day[share.campaign] = share
        now = self.compute_ledger_hour(as_of)
        batches = tuple(self._make_batch(hour) for hour in range(self._hour + 1, now + 1))
        self._hour = max(self._hour, now)
        return batches

    def _check_row(self, row: HourlyReport, as_of: datetime) -> None:
        where = f"{row.channel} creative {row.creative!r}, hour {row.hour.isoformat()}"
        if row.account != self._account:
            msg = f"{where}: account {row.account!r} given to the assembler of {self._account!r}; use one per account"
            raise DataError(msg)
        if row.currency != self._currency:
            msg = f"{where}: currency {row.currency!r} in an account of {self._currency!r}; amounts cannot be added"
            raise DataError(msg)
        if row.as_of > as_of:
            msg = (
                f"{where}: read at {row.as_of.isoformat()}, after its snapshot of {as_of.isoformat()}; check the clock"
            )
            raise DataError(msg)
        if self.compute_ledger_hour(row.hour) < 0:
            msg = f"{where}: before the first day {self._first_day}; start the assembler on an earlier day"
            raise DataError(msg)
        if row.hour.astimezone(self._time_zone).minute:
            msg = f"{where}: not the start of an hour in {self._time_zone}; check the account's time zone"
            raise DataError(msg)

    def _check_share(self, share: DailyShare, as_of: datetime) -> None:
        where = f"{share.channel} campaign {share.campaign!r}, impression share of {share.day}"
        if share.account != self._account:
            msg = f"{where}: account {share.account!r} given to the assembler of {self._account!r}; use one per account"
            raise DataError(msg)
        if share.as_of > as_of:
            msg = f"{where}: read at {share.as_of.isoformat()}, after its snapshot of {as_of.isoformat()}"
            raise DataError(f"{msg}; check the clock")

    def _keep(self, row: HourlyReport) -> None:
        """Remembers the row unless a newer reading of it is known."""
        known = self._latest.get(row.key)
        if known is not None and known.as_of >= row.as_of:
            return
        self._latest[row.key] = row
        self._changed[row.key] = None
        day = self.compute_ledger_hour(row.hour) // HOURS_PER_DAY
        self._day_keys[_CHANNEL_INDEX[row.channel], day][row.key] = None

    def _make_batch(self, hour: int) -> ReportBatch:
        due = [key for key in self._changed if self._compute_due_hour(self._latest[key]) <= hour]
        batch = self._make_empty_batch(hour)
        for key in due:
            row, before = self._latest[key], self._passed_on.get(key)
            _add_row(batch, row, +1)
            if before is not None:
                _add_row(batch, before, -1)
            self._passed_on[key] = row
            del self._changed[key]
        for c in np.flatnonzero(self._profile.impression_share):
            self._publish_shares(batch, int(c))
        return batch

    def _compute_due_hour(self, row: HourlyReport) -> int:
        lag = int(self._profile.lag_hours[_CHANNEL_INDEX[row.channel]])
        return self.compute_ledger_hour(row.hour) + 1 + lag

    def _make_empty_batch(self, hour: int) -> ReportBatch:
        def make_counts() -> IntArray:
            return np.zeros((1, NUM_CHANNELS), dtype=np.int64)

        def make_devices() -> FloatArray:
            split = np.where(self._profile.device_split, 0.0, np.nan)
            return np.repeat(split[None, :, None], NUM_DEVICES, axis=2)

        def make_shares() -> FloatArray:
            return np.full((1, NUM_CHANNELS), np.nan)

        return ReportBatch(
            hour=hour,
            impressions=make_counts(),
            clicks=make_counts(),
            spend_micros=make_counts(),
            conversions=np.zeros((1, NUM_CHANNELS)),
            conversion_value_micros=make_counts(),
            device_impressions=make_devices(),
            device_clicks=make_devices(),
            impression_share=make_shares(),
            lost_share_budget=make_shares(),
            lost_share_rank=make_shares(),
        )

    def _publish_shares(self, batch: ReportBatch, c: int) -> None:
        """Writes the shares of the day before, once all its rows are due, and again when restated."""
        day = batch.hour // HOURS_PER_DAY - 1
        if batch.hour < (day + 1) * HOURS_PER_DAY + int(self._profile.lag_hours[c]):
            return
        rows = [self._latest[key] for key in self._day_keys.get((c, day), ())]
        published = list(self._daily_shares[CHANNELS[c], self._first_day + timedelta(days=day)].values())
        shares = _merge_daily_shares(day, published) if published else _compute_day_shares(day, rows)
        if shares is None or shares == self._published.get(c):
            return
        self._published[c] = shares
        batch.impression_share[0, c], batch.lost_share_budget[0, c], batch.lost_share_rank[0, c] = shares[1:]


def _merge_daily_shares(day: int, shares: list[DailyShare]) -> _DayShares:
    """One channel's shares of a day over its campaigns, each weighted by its eligible impressions."""
    won = sum(share.impressions for share in shares)
    eligible = sum(share.eligible_impressions for share in shares)
    if not eligible:
        return (day, math.nan, math.nan, math.nan)
    lost_to_budget = _compute_lost_share((share.eligible_impressions, share.lost_share_budget) for share in shares)
    lost_to_rank = _compute_lost_share((share.eligible_impressions, share.lost_share_rank) for share in shares)
    return (day, max(won / eligible, _MIN_IMPRESSION_SHARE), lost_to_budget, lost_to_rank)


def _add_row(batch: ReportBatch, row: HourlyReport, sign: int) -> None:
    """Adds a row to the batch's sums, or with ``sign`` -1 takes back what was passed on of it."""
    c = _CHANNEL_INDEX[row.channel]
    batch.impressions[0, c] += sign * row.impressions
    batch.clicks[0, c] += sign * row.clicks
    batch.spend_micros[0, c] += sign * row.spend_micros
    batch.conversions[0, c] += sign * row.conversions
    batch.conversion_value_micros[0, c] += sign * row.conversion_value_micros
    if row.device is not None:
        d = _DEVICE_INDEX[row.device]
        batch.device_impressions[0, c, d] += sign * row.impressions
        batch.device_clicks[0, c, d] += sign * row.clicks


def _compute_day_shares(day: int, rows: list[HourlyReport]) -> _DayShares | None:
    """Shares of one channel's day, censored as platforms do; None where no row has eligible impressions."""
    eligible = sum(row.eligible_impressions or 0 for row in rows)
    if not eligible:
        return None
    won = sum(row.impressions for row in rows if row.eligible_impressions)
    lost_to_budget = _compute_lost_share((row.eligible_impressions, row.lost_share_budget) for row in rows)
    lost_to_rank = _compute_lost_share((row.eligible_impressions, row.lost_share_rank) for row in rows)
    return (day, max(won / eligible, _MIN_IMPRESSION_SHARE), lost_to_budget, lost_to_rank)


def _compute_lost_share(parts: Iterable[tuple[float | None, CensoredShare | None]]) -> float:
    """Mean lost share weighted by eligible impressions; NaN where no row reports it."""
    known = [(eligible, lost.share) for eligible, lost in parts if eligible and lost is not None]
    weight = sum(eligible for eligible, _ in known)
    if not weight:
        return math.nan
    return min(sum(eligible * share for eligible, share in known) / weight, _MAX_LOST_SHARE)
