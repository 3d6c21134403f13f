"""Paid clicks: rates, delays, landings and moments are the market's."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from envs.market.recorder import MarketRecord
from experiments.ga4.account import Account, run_account
from experiments.ga4.paid import PaidClicks, make_paid_sessions, sample_orders, sample_paid_clicks
from experiments.ga4.sessions import MICROS_PER_HOUR, Source, Stage
from experiments.ga4.settings import make_settings
from experiments.report_rows import FIRST_HOUR

_FIRST = int(FIRST_HOUR.timestamp()) * 1_000_000


@pytest.fixture(scope="module")
def accounts() -> list[Account]:
    return [run_account(make_settings([f"seed={seed}", "daily_budget=1500.0"])) for seed in range(4)]


def _sample(account: Account, not_landed: float = 0.08) -> PaidClicks:
    return sample_paid_clicks(account.record, np.random.default_rng(5), not_landed, 0.04)


def _make_record(clicks: dict[tuple[int, int, int], int], arrivals: Sequence[tuple[int, ...]]) -> MarketRecord:
    grid = np.zeros((1, 4, 4, 3), dtype=np.int64)
    for cell, count in clicks.items():
        grid[0][cell] = count
    other = dict.fromkeys(("impressions", "spend_micros", "eligible"), grid)
    by_channel = np.zeros((1, 4, 4))
    return MarketRecord(
        clicks=grid,
        bid=np.zeros((1, 4, 4, 3)),
        lost_to_budget=by_channel,
        daily_budget=by_channel,
        active=by_channel > 0,
        arrivals=np.array(arrivals, dtype=np.int64).reshape(-1, 5),
        **other,
    )


def test_paid_clicks__expected_conversions_are_those_of_the_true_rates(accounts: list[Account]) -> None:
    """Conversions by channel and device against clicks x true CVR: Poisson around it, over four worlds.

    The recorder gives a conversion its device in proportion to clicks x true ratio, so that cells agree too.
    """
    expected = sum(account.expected_conversions for account in accounts)
    counted = np.zeros_like(expected)
    for account in accounts:
        np.add.at(counted, (account.record.arrivals[:, 2], account.record.arrivals[:, 3]), 1)
    assert expected.sum() > 1_000
    assert (np.abs(counted - expected) <= 4.0 * np.sqrt(expected) + 1.0).all()
    assert abs(counted.sum() - expected.sum()) <= 3.0 * math.sqrt(expected.sum())


def test_paid_clicks__delays_follow_the_truth(accounts: list[Account]) -> None:
    """Share of conversions within an hour, a day and a week against the curve, channel by channel and world."""
    for hours in (1.0, 24.0, 168.0):
        seen, expected, variance = 0.0, 0.0, 0.0
        for account in accounts:
            clicks = _sample(account)
            for channel, delay in enumerate(account.delays):
                own = (clicks.channel == channel) & (clicks.conversion >= 0)
                wait = (clicks.conversion - clicks.moment)[own] / MICROS_PER_HOUR
                share = float(delay.compute_cdf(np.array(hours)))
                seen += float((wait < hours).sum())
                expected += share * own.sum()
                variance += share * (1.0 - share) * own.sum()
        assert abs(seen - expected) <= 3.5 * math.sqrt(variance), hours


def test_paid_clicks__moments_lie_in_the_hour_of_the_report(accounts: list[Account]) -> None:
    record = accounts[0].record
    clicks = _sample(accounts[0])
    hour = (clicks.moment - _FIRST) // MICROS_PER_HOUR
    counts = np.zeros_like(record.clicks[0])
    np.add.at(counts, (hour, clicks.channel, clicks.device), 1)
    assert np.array_equal(counts, record.clicks[0])


def test_paid_clicks__land_unless_lost_and_buyers_always(accounts: list[Account]) -> None:
    clicks = _sample(accounts[0], not_landed=0.5)
    others = clicks.conversion < 0
    share = float(clicks.landed[others].mean())
    assert abs(share - 0.5) <= 4.0 * 0.5 / math.sqrt(others.sum())
    assert clicks.landed[~others].all()


def test_paid_clicks__one_conversion_takes_one_click() -> None:
    """Two conversions on a device with one click: the second goes to the channel's other device of that hour."""
    record = _make_record({(1, 0, 0): 1, (1, 0, 1): 1, (2, 0, 0): 5}, [(0, 1, 0, 0, 0), (0, 1, 0, 0, 7)])
    clicks = sample_paid_clicks(record, np.random.default_rng(0), 0.0, 0.0)
    bought = clicks.conversion >= 0
    assert bought.sum() == 2
    assert ((clicks.moment[bought] - _FIRST) // MICROS_PER_HOUR == 1).all()
    assert sorted(clicks.device[bought].tolist()) == [0, 1]


def test_paid_sessions__buy_in_the_same_visit_or_come_back_unpaid() -> None:
    """Age 0 buys within its landing; age 30 comes back 29 to 30 hours later, direct or organic, and buys then."""
    record = _make_record({(0, 1, 0): 2}, [(0, 0, 1, 0, 0), (0, 0, 1, 0, 30)])
    clicks = sample_paid_clicks(record, np.random.default_rng(3), 0.0, 0.0)
    visits = make_paid_sessions(clicks, np.random.default_rng(4), 100, _FIRST + 100 * MICROS_PER_HOUR)
    assert len(visits) == 3
    landings, back = visits.take(visits.click >= 0), visits.take(visits.click < 0)
    now, later = np.flatnonzero(clicks.immediate)[0], np.flatnonzero(~clicks.immediate)[0]
    assert landings.stage[landings.user == 100 + now] == Stage.PURCHASE
    assert landings.end[landings.user == 100 + now] == clicks.conversion[now]
    assert (landings.end - landings.start < MICROS_PER_HOUR / 2).all()
    assert landings.stage[landings.user == 100 + later] < Stage.PURCHASE
    assert back.user.tolist() == [100 + later]
    assert back.source[0] in {Source.DIRECT, Source.ORGANIC}
    assert back.first_source[0] == Source.META
    assert back.end[0] == clicks.conversion[later]
    assert 29 <= (back.end[0] - clicks.moment[later]) / MICROS_PER_HOUR <= 30
    cut = make_paid_sessions(clicks, np.random.default_rng(4), 100, _FIRST + 20 * MICROS_PER_HOUR)
    assert len(cut) == 2


def test_orders__have_the_published_mean() -> None:
    orders = sample_orders(np.random.default_rng(0), 200_000)
    assert orders.mean() == pytest.approx(81.05, rel=0.01)
    assert orders.min() >= 1.0
