"""Platform reports as arrays: the only thing that a policy ever learns about a market.

``HourlyReport`` rows (``hourly_report.py``) are what a live platform returns; ``ReportBatch`` is
the same information for many accounts at once. Both worlds, simulated and live, end here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FloatArray", "IntArray", "ReportBatch", "ReportingProfile"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ReportingProfile:
    """What each channel reports, and how late.

    Attributes:
        lag_hours: int64 [channels]; hours between the end of an hour and its first report.
        conversion_lag_hours: int64 [channels]; extra hours before a conversion can appear.
        device_split: bool [channels]; whether hourly rows are split by device.
        hourly_conversions: bool [channels]; whether the platform itself reports conversions by
            hour (else they come from GA4 or the advertiser's own events).
        impression_share: bool [channels]; whether impression share is reported at all (once a
            day, for the day before).
    """

    lag_hours: IntArray
    conversion_lag_hours: IntArray
    device_split: NDArray[np.bool_]
    hourly_conversions: NDArray[np.bool_]
    impression_share: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ReportBatch:
    """What became known at the start of one hour, for every world.

    A channel's row for hour h appears once, ``lag_hours`` after h has ended. Conversions are the
    *increments* since the last batch over all click hours (platforms restate them as they arrive).

    Attributes:
        hour: hours since the worlds' start at which this was read; 0 is the first midnight.
        impressions: int64 [worlds, channels].
        clicks: int64 [worlds, channels].
        spend_micros: int64 [worlds, channels].
        conversions: float64 [worlds, channels]; newly reported.
        conversion_value_micros: int64 [worlds, channels]; newly reported.
        device_impressions: float64 [worlds, channels, devices]; NaN where there is no split.
        device_clicks: float64 [worlds, channels, devices]; NaN where there is no split.
        impression_share: float64 [worlds, channels]; share (0 to 1) of the day before, censored
            at 0.1 from below; NaN in every hour in which it is not published.
        lost_share_budget: float64 [worlds, channels]; censored at 0.9 from above; NaN likewise.
        lost_share_rank: float64 [worlds, channels]; censored at 0.9 from above; NaN likewise.
    """

    hour: int
    impressions: IntArray
    clicks: IntArray
    spend_micros: IntArray
    conversions: FloatArray
    conversion_value_micros: IntArray
    device_impressions: FloatArray
    device_clicks: FloatArray
    impression_share: FloatArray
    lost_share_budget: FloatArray
    lost_share_rank: FloatArray

    @property
    def num_worlds(self) -> int:
        """The length of the leading axis."""
        return int(self.clicks.shape[0])
