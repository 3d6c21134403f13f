"""Paid clicks as people: who landed, who bought in the same visit, who came back to buy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.market.recorder import MarketRecord
from experiments.ga4.published import FUNNEL_USERS, MEAN_ORDER_USD
from experiments.ga4.sessions import MICROS_PER_HOUR, Sessions, Source, Stage, join_sessions
from experiments.report_rows import FIRST_HOUR
from gaelp_rl.domain.reports import FloatArray, IntArray

__all__ = ["ORDER_LOG_SD", "PaidClicks", "make_paid_sessions", "sample_orders", "sample_paid_clicks"]

ORDER_LOG_SD = 0.8
"""Log-sd of an order's revenue."""

_MINUTE = 60_000_000
_SAME_VISIT_HOURS = 0.5
_RETURN_SOURCES = (Source.DIRECT, Source.ORGANIC)
_RETURN_WEIGHTS = (0.65, 0.35)


@dataclass(frozen=True, slots=True)
class PaidClicks:
    """One row per paid click, [clicks]; the hidden side of the reports.

    Attributes:
        moment: int64; microseconds UTC, inside the hour that the platform reports.
        channel: int8; index in ``CHANNELS``.
        device: int8; index in ``DEVICES``.
        landed: bool; whether the page was reached.
        consented: bool.
        conversion: int64; microseconds UTC of the purchase that it brought, -1 for none.
        immediate: bool; whether that purchase fell into the same visit.
    """

    moment: IntArray
    channel: NDArray[np.int8]
    device: NDArray[np.int8]
    landed: NDArray[np.bool_]
    consented: NDArray[np.bool_]
    conversion: IntArray
    immediate: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.moment)


def sample_orders(rng: np.random.Generator, count: int) -> FloatArray:
    """Revenue of orders in USD, log-normal with the published mean, float64 [count].

    Args:
        rng: draws.
        count: how many.
    """
    drawn = rng.lognormal(np.log(MEAN_ORDER_USD) - 0.5 * ORDER_LOG_SD**2, ORDER_LOG_SD, count)
    return np.asarray(np.maximum(np.round(drawn, 2), 1.0))


def sample_paid_clicks(
    record: MarketRecord, rng: np.random.Generator, not_landed: float, consent_denied: float
) -> PaidClicks:
    """Gives every click of the record a moment and every conversion a click of its own hour and device.

    A click that converts has landed. A conversion that the recorder gave to a device without a click
    left in that hour goes to another click of the channel's hour.

    Args:
        record: one world.
        rng: draws.
        not_landed: share of other clicks that never reach the page.
        consent_denied: share of people without ids.
    """
    counts = record.clicks[0]
    hour, channel, device = (np.repeat(where, counts[counts > 0]) for where in np.nonzero(counts))
    first = int(FIRST_HOUR.timestamp()) * 1_000_000
    moment = first + hour * MICROS_PER_HOUR + rng.integers(0, MICROS_PER_HOUR, len(hour))
    conversion = np.full(len(hour), -1)
    immediate = np.zeros(len(hour), dtype=np.bool_)
    buyers, ages = _find_buyers(hour, channel, device, record.arrivals, rng)
    hours = np.where(ages == 0, 0.0, ages - 1 + rng.random(len(ages)))
    same_visit = hours < _SAME_VISIT_HOURS
    wait = np.where(ages == 0, rng.uniform(2.0, 25.0, len(ages)) * _MINUTE, np.maximum(hours * 60.0, 2.0) * _MINUTE)
    conversion[buyers] = moment[buyers] + wait.astype(np.int64)
    immediate[buyers] = same_visit
    return PaidClicks(
        moment=moment,
        channel=channel.astype(np.int8),
        device=device.astype(np.int8),
        landed=(rng.random(len(hour)) >= not_landed) | (conversion >= 0),
        consented=rng.random(len(hour)) >= consent_denied,
        conversion=conversion,
        immediate=immediate,
    )


