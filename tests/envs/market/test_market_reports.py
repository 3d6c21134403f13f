"""What the simulated platforms report, how late, and what they never say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from envs.market.delivery_state import ATTRIBUTION_HOURS
from envs.market.exogenous import make_tables
from gaelp_rl.config.calibration import DEFAULT_CALIBRATION, make_calibration_arrays
from gaelp_rl.config.market import FAMILIES, FamilyConfig
from gaelp_rl.domain.channels import CHANNELS, NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.domain.platform_rules import PLATFORM_RULES
from tests.envs.market.worlds import GOOGLE, META, MICROSOFT, TIKTOK, Step, make_flat_family, make_plan, run, start

STOCK = make_calibration_arrays(DEFAULT_CALIBRATION)

RULES = [PLATFORM_RULES[channel] for channel in CHANNELS]
CLICK_LAG = np.array([rule.lag_hours for rule in RULES])
CONVERSION_LAG = CLICK_LAG + np.array([rule.conversion_lag_hours for rule in RULES])
MEDIANS = STOCK.price_median
EVERYTHING_PAUSED = tuple(range(NUM_CHANNELS))


def run_one_hour_of_clicks(family: FamilyConfig, hour: int, after: int, worlds: int) -> tuple[np.ndarray, np.ndarray]:
    """Buys in one hour only. Conversions drawn [worlds, channels] and reported [hours, worlds, channels];
    row n is the report at the start of hour ``hour + 1 + n``."""
    market = start(family, worlds)
    paused = make_plan(worlds, MEDIANS * 2.0, paused=EVERYTHING_PAUSED)
    run(market, paused, hour)
    drawn = market.step(make_plan(worlds, MEDIANS * 2.0, paused=(MICROSOFT,)))
    assert not drawn[1].learning[:, GOOGLE].any()
    reports = [drawn[0]] + [report for report, _ in run(market, paused, after)]
    return drawn[1].conversions, np.array([report.conversions for report in reports])


def test_clicks__are_reported_after_each_channels_lag() -> None:
    market = start(FAMILIES["campaign"], 10)
    steps = run(market, make_plan(10, MEDIANS, 125.0), 40)
    for c in range(NUM_CHANNELS):
        for hour in range(40):
            seen = steps[hour][0]
            assert seen.hour == hour + 1
            if hour < CLICK_LAG[c]:
                assert (seen.clicks[:, c] == 0).all()
            else:
                true = steps[hour - CLICK_LAG[c]][1]
                assert (seen.clicks[:, c] == true.clicks[:, c]).all()
                assert (seen.spend_micros[:, c] == true.spend_micros[:, c]).all()
                assert (seen.impressions[:, c] >= seen.clicks[:, c]).all()


def test_device_split__sums_to_the_channel_and_is_masked_for_tiktok() -> None:
    for report, _ in run(start(FAMILIES["campaign"], 10), make_plan(10, MEDIANS, 125.0), 30):
        assert np.isnan(report.device_clicks[:, TIKTOK]).all()
        assert np.isnan(report.device_impressions[:, TIKTOK]).all()
        for c in (GOOGLE, META, MICROSOFT):
            assert (report.device_clicks[:, c].sum(axis=1) == report.clicks[:, c]).all()
            assert (report.device_impressions[:, c].sum(axis=1) == report.impressions[:, c]).all()


def test_conversions__are_never_reported_before_their_click_and_the_lag() -> None:
    """Reported so far never exceeds what had been drawn a lag ago, in any world and channel."""
    steps = run(start(FAMILIES["mild"], 60), make_plan(60, MEDIANS, 125.0), 72)
    drawn = np.array([outcome.conversions for _, outcome in steps]).cumsum(axis=0)
    reported = np.array([report.conversions for report, _ in steps]).cumsum(axis=0)
    for c in range(NUM_CHANNELS):
        lag = int(CONVERSION_LAG[c])
        assert (reported[:lag, :, c] == 0).all()
        assert (reported[lag:, :, c] <= drawn[: 72 - lag, :, c]).all()
        assert reported[-1, :, c].sum() > 0


def test_conversions__are_all_reported_in_the_end() -> None:
    """With delays far inside the attribution window nothing is lost, across midnights and rings."""
    family = make_flat_family(delay=ConversionDelay(0.3, (0.4, 0.3), (3.0, 20.0)), delay_scale_log_sd=0.2)
    market = start(family, 40)
    live = run(market, make_plan(40, MEDIANS * 1.5), 30)
    silence = run(market, make_plan(40, MEDIANS, paused=EVERYTHING_PAUSED), 730)
    late = sum(outcome.conversions for _, outcome in silence)
    drawn = sum(outcome.conversions for _, outcome in live) + late
    reported = sum(report.conversions for report, _ in live + silence)
    assert drawn.min() > 0
    assert (reported == drawn).all()
    assert (silence[-1][0].conversions == 0).all()


def test_conversions__of_the_last_hour_of_a_day_arrive_on_the_days_after() -> None:
    drawn, reported = run_one_hour_of_clicks(make_flat_family(conversion_factor=4.0), 23, 48, 60)
    assert drawn[:, GOOGLE].sum() > 50
    assert reported[0, :, TIKTOK].sum() > 0, "the immediate share is known at midnight"
    assert reported[1:25].sum() > 0
    assert reported[25:].sum() > 0


@pytest.mark.parametrize(
    ("delay", "scale"),
    [(ConversionDelay(), 1.0), (ConversionDelay(), 2.0), (ConversionDelay(0.3, (0.7,), (1.5,)), 1.0)],
)
def test_delay__has_the_distribution_that_the_family_states(delay: ConversionDelay, scale: float) -> None:
    """P(reported within n hours of the first possible report) = cdf(n) of the scaled mixture, inside
    the attribution window; Kolmogorov's band at 0.1 % over some thousand conversions."""
    family = make_flat_family(conversion_factor=5.0, delay=delay, delay_scale=scale)
    drawn, reported = run_one_hour_of_clicks(family, 12, 728, 400)
    delays = np.zeros(ATTRIBUTION_HOURS + 1)
    for c in range(MICROSOFT):
        first = int(CONVERSION_LAG[c])
        assert (reported[:first, :, c] == 0).all()
        delays += reported[first : first + ATTRIBUTION_HOURS + 1, :, c].sum(axis=1)
    total = drawn.sum()
    stated = family.delay.scale(scale).compute_cdf(np.arange(ATTRIBUTION_HOURS + 1.0))
    assert total > 2000
    assert np.abs(delays.cumsum() / total - stated).max() < 1.95 / np.sqrt(total)


