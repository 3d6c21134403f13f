"""The centre of a market: volumes, prices, click and conversion rates of every channel.

``DEFAULT_CALIBRATION`` is built from public benchmarks. A user replaces it, whole or in part, by
tables named by channel in a market TOML. The spread around the centre belongs to the families
(``market.py``).

Sources of the defaults:
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

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

from gaelp_rl.config.strict import StrictModel
from gaelp_rl.domain.channels import CHANNELS
from gaelp_rl.domain.reports import FloatArray

__all__ = [
    "DEFAULT_CALIBRATION",
    "CalibrationArrays",
    "ChannelCalibration",
    "MarketCalibration",
    "make_calibration_arrays",
]

_TOLERANCE = 1e-6


def _check_shares(shares: tuple[float, ...]) -> tuple[float, ...]:
    total = sum(shares)
    if abs(total - 1.0) > _TOLERANCE:
        msg = f"the shares add up to {total:.6g}; they must add up to 1"
        raise ValueError(msg)
    return shares


def _check_mean_is_one(ratios: tuple[float, ...]) -> tuple[float, ...]:
    mean = sum(ratios) / len(ratios)
    if abs(mean - 1.0) > _TOLERANCE:
        msg = f"the mean is {mean:.6g}; it must be 1, so that it describes the shape and not the level"
        raise ValueError(msg)
    return ratios


_Positive = Annotated[float, Field(gt=0)]
_ByDevice = tuple[_Positive, _Positive, _Positive]
_ByHour = Annotated[tuple[_Positive, ...], Field(min_length=24, max_length=24)]
_ByWeekday = Annotated[tuple[_Positive, ...], Field(min_length=7, max_length=7), AfterValidator(_check_mean_is_one)]


class ChannelCalibration(StrictModel):
    """One channel. Devices are in the order mobile, desktop, tablet; weekdays begin with Monday."""

    ctr: float = Field(gt=0, lt=1, description="clicks per impression")
    conversion_rate: float = Field(gt=0, lt=1, description="conversions per click")
    price_median: float = Field(gt=0, description="median highest competing bid for one click, currency units")
    price_sigma: float = Field(gt=0, le=5, description="log-sd of the highest competing bid within an hour")
    first_price: bool = Field(description="whether winners pay their own bid, not the highest competing one")
    click_volume_per_day: float = Field(
        gt=0, description="clicks that an advertiser who won every auction would get on an average day"
    )
    audience_size: float = Field(
        ge=0, description="people that a creative can reach; 0 where each comes with a fresh need, as searchers do"
    )
    device_share: Annotated[_ByDevice, AfterValidator(_check_shares)] = Field(
        description="share of eligible impressions by device; adds up to 1"
    )
    device_ctr_ratio: _ByDevice = Field(description="CTR by device, in any unit: only ratios count")
    device_conversion_ratio: _ByDevice = Field(description="conversion rate by device, in any unit likewise")
    device_price_ratio: _ByDevice = Field(description="competing bids by device relative to price_median")
    hour_traffic: Annotated[_ByHour, AfterValidator(_check_shares)] = Field(
        description="share of the day's eligible impressions by hour of the account's day; adds up to 1"
    )
    hour_conversion_ratio: _ByHour = Field(description="conversion rate by hour relative to conversion_rate")
    hour_price_ratio: _ByHour = Field(description="competing bids by hour relative to price_median")
    weekday_traffic: _ByWeekday = Field(description="volume by weekday relative to the average day; mean 1")


def _make_normalised(weights: list[float]) -> FloatArray:
    row = np.array([weights])
    return np.asarray(row / row.sum(axis=1, keepdims=True))[0]


_HOUR_WEIGHTS = {
    "google": [1.2, 0.8, 0.6, 0.5, 0.5, 0.8, 1.8, 3.2, 4.8, 5.8, 6.2, 6.2]
    + [6.0, 6.0, 6.0, 6.0, 5.8, 5.6, 5.4, 5.4, 5.6, 5.2, 4.0, 2.4],
    "meta": [2.4, 1.5, 1.0, 0.7, 0.7, 1.0, 2.0, 3.2, 3.8, 4.2, 4.6, 5.0]
    + [5.2, 5.0, 4.8, 4.8, 5.0, 5.4, 6.0, 6.6, 7.2, 7.4, 6.6, 4.6],
    "tiktok": [3.2, 2.1, 1.3, 0.8, 0.6, 0.7, 1.3, 2.2, 2.7, 3.1, 3.5, 4.0]
    + [4.4, 4.4, 4.4, 4.8, 5.2, 5.7, 6.2, 7.0, 7.8, 8.4, 7.7, 5.5],
    "microsoft": [0.6, 0.4, 0.3, 0.3, 0.4, 0.8, 2.0, 4.0, 6.2, 7.4, 7.6, 7.4]
    + [7.0, 7.2, 7.2, 7.0, 6.4, 5.4, 4.6, 4.2, 4.0, 3.6, 2.6, 1.4],
}
_HOUR_TRAFFIC = {channel: _make_normalised(weights) for channel, weights in _HOUR_WEIGHTS.items()}
_HOURS = np.arange(24)
_DAYTIME_CONVERSION = 1.0 + 0.25 * np.cos(2 * np.pi * (_HOURS - 13) / 24)
_DAYTIME_PRICE = 1.0 + 0.10 * np.cos(2 * np.pi * (_HOURS - 14) / 24)
_MEAN_DAYTIME_CONVERSION = dict(
    zip(_HOUR_TRAFFIC, np.stack(list(_HOUR_TRAFFIC.values())) @ _DAYTIME_CONVERSION, strict=True)
)


def _make_default(channel: str, **settings: Any) -> ChannelCalibration:
    return ChannelCalibration(
        device_ctr_ratio=(1.10, 0.85, 1.00),
        device_conversion_ratio=(0.85, 1.25, 1.05),
        device_price_ratio=(0.92, 1.10, 1.00),
        hour_traffic=tuple(_HOUR_TRAFFIC[channel].tolist()),
        hour_conversion_ratio=tuple((_DAYTIME_CONVERSION / _MEAN_DAYTIME_CONVERSION[channel]).tolist()),
        hour_price_ratio=tuple(_DAYTIME_PRICE.tolist()),
        **settings,
    )


_DEFAULTS: dict[str, ChannelCalibration] = {
    "google": _make_default(
        "google",
        ctr=0.066,
        conversion_rate=0.055,
        price_median=3.5,
        price_sigma=0.8,
        first_price=False,
        click_volume_per_day=300.0,
        audience_size=0.0,
        device_share=(0.60, 0.35, 0.05),
        weekday_traffic=(1.08, 1.08, 1.07, 1.05, 1.00, 0.85, 0.87),
    ),
    "meta": _make_default(
        "meta",
        ctr=0.020,
        conversion_rate=0.017,
        price_median=1.2,
        price_sigma=0.6,
        first_price=False,
        click_volume_per_day=700.0,
        audience_size=60_000.0,
        device_share=(0.90, 0.07, 0.03),
        weekday_traffic=(0.97, 0.97, 0.98, 0.99, 1.00, 1.03, 1.06),
    ),
    "tiktok": _make_default(
        "tiktok",
        ctr=0.012,
        conversion_rate=0.008,
        price_median=0.7,
        price_sigma=0.6,
        first_price=True,
        click_volume_per_day=900.0,
        audience_size=120_000.0,
        device_share=(0.96, 0.02, 0.02),
        weekday_traffic=(0.95, 0.95, 0.96, 0.98, 1.02, 1.07, 1.07),
    ),
    "microsoft": _make_default(
        "microsoft",
        ctr=0.029,
        conversion_rate=0.042,
        price_median=2.2,
        price_sigma=0.8,
        first_price=False,
        click_volume_per_day=120.0,
        audience_size=0.0,
        device_share=(0.10, 0.86, 0.04),
        weekday_traffic=(1.18, 1.20, 1.19, 1.15, 1.05, 0.60, 0.63),
    ),
}


class MarketCalibration(StrictModel):
    """The centre of a market, one table per channel.

    A channel's table may be partial: what it leaves out keeps the default of that channel.
    """

    google: ChannelCalibration = _DEFAULTS["google"]
    meta: ChannelCalibration = _DEFAULTS["meta"]
    tiktok: ChannelCalibration = _DEFAULTS["tiktok"]
    microsoft: ChannelCalibration = _DEFAULTS["microsoft"]

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, tables: Any) -> Any:
        if not isinstance(tables, Mapping):
            return tables
        return {channel: _complete_table(channel, table) for channel, table in tables.items()}


def _complete_table(channel: str, table: Any) -> Any:
    """A channel's settings over its defaults, arrays as tuples; anything but a table stays as it is."""
    if not isinstance(table, Mapping) or channel not in _DEFAULTS:
        return table
    given = {name: tuple(setting) if isinstance(setting, list) else setting for name, setting in table.items()}
    return _DEFAULTS[channel].model_dump() | given


