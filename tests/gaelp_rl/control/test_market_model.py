"""The reference controller's tables against direct integration of the bid landscape."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from gaelp_rl.config.calibration import DEFAULT_CALIBRATION, make_calibration_arrays
from gaelp_rl.config.market import load_family
from gaelp_rl.control.market_model import (
    GRID_LOW,
    GRID_SIZE,
    GRID_STEP,
    locate,
    make_channel_priors,
    make_market_model,
)
from gaelp_rl.domain.channels import NUM_CHANNELS

STOCK = make_calibration_arrays(DEFAULT_CALIBRATION)

MODEL = make_market_model(load_family("campaign"))
POINTS = [60, 90, 100, 110, 130]
GRID = GRID_LOW + GRID_STEP * np.arange(GRID_SIZE)


def integrate_hour(c: int, bid: float) -> tuple[float, float, float]:
    """Clicks, spend and conversions per click for sale at a base bid in medians, by quadrature."""
    weight = STOCK.device_share[c] * STOCK.device_ctr_ratio[c]
    weight = weight / weight.sum()
    conversion = STOCK.device_conversion_ratio[c] / (weight * STOCK.device_conversion_ratio[c]).sum()
    clicks = spend = conversions = 0.0
    for d in range(3):
        log_median, sigma = math.log(STOCK.device_price_ratio[c, d]), STOCK.price_sigma[c]
        log_bid = math.log(bid * MODEL.device_modifier[c, d])
        log_price = np.linspace(log_median - 10.0 * sigma, max(log_bid, log_median - 9.0 * sigma), 4001)
        density = np.exp(-0.5 * ((log_price - log_median) / sigma) ** 2) / (sigma * math.sqrt(2.0 * math.pi))
        won = float(integrate.simpson(density, x=log_price))
        paid = math.exp(log_bid) * won
        if not STOCK.first_price[c]:
            paid = float(integrate.simpson(density * np.exp(log_price), x=log_price))
        clicks += weight[d] * won
        spend += weight[d] * paid
        conversions += weight[d] * won * conversion[d]
    return clicks, spend, conversions


@pytest.mark.parametrize("c", range(NUM_CHANNELS))
@pytest.mark.parametrize("g", POINTS)
def test_hour_tables__agree_with_quadrature(c: int, g: int) -> None:
    clicks, spend, _ = integrate_hour(c, math.exp(GRID[g]))
    assert MODEL.clicks_now[c, g] == pytest.approx(clicks, rel=1e-6)
    assert MODEL.spend_now[c, g] == pytest.approx(spend, rel=1e-6)


@pytest.mark.parametrize("c", range(NUM_CHANNELS))
@pytest.mark.parametrize("hour", [0, 11, 23])
def test_day_left__is_the_sum_of_the_hours_left(c: int, hour: int) -> None:
    """Direct sums of quadratures over the hours to midnight, hourly price and bid included."""
    g = 105
    spend = conversions = 0.0
    for h in range(hour, 24):
        price = STOCK.hour_price_ratio[c, h]
        _, paid, bought = integrate_hour(c, math.exp(GRID[g]) * MODEL.bid_by_hour[c, h] / price)
        spend += STOCK.hour_traffic[c, h] * price * paid
        conversions += STOCK.hour_traffic[c, h] * STOCK.hour_conversion_ratio[c, h] * bought
    assert MODEL.day_left[c, hour, g, 0] == pytest.approx(spend, rel=1e-3)
    assert MODEL.day_left[c, hour, g, 1] == pytest.approx(conversions, rel=1e-3)


@pytest.mark.parametrize("c", range(NUM_CHANNELS))
def test_log_bid_of_worth__is_where_the_next_click_costs_its_worth(c: int) -> None:
    """Marginal cost by central differences of spend over clicks in a one-device market."""
    sigma = STOCK.price_sigma[c]

    def buy(bid: float) -> tuple[float, float]:
        won = float(stats.norm.cdf(math.log(bid) / sigma))
        if STOCK.first_price[c]:
            return won, bid * won
        return won, math.exp(sigma**2 / 2) * float(stats.norm.cdf(math.log(bid) / sigma - sigma))

    for g in POINTS:
        bid = math.exp(MODEL.log_bid_of_worth[c, g])
        (clicks_up, spend_up), (clicks_down, spend_down) = buy(bid * 1.0001), buy(bid / 1.0001)
        marginal = (spend_up - spend_down) / (clicks_up - clicks_down)
        assert marginal == pytest.approx(math.exp(GRID[g]), rel=1e-3)


@pytest.mark.parametrize(
    ("x", "left", "weight"),
    [
        (GRID_LOW, 0, 0.0),
        (GRID_LOW + 2.25 * GRID_STEP, 2, 0.25),
        (GRID_LOW - 9.0, 0, 0.0),
        (99.0, GRID_SIZE - 2, 0.999),
    ],
)
def test_locate__is_linear_inside_and_constant_outside(x: float, left: int, weight: float) -> None:
    assert locate(x)[0] == left
    assert locate(x)[1] == pytest.approx(weight, abs=1e-6)


def test_bid_by_hour__is_flat_where_the_platform_is_inertial() -> None:
    assert (MODEL.bid_by_hour[[1, 2]] == 1.0).all()
    np.testing.assert_array_equal(MODEL.bid_by_hour[[0, 3]], STOCK.hour_conversion_ratio[[0, 3]])


def test_make_market_model__does_not_know_what_a_family_hides() -> None:
    """``shifted`` moves all its worlds; a controller learns that from reports or not at all."""
    shifted = make_market_model(load_family("shifted"))
    np.testing.assert_array_equal(shifted.conversion_rate, MODEL.conversion_rate)
    np.testing.assert_array_equal(shifted.price_median, MODEL.price_median)


def test_make_market_model__prior_spread_adds_the_family_s_variances() -> None:
    """Campaign: conversion sqrt(0.5^2 + 0.12^2), volume sqrt(0.4^2 + 0.2^2 + 0.12^2)."""
    assert MODEL.conversion_log_sd == pytest.approx(math.sqrt(0.2644))
    assert MODEL.volume_log_sd == pytest.approx(math.sqrt(0.2144))


def test_make_channel_priors__are_the_calibrated_medians() -> None:
    priors = make_channel_priors(load_family("campaign"))
    np.testing.assert_array_equal(priors.cpc, STOCK.price_median)
    np.testing.assert_array_equal(priors.conversion_rate, STOCK.conversion_rate)
