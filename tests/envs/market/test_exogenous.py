"""What happens in a world whatever the advertiser does, against the families' stated distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from envs.market.exogenous import (
    ADVANCED_FIELDS,
    ExogenousParams,
    ExogenousState,
    advance_exogenous,
    make_exogenous_params,
    make_exogenous_state,
    make_tables,
    start_worlds,
)
from envs.market.noise import make_world_keys
from gaelp_rl.config.calibration import DEFAULT_CALIBRATION
from gaelp_rl.config.market import FAMILIES, FamilyConfig
from gaelp_rl.domain.channels import NUM_CHANNELS
from tests.envs.market.worlds import META, make_flat_family

TABLES = make_tables(DEFAULT_CALIBRATION)


def start_exogenous(family: FamilyConfig, worlds: int) -> tuple[ExogenousState, ExogenousParams]:
    state, params = make_exogenous_state(worlds), make_exogenous_params(family)
    state.key[:] = make_world_keys("train", 0, worlds)
    start_worlds(state, params, TABLES)
    return state, params


def record(family: FamilyConfig, worlds: int, hours: int) -> dict[str, np.ndarray]:
    """Each hour's arrays, [hours, worlds, channels, ...]."""
    state, params = start_exogenous(family, worlds)
    names = ("hour_impressions", "hour_price", "hour_conversion", "shock_hours", "drift", "creative_generation")
    history: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for hour in range(hours):
        advance_exogenous(hour, state, params, TABLES)
        for name in names:
            history[name].append(getattr(state, name).copy())
    return {name: np.array(rows) for name, rows in history.items()}


@pytest.mark.parametrize("name", FAMILIES)
def test_persistent_factors__are_log_normal_around_the_calibration(name: str) -> None:
    """3,000 worlds x 4 channels: means within four standard errors, spreads within 5 %."""
    family = FAMILIES[name]
    state, _ = start_exogenous(family, 3000)
    for drawn, centre, sd in (
        (state.volume, TABLES.impressions_per_day, family.volume_log_sd),
        (state.ctr, TABLES.ctr, family.ctr_log_sd),
        (state.price, TABLES.price_median * family.price_factor, family.price_log_sd),
        (state.conversion, TABLES.conversion_rate * family.conversion_factor, family.conversion_log_sd),
        (state.delay_scale, family.delay_scale, family.delay_scale_log_sd),
        (state.device_conversion[:, :, 1], TABLES.device_conversion[:, 1], family.device_conversion_log_sd),
    ):
        log_factor = np.log(drawn / centre)
        assert abs(log_factor.mean()) < 4.0 * sd / math.sqrt(log_factor.size)
        assert log_factor.std() == pytest.approx(sd, rel=0.05)


def test_persistent_factors__are_independent_of_each_other() -> None:
    state, _ = start_exogenous(FAMILIES["wide"], 4000)
    logs = np.log(np.concatenate([state.volume, state.ctr, state.price, state.conversion], axis=1))
    off_diagonal = np.corrcoef(logs.T)[~np.eye(logs.shape[1], dtype=bool)]
    assert np.abs(off_diagonal).max() < 4.5 / math.sqrt(4000)


def test_drift__is_a_stationary_ar1_from_the_first_day() -> None:
    family = FAMILIES["campaign"]
    drift = record(family, 1500, 24 * 12)["drift"][::24]
    stated = np.array([family.volume_drift_sd, family.price_drift_sd, family.conversion_drift_sd])
    assert drift.std(axis=(1, 2)) == pytest.approx(np.tile(stated, (12, 1)), rel=0.06)
    for kind in range(3):
        today, tomorrow = drift[:-1, :, :, kind].ravel(), drift[1:, :, :, kind].ravel()
        assert np.corrcoef(today, tomorrow)[0, 1] == pytest.approx(family.drift_persistence, abs=0.01)


def test_drift__holds_all_day() -> None:
    drift = record(FAMILIES["campaign"], 3, 48)["drift"].reshape(2, 24, -1)
    assert (drift == drift[:, :1]).all()


def test_shocks__last_and_recur_as_stated() -> None:
    """Alternating renewal: a shock of exponential length L fills ceil(L) hours, one hour passes, and
    then every hour begins the next with probability rate / 24. E[ceil(L)] = 1 / (1 - e^(-1/mean))."""
    family = make_flat_family(shock_rate_per_day=0.6, shock_mean_hours=8.0, shock_log_size=0.3)
    history = record(family, 600, 672)
    shocked = history["shock_hours"] > 0.0
    p, length = 0.6 / 24.0, 1.0 / (1.0 - math.exp(-1.0 / 8.0))
    expected = length / (length + 1.0 + (1.0 - p) / p)
    by_world = shocked[200:].mean(axis=(0, 2))
    assert abs(by_world.mean() - expected) < 4.0 * by_world.std() / math.sqrt(600)
    calm_price = TABLES.price_median * TABLES.hour_price.T
    ratio = history["hour_price"] / np.tile(calm_price, (28, 1))[:, None, :]
    assert ratio == pytest.approx(np.where(shocked, math.exp(0.3), 1.0))


