"""What a bid wins and pays, hour by hour and with slopes: the response part of the demand fit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from gaelp_rl.domain.reports import FloatArray

__all__ = ["WinResponse", "compute_win_response"]

_SLOPE_STEP = 1e-4


class WinResponse(NamedTuple):
    """Of every hour, float64 [hours]; slopes are by the log of the median competing bid and of sigma.

    Attributes:
        share: eligible impressions that the bids win, over the devices.
        share_by_price: slope of ``share``.
        share_by_sigma: likewise.
        price: mean price of a won click.
        price_by_price: slope of ``price``.
        price_by_sigma: likewise.
        price_variance: variance of the price of one click.
    """

    share: FloatArray
    share_by_price: FloatArray
    share_by_sigma: FloatArray
    price: FloatArray
    price_by_price: FloatArray
    price_by_sigma: FloatArray
    price_variance: FloatArray


def compute_win_response(
    log_bid: FloatArray, log_median: FloatArray, sigma: float, device_share: FloatArray, click_weight: FloatArray
) -> WinResponse:
    """The second-price response; see ``gaelp_rl.domain.landscape`` for the formulas.

    Args:
        log_bid: float64 [hours, devices].
        log_median: float64 [hours, devices].
        sigma: log-sd of the highest competing bid.
        device_share: float64 [devices]; of eligible impressions.
        click_weight: float64 [hours, devices]; rows add up to 1.
    """
    z = (log_bid - log_median) / sigma
    density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    share = special.ndtr(z)
    price, second = _compute_moments(log_bid, log_median, sigma)

    def average(by_device: FloatArray) -> FloatArray:
        return np.asarray((click_weight * by_device).sum(axis=1))

    up, _ = _compute_moments(log_bid, log_median + _SLOPE_STEP, sigma)
    wider, _ = _compute_moments(log_bid, log_median, sigma * np.exp(_SLOPE_STEP))
    mean = average(price)
    return WinResponse(
        share=share @ device_share,
        share_by_price=-(density / sigma) @ device_share,
        share_by_sigma=-(density * z) @ device_share,
        price=mean,
        price_by_price=average(up - price) / _SLOPE_STEP,
        price_by_sigma=average(wider - price) / _SLOPE_STEP,
        price_variance=np.maximum(average(second) - mean**2, 1e-6 * mean**2),
    )


def _compute_moments(log_bid: FloatArray, log_median: FloatArray, sigma: float) -> tuple[FloatArray, FloatArray]:
    """First and second moment of the competing bid given that it lies below the bid."""
    z = (log_bid - log_median) / sigma
    log_share = special.log_ndtr(z)
    first = np.exp(log_median + 0.5 * sigma**2 + special.log_ndtr(z - sigma) - log_share)
    second = np.exp(2.0 * log_median + 2.0 * sigma**2 + special.log_ndtr(z - 2.0 * sigma) - log_share)
    return first, second
