"""Delivery: limits that hold to the micro, platform rules, and moments against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from envs.market.delivery_state import ATTRIBUTION_HOURS, DELAY_RING_HOURS, LAG_RING_HOURS
from envs.market.exogenous import make_tables
from gaelp_rl.config.calibration import DEFAULT_CALIBRATION, make_calibration_arrays
from gaelp_rl.config.market import FAMILIES
from gaelp_rl.domain.channels import CHANNELS, NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.landscape import compute_win_moments
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.platform_rules import PLATFORM_RULES
from tests.envs.market.worlds import GOOGLE, META, MICROSOFT, TIKTOK, UNLIMITED, make_flat_family, make_plan, run, start

STOCK = make_calibration_arrays(DEFAULT_CALIBRATION)

RULES = [PLATFORM_RULES[channel] for channel in CHANNELS]
MEDIANS = STOCK.price_median
WORLDS = 6

bids = st.lists(st.floats(0.0, 60.0), min_size=NUM_CHANNELS, max_size=NUM_CHANNELS)
budgets = st.lists(st.floats(0.0, 5000.0), min_size=NUM_CHANNELS, max_size=NUM_CHANNELS)


@st.composite
def plans(draw: st.DrawFn) -> PlanBatch:
    """Any plan: one bid and budget per channel, scaled from world to world, some channels paused."""
    scale = np.linspace(0.1, 2.0, WORLDS)[:, None]
    modifier = np.full((WORLDS, NUM_CHANNELS, NUM_DEVICES), draw(st.floats(0.0, 9.0)))
    active = np.array(draw(st.lists(st.booleans(), min_size=NUM_CHANNELS, max_size=NUM_CHANNELS)))
    return PlanBatch.from_currency(
        np.array(draw(bids)) * scale,
        np.array(draw(budgets)) * scale,
        modifier,
        np.broadcast_to(active, (WORLDS, NUM_CHANNELS)).copy(),
    )


@settings(max_examples=25)
@given(st.lists(plans(), min_size=4, max_size=4), st.sampled_from(sorted(FAMILIES)))
def test_account_limit__is_never_exceeded_whatever_the_plans(changes: list[PlanBatch], family: str) -> None:
    market = start(FAMILIES[family], WORLDS)
    for _ in range(2):
        spend = np.zeros(WORLDS, dtype=np.int64)
        for plan in changes:
            spend += sum(outcome.spend_micros.sum(axis=1) for _, outcome in run(market, plan, 6))
        assert (spend <= FAMILIES[family].daily_budget_micros).all()


def test_account_limit__is_reached_but_not_passed_by_a_plan_that_wants_more() -> None:
    """The last dollars are lost to the price of one more click, here at most some $40."""
    market = start(FAMILIES["campaign"], 200)
    steps = run(market, make_plan(200, MEDIANS * 4.0), 24)
    spend = sum(outcome.spend_micros.sum(axis=1) for _, outcome in steps)
    limit = FAMILIES["campaign"].daily_budget_micros
    assert spend.max() <= limit
    assert np.median(spend) > 0.99 * limit


@settings(max_examples=25)
@given(st.lists(plans(), min_size=2, max_size=2))
def test_clicks__are_among_impressions_and_cost_at_most_their_bids(changes: list[PlanBatch]) -> None:
    """Rounding to micros may add half a micro per device cell."""
    market = start(FAMILIES["campaign"], WORLDS)
    for hour in range(24):
        plan = changes[hour // 12]
        _, outcome = market.step(plan)
        rows = market._delivery.rows[:, hour % LAG_RING_HOURS]
        impressions, clicks = rows[:, :, 3 : 3 + NUM_DEVICES], rows[:, :, 3 + NUM_DEVICES :]
        assert (clicks <= impressions).all()
        assert (impressions.sum(axis=2) == rows[:, :, 0]).all()
        assert (clicks.sum(axis=2) == rows[:, :, 1]).all()
        assert (rows[:, :, 2] == outcome.spend_micros).all()
        cell_bid = market._cells.bid.reshape(WORLDS, NUM_CHANNELS, NUM_DEVICES)
        assert (rows[:, :, 2] <= (clicks * cell_bid).sum(axis=2) * MICROS + 0.5 * NUM_DEVICES).all()
        assert (outcome.conversions <= outcome.clicks).all()


@given(st.integers(0, NUM_CHANNELS - 1), st.floats(0.05, 8.0), st.floats(0.01, 4.0), st.integers(0, 500))
def test_clicks__of_a_channel_never_fall_when_its_bid_rises(channel: int, ratio: float, more: float, seed: int) -> None:
    """Same noise, no budget binding, at the night hour in which every cell expects few clicks."""
    family = make_flat_family(learning_price_factor=1.0)
    low, high = MEDIANS * ratio, MEDIANS * ratio
    high[channel] *= 1.0 + more
    clicks = []
    for bid in (low, high):
        market = start(family, 1, seed)
        run(market, make_plan(1, MEDIANS), 3)
        clicks.append(run(market, make_plan(1, bid), 2)[-1][1].clicks[0])
    assert clicks[1][channel] >= clicks[0][channel]
    assert (np.delete(clicks[1], channel) == np.delete(clicks[0], channel)).all()


def test_first_price__pays_exactly_the_bid() -> None:
    steps = run(start(FAMILIES["mild"], 50), make_plan(50, MEDIANS * 0.8, 100.0), 20)
    for _, outcome in steps:
        assert (outcome.spend_micros[:, TIKTOK] == outcome.clicks[:, TIKTOK] * 560_000).all()


def test_second_price__pays_less_than_the_bid() -> None:
    steps = run(start(FAMILIES["mild"], 50), make_plan(50, MEDIANS * 0.8, 100.0), 20)
    for channel in (GOOGLE, META, MICROSOFT):
        spend = sum(int(o.spend_micros[:, channel].sum()) for _, o in steps)
        clicks = sum(int(o.clicks[:, channel].sum()) for _, o in steps)
        assert spend < 0.95 * clicks * MEDIANS[channel] * 0.8 * MICROS


@pytest.mark.parametrize("ratio", [0.4, 1.0, 5.0])
def test_hour__has_the_moments_of_its_closed_form(ratio: float) -> None:
    """Clicks are Poisson(N w), spend is compound Poisson with the truncated log-normal's two moments,
    conversions are Poisson(N w cvr); 6,000 worlds, within five standard errors, at noon and at 4."""
    worlds = 6000
    tables = make_tables(DEFAULT_CALIBRATION)
    market = start(make_flat_family(learning_price_factor=1.0, learning_conversion_factor=1.0), worlds)
    plan = make_plan(worlds, MEDIANS * ratio)
    exact_bid = plan.bid_micros[0] / MICROS
    for hour in range(13):
        _, outcome = market.step(plan)
        if hour not in {4, 12}:
            continue
        for c in range(NUM_CHANNELS):
            rate, spend_mean, spend_variance, conversions = 0.0, 0.0, 0.0, 0.0
            for d in range(NUM_DEVICES):
                median = MEDIANS[c] * tables.hour_price[c, hour] * tables.device_price[c, d]
                share, price, variance = compute_win_moments(
                    exact_bid[c], median, tables.sigma[c], bool(tables.first_price[c])
                )
                volume = STOCK.click_volume_per_day[c] * tables.hour_traffic[c, hour]
                cell = volume * tables.weekday_traffic[c, 0] * tables.device_share[c, d] * tables.device_ctr[c, d]
                rate += cell * share
                spend_mean += cell * share * price
                spend_variance += cell * share * (variance + price * price)
                cvr = tables.conversion_rate[c] * tables.hour_conversion[c, hour] * tables.device_conversion[c, d]
                conversions += cell * share * cvr
            error = 5.0 / math.sqrt(worlds)
            clicks, spend = outcome.clicks[:, c], outcome.spend_micros[:, c] / MICROS
            assert abs(clicks.mean() - rate) < error * math.sqrt(rate)
            assert abs(clicks.var() / rate - 1.0) < error * math.sqrt(2.0 + 1.0 / rate)
            assert abs(spend.mean() - spend_mean) < error * math.sqrt(spend_variance)
            assert spend.var() == pytest.approx(spend_variance, rel=0.15)
            assert abs(outcome.expected_conversions[:, c].mean() - conversions) < error * math.sqrt(conversions)
            drawn = outcome.conversions[:, c]
            assert abs(drawn.mean() - conversions) < error * math.sqrt(conversions)
            assert abs(drawn.var() / conversions - 1.0) < error * math.sqrt(2.0 + 1.0 / conversions)


@pytest.mark.parametrize("channel", [GOOGLE, META, MICROSOFT])
def test_price_of_one_click__is_the_competing_bid_given_that_it_lost(channel: int) -> None:
    """Against scipy's log-normal cut off at the bid (Kolmogorov-Smirnov, p above 0.1 %)."""
    tables, bid = make_tables(DEFAULT_CALIBRATION), round(float(MEDIANS[channel]) * 1.5, 2)
    market = start(make_flat_family(learning_price_factor=1.0), 4000)
    run(market, make_plan(4000, bid), 4)
    clicks = market._cells.clicks.reshape(-1, NUM_CHANNELS, NUM_DEVICES)[:, channel]
    spend = market._delivery.rows[:, 3, channel, 2] / MICROS
    device = 1 if channel == MICROSOFT else 0
    alone = (clicks[:, device] == 1) & (clicks.sum(axis=1) == 1)
    median = MEDIANS[channel] * tables.hour_price[channel, 3] * tables.device_price[channel, device]
    law = stats.lognorm(tables.sigma[channel], scale=median)
    assert alone.sum() > 100
    assert stats.kstest(law.cdf(spend[alone]) / law.cdf(bid), "uniform").pvalue > 1e-3


