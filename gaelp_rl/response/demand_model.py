"""The demand model of one channel: its parameters, its data, and what each observation says.

Eligible impressions of an hour are log-linear in level, hour of day, weekday, the day's drift and a
four-week season; the median competing bid likewise. Impressions are the share that the bid in force
wins, and the price of a click tells where the competing bids lie below it:

    E_t = V traffic_h weekday_w exp(a_d + season_t + noise_t)
    m_t = M price_h exp(b_d + season_t / 2 + noise_t)
    impressions_t ~ Poisson(E_t Phi(ln(bid_t / m_t) / sigma) entered_t)
    spend_t / clicks_t ~ mean and variance of the competing bid below bid_t    (second price)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.config.calibration import ChannelCalibration
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.reports import FloatArray, IntArray
from gaelp_rl.response.landscape_fit import WinResponse, compute_win_response
from gaelp_rl.response.observations import HOURS_PER_DAY, ChannelObservations
from gaelp_rl.response.posterior import Term

__all__ = [
    "DemandData",
    "DemandLayout",
    "Hyper",
    "compute_demand",
    "compute_response",
    "compute_terms",
    "fill_bids",
    "make_demand_data",
]


@dataclass(frozen=True, slots=True)
class DemandLayout:
    """Where the parameters stand in their vector.

    Attributes:
        num_days: days that drifts span.
        has_bids: whether bids are known; if not, their level and daily moves are parameters.
    """

    num_days: int
    has_bids: bool = True

    VOLUME = 0
    PRICE = 1
    SIGMA = 2
    BID = 3
    SEASON = slice(4, 6)
    TRAFFIC = slice(6, 30)
    PRICE_CURVE = slice(30, 54)
    WEEKDAY = slice(54, 61)

    @property
    def volume_drift(self) -> slice:
        """The days' log-drifts of volume."""
        return slice(61, 61 + self.num_days)

    @property
    def price_drift(self) -> slice:
        """The days' log-drifts of price."""
        return slice(61 + self.num_days, 61 + 2 * self.num_days)

    @property
    def bid_drift(self) -> slice:
        """The days' log-deviations of unknown bids; empty where bids are known."""
        return slice(61 + 2 * self.num_days, self.size)

    @property
    def size(self) -> int:
        """How many parameters there are."""
        return 61 + (2 if self.has_bids else 3) * self.num_days


@dataclass(frozen=True, slots=True)
class Hyper:
    """Standard deviations of what varies, each with the degrees of freedom behind it."""

    volume_drift_sd: float
    price_drift_sd: float
    hourly_volume_sd: float
    volume_drift_freedom: float
    price_drift_freedom: float
    hourly_volume_freedom: float


@dataclass(frozen=True, slots=True)
class DemandData:
    """One channel's usable hours, [hours, ...], and the constant parts of the model."""

    volume_basis: FloatArray
    price_basis: FloatArray
    bid_basis: FloatArray
    log_bid: FloatArray
    log_device_price: FloatArray
    device_share: FloatArray
    click_weight: FloatArray
    impressions: FloatArray
    eligible: FloatArray
    entered: FloatArray
    clicks: FloatArray
    spend: FloatArray
    first_price: bool
    hourly_price_sd: float


def make_demand_data(
    observed: ChannelObservations,
    layout: DemandLayout,
    first_weekday: int,
    centre: ChannelCalibration,
    family: FamilyConfig,
    entered: FloatArray,
    usable: NDArray[np.bool_],
    share: FloatArray,
    bid: FloatArray,
) -> DemandData:
    """The usable hours of a channel.

    Args:
        observed: all of its hours.
        layout: of the parameters.
        first_weekday: of day 0, Monday is 0.
        centre: the channel's default calibration: device prices and the auction form.
        family: gives the hourly noise of prices.
        entered: float64 [hours]; share of auctions that the budget let the channel enter.
        usable: bool [hours].
        share: float64 [devices]; of eligible impressions.
        bid: float64 [hours, devices]; see ``fill_bids``.
    """
    hour, clicks = observed.hour[usable], observed.clicks[usable]
    total = clicks.sum(axis=1)
    weight = clicks / np.where(total > 0.0, total, 1.0)[:, None] if observed.has_devices else np.zeros_like(clicks)
    weight = np.where(weight.sum(axis=1, keepdims=True) > 0.0, weight, share)
    volume_basis, price_basis, bid_basis = _make_bases(hour, layout, first_weekday)
    return DemandData(
        volume_basis=volume_basis,
        price_basis=price_basis,
        bid_basis=bid_basis,
        log_bid=np.log(bid[usable]),
        log_device_price=np.log(np.array(centre.device_price_ratio)),
        device_share=share,
        click_weight=weight,
        impressions=observed.impressions[usable].sum(axis=1),
        eligible=observed.eligible[usable].sum(axis=1),
        entered=entered[usable],
        clicks=total,
        spend=observed.spend[usable].sum(axis=1),
        first_price=centre.first_price,
        hourly_price_sd=family.hourly_price_sd,
    )


