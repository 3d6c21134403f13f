"""The centre of the distribution of worlds: public benchmarks, per channel, hour and device.

Arrays are in the order of ``CHANNELS`` and ``DEVICES``. The spread around these centres belongs to
the families (``market.py``). A user replaces them by a calibration on their own reports.

Sources:
* CPC and CVR medians: Google search CPC $5.26 and CVR 7.5 % over all industries (WordStream and
  LocaliQ 2025), Microsoft 33 to 70 % cheaper; Meta leads CPC $0.70 to $1.88; TikTok CPC $0.37 to
  $0.80 and CVR 1.1 to 1.8 % (Varos). The medians below are the centre of a small advertiser's
  accounts: below the search averages, which are dominated by expensive verticals.
* CTR: Google 6.66 %, Microsoft 2.92 %, Meta 1.71 to 2.59 %, TikTok 0.9 to 1.5 % (same pages).
* Hour of day: traffic falls to a tenth of its peak at night (AuctionNet's 48-tick profile);
  conversion rates vary by +-25 % (Service Direct's 856 accounts show more: kept as stress).
* Devices: desktop converts better than phones (Marin: 5.3 against 4.4 %), phones click more
  (WordStream: 4.1 against 3.2 %); Microsoft is desktop-heavy.
"""

from __future__ import annotations

import numpy as np

from gaelp_rl.domain.reports import FloatArray

__all__ = [
    "AUDIENCE_SIZE",
    "CLICK_VOLUME_PER_DAY",
    "CONVERSION_RATE",
    "CTR",
    "DEVICE_CONVERSION_RATIO",
    "DEVICE_CTR_RATIO",
    "DEVICE_PRICE_RATIO",
    "DEVICE_SHARE",
    "FIRST_PRICE",
    "HOUR_CONVERSION_RATIO",
    "HOUR_PRICE_RATIO",
    "HOUR_TRAFFIC",
    "PRICE_MEDIAN",
    "PRICE_SIGMA",
    "WEEKDAY_TRAFFIC",
]

CTR: FloatArray = np.array([0.066, 0.020, 0.012, 0.029])
"""Clicks per impression, [channels]."""

CONVERSION_RATE: FloatArray = np.array([0.055, 0.017, 0.008, 0.042])
"""Conversions per click, [channels]."""

PRICE_MEDIAN: FloatArray = np.array([3.5, 1.2, 0.7, 2.2])
"""Median highest competing bid for one click, USD, [channels]."""

PRICE_SIGMA: FloatArray = np.array([0.8, 0.6, 0.6, 0.8])
"""Log-standard deviation of the highest competing bid within an hour, [channels]."""

FIRST_PRICE = np.array([False, False, True, False])
"""Whether winners pay their own bid, [channels]; the others charge the highest competing bid."""

CLICK_VOLUME_PER_DAY: FloatArray = np.array([300.0, 700.0, 900.0, 120.0])
"""Clicks that an advertiser who won every auction would get on an average day, [channels]."""

AUDIENCE_SIZE: FloatArray = np.array([np.inf, 60_000.0, 120_000.0, np.inf])
"""People that a creative can reach, [channels]; searchers come with a fresh need each time."""

DEVICE_SHARE: FloatArray = np.array([[0.60, 0.35, 0.05], [0.90, 0.07, 0.03], [0.96, 0.02, 0.02], [0.10, 0.86, 0.04]])
"""Share of eligible impressions by device, [channels, devices]."""

DEVICE_CTR_RATIO: FloatArray = np.array([1.10, 0.85, 1.00])
DEVICE_CONVERSION_RATIO: FloatArray = np.array([0.85, 1.25, 1.05])
DEVICE_PRICE_RATIO: FloatArray = np.array([0.92, 1.10, 1.00])


def _normalise(rows: list[list[float]]) -> FloatArray:
    weights = np.array(rows)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


HOUR_TRAFFIC: FloatArray = _normalise(
    [
        [1.2, 0.8, 0.6, 0.5, 0.5, 0.8, 1.8, 3.2, 4.8, 5.8, 6.2, 6.2]
        + [6.0, 6.0, 6.0, 6.0, 5.8, 5.6, 5.4, 5.4, 5.6, 5.2, 4.0, 2.4],
        [2.4, 1.5, 1.0, 0.7, 0.7, 1.0, 2.0, 3.2, 3.8, 4.2, 4.6, 5.0]
        + [5.2, 5.0, 4.8, 4.8, 5.0, 5.4, 6.0, 6.6, 7.2, 7.4, 6.6, 4.6],
        [3.2, 2.1, 1.3, 0.8, 0.6, 0.7, 1.3, 2.2, 2.7, 3.1, 3.5, 4.0]
        + [4.4, 4.4, 4.4, 4.8, 5.2, 5.7, 6.2, 7.0, 7.8, 8.4, 7.7, 5.5],
        [0.6, 0.4, 0.3, 0.3, 0.4, 0.8, 2.0, 4.0, 6.2, 7.4, 7.6, 7.4]
        + [7.0, 7.2, 7.2, 7.0, 6.4, 5.4, 4.6, 4.2, 4.0, 3.6, 2.6, 1.4],
    ]
)
"""Share of the day's eligible impressions by hour of the account's day, [channels, 24]."""

WEEKDAY_TRAFFIC: FloatArray = np.array(
    [
        [1.08, 1.08, 1.07, 1.05, 1.00, 0.85, 0.87],
        [0.97, 0.97, 0.98, 0.99, 1.00, 1.03, 1.06],
        [0.95, 0.95, 0.96, 0.98, 1.02, 1.07, 1.07],
        [1.18, 1.20, 1.19, 1.15, 1.05, 0.60, 0.63],
    ]
)
"""Volume by weekday relative to the average day, Monday first, [channels, 7]."""

_HOURS = np.arange(24)
_DAYTIME_CONVERSION = 1.0 + 0.25 * np.cos(2 * np.pi * (_HOURS - 13) / 24)
_DAYTIME_PRICE = 1.0 + 0.10 * np.cos(2 * np.pi * (_HOURS - 14) / 24)

HOUR_CONVERSION_RATIO: FloatArray = _DAYTIME_CONVERSION / (HOUR_TRAFFIC @ _DAYTIME_CONVERSION)[:, None]
"""Conversion rate by hour relative to the traffic-weighted mean, [channels, 24]."""

HOUR_PRICE_RATIO: FloatArray = np.tile(_DAYTIME_PRICE, (4, 1))
"""Competing bids by hour relative to their daily median, [channels, 24]."""
