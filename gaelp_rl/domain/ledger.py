"""The report ledger: all that a policy may know, as arrays built from reports and plans only.

Feature builder and controllers read this one object, in training, in evaluation and live. Its
fields are sums of report rows; nothing in it can be computed from a market's hidden state, because
``observe`` takes only a ``ReportBatch`` and ``record_plan`` only a ``PlanBatch``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.domain.channels import NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.reports import FloatArray, ReportBatch, ReportingProfile
from gaelp_rl.errors import DataError

__all__ = ["HOURS_PER_DAY", "METRICS", "RING_DAYS", "ReportLedger"]

HOURS_PER_DAY = 24
RING_DAYS = 28

METRICS = ("impressions", "clicks", "spend", "conversions", "exposure")
"""The metric axis of the ledger's sums. ``exposure`` is the number of clicks' worth of conversions
that should have been reported by now: clicks weighted by the probability that a conversion of
theirs, had it happened, arrived in the period. Conversions / exposure is a CVR without maturity
bias (Chapelle 2014, "Modeling delayed feedback in display advertising")."""

_IMPRESSIONS, _CLICKS, _SPEND, _CONVERSIONS, _EXPOSURE = range(len(METRICS))


class ReportLedger:
    """Sums of reports per world and channel over the last hour, today, and the last 28 days.

    Attributes:
        hour: hours since the worlds' start of the last observed batch (-1 before the first).
        last_hour: float64 [worlds, channels, metrics]; the newest reported hour of each channel.
        today: float64 [worlds, channels, metrics]; reported for the hours since midnight.
        days: float64 [28, worlds, channels, metrics]; the last 28 whole days, ring by day.
        sum_7d: float64 [worlds, channels, metrics]; the last 7 whole days plus today.
        sum_28d: float64 [worlds, channels, metrics]; the last 28 whole days plus today.
        device_impressions: float64 [worlds, channels, devices]; exponentially forgotten (7 days);
            0 where a channel has no device split.
        device_clicks: float64 [worlds, channels, devices]; likewise.
        impression_share: float64 [worlds, channels]; last published, NaN before the first.
        lost_share_budget: float64 [worlds, channels]; likewise.
        lost_share_rank: float64 [worlds, channels]; likewise.
        share_age_hours: float64 [worlds, channels]; hours since the share was published.
        bid: float64 [worlds, channels]; currency units per click, plan in force.
        daily_budget: float64 [worlds, channels]; currency units, plan in force.
        active: bool [worlds, channels]; plan in force.
        profile: what the channels report and how late.
    """

    def __init__(self, num_worlds: int, profile: ReportingProfile, delay: ConversionDelay) -> None:
        self.num_worlds = num_worlds
        self.profile = profile
        self.delay = delay
        shape = (num_worlds, NUM_CHANNELS)
        self.hour = -1
        self.last_hour = np.zeros((*shape, len(METRICS)))
        self.today = np.zeros((*shape, len(METRICS)))
        self.days = np.zeros((RING_DAYS, *shape, len(METRICS)))
        self.sum_7d = np.zeros((*shape, len(METRICS)))
        self.sum_28d = np.zeros((*shape, len(METRICS)))
        self.device_impressions = np.zeros((*shape, NUM_DEVICES))
        self.device_clicks = np.zeros((*shape, NUM_DEVICES))
        self.impression_share = np.full(shape, np.nan)
        self.lost_share_budget = np.full(shape, np.nan)
        self.lost_share_rank = np.full(shape, np.nan)
        self.share_age_hours = np.zeros(shape)
        self.bid = np.zeros(shape)
        self.daily_budget = np.zeros(shape)
        self.active = np.ones(shape, dtype=np.bool_)
        self._pending_clicks = np.zeros((*shape, delay.num_components))
        self._late_exposure = np.zeros((int(profile.conversion_lag_hours.max()) + 1, *shape))
        self._device_keep = float(np.exp(-1.0 / (7 * HOURS_PER_DAY)))

    @property
    def hour_of_day(self) -> int:
        """The hour (0 to 23, account time) for which the next plan is made."""
        return self.hour % HOURS_PER_DAY

    @property
    def day(self) -> int:
        """Whole days since the worlds' start."""
        return self.hour // HOURS_PER_DAY

    @property
    def spend_today(self) -> FloatArray:
        """Spend reported today in currency units, float64 [worlds, channels]."""
        return np.asarray(self.today[:, :, _SPEND])

    def record_plan(self, plan: PlanBatch) -> None:
        """Notes the plan that is in force from now on."""
        self._check_worlds(plan.num_worlds)
        self.bid = plan.bid_micros / MICROS
        self.daily_budget = plan.daily_budget_micros / MICROS
        self.active = plan.active

    def observe(self, report: ReportBatch) -> None:
        """Adds one batch of reports; call once for every hour, in order.

        Args:
            report: what became known at the start of ``report.hour``.

        Raises:
            DataError: the batch is not the hour that follows, or for other worlds.
        """
        self._check_worlds(report.num_worlds)
        if self.hour >= 0 and report.hour != self.hour + 1:
            msg = f"report for hour {report.hour} after hour {self.hour}: the ledger needs every hour once, in order"
            raise DataError(msg)
        if report.hour > 0 and report.hour % HOURS_PER_DAY == 0 and self.hour >= 0:
            self._close_day((report.hour // HOURS_PER_DAY - 1) % RING_DAYS)
        self.hour = report.hour
        row = self.last_hour
        row[:, :, _IMPRESSIONS] = report.impressions
        row[:, :, _CLICKS] = report.clicks
        row[:, :, _SPEND] = report.spend_micros / MICROS
        row[:, :, _CONVERSIONS] = report.conversions
        row[:, :, _EXPOSURE] = self._advance_exposure(row[:, :, _CLICKS])
        self.sum_7d += row
        self.sum_28d += row
        self._add_to_day(row)
        self._observe_devices(report)
        self._observe_shares(report)

    def _advance_exposure(self, clicks: FloatArray) -> FloatArray:
        """Exposure whose conversions can be in this report, each channel's reporting lag included."""
        fresh = self.delay.advance_exposure(self._pending_clicks, clicks)
        slots = (self.hour + self.profile.conversion_lag_hours) % len(self._late_exposure)
        self._late_exposure[slots, :, np.arange(NUM_CHANNELS)] = fresh.T
        return np.asarray(self._late_exposure[self.hour % len(self._late_exposure)])

    def _check_worlds(self, num_worlds: int) -> None:
        if num_worlds != self.num_worlds:
            msg = f"{num_worlds} worlds given to a ledger of {self.num_worlds}"
            raise DataError(msg)

    def _close_day(self, slot: int) -> None:
        """Moves today into the ring and lets the 8th and 29th day fall out of the sums."""
        self.sum_28d -= self.days[slot]
        self.sum_7d -= self.days[(slot - 7) % RING_DAYS]
        self.days[slot] = self.today
        self.today[:] = 0.0

    def _add_to_day(self, row: FloatArray) -> None:
        """Adds each channel's row to the day of its hour, which after midnight may be yesterday."""
        late = self.hour % HOURS_PER_DAY <= self.profile.lag_hours
        if late.any() and self.hour >= HOURS_PER_DAY:
            self.days[(self.day - 1) % RING_DAYS][:, late] += row[:, late]
        self.today[:, ~late] += row[:, ~late]

    def _observe_devices(self, report: ReportBatch) -> None:
        split = self.profile.device_split
        self.device_impressions *= self._device_keep
        self.device_clicks *= self._device_keep
        self.device_impressions[:, split] += report.device_impressions[:, split]
        self.device_clicks[:, split] += report.device_clicks[:, split]

    def _observe_shares(self, report: ReportBatch) -> None:
        self.share_age_hours += 1.0
        published: NDArray[np.bool_] = ~np.isnan(report.impression_share)
        if published.any():
            for name in ("impression_share", "lost_share_budget", "lost_share_rank"):
                getattr(self, name)[published] = getattr(report, name)[published]
            self.share_age_hours[published] = 0.0