def fill_bids(observed: ChannelObservations, centre: ChannelCalibration) -> FloatArray:
    """Bids in force of every hour, float64 [hours, devices]; NaN where nothing tells them.

    At first price an unknown bid is what a click of the hour, else of the day, has cost. At second
    price unknown bids are 1 all along, to which parameters are the factor.
    """
    bid = np.where(observed.bid > 0.0, observed.bid, np.nan)
    if observed.has_bids:
        return bid
    if not centre.first_price:
        return np.ones_like(bid)
    clicks, spend = observed.clicks.sum(axis=1), observed.spend.sum(axis=1)
    day = observed.hour // HOURS_PER_DAY
    clicks_of_day = np.bincount(day, clicks)
    of_day = np.bincount(day, spend) / np.where(clicks_of_day > 0.0, clicks_of_day, np.nan)
    paid = np.where(clicks > 0.0, spend / np.where(clicks > 0.0, clicks, 1.0), of_day[day])
    return np.repeat(paid[:, None], bid.shape[1], axis=1)


def _make_bases(hour: IntArray, layout: DemandLayout, first_weekday: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Design matrices of log volume, log price and log bid, [hours, parameters]."""
    rows = np.arange(hour.size)
    day, hour_of_day = hour // HOURS_PER_DAY, hour % HOURS_PER_DAY
    volume, price, bid = np.zeros((3, hour.size, layout.size))
    angle = 2.0 * np.pi * hour / (28.0 * HOURS_PER_DAY)
    wave = np.column_stack((np.sin(angle), np.cos(angle)))
    volume[:, layout.VOLUME], price[:, layout.PRICE] = 1.0, 1.0
    volume[:, layout.SEASON], price[:, layout.SEASON] = wave, 0.5 * wave
    volume[rows, layout.TRAFFIC.start + hour_of_day] = 1.0
    price[rows, layout.PRICE_CURVE.start + hour_of_day] = 1.0
    volume[rows, layout.WEEKDAY.start + (first_weekday + day) % 7] = 1.0
    volume[rows, layout.volume_drift.start + day] = 1.0
    price[rows, layout.price_drift.start + day] = 1.0
    if not layout.has_bids:
        bid[:, layout.BID] = 1.0
        bid[rows, layout.bid_drift.start + day] = 1.0
    return volume, price, bid


def compute_response(theta: FloatArray, layout: DemandLayout, data: DemandData) -> WinResponse:
    """What the bids win and pay in every hour; the hour's price noise widens sigma."""
    log_median = (data.price_basis @ theta)[:, None] + data.log_device_price
    sigma = float(np.exp(theta[layout.SIGMA]))
    wide = float(np.hypot(sigma, data.hourly_price_sd))
    log_bid = data.log_bid + (data.bid_basis @ theta)[:, None]
    response = compute_win_response(log_bid, log_median, wide, data.device_share, data.click_weight)
    ratio = (sigma / wide) ** 2
    return response._replace(
        share_by_sigma=ratio * response.share_by_sigma, price_by_sigma=ratio * response.price_by_sigma
    )


def compute_demand(theta: FloatArray, data: DemandData, hyper: Hyper) -> FloatArray:
    """Expected eligible impressions of every hour; the mean over the hour's own noise."""
    return np.asarray(np.exp(data.volume_basis @ theta + 0.5 * hyper.hourly_volume_sd**2))


def compute_terms(theta: FloatArray, layout: DemandLayout, data: DemandData, hyper: Hyper) -> list[Term]:
    """Eligible impressions, impressions and, where prices are second, spend."""
    response, demand = compute_response(theta, layout, data), compute_demand(theta, data, hyper)
    known = np.isfinite(data.eligible)
    terms = [_compare_impressions(layout, data, hyper, response, demand)]
    if known.any():
        mean = demand[known]
        variance = mean + (hyper.hourly_volume_sd * mean) ** 2
        terms.append(Term(data.eligible[known] - mean, variance, mean[:, None] * data.volume_basis[known]))
    if not data.first_price and (data.clicks > 0.0).any():
        terms.append(_compare_spend(layout, data, response))
    return terms


def _compare_impressions(
    layout: DemandLayout, data: DemandData, hyper: Hyper, response: WinResponse, demand: FloatArray
) -> Term:
    """Binomial where eligible impressions are reported, else Poisson with the hour's noise."""
    known = np.isfinite(data.eligible)
    offered = np.where(known, data.eligible, demand) * data.entered
    won = offered * response.share
    by_price, by_sigma = offered * response.share_by_price, offered * response.share_by_sigma
    slope = _make_slope(layout, data, -by_price, by_price, by_sigma)
    slope += np.where(known, 0.0, won)[:, None] * data.volume_basis
    binomial = np.where(known, 1.0 - response.share * data.entered, 1.0)
    spread = np.where(known, 0.0, hyper.hourly_volume_sd * won) ** 2 + (data.hourly_price_sd * by_price) ** 2
    return Term(data.impressions - won, np.maximum(won * binomial + spread, 1e-6), slope)


def _compare_spend(layout: DemandLayout, data: DemandData, response: WinResponse) -> Term:
    paid = data.clicks > 0.0
    clicks = data.clicks[paid]
    by_bid = response.price - response.price_by_price
    slope = _make_slope(layout, data, by_bid, response.price_by_price, response.price_by_sigma)[paid]
    noise = (data.hourly_price_sd * clicks * response.price_by_price[paid]) ** 2
    residual = data.spend[paid] - clicks * response.price[paid]
    return Term(residual, clicks * response.price_variance[paid] + noise, slope * clicks[:, None])


def _make_slope(
    layout: DemandLayout, data: DemandData, by_bid: FloatArray, by_price: FloatArray, by_sigma: FloatArray
) -> FloatArray:
    """Slopes by all parameters of something that depends on bid, median price and sigma."""
    slope = by_price[:, None] * data.price_basis
    if not layout.has_bids:
        slope += by_bid[:, None] * data.bid_basis
    slope[:, layout.SIGMA] += by_sigma
    return slope