def test_budget__is_paced_to_through_the_day() -> None:
    """Demand is plentiful, so every channel spends its budget within a click or two, and not at once."""
    worlds, budget = 300, 40.0
    steps = run(start(make_flat_family(), worlds), make_plan(worlds, MEDIANS * 3.0, budget), 24)
    spend = np.array([outcome.spend_micros / MICROS for _, outcome in steps])
    day = spend.sum(axis=0)
    assert day.mean(axis=0) == pytest.approx(np.full(4, budget), rel=0.08)
    assert ((spend[:12].sum(axis=0).mean(axis=0) / budget) < 0.8).all()
    assert ((spend > 0).mean(axis=(1, 2))[6:22] > 0.1).all()


def test_over_delivery__stays_below_the_platforms_multiple_of_the_budget() -> None:
    """With a pacing spread so wide that the cap binds often. It holds up to the last hour's clicks, which
    cannot be refused once entered: less than one bid on average, eight at most, beyond the target."""
    worlds, budget = 400, 60.0
    market = start(make_flat_family(pacing_log_sd=1.0), worlds)
    steps = run(market, make_plan(worlds, MEDIANS * 3.0, budget), 24)
    day = sum(outcome.spend_micros for _, outcome in steps) / MICROS
    factor = market._delivery.pacing_factor
    multiple = np.array([rule.over_delivery for rule in RULES])
    assert ((factor == multiple).mean(axis=0) > 0.05).all()
    excess = day - budget * factor
    assert (excess.mean(axis=0) < MEDIANS * 3.0).all()
    assert (excess < 8.0 * MEDIANS * 3.0).all()
    assert (day < multiple * budget + 8.0 * MEDIANS * 3.0).all()
    assert (day > budget * 1.05).mean() > 0.2


