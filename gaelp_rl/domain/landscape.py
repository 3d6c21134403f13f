"""Bid landscapes: what a bid wins, what it pays, and what the next click costs.

The highest competing bid for one click is log-normal with median ``median`` and log-standard
deviation ``sigma``. All functions are scalar and compiled, so that market, controllers and the
hindsight optimum share one set of formulas.

Source: bid landscape forecasting with log-normal winning prices, Cui et al., KDD 2011,
"Bid landscape forecasting in online ad exchange marketplace"; partial expectations of a
log-normal variable, Johnson, Kotz, Balakrishnan, "Continuous Univariate Distributions" vol. 1.
"""

from __future__ import annotations

import math

from numba import njit

__all__ = [
    "compute_bid_for_marginal_cost",
    "compute_mean_price",
    "compute_normal_cdf",
    "compute_win_moments",
    "compute_win_share",
]

_SQRT_HALF = math.sqrt(0.5)
_INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
_MIN_SHARE = 1e-12


@njit(cache=True, inline="always")
def compute_normal_cdf(z: float) -> float:
    """Phi(z), the standard normal distribution function."""
    return 0.5 * math.erfc(-z * _SQRT_HALF)


@njit(cache=True)
def compute_win_share(bid: float, median: float, sigma: float) -> float:
    """P(highest competing bid < bid) = Phi(ln(bid / median) / sigma); 0 for a bid of 0."""
    if bid <= 0.0:
        return 0.0
    return compute_normal_cdf(math.log(bid / median) / sigma)


@njit(cache=True, error_model="numpy")
def compute_win_moments(bid: float, median: float, sigma: float, first_price: bool) -> tuple[float, float, float]:
    """Win share, mean price and variance of the price of a won click.

    First price: the bid is paid. Second price: with z = ln(bid / median) / sigma,
    E[price^k | won] = median^k exp(k^2 sigma^2 / 2) Phi(z - k sigma) / Phi(z).

    Returns:
        (share, mean price, price variance); (0, 0, 0) for a bid of 0.
    """
    if bid <= 0.0:
        return 0.0, 0.0, 0.0
    z = math.log(bid / median) / sigma
    share = compute_normal_cdf(z)
    if first_price or share < _MIN_SHARE:
        return share, bid, 0.0
    growth = math.exp(0.5 * sigma * sigma)
    mean = median * growth * compute_normal_cdf(z - sigma) / share
    second_moment = (median * growth * growth) ** 2 * compute_normal_cdf(z - 2.0 * sigma) / share
    return share, mean, max(second_moment - mean * mean, 0.0)


@njit(cache=True, error_model="numpy")
def compute_mean_price(bid: float, median: float, sigma: float, first_price: bool) -> float:
    """Expected price of a won click: the bid, or E[competing bid | it is below the bid]."""
    if first_price or bid <= 0.0:
        return bid
    z = math.log(bid / median) / sigma
    share = compute_normal_cdf(z)
    if share < _MIN_SHARE:
        return bid
    return median * math.exp(0.5 * sigma * sigma) * compute_normal_cdf(z - sigma) / share


@njit(cache=True)
def compute_bid_for_marginal_cost(marginal_cost: float, median: float, sigma: float, first_price: bool) -> float:
    """The bid at which one more click costs ``marginal_cost``.

    Second price: the bid itself. First price: spend is N b Phi(z), so that the next click costs
    b (1 + sigma Phi(z) / phi(z)); inverted by bisection on ln b (the left side is increasing).
    """
    if not first_price or marginal_cost <= 0.0:
        return marginal_cost
    target = math.log(marginal_cost / median)
    low, high = target - 12.0, target
    for _ in range(40):
        x = 0.5 * (low + high)
        z = x / sigma
        density = _INV_SQRT_2PI * math.exp(-0.5 * z * z)
        ratio = compute_normal_cdf(z) / density if density > 1e-300 else (math.inf if z > 0.0 else 0.0)
        if x + math.log1p(sigma * ratio) > target:
            high = x
        else:
            low = x
    return median * math.exp(0.5 * (low + high))
