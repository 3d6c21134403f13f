"""Everybody who did not click an ad: referral, organic, direct and email visits, and crawlers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from experiments.ga4.paid import sample_orders
from experiments.ga4.published import (
    BUYER_SHARE,
    CHANNEL_REVENUE,
    CHANNEL_USERS,
    DEVICE_CONVERSION_RATES,
    DEVICE_SESSIONS,
    FUNNEL_USERS,
    REPEAT_BUYER_SHARE,
    SESSION_CONVERSION_RATE,
    SESSIONS_PER_USER,
)
from experiments.ga4.sessions import MICROS_PER_HOUR, Sessions, Source, Stage
from experiments.report_rows import FIRST_HOUR
from gaelp_rl.config.calibration import DEFAULT_CALIBRATION
from gaelp_rl.domain.channels import DEVICES, Device
from gaelp_rl.domain.reports import FloatArray, IntArray

__all__ = ["make_background_sessions", "make_crawler_sessions"]

_MINUTE = 60_000_000
_SOURCES = (Source.REFERRAL, Source.ORGANIC, Source.DIRECT, Source.EMAIL)
_ENGAGED_SHARE = 0.5


def make_background_sessions(
    rng: np.random.Generator, num_users: int, first_user: int, days: int, consent_denied: float
) -> Sessions:
    """Visits of people who never click an ad, by the published marginals.

    Args:
        rng: draws.
        num_users: people.
        first_user: number of the first of them.
        days: length of the account; visits fall into it.
        consent_denied: share of people without ids.
    """
    source = rng.choice(len(_SOURCES), num_users, p=_make_shares(CHANNEL_USERS))
    device = rng.choice(len(DEVICES), num_users, p=_make_shares({d: DEVICE_SESSIONS[d] for d in DEVICES}))
    buys = rng.random(num_users) < _compute_buyer_shares()[source, device]
    repeats = buys & (rng.random(num_users) < REPEAT_BUYER_SHARE)
    visits = rng.geometric(1.0 / SESSIONS_PER_USER, num_users)
    visits = np.minimum(np.where(repeats, np.maximum(visits, 2), visits), 100)
    user = np.repeat(np.arange(num_users), visits)
    start = _sample_starts(rng, len(user), days)
    start = start[np.lexsort((start, user))]
    last = visits.cumsum() - 1
    number = np.arange(len(user)) - np.repeat(last - visits + 1, visits) + 1
    stage = (rng.random(len(user)) < _ENGAGED_SHARE).astype(np.int64)
    stage[last] = np.where(buys, Stage.PURCHASE, _sample_deepest(rng, num_users))
    stage[last[repeats] - 1] = Stage.PURCHASE
    return Sessions(
        user=first_user + user,
        number=number.astype(np.int8),
        start=start,
        end=start + _sample_stay(rng, stage),
        first_touch=start[last - visits + 1][user],
        source=_choose_sources(rng, source[user], number),
        first_source=np.array(_SOURCES, dtype=np.int8)[source[user]],
        device=device[user].astype(np.int8),
        stage=stage.astype(np.int8),
        click=np.full(len(user), -1),
        consented=(rng.random(num_users) >= consent_denied)[user],
        order_usd=np.where(stage == Stage.PURCHASE, sample_orders(rng, len(user)), 0.0),
    )


def make_crawler_sessions(rng: np.random.Generator, count: int, first_user: int, days: int) -> Sessions:
    """Visits of crawlers that pass for people: many pages a minute, no engagement, no click id.

    Args:
        rng: draws.
        count: visits, one per crawler.
        first_user: number of the first of them.
        days: length of the account.
    """
    start = _sample_starts(rng, count, days)
    codes = {
        "source": Source.DIRECT,
        "first_source": Source.DIRECT,
        "device": DEVICES.index(Device.DESKTOP),
        "stage": Stage.CRAWL,
        "number": 1,
    }
    columns = {name: np.full(count, int(code), dtype=np.int8) for name, code in codes.items()}
    return Sessions(
        user=first_user + np.arange(count),
        start=start,
        end=start + rng.integers(_MINUTE // 2, 2 * _MINUTE, count),
        first_touch=start,
        click=np.full(count, -1),
        consented=np.ones(count, dtype=np.bool_),
        order_usd=np.zeros(count),
        **columns,
    )


def _make_shares(counts: Mapping[str, int]) -> FloatArray:
    amounts = np.array(list(counts.values()), dtype=np.float64)
    return np.asarray(amounts / amounts.sum())


def _compute_buyer_shares() -> FloatArray:
    """P(buyer | source, device), float64 [sources, devices]; its mean over people is `BUYER_SHARE`."""
    users, revenue = _make_shares(CHANNEL_USERS), _make_shares(CHANNEL_REVENUE)
    rates = np.array([DEVICE_CONVERSION_RATES[device] for device in DEVICES])
    return np.asarray(BUYER_SHARE * np.outer(revenue / users, rates / SESSION_CONVERSION_RATE))


def _sample_deepest(rng: np.random.Generator, count: int) -> IntArray:
    """The deepest step of people who do not buy, by the published funnel less its buyers."""
    everybody = FUNNEL_USERS["session_start"]
    reach = [1.0 - (1.0 - _ENGAGED_SHARE) * (1.0 - FUNNEL_USERS["view_item"] / everybody)]
    steps = ("view_item", "add_to_cart", "begin_checkout")
    reach += [(FUNNEL_USERS[step] / everybody - BUYER_SHARE) / (1.0 - BUYER_SHARE) for step in steps]
    drawn = rng.random(count)
    return np.asarray(sum((drawn < share).astype(np.int64) for share in reach))


def _sample_stay(rng: np.random.Generator, stage: IntArray) -> IntArray:
    minutes = np.minimum(rng.lognormal(np.log(0.8), 0.8, len(stage)) * (1 + stage), 25.0)
    return np.asarray((minutes * _MINUTE).astype(np.int64))


def _sample_starts(rng: np.random.Generator, count: int, days: int) -> IntArray:
    traffic = np.array(DEFAULT_CALIBRATION.google.hour_traffic)
    hour = rng.integers(0, days, count) * 24 + rng.choice(24, count, p=traffic)
    first = int(FIRST_HOUR.timestamp()) * 1_000_000
    return np.asarray(first + hour * MICROS_PER_HOUR + rng.integers(0, MICROS_PER_HOUR, count))


def _choose_sources(rng: np.random.Generator, source: IntArray, number: IntArray) -> NDArray[np.int8]:
    """A later visit is as often direct as from where the first one came."""
    first = np.array(_SOURCES, dtype=np.int8)[source]
    direct = (number > 1) & (rng.random(len(source)) < 0.5)
    return np.where(direct, np.int8(Source.DIRECT), first).astype(np.int8)
