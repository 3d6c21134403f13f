"""The true factors against the response curves, which are recorded by other code."""

from __future__ import annotations

import numpy as np
import pytest

from envs.market.market import BatchedMarket
from envs.market.noise import make_world_keys
from gaelp_rl.config.calibration import DEFAULT_CALIBRATION, make_calibration_arrays
from gaelp_rl.config.market import load_family
from gaelp_rl.domain.channels import NUM_CHANNELS, NUM_DEVICES
from tests.envs.market.worlds import make_plan

STOCK = make_calibration_arrays(DEFAULT_CALIBRATION)

QUIET = load_family("campaign").model_copy(
    update={"hourly_volume_sd": 0.0, "hourly_price_sd": 0.0, "fatigue_per_exposure": 0.0, "shock_rate_per_day": 0.5}
)
WORLDS = 6


@pytest.mark.parametrize("hour", [0, 7, 24, 100, 337])
def test_true_factors__rebuild_the_curves_of_the_coming_hour(hour: int) -> None:
    """Volume, price and CVR of the hour follow from the calibration and the factors, to rounding."""
    market = BatchedMarket(QUIET, WORLDS)
    market.reset(make_world_keys("train", 0, WORLDS))
    curves = market.compute_response_curves()
    for _ in range(hour):
        market.step(make_plan(WORLDS, 0.05))
    truth = market.compute_true_factors()
    shape = (WORLDS, NUM_CHANNELS, NUM_DEVICES)
    volume, price, rate = (
        array[:, hour].reshape(shape) for array in (curves.click_volume, curves.price_median, curves.conversion_rate)
    )
    traffic = STOCK.hour_traffic[:, hour % 24] * STOCK.weekday_traffic[:, hour // 24 % 7]
    expected_volume = STOCK.click_volume_per_day * traffic * np.exp(truth.log_volume)
    np.testing.assert_allclose(volume.sum(axis=2), expected_volume, rtol=1e-9)
    expected_price = (STOCK.price_median * STOCK.hour_price_ratio[:, hour % 24]) * np.exp(truth.log_price)
    np.testing.assert_allclose(price / STOCK.device_price_ratio, np.repeat(expected_price[..., None], 3, 2))
    expected_rate = STOCK.conversion_rate * STOCK.hour_conversion_ratio[:, hour % 24]
    np.testing.assert_allclose(
        (volume * rate).sum(axis=2) / volume.sum(axis=2), expected_rate * np.exp(truth.log_conversion), rtol=1e-9
    )


def test_true_factors__asking_changes_nothing() -> None:
    """A market that was asked and one that was not deliver the same hours."""
    asked, silent = BatchedMarket(QUIET, 2), BatchedMarket(QUIET, 2)
    keys = make_world_keys("train", 3, 2)
    asked.reset(keys)
    silent.reset(keys)
    for _ in range(30):
        asked.compute_true_factors()
        (_, outcome), (_, other) = (market.step(make_plan(2, 1.5)) for market in (asked, silent))
        np.testing.assert_array_equal(outcome.spend_micros, other.spend_micros)


def test_true_factors__fatigue_lowers_the_clicks_for_sale() -> None:
    family = QUIET.model_copy(update={"fatigue_per_exposure": 1.0})
    fresh, worn = BatchedMarket(family, 1), BatchedMarket(family, 1)
    keys = make_world_keys("train", 5, 1)
    fresh.reset(keys)
    worn.reset(keys)
    for _ in range(72):
        fresh.step(make_plan(1, 0.01))
        worn.step(make_plan(1, 3.0))
    difference = worn.compute_true_factors().log_volume - fresh.compute_true_factors().log_volume
    assert (difference[0, [1, 2]] < -0.01).all()
    np.testing.assert_allclose(difference[0, [0, 3]], 0.0, atol=1e-12)