def test_delay__beyond_the_attribution_window_is_never_reported() -> None:
    """With means five times as long the mixture leaves 0.55 e^(-720/600) + 0.1 e^(-720/50) outside."""
    drawn, reported = run_one_hour_of_clicks(make_flat_family(conversion_factor=5.0, delay_scale=5.0), 12, 760, 200)
    lost = 1.0 - reported.sum() / drawn.sum()
    expected = 0.55 * np.exp(-721.0 / 600.0) + 0.1 * np.exp(-721.0 / 50.0)
    assert abs(lost - expected) < 4.0 * np.sqrt(expected * (1 - expected) / drawn.sum())
    assert reported[ATTRIBUTION_HOURS + CONVERSION_LAG.max() + 1 :].sum() == 0


def test_conversion_value__is_the_objectives_per_conversion() -> None:
    for report, _ in run(start(FAMILIES["mild"], 20), make_plan(20, MEDIANS, 125.0), 24):
        value = FAMILIES["mild"].objective.conversion_value_micros
        assert (report.conversion_value_micros == report.conversions * value).all()


def test_first_report__is_empty() -> None:
    market = start(FAMILIES["campaign"], 3)
    report = market.reset(np.arange(3, dtype=np.uint64))
    assert report.hour == 0
    assert report.clicks.sum() == report.spend_micros.sum() == report.conversions.sum() == 0
    assert np.isnan(report.impression_share).all()


def collect_shares(steps: list[Step]) -> np.ndarray:
    """Impression share, lost to budget, lost to rank, [hours, 3, worlds, channels]."""
    return np.array([[r.impression_share, r.lost_share_budget, r.lost_share_rank] for r, _ in steps])