def test_outage__takes_one_channel_of_shifted_for_its_stated_hours() -> None:
    dark = record(FAMILIES["shifted"], 200, 672)["hour_impressions"] == 0.0
    assert (dark.sum(axis=0).max(axis=1) == FAMILIES["shifted"].outage_hours).all()
    assert (dark.any(axis=0).sum(axis=1) == 1).all()
    assert set(np.argwhere(dark.any(axis=0))[:, 1]) == set(range(NUM_CHANNELS))
    starts = dark.any(axis=2).argmax(axis=0)
    assert starts.min() < 60
    assert starts.max() > 24 * 23


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "shifted"])
def test_outage__happens_in_no_family_that_is_trained_on(name: str) -> None:
    assert (record(FAMILIES[name], 20, 672)["hour_impressions"] > 0.0).all()


def test_season__swings_volume_once_in_four_weeks_and_price_half_as_far() -> None:
    amplitude = 0.4
    calm, season = record(make_flat_family(), 50, 672), record(make_flat_family(season_amplitude=amplitude), 50, 672)
    volume = np.log(season["hour_impressions"] / calm["hour_impressions"])
    price = np.log(season["hour_price"] / calm["hour_price"])
    assert price == pytest.approx(0.5 * volume)
    assert volume.max(axis=0) == pytest.approx(amplitude, rel=1e-3)
    assert volume.mean(axis=0) == pytest.approx(0.0, abs=1e-9)
    assert (season["hour_conversion"] == calm["hour_conversion"]).all()


def test_calm_week__is_the_calibration() -> None:
    """Without spread a week sells 7 average days: weekday factors average 1, hourly shares sum to 1."""
    week = record(make_flat_family(), 1, 168)
    sold = week["hour_impressions"].sum(axis=(0, 1)) * TABLES.ctr
    assert sold == pytest.approx(7.0 * np.array([300.0, 700.0, 900.0, 120.0]), rel=3e-3)
    weighted = (week["hour_conversion"] * week["hour_impressions"]).sum(axis=(0, 1))
    assert weighted / week["hour_impressions"].sum(axis=(0, 1)) == pytest.approx(TABLES.conversion_rate)


def test_hourly_noise__has_its_stated_spread() -> None:
    calm = record(make_flat_family(), 400, 24)
    noisy = record(make_flat_family(hourly_volume_sd=0.15, hourly_price_sd=0.08), 400, 24)
    for name, sd in (("hour_impressions", 0.15), ("hour_price", 0.08)):
        log_factor = np.log(noisy[name] / calm[name])
        assert abs(log_factor.mean()) < 4.0 * sd / math.sqrt(log_factor.size)
        assert log_factor.std() == pytest.approx(sd, rel=0.02)


def test_creatives__are_replaced_in_turn() -> None:
    """With a life of 14 days the first is new on days 0 and 14, the second is half-way through its life."""
    generation = record(make_flat_family(), 2, 672)["creative_generation"][::24, 0, META]
    assert [day for day in range(1, 28) if generation[day, 0] != generation[day - 1, 0]] == [14]
    assert [day for day in range(1, 28) if generation[day, 1] != generation[day - 1, 1]] == [7, 21]


def test_worlds__are_functions_of_their_keys() -> None:
    """A state that has lived before starts a key's world as a fresh one does."""
    used, params = start_exogenous(FAMILIES["shifted"], 4)
    for hour in range(100):
        advance_exogenous(hour, used, params, TABLES)
    start_worlds(used, params, TABLES)
    fresh, _ = start_exogenous(FAMILIES["shifted"], 4)
    for hour in range(50):
        advance_exogenous(hour, used, params, TABLES)
        advance_exogenous(hour, fresh, params, TABLES)
        assert all((a == b).all() for a, b in zip(used, fresh, strict=True))


def test_device_ratios__average_to_one_over_each_channels_impressions() -> None:
    for ratios in (TABLES.device_ctr, TABLES.device_conversion):
        assert (ratios * TABLES.device_share).sum(axis=1) == pytest.approx(1.0)


def test_advanced_fields__are_all_that_an_hour_writes() -> None:
    """``compute_true_factors`` copies these arrays only, and must leave the market as it was."""
    state, params = start_exogenous(FAMILIES["shifted"], 64)
    before = {name: getattr(state, name).copy() for name in ExogenousState._fields}
    for hour in range(24 * 15):
        advance_exogenous(hour, state, params, TABLES)
    written = {name for name, array in before.items() if not np.array_equal(array, getattr(state, name))}
    assert written == set(ADVANCED_FIELDS)