DEFAULT_CALIBRATION = MarketCalibration()
"""The centre that the documented families share."""


class CalibrationArrays(NamedTuple):
    """A calibration as arrays, in the order of ``CHANNELS`` and ``DEVICES``; see ``ChannelCalibration``.

    Shapes: [channels] unless said; ``device_*`` [channels, devices]; ``hour_*`` [channels, 24];
    ``weekday_traffic`` [channels, 7]. ``audience_size`` is infinite where nobody is met twice.
    """

    ctr: FloatArray
    conversion_rate: FloatArray
    price_median: FloatArray
    price_sigma: FloatArray
    first_price: NDArray[np.bool_]
    click_volume_per_day: FloatArray
    audience_size: FloatArray
    device_share: FloatArray
    device_ctr_ratio: FloatArray
    device_conversion_ratio: FloatArray
    device_price_ratio: FloatArray
    hour_traffic: FloatArray
    hour_conversion_ratio: FloatArray
    hour_price_ratio: FloatArray
    weekday_traffic: FloatArray


def make_calibration_arrays(calibration: MarketCalibration) -> CalibrationArrays:
    """The calibration as arrays of its own, which no other caller shares."""
    tables = [getattr(calibration, channel) for channel in CHANNELS]
    arrays = {name: np.array([getattr(table, name) for table in tables]) for name in CalibrationArrays._fields}
    sizes = arrays["audience_size"]
    arrays["audience_size"] = np.where(sizes > 0.0, sizes, np.inf)
    return CalibrationArrays(**arrays)