def test_budget__raised_at_noon_is_spent_and_lowered_stops_at_once() -> None:
    worlds = 200
    market = start(make_flat_family(), worlds)
    morning = run(market, make_plan(worlds, MEDIANS * 3.0, 40.0), 12)
    afternoon = run(market, make_plan(worlds, MEDIANS * 3.0, 90.0), 8)
    evening = run(market, make_plan(worlds, MEDIANS * 3.0, 20.0), 4)
    spent = sum(o.spend_micros for _, o in morning) / MICROS
    raised = spent + sum(o.spend_micros for _, o in afternoon) / MICROS
    assert (raised.mean(axis=0) > 50.0).all()
    assert (raised.mean(axis=0) < 90.0).all()
    slow = np.array([rule.plan_delay_hours for rule in RULES])
    for channel in range(NUM_CHANNELS):
        late = evening[int(slow[channel]) :]
        assert all((o.spend_micros[:, channel] == 0).all() for _, o in late)


@pytest.mark.parametrize("what", ["bid", "budget"])
@pytest.mark.parametrize(("change", "restarts"), [(1.19, False), (0.81, False), (1.25, True), (0.75, True)])
def test_learning__starts_on_edits_above_20_per_cent_of_meta_and_tiktok(
    what: str, change: float, restarts: bool
) -> None:
    market = start(FAMILIES["mild"])
    bid, budget = MEDIANS * (change if what == "bid" else 1.0), 125.0 * (change if what == "budget" else 1.0)
    assert not run(market, make_plan(1, MEDIANS, 125.0), 3)[-1][1].edits.any()
    _, outcome = run(market, make_plan(1, bid, budget), 2)[-1]
    assert outcome.learning[0].tolist() == [0, int(restarts), int(restarts), 0]


