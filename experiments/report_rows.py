"""The report rows and plans that a live account would have recorded in a simulated market.

``record_market`` runs a market under plans; ``make_observations`` gives one of its worlds as the
fit takes it, ``write_report_rows`` and ``write_plans`` as files. Both read the same record, so that
a file says neither more nor less than an account's reports would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from envs.market.market import BatchedMarket
from envs.market.recorder import MarketRecord, MarketRecorder
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.channels import CHANNELS, DEVICES, NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.platform_rules import PLATFORM_RULES
from gaelp_rl.domain.reports import FloatArray, IntArray
from gaelp_rl.response.observations import AccountObservations, Arrivals, ChannelObservations

__all__ = [
    "FIRST_HOUR",
    "READING_AGES_HOURS",
    "make_observations",
    "record_market",
    "sample_varied_bids",
    "write_plans",
    "write_report_rows",
]

FIRST_HOUR = datetime(2026, 1, 5, tzinfo=UTC)
"""Start of hour 0: a Monday, as in the market."""

READING_AGES_HOURS = (1, 6, 24, 72, 168, 336)
"""How old conversions could be, in hours, at each reading of a row; the last reading is at the end."""


def record_market(
    family: FamilyConfig, keys: NDArray[np.uint64], plan_hour: Callable[[int], PlanBatch], hours: int | None = None
) -> MarketRecord:
    """Runs worlds under plans.

    Args:
        family: the worlds' family.
        keys: uint64 [worlds].
        plan_hour: the plan of an hour, for all worlds.
        hours: how many; all that the worlds live if not given.

    Returns:
        The record.
    """
    market = BatchedMarket(family, len(keys))
    market.reset(keys)
    recorder = MarketRecorder(market, seed=int(keys[0] % 2**32))
    for hour in range(hours or market.num_hours):
        recorder.step(plan_hour(hour))
    return recorder.make_record()


def sample_varied_bids(
    rng: np.random.Generator, centre: FloatArray, num_days: int, log_reach: float = 0.5, step: float = 0.15
) -> FloatArray:
    """Daily bids that walk around a centre in steps that no platform punishes.

    Args:
        rng: draws the walk.
        centre: float64 [channels]; currency units.
        num_days: length.
        log_reach: how far a bid may get from its centre, in logs.
        step: log step of a day, up or down.

    Returns:
        float64 [days, channels].
    """
    walk = np.empty((num_days, centre.size))
    at = np.zeros(centre.size)
    for day in range(num_days):
        move = step * rng.choice((-1.0, 1.0), centre.size)
        at = np.where(np.abs(at + move) > log_reach, at - move, at + move)
        walk[day] = at
    return np.asarray(np.round(centre * np.exp(walk), 2))


def make_observations(
    record: MarketRecord, world: int, with_plans: bool = True, ages: tuple[int, ...] = READING_AGES_HOURS
) -> AccountObservations:
    """One world's reports as arrays, equal to what its files would be read as.

    Args:
        record: of a market.
        world: which of its worlds.
        with_plans: whether bids and budgets in force are known.
        ages: readings of each row.
    """
    num_hours = record.impressions.shape[1]
    channels = {channel: _observe_channel(record, world, c, with_plans, ages) for c, channel in enumerate(CHANNELS)}
    return AccountObservations(FIRST_HOUR.weekday(), -(-num_hours // 24), "USD", channels)


def _observe_channel(
    record: MarketRecord, world: int, c: int, with_plans: bool, ages: tuple[int, ...]
) -> ChannelObservations:
    rules = PLATFORM_RULES[CHANNELS[c]]
    reported = slice(0, record.impressions.shape[1] - rules.lag_hours)
    share_known = 1.0 if rules.share_hour is not None else np.nan
    plan_known = 1.0 if with_plans else np.nan
    impressions, clicks, spend_micros, eligible = (
        _merge(counts[world, reported, c], rules.device_split).astype(np.float64)
        for counts in (record.impressions, record.clicks, record.spend_micros, record.eligible)
    )
    return ChannelObservations(
        hour=np.arange(len(clicks)),
        has_devices=rules.device_split,
        impressions=impressions,
        clicks=clicks,
        spend=spend_micros / MICROS,
        eligible=eligible * share_known,
        lost_to_budget=record.lost_to_budget[world, reported, c] * share_known,
        arrivals=_observe_arrivals(record, world, c, ages),
        bid=record.bid[world, reported, c] * plan_known,
        daily_budget=record.daily_budget[world, reported, c] * plan_known,
        active=record.active[world, reported, c] | (not with_plans),
    )


def _merge(by_device: IntArray, device_split: bool) -> IntArray:
    """Rows by device, or everything in device 0 where the platform does not split."""
    if device_split:
        return by_device
    merged = np.zeros_like(by_device)
    merged[:, 0] = by_device.sum(axis=1)
    return merged


def _read_conversions(record: MarketRecord, world: int, c: int, age: IntArray) -> IntArray:
    """Conversions reported by an age of each click hour, int64 [hours, devices]."""
    own = record.arrivals[(record.arrivals[:, 0] == world) & (record.arrivals[:, 2] == c)]
    seen = own[own[:, 4] <= age[own[:, 1]]]
    counts = np.zeros(record.impressions.shape[1:2] + (NUM_DEVICES,), dtype=np.int64)
    np.add.at(counts, (seen[:, 1], seen[:, 3]), 1)
    return _merge(counts, PLATFORM_RULES[CHANNELS[c]].device_split)


def _list_readings(record: MarketRecord, c: int, ages: tuple[int, ...]) -> Iterator[tuple[IntArray, NDArray[np.bool_]]]:
    """Readings in order, the last at the record's end: ages of the click hours, and which have a row.

    Ages count from the first moment at which a conversion could be reported; a row is there before.
    """
    rules = PLATFORM_RULES[CHANNELS[c]]
    num_hours = record.impressions.shape[1]
    newest = num_hours - np.arange(num_hours) - 1 - rules.lag_hours - rules.conversion_lag_hours
    for age in ages:
        yield np.full(num_hours, age), newest > age
    yield newest, newest >= -rules.conversion_lag_hours


def _observe_arrivals(record: MarketRecord, world: int, c: int, ages: tuple[int, ...]) -> Arrivals:
    clicks = _merge(record.clicks[world, :, c], PLATFORM_RULES[CHANNELS[c]].device_split)
    last_age = np.full(len(clicks), -1)
    last = np.zeros_like(clicks)
    columns = []
    for age, has_row in _list_readings(record, c, ages):
        read = has_row & (age >= 0)
        conversions = _read_conversions(record, world, c, age)
        hour, device = np.nonzero((clicks > 0) & read[:, None])
        new = conversions[hour, device] - last[hour, device]
        columns.append(np.column_stack((hour, device, last_age[hour], age[hour], clicks[hour, device], new)))
        last[read], last_age[read] = conversions[read], age[read]
    table = np.concatenate(columns).astype(np.float64).T
    return Arrivals(table[0].astype(np.int64), table[1].astype(np.int64), *table[2:])


def write_report_rows(
    path: Path, record: MarketRecord, world: int, ages: tuple[int, ...] = READING_AGES_HOURS, account: str = "simulated"
) -> int:
    """Writes one world's rows, one per (channel, device, hour, reading), as CSV or Parquet.

    Args:
        path: ends in ``.csv`` or ``.parquet``.
        record: of a market.
        world: which of its worlds.
        ages: readings of each row.
        account: name in the rows.

    Returns:
        How many rows were written.
    """
    rows = [row for c in range(NUM_CHANNELS) for row in _list_rows(record, world, c, ages, account)]
    _write_table(path, {name: [row[name] for row in rows] for name in rows[0]})
    return len(rows)


def _list_rows(
    record: MarketRecord, world: int, c: int, ages: tuple[int, ...], account: str
) -> Iterator[dict[str, Any]]:
    rules, channel = PLATFORM_RULES[CHANNELS[c]], CHANNELS[c]
    first_age = timedelta(hours=1 + rules.lag_hours + rules.conversion_lag_hours)
    merged = {
        name: _merge(getattr(record, name)[world, :, c], rules.device_split)
        for name in ("impressions", "clicks", "spend_micros", "eligible")
    }
    devices = range(NUM_DEVICES if rules.device_split else 1)
    for age, has_row in _list_readings(record, c, ages):
        conversions = _read_conversions(record, world, c, age)
        for hour, device in product(np.flatnonzero(has_row).tolist(), devices):
            moment = FIRST_HOUR + timedelta(hours=hour)
            yield {
                "account": account,
                "channel": channel.value,
                "campaign": f"{channel}-1",
                "creative": "all",
                "device": DEVICES[device].value if rules.device_split else None,
                "hour": moment.isoformat(),
                "as_of": (moment + first_age + timedelta(hours=int(age[hour]))).isoformat(),
                "impressions": int(merged["impressions"][hour, device]),
                "clicks": int(merged["clicks"][hour, device]),
                "spend_micros": int(merged["spend_micros"][hour, device]),
                "conversions": int(conversions[hour, device]),
                "conversion_value_micros": 0,
                "conversion_source": "platform" if rules.hourly_conversions else "ga4",
                "currency": "USD",
                "eligible_impressions": int(merged["eligible"][hour, device]) if rules.share_hour is not None else None,
                "lost_share_budget": (
                    float(record.lost_to_budget[world, hour, c]) if rules.share_hour is not None else None
                ),
            }


def write_plans(path: Path, record: MarketRecord, world: int) -> int:
    """Writes what was in force, one row per (channel, hour), as CSV or Parquet.

    Columns: ``channel``; ``hour``, ISO 8601 with its zone; ``bid``, currency units per click;
    ``daily_budget``, currency units; ``active``; ``modifier_mobile``, ``modifier_desktop`` and
    ``modifier_tablet``, factors on the bid.

    Args:
        path: ends in ``.csv`` or ``.parquet``.
        record: of a market.
        world: which of its worlds.

    Returns:
        How many rows were written.
    """
    columns: dict[str, list[Any]] = {name: [] for name in ("channel", "hour", "bid", "daily_budget", "active")}
    columns |= {f"modifier_{device}": [] for device in DEVICES}
    for c, channel in enumerate(CHANNELS):
        bid = record.bid[world, :, c]
        for hour in range(len(bid)):
            base = float(bid[hour].max())
            columns["channel"].append(channel.value)
            columns["hour"].append((FIRST_HOUR + timedelta(hours=hour)).isoformat())
            columns["bid"].append(base)
            columns["daily_budget"].append(float(record.daily_budget[world, hour, c]))
            columns["active"].append(bool(record.active[world, hour, c]))
            for d, device in enumerate(DEVICES):
                columns[f"modifier_{device}"].append(float(bid[hour, d]) / base if base > 0.0 else 1.0)
    _write_table(path, columns)
    return len(columns["hour"])


def _write_table(path: Path, columns: Mapping[str, list[Any]]) -> None:
    table = pa.table(dict(columns))
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        pa_csv.write_csv(table, path)
