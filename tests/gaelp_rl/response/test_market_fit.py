"""Recovery: markets with known parameters are simulated, recorded and fitted, and the truth is found."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from envs.market.exogenous import make_tables
from envs.market.noise import make_world_keys
from experiments.calibrate import simulate_fit
from experiments.report_rows import make_observations, record_market
from gaelp_rl.config.loading import dump_config
from gaelp_rl.config.market import load_family
from gaelp_rl.domain.channels import CHANNELS, NUM_CHANNELS, Channel
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.errors import DataError
from gaelp_rl.response.drifts import compute_shock_roughness
from gaelp_rl.response.market_fit import MarketFit, fit_market
from gaelp_rl.response.observations import AccountObservations
from gaelp_rl.response.simulated import FIGURES, count_observed
from tests.gaelp_rl.response.markets import draw_market, make_varied_record
from tests.gaelp_rl.response.recovery import Recovery, find_truth, measure_recovery

WORLDS = int(os.environ.get("GAELP_RECOVERY_WORLDS", "8"))
LEVELS = ("ctr", "conversion_rate", "price_median", "price_sigma", "click_volume_per_day")
CURVES = ("hour_traffic", "hour_price_ratio", "weekday_traffic", "hour_conversion_ratio")
DEVICES = ("device_share", "device_ctr_ratio", "device_conversion_ratio")
ACCOUNT = ("delay.immediate", "delay.fast_share_of_rest", "delay.mean_hours", "volume_drift_sd", "hourly_volume_sd")
MAX_HALF_WIDTH = {
    "ctr": 0.15,
    "conversion_rate": 0.3,
    "price_median": 0.3,
    "price_sigma": 0.25,
    "click_volume_per_day": 0.42,
    "hour_traffic": 0.2,
    "hour_price_ratio": 0.12,
    "weekday_traffic": 0.1,
    "delay.immediate": 0.15,
    "delay.mean_hours": 0.5,
    "volume_drift_sd": 0.3,
}
"""Median half width of an interval in logs: an interval that is wide enough always covers."""


@pytest.fixture(scope="module")
def recovered() -> dict[tuple[str, str], Recovery]:
    found = measure_recovery(range(300, 300 + WORLDS))
    for (channel, name), own in sorted(found.items()):
        width = np.median(own.half_widths) if own.half_widths else np.nan
        print(f"{channel} | {name} | {len(own.hits)} | {own.coverage:.2f} | {width:.3f} | {own.kept}")  # noqa: T201
    return found


@pytest.fixture(scope="module")
def account() -> AccountObservations:
    return make_observations(make_varied_record(draw_market(7), 7), 0)


@pytest.fixture(scope="module")
def fit(account: AccountObservations) -> MarketFit:
    return fit_market(account, "shop")


@pytest.mark.integration
@pytest.mark.parametrize("names", [LEVELS, CURVES, DEVICES, ACCOUNT], ids=["levels", "curves", "devices", "account"])
def test_recovery__the_truth_lies_in_the_intervals_at_the_stated_rate(recovered, names: tuple[str, ...]) -> None:
    """90 % intervals: at least 80 %, and not fewer than chance allows of 90 % (one in a thousand)."""
    hits = [hit for (_, name), own in recovered.items() if name in names for hit in own.hits]
    assert len(hits) >= 5 * WORLDS
    assert np.mean(hits) >= 0.8
    if names == LEVELS:
        assert stats.binomtest(sum(hits), len(hits), 0.9, alternative="less").pvalue > 1e-3


@pytest.mark.integration
@pytest.mark.parametrize("channel", CHANNELS)
def test_recovery__holds_on_every_channel(recovered, channel: Channel) -> None:
    """Thin channels' curves are shrunk more than the drawn ones need, and cover more."""
    hits = [hit for (own, _), found in recovered.items() if own == channel for hit in found.hits]
    assert 0.84 <= np.mean(hits) <= 0.99


@pytest.mark.integration
@pytest.mark.parametrize("name", MAX_HALF_WIDTH)
def test_recovery__intervals_say_something(recovered, name: str) -> None:
    for (channel, own), found in recovered.items():
        if own == name and found.half_widths:
            assert np.median(found.half_widths) <= MAX_HALF_WIDTH[name], channel


@pytest.mark.integration
def test_recovery__levels_are_fitted_and_not_kept(recovered) -> None:
    kept = sum(recovered[channel, name].kept for channel in CHANNELS for name in LEVELS)
    assert kept <= 0.1 * WORLDS * NUM_CHANNELS * len(LEVELS)


def test_fitted_market__loads_and_simulates_to_the_observed_totals(account, fit: MarketFit, tmp_path) -> None:
    """Totals of every channel within the simulated worlds' range, their median within a quarter (drift and
    creatives of one month are luck that no fit can tell from the market)."""
    path = tmp_path / "shop.toml"
    path.write_text(dump_config(fit.family), encoding="utf-8")
    assert load_family(path) == fit.family
    simulated = simulate_fit(fit, account, 0)
    for channel, own in fit.channels.items():
        seen = count_observed(own.observed)
        for name in FIGURES:
            totals = simulated[channel].figures[name].sum(axis=1)
            total = seen.figures[name].sum()
            assert totals.min() <= total <= totals.max(), (channel, name)
            assert np.median(totals) == pytest.approx(total, rel=0.25, abs=3.0 * np.sqrt(total)), (channel, name)


