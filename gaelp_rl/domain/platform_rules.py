"""What each platform does with a plan and how it reports: facts, one row per channel.

Sources, by field:
* ``over_delivery``: Google at most 2x the daily budget on a day (support.google.com/google-ads
  10487143), Meta 1.75x, TikTok 1.25x of a dynamic daily budget, Microsoft usually below 2x
  (help.ads.microsoft.com 51019).
* ``max_edits_per_day``, ``max_edit_ratio``: on Meta and TikTok a change of more than about 20 %, or
  more than one or two a day, sends an ad set back into its learning phase; Google and Microsoft
  take hourly changes.
* ``plan_delay_hours``: Microsoft's changes take effect "within an hour or so".
* ``lag_hours``: clicks and spend on Google within 3 hours and mostly sooner, Microsoft up to 2
  hours, TikTok about 10 minutes, Meta about a quarter of an hour.
* ``conversion_lag_hours``: Google and Microsoft up to 3 hours; Meta reports no website conversions
  by hour, so they come from GA4, whose intraday data are 2 to 6 hours old.
* impression share: Google and Microsoft, daily; none on Meta and TikTok. TikTok's device split is
  not hourly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gaelp_rl.domain.channels import CHANNELS, Channel
from gaelp_rl.domain.reports import ReportingProfile

__all__ = ["PLATFORM_RULES", "PlatformRules", "make_reporting_profile"]


@dataclass(frozen=True, slots=True)
class PlatformRules:
    """One platform's own rules.

    Attributes:
        over_delivery: most that a day may spend, as a multiple of that day's highest daily budget.
        max_edits_per_day: bid or budget changes a day before delivery suffers; 24 means any hour.
        max_edit_ratio: largest relative change that does not restart the learning phase.
        plan_delay_hours: whole hours before a change takes effect.
        device_modifiers: whether bids can be modified by device.
        lag_hours: hours between the end of an hour and its first report.
        conversion_lag_hours: extra hours before a conversion can be reported.
        device_split: whether hourly reports are split by device.
        hourly_conversions: whether the platform itself reports conversions by hour.
        share_hour: hour of day at which yesterday's impression share is published; None for never.
    """

    over_delivery: float
    max_edits_per_day: int
    max_edit_ratio: float
    plan_delay_hours: int
    device_modifiers: bool
    lag_hours: int
    conversion_lag_hours: int
    device_split: bool
    hourly_conversions: bool
    share_hour: int | None

    @property
    def has_learning_phase(self) -> bool:
        """Whether large or frequent edits cost delivery."""
        return self.max_edits_per_day < 24


PLATFORM_RULES: dict[Channel, PlatformRules] = {
    Channel.GOOGLE: PlatformRules(
        over_delivery=2.0,
        max_edits_per_day=24,
        max_edit_ratio=np.inf,
        plan_delay_hours=0,
        device_modifiers=True,
        lag_hours=1,
        conversion_lag_hours=3,
        device_split=True,
        hourly_conversions=True,
        share_hour=13,
    ),
    Channel.META: PlatformRules(
        over_delivery=1.75,
        max_edits_per_day=2,
        max_edit_ratio=0.2,
        plan_delay_hours=0,
        device_modifiers=False,
        lag_hours=0,
        conversion_lag_hours=4,
        device_split=True,
        hourly_conversions=False,
        share_hour=None,
    ),
    Channel.TIKTOK: PlatformRules(
        over_delivery=1.25,
        max_edits_per_day=2,
        max_edit_ratio=0.2,
        plan_delay_hours=0,
        device_modifiers=False,
        lag_hours=0,
        conversion_lag_hours=0,
        device_split=False,
        hourly_conversions=True,
        share_hour=None,
    ),
    Channel.MICROSOFT: PlatformRules(
        over_delivery=2.0,
        max_edits_per_day=24,
        max_edit_ratio=np.inf,
        plan_delay_hours=1,
        device_modifiers=True,
        lag_hours=2,
        conversion_lag_hours=3,
        device_split=True,
        hourly_conversions=True,
        share_hour=6,
    ),
}
"""The rules of every channel."""


def make_reporting_profile() -> ReportingProfile:
    """What the four platforms report and how late, as channel arrays."""
    rules = [PLATFORM_RULES[channel] for channel in CHANNELS]
    return ReportingProfile(
        lag_hours=np.array([r.lag_hours for r in rules], dtype=np.int64),
        conversion_lag_hours=np.array([r.conversion_lag_hours for r in rules], dtype=np.int64),
        device_split=np.array([r.device_split for r in rules], dtype=np.bool_),
        hourly_conversions=np.array([r.hourly_conversions for r in rules], dtype=np.bool_),
        impression_share=np.array([r.share_hour is not None for r in rules], dtype=np.bool_),
    )