def _find_buyers(
    hour: IntArray, channel: IntArray, device: IntArray, arrivals: IntArray, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """A click of its own for every conversion: clicks' rows and conversions' ages in hours."""
    free: dict[tuple[int, int], dict[int, list[int]]] = {}
    for row in rng.permutation(len(hour)).tolist():
        cell = free.setdefault((int(hour[row]), int(channel[row])), {})
        cell.setdefault(int(device[row]), []).append(row)
    rows: list[int] = []
    ages: list[int] = []
    for _, h, c, d, age in arrivals.tolist():
        left = [other for other, clicks in free.get((h, c), {}).items() if clicks]
        if left:
            rows.append(free[h, c][d if d in left else min(left)].pop())
            ages.append(age)
    return np.array(rows, dtype=np.int64), np.array(ages, dtype=np.int64)


def make_paid_sessions(clicks: PaidClicks, rng: np.random.Generator, first_user: int, horizon: int) -> Sessions:
    """The visits that paid clicks brought, those of people who came back to buy included.

    Args:
        clicks: all clicks.
        rng: draws.
        first_user: number of the person behind click 0; one person per click.
        horizon: microseconds UTC; visits that start later are left out.
    """
    rows = np.flatnonzero(clicks.landed)
    immediate = clicks.immediate[rows]
    converts = clicks.conversion[rows] >= 0
    stage = np.where(immediate, Stage.PURCHASE, _sample_stages(rng, len(rows)))
    stage = np.where(converts & ~immediate, np.maximum(stage, Stage.VIEW_ITEM), stage)
    start = clicks.moment[rows]
    stay = np.minimum(rng.lognormal(np.log(1.2), 0.8, len(rows)), 12.0) * _MINUTE * (1 + stage)
    end = np.where(immediate, clicks.conversion[rows], start + np.minimum(stay, 20 * _MINUTE).astype(np.int64))
    landing = _make_visits(clicks, rng, rows, first_user, 1, start, end, clicks.channel[rows], stage, rows)
    late = rows[converts & ~immediate]
    source = rng.choice(_RETURN_SOURCES, len(late), p=_RETURN_WEIGHTS)
    begin = clicks.conversion[late] - (rng.uniform(2.0, 9.0, len(late)) * _MINUTE).astype(np.int64)
    bought = np.full(len(late), int(Stage.PURCHASE))
    again = _make_visits(
        clicks, rng, late, first_user, 2, begin, clicks.conversion[late], source, bought, np.full(len(late), -1)
    )
    both = join_sessions([landing, again])
    return both.take(both.start < horizon)


def _make_visits(
    clicks: PaidClicks,
    rng: np.random.Generator,
    rows: IntArray,
    first_user: int,
    number: int,
    start: IntArray,
    end: IntArray,
    source: IntArray | NDArray[np.int8],
    stage: IntArray,
    click: IntArray,
) -> Sessions:
    buys = stage == Stage.PURCHASE
    return Sessions(
        user=first_user + rows,
        number=np.full(len(rows), number, dtype=np.int8),
        start=start,
        end=end,
        first_touch=clicks.moment[rows],
        source=source.astype(np.int8),
        first_source=clicks.channel[rows],
        device=clicks.device[rows],
        stage=stage.astype(np.int8),
        click=click,
        consented=clicks.consented[rows],
        order_usd=np.where(buys, sample_orders(rng, len(rows)), 0.0),
    )


def _sample_stages(rng: np.random.Generator, count: int) -> IntArray:
    """How far visits without a purchase get, by the published funnel; int64 [count]."""
    users = FUNNEL_USERS
    reach = [0.55, users["view_item"] / users["session_start"], users["add_to_cart"] / users["session_start"]]
    reach += [users["begin_checkout"] / users["session_start"]]
    drawn = rng.random(count)
    return np.asarray(sum((drawn < share).astype(np.int64) for share in reach))