def test_impression_share__appears_once_a_day_on_two_channels_from_the_second_day() -> None:
    shares = collect_shares(run(start(FAMILIES["campaign"], 4), make_plan(4, MEDIANS, 125.0), 72))
    published = ~np.isnan(shares).all(axis=(1, 2))
    assert (np.isnan(shares).any(axis=(1, 2)) == ~published).all()
    at = {channel: (np.flatnonzero(published[:, channel]) + 1).tolist() for channel in range(NUM_CHANNELS)}
    assert at == {GOOGLE: [37, 61], META: [], TIKTOK: [], MICROSOFT: [30, 54]}


def test_impression_share__is_yesterdays_wins_over_yesterdays_demand() -> None:
    """Flat worlds without budgets: the share is the traffic-weighted normal cdf, within 4 binomial standard errors."""
    tables = make_tables(DEFAULT_CALIBRATION)
    worlds = 100
    steps = run(start(make_flat_family(), worlds), make_plan(worlds, MEDIANS), 40)
    hours, devices = np.arange(24)[:, None], np.arange(NUM_DEVICES)
    for c, published in ((GOOGLE, 36), (MICROSOFT, 29)):
        median = MEDIANS[c] * tables.hour_price[c, hours] * tables.device_price[c, devices]
        wins = stats.norm.cdf(np.log(MEDIANS[c] / median) / tables.sigma[c])
        weights = tables.hour_traffic[c, hours] * tables.device_share[c, devices]
        report = steps[published][0]
        share = float((wins * weights).sum() / weights.sum())
        demand = worlds * tables.impressions_per_day[c] * tables.weekday_traffic[c, 0]
        error = 4.0 * np.sqrt(share * (1.0 - share) / demand)
        assert report.impression_share[:, c].mean() == pytest.approx(share, abs=error)
        assert report.lost_share_budget[0, c] == 0.0
        assert report.lost_share_rank[:, c].mean() == pytest.approx(1.0 - share, abs=error)


def test_impression_share__is_censored_below_ten_per_cent() -> None:
    """The platforms say "< 10%" and "> 90%"."""
    report = run(start(make_flat_family(), 2), make_plan(2, MEDIANS * 0.1), 40)[36][0]
    assert (report.impression_share[:, GOOGLE] == 0.0999).all()
    assert (report.lost_share_rank[:, GOOGLE] == 0.9001).all()
    starved = run(start(make_flat_family(), 2), make_plan(2, MEDIANS * 4.0, 5.0), 40)[36][0]
    assert (starved.impression_share[:, GOOGLE] == 0.0999).all()
    assert (starved.lost_share_budget[:, GOOGLE] == 0.9001).all()


def test_impression_share__and_its_losses_add_up() -> None:
    report = run(start(FAMILIES["mild"], 50), make_plan(50, MEDIANS, 125.0), 40)[36][0]
    parts = (report.impression_share + report.lost_share_budget + report.lost_share_rank)[:, GOOGLE]
    uncensored = (report.impression_share[:, GOOGLE] > 0.0999) & (report.lost_share_rank[:, GOOGLE] < 0.9001)
    assert uncensored.sum() > 40
    assert parts[uncensored] == pytest.approx(1.0)
    assert report.lost_share_budget[:, GOOGLE].max() > 0.0


def test_impression_share__of_a_day_on_which_a_channel_was_paused_is_not_published() -> None:
    steps = run(start(FAMILIES["mild"], 3), make_plan(3, MEDIANS, 125.0, paused=(GOOGLE,)), 40)
    assert np.isnan(collect_shares(steps)[:, :, :, GOOGLE]).all()


def test_impression_share__counts_only_hours_in_which_the_channel_was_active() -> None:
    """Half a day paused leaves the share of the other half, not half the share."""
    active, paused = make_plan(1, MEDIANS * 3.0), make_plan(1, MEDIANS * 3.0, paused=(GOOGLE,))
    market = start(make_flat_family(), 1)
    steps = run(market, active, 12) + run(market, paused, 12) + run(market, active, 16)
    assert steps[36][0].impression_share[0, GOOGLE] > 0.85