def test_learning__starts_on_the_third_edit_of_a_day_and_lasts_its_hours() -> None:
    family = make_flat_family(learning_hours=10)
    market = start(family)
    learning = []
    for hour in range(30):
        _, outcome = market.step(make_plan(1, MEDIANS * (1.0 + 0.1 * min(hour // 4, 3))))
        learning.append(outcome.learning[0])
    states = np.array(learning)
    assert (states[:, [GOOGLE, MICROSOFT]] == 0).all()
    for channel in (META, TIKTOK):
        assert np.flatnonzero(states[:, channel]).tolist() == list(range(12, 22))


def test_learning__midnight_forgives_the_days_edits() -> None:
    market = start(make_flat_family())
    for hour in range(26):
        edits = (hour >= 10) + (hour >= 20) + (hour >= 24) + (hour >= 25)
        _, outcome = market.step(make_plan(1, MEDIANS * (1.0 + 0.1 * edits)))
        assert not outcome.learning.any()


def test_learning__costs_conversions_and_clicks() -> None:
    """Same clicks: CVR falls by the family's factor exactly. Dearer auctions: fewer clicks."""
    worlds = 300
    plan = make_plan(worlds, MEDIANS * 1.5)

    def run_hour(**overrides: float) -> tuple[np.ndarray, np.ndarray]:
        market = start(make_flat_family(**overrides), worlds)
        _, outcome = market.step(plan)
        assert (outcome.learning[:, META] == 1).all()
        return outcome.clicks, outcome.expected_conversions

    clicks, free = run_hour(learning_price_factor=1.0, learning_conversion_factor=1.0)
    same_clicks, slowed = run_hour(learning_price_factor=1.0, learning_conversion_factor=0.8)
    assert (same_clicks == clicks).all()
    assert slowed == pytest.approx(free * np.array([1.0, 0.8, 0.8, 1.0]))
    fewer, _ = run_hour(learning_price_factor=1.5, learning_conversion_factor=1.0)
    assert (fewer[:, [GOOGLE, MICROSOFT]] == clicks[:, [GOOGLE, MICROSOFT]]).all()
    assert (fewer[:, [META, TIKTOK]].sum(axis=0) < 0.95 * clicks[:, [META, TIKTOK]].sum(axis=0)).all()


def test_edits__are_counted_with_their_size() -> None:
    market = start(FAMILIES["mild"])
    run(market, make_plan(1, MEDIANS, 125.0), 2)
    _, outcome = market.step(make_plan(1, MEDIANS * (2.0, 1.0, 1.0, 1.0), (125.0, 150.0, 125.0, 125.0)))
    assert outcome.edits[0].tolist() == [1, 1, 0, 0]
    assert outcome.edit_size[0] == pytest.approx([math.log(2.0), 0.0, 0.0, 0.0])


def make_changed_plan(change: str) -> PlanBatch:
    modifier = np.full((1, NUM_CHANNELS, NUM_DEVICES), 3.0 if change == "modifier" else 1.0)
    return make_plan(
        1,
        MEDIANS * (2.0 if change == "bid" else 1.0),
        0.0 if change == "budget" else UNLIMITED,
        modifier,
        range(NUM_CHANNELS) if change == "pause" else (),
    )


@pytest.mark.parametrize("change", ["bid", "budget", "modifier", "pause"])
def test_microsoft__acts_on_a_plan_one_hour_later(change: str) -> None:
    family = make_flat_family(learning_price_factor=1.0)
    before = make_plan(1, MEDIANS)
    unchanged, changed = start(family, 1, 3), start(family, 1, 3)
    run(unchanged, before, 10)
    run(changed, before, 10)
    old, new = run(unchanged, before, 2), run(changed, make_changed_plan(change), 2)
    cells = slice(MICROSOFT * NUM_DEVICES, None)
    assert old[0][1].spend_micros[0, MICROSOFT] == new[0][1].spend_micros[0, MICROSOFT] > 0
    entered_bid = changed._cells.bid[0, cells] * changed._cells.entered[0, MICROSOFT]
    usual_bid = unchanged._cells.bid[0, cells]
    factor = {"bid": 2.0, "modifier": 3.0, "budget": 0.0, "pause": 0.0}[change]
    assert entered_bid == pytest.approx(usual_bid * factor)
    google = slice(0, NUM_DEVICES)
    assert changed._cells.bid[0, google] * changed._cells.entered[0, GOOGLE] == pytest.approx(
        unchanged._cells.bid[0, google] * factor
    )


def test_modifiers__move_bids_only_where_the_platform_has_them() -> None:
    modifier = np.full((1, NUM_CHANNELS, NUM_DEVICES), [1.2, 0.5, 0.0])
    market = start(make_flat_family())
    run(market, make_plan(1, 2.0, UNLIMITED, modifier), 2)
    by_channel = market._cells.bid.reshape(NUM_CHANNELS, NUM_DEVICES)
    assert by_channel[[GOOGLE, MICROSOFT]] == pytest.approx(np.tile([2.4, 1.0, 0.0], (2, 1)))
    assert by_channel[[META, TIKTOK]] == pytest.approx(2.0)


@pytest.mark.parametrize("channel", range(NUM_CHANNELS))
@pytest.mark.parametrize("how", ["paused", "bid", "budget"])
def test_channel__that_is_paused_or_bids_or_budgets_zero_delivers_nothing(channel: int, how: str) -> None:
    bid, budget = MEDIANS.copy(), np.full(NUM_CHANNELS, 100.0)
    if how == "bid":
        bid[channel] = 0.0
    if how == "budget":
        budget[channel] = 0.0
    plan = make_plan(20, bid, budget, paused=(channel,) if how == "paused" else ())
    market = start(FAMILIES["campaign"], 20)
    market.step(plan)
    steps = run(market, plan, 30)
    others = np.delete(np.arange(NUM_CHANNELS), channel)
    assert all((o.spend_micros[:, channel] == 0).all() and (o.clicks[:, channel] == 0).all() for _, o in steps)
    assert sum(o.clicks[:, others].sum(axis=0) for _, o in steps).min() > 0


def test_first_price__of_an_absurd_bid_cannot_break_the_books() -> None:
    """Nine trillion dollars a click, near the end of int64 micros."""
    steps = run(start(FAMILIES["campaign"], 50), make_plan(50, 9.0e12, 9.0e12), 24)
    spend = np.array([o.spend_micros for _, o in steps])
    assert spend.min() >= 0
    assert (spend.sum(axis=(0, 2)) <= FAMILIES["campaign"].daily_budget_micros).all()


def test_fatigue__lowers_ctr_with_exposures_and_ends_with_the_creative() -> None:
    """CTR factor of a creative is exp(-rate x impressions per person); the second is new on day 7."""
    rate, week = 0.3, 24 * 7
    market = start(make_flat_family(fatigue_per_exposure=rate), 2)
    plan = make_plan(2, MEDIANS * 3.0)
    shown = np.zeros((2, NUM_CHANNELS))
    for hour in range(week):
        market.step(plan)
        shown += market._delivery.rows[:, hour % LAG_RING_HOURS, :, 0]
    worn, before = shown / 2 / STOCK.audience_size, market._delivery.click_quality.copy()
    market.step(plan)
    after = market._delivery.click_quality
    assert (worn[:, [META, TIKTOK]] > 0.5).all()
    assert (worn[:, [GOOGLE, MICROSOFT]] == 0.0).all()
    assert after == pytest.approx(0.5 * (1.0 + np.exp(-rate * worn)))
    assert (before[:, [META, TIKTOK]] < after[:, [META, TIKTOK]]).all()
    assert (before[:, [GOOGLE, MICROSOFT]] == 1.0).all()


def test_rings__cannot_wrap() -> None:
    """A report is booked at most the attribution window and all lags after its hour; rows wait a lag."""
    longest = 1 + max(rule.lag_hours + rule.conversion_lag_hours for rule in RULES)
    assert longest + ATTRIBUTION_HOURS < DELAY_RING_HOURS
    assert max(rule.lag_hours for rule in RULES) < LAG_RING_HOURS


def test_published_share__needs_a_day_to_close_first() -> None:
    """Shares close when the first hour of the next day is delivered, so none may be published at midnight."""
    assert all(rule.share_hour is None or rule.share_hour > 0 for rule in RULES)
