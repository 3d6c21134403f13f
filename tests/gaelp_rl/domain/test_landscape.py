"""Bid landscapes against numerical integration of scipy's log-normal distribution."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from gaelp_rl.domain.landscape import (
    compute_bid_for_marginal_cost,
    compute_mean_price,
    compute_normal_cdf,
    compute_win_moments,
    compute_win_share,
)

MEDIAN = st.floats(0.05, 20.0)
SIGMA = st.floats(0.2, 1.5)
RELATIVE_BID = st.floats(0.2, 8.0)


def _integrate_price(bid: float, median: float, sigma: float, power: int) -> float:
    """E[price^power | price < bid] of a log-normal price, by quadrature."""
    price = stats.lognorm(s=sigma, scale=median)
    total, _ = integrate.quad(lambda p: p**power * price.pdf(p), 0.0, bid, points=[min(median, bid)], limit=200)
    return float(total / price.cdf(bid))


@given(st.floats(-8.0, 8.0))
def test_normal_cdf__equals_scipy(z) -> None:
    assert compute_normal_cdf(z) == pytest.approx(stats.norm.cdf(z), rel=1e-9, abs=1e-15)


@given(RELATIVE_BID, MEDIAN, SIGMA)
def test_win_share__equals_scipy(relative, median, sigma) -> None:
    bid = relative * median
    expected = stats.lognorm(s=sigma, scale=median).cdf(bid)
    assert compute_win_share(bid, median, sigma) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("sigma", [0.25, 0.6, 1.2])
@pytest.mark.parametrize("relative", [0.5, 1.0, 1.7, 6.0])
def test_second_price_moments__equal_numerical_integration(relative, sigma) -> None:
    median = 1.8
    bid = relative * median
    mean, second = (_integrate_price(bid, median, sigma, power) for power in (1, 2))
    share = stats.lognorm(s=sigma, scale=median).cdf(bid)
    assert compute_mean_price(bid, median, sigma, False) == pytest.approx(mean, rel=1e-6)
    moments = compute_win_moments(bid, median, sigma, False)
    assert moments[:2] == pytest.approx((share, mean), rel=1e-6)
    assert moments[2] == pytest.approx(second - mean**2, rel=1e-4)


@given(RELATIVE_BID, MEDIAN, SIGMA)
def test_first_price__pays_the_bid(relative, median, sigma) -> None:
    bid = relative * median
    assert compute_mean_price(bid, median, sigma, True) == bid
    assert compute_win_moments(bid, median, sigma, True) == (compute_win_share(bid, median, sigma), bid, 0.0)


@given(RELATIVE_BID, MEDIAN, SIGMA)
def test_second_price__never_pays_more_than_the_bid(relative, median, sigma) -> None:
    bid = relative * median
    assert 0.0 < compute_mean_price(bid, median, sigma, False) <= bid


def test_landscape__of_a_bid_of_zero_or_next_to_it() -> None:
    assert compute_win_share(0.0, 1.0, 0.5) == 0.0
    assert compute_mean_price(0.0, 1.0, 0.5, False) == 0.0
    assert compute_mean_price(1e-9, 1.0, 0.5, False) == 1e-9
    assert compute_win_moments(0.0, 1.0, 0.5, False) == (0.0, 0.0, 0.0)
    assert compute_win_moments(1e-9, 1.0, 0.5, False)[1:] == (1e-9, 0.0)


@given(RELATIVE_BID, MEDIAN, SIGMA)
def test_bid_for_marginal_cost__second_price_is_the_bid_itself(relative, median, sigma) -> None:
    """Spend rises by b dPhi for dPhi more clicks: the next click costs b."""
    cost = relative * median
    assert compute_bid_for_marginal_cost(cost, median, sigma, False) == cost


@given(RELATIVE_BID, MEDIAN, SIGMA)
def test_bid_for_marginal_cost__first_price_inverts_the_slope_of_spend(relative, median, sigma) -> None:
    """d(b Phi) / dPhi, by central differences at the bid that was found, is the cost asked for."""
    cost = relative * median
    bid = compute_bid_for_marginal_cost(cost, median, sigma, True)
    low, high = bid * (1 - 1e-5), bid * (1 + 1e-5)
    shares = [compute_win_share(b, median, sigma) for b in (low, high)]
    slope = (high * shares[1] - low * shares[0]) / (shares[1] - shares[0])
    assert bid < cost
    assert slope == pytest.approx(cost, rel=1e-3)


def test_bid_for_marginal_cost__next_to_nothing_still_bids_nearly_all_of_it() -> None:
    """Far below the median sigma Phi / phi tends to sigma^2 / |ln(b / median)|: 0.04 / 13.8, or 0.3 %, here."""
    bid = compute_bid_for_marginal_cost(1e-6, 1.0, 0.2, True)
    assert bid == pytest.approx(1e-6 / (1 + 0.04 / math.log(1e6)), rel=4e-3)
    assert compute_bid_for_marginal_cost(0.0, 1.0, 0.2, True) == 0.0