def test_without_plans__totals_are_matched_too(account: AccountObservations) -> None:
    """Bids are fitted and budgets unknown: what the account spent must not be capped by a default budget."""
    blind = make_observations(make_varied_record(draw_market(7), 7), 0, with_plans=False)
    fit = fit_market(blind, "blind")
    spend = sum(one.spend.sum(axis=1).reshape(-1)[: 27 * 24].sum() for one in account.channels.values())
    assert fit.family.daily_budget_micros / 1e6 >= spend / 28
    simulated = simulate_fit(fit, blind, 0)
    for channel, own in fit.channels.items():
        seen = count_observed(own.observed).figures["impressions"].sum()
        totals = simulated[channel].figures["impressions"].sum(axis=1)
        assert totals.min() <= seen <= totals.max(), channel
        assert np.median(totals) == pytest.approx(seen, rel=0.35), channel


def test_spreads__are_the_errors_of_the_channel_known_least(fit: MarketFit) -> None:
    errors = [p.log_sd for p in fit.parameters if p.name == "price_median"]
    assert fit.family.price_log_sd == pytest.approx(max(errors))
    assert fit.family.ctr_log_sd < load_family("campaign").ctr_log_sd


def test_table__is_what_the_parameters_state(fit: MarketFit) -> None:
    stated = {p.label: p.estimate for p in fit.parameters}
    google = fit.family.calibration.google
    assert google.price_sigma == stated["google.price_sigma"]
    np.testing.assert_allclose(google.hour_traffic[7], stated["google.hour_traffic[07]"], rtol=1e-3)
    assert make_tables(fit.family.calibration).hour_traffic.sum(axis=1) == pytest.approx(1.0)


def test_without_plans__competition_is_kept_and_says_why(account: AccountObservations) -> None:
    drawn = draw_market(7)
    blind = fit_market(make_observations(make_varied_record(drawn, 7), 0, with_plans=False), "blind")
    by_label = {p.label: p for p in blind.parameters}
    for channel in ("google", "meta"):
        assert "--plans" in by_label[f"{channel}.price_sigma"].source
        assert (
            by_label[f"{channel}.price_sigma"].estimate
            == getattr(load_family("campaign").calibration, channel).price_sigma
        )
    assert "--plans" in by_label["account.price_drift_sd"].source
    volume = by_label["google.click_volume_per_day"]
    assert volume.is_fitted
    assert volume.low < find_truth(drawn.family, volume) * 1.2
    assert volume.high > find_truth(drawn.family, volume) / 1.2


def test_one_reading__keeps_the_delay_and_says_why(account: AccountObservations) -> None:
    record = make_varied_record(draw_market(7), 7)
    single = fit_market(make_observations(record, 0, ages=()), "single")
    slow = next(p for p in single.parameters if p.label == "account.delay.mean_hours[slow]")
    assert not slow.is_fitted or slow.log_sd > 0.2


def test_paced_days__are_left_out_where_no_share_tells(account: AccountObservations) -> None:
    """Meta on a budget of 60 % of what it would spend: volume must not come out as what it could pay."""
    drawn = draw_market(7)

    def plan_hour(hour: int) -> PlanBatch:
        budget = np.full((1, NUM_CHANNELS), 5000.0)
        budget[0, 1] = 5000.0 if hour // 24 % 2 else 60.0
        return PlanBatch.from_currency(drawn.bids[hour // 24][None, :], budget)

    record = record_market(drawn.family, make_world_keys("validation", 7, 1), plan_hour)
    fit = fit_market(make_observations(record, 0), "paced")
    assert fit.channels[Channel.META].demand.num_paced_hours > 200
    volume = next(p for p in fit.parameters if p.label == "meta.click_volume_per_day")
    assert volume.estimate == pytest.approx(find_truth(drawn.family, volume), rel=0.5)
    known = next(p for p in fit.parameters if p.label == "google.click_volume_per_day")
    assert known.low <= find_truth(drawn.family, known) * 1.05


def test_thin_channel__keeps_its_defaults(account: AccountObservations) -> None:
    short = replace(account.channels[Channel.META], hour=np.arange(10))
    channels = {**account.channels, Channel.META: short}
    del channels[Channel.TIKTOK]
    fit = fit_market(replace(account, channels=channels), "thin")
    assert fit.left_out[Channel.TIKTOK] == "no rows"
    assert "in 10 hours" in fit.left_out[Channel.META]
    assert fit.family.calibration.meta == load_family("campaign").calibration.meta


def test_too_little_data__says_what_there_is_and_what_is_needed(account: AccountObservations) -> None:
    with pytest.raises(DataError, match=r"168 hours and 50 clicks\. Found google: no rows; meta: no rows"):
        fit_market(replace(account, channels={}), "none")


def test_shock_roughness__is_what_a_simulated_shock_process_adds() -> None:
    """An on-off process drawn hour by hour, its daily means in the AR(1) form."""
    family = load_family("campaign").model_copy(update={"shock_rate_per_day": 0.3})
    rng, days = np.random.default_rng(0), 28
    from gaelp_rl.response.posterior import compute_ar1_precision

    precision = compute_ar1_precision(days, family.drift_persistence)
    forms = []
    for _ in range(1500):
        left, values = 0.0, np.zeros(days * 24 + 240)
        for hour in range(values.size):
            left -= 1.0
            if left <= 0.0 and rng.random() < family.shock_rate_per_day / 24:
                left = rng.exponential(family.shock_mean_hours)
            values[hour] = family.shock_log_size if left > 0.0 else 0.0
        daily = values[240:].reshape(days, 24).mean(axis=1)
        forms.append(daily - family.shock_log_size * 0.23)
    forms = np.array(forms)
    measured = np.einsum("ni,ij,nj->n", forms - forms.mean(), precision, forms - forms.mean()).mean() / days
    assert compute_shock_roughness(family, days) == pytest.approx(measured, rel=0.25)
