"""``gaelp calibrate``: from an account's own reports to a market to train and judge in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from threadpoolctl import threadpool_limits

from envs.market.noise import make_world_keys
from experiments.calibration_report import write_calibration_report
from experiments.progress import make_console
from experiments.report_rows import record_market
from gaelp_rl.config.loading import dump_config
from gaelp_rl.config.market import FAMILIES
from gaelp_rl.domain.channels import CHANNELS, NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.hourly_report import HourlyReport, ParsedReports
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.platform_rules import PLATFORM_RULES
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.errors import ConfigError, suggest
from gaelp_rl.response.market_fit import MarketFit, fit_market
from gaelp_rl.response.observations import (
    HOURS_PER_DAY,
    AccountObservations,
    ChannelObservations,
    make_account_observations,
)
from gaelp_rl.response.parameters import CONFIDENCE
from gaelp_rl.response.report_files import load_plans, load_reports
from gaelp_rl.response.simulated import SimulatedAccount, count_simulated

__all__ = ["MAX_DAYS", "run_calibrate", "simulate_fit"]

MAX_DAYS = 91
"""Days, counted back from the newest row, that a fit looks at."""

_NO_LIMIT = 1e6
_SIMULATED_WORLDS = 32
_SHOWN_REASONS = 5


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the files held."""

    parsed: ParsedReports
    recent: list[HourlyReport]


def run_calibrate(
    reports: Path,
    plans: Path | None,
    out: Path,
    name: str,
    seed: int,
    console: Console | None = None,
    time_zone: str = "UTC",
) -> None:
    """Fits a market to a file of reports and writes it, with a report on the fit beside it.

    Args:
        reports: hourly report rows, CSV or Parquet; see ``HourlyReport``.
        plans: bids and budgets in force, CSV or Parquet; see ``load_plans``. Without it competition
            is known only as far as impression shares and prices tell.
        out: the market TOML to write; the report, its plots and its numbers take its stem.
        name: of the market, as tables show it.
        seed: of the worlds that the fit is compared with.
        console: shows what was read and found.
        time_zone: IANA name of the account's; it decides days and hours of day.

    Raises:
        DataError: a file cannot be read, or holds too little to fit any channel.
        ConfigError: the name is that of a documented family, ``out`` is not a TOML file, or the time
            zone does not exist.
    """
    show = console or make_console()
    zone = _check_request(out, name, time_zone)
    reading = _read(reports)
    _show_reading(reading, show)
    observed = make_account_observations(reading.recent, load_plans(plans) if plans else None, zone)
    with show.status("fitting"), threadpool_limits(1):  # small matrices: threads of one fit hinder each other
        fit = fit_market(observed, name)
    _show_fit(fit, observed, show)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(dump_config(fit.family), encoding="utf-8")
    simulated = simulate_fit(fit, observed, seed)
    report = write_calibration_report(out, fit, observed, simulated, reading.parsed)
    show.print(f"market: {out}\nreport: {report}")


def simulate_fit(fit: MarketFit, observed: AccountObservations, seed: int) -> SimulatedAccount:
    """What accounts in worlds of the fitted family would have recorded under the same bids and budgets.

    Args:
        fit: the fit.
        observed: the account: hours, bids and budgets, and how old its conversions were when read.
        seed: first seed of the worlds.
    """
    skipped = observed.first_weekday * HOURS_PER_DAY
    hours = skipped + observed.num_days * HOURS_PER_DAY
    bid, budget, active = (np.stack(columns, axis=1) for columns in zip(*_list_plans(fit, observed), strict=True))

    def plan_hour(hour: int) -> PlanBatch:
        at = [_find_planned_hour(hour - skipped, c, len(bid)) for c in range(NUM_CHANNELS)]
        by_channel = np.array([bid[h, c] for c, h in enumerate(at)])
        base = np.maximum(by_channel.max(axis=1), 0.01)
        shape = (_SIMULATED_WORLDS, NUM_CHANNELS)
        return PlanBatch.from_currency(
            np.broadcast_to(base, shape),
            np.broadcast_to([budget[h, c] for c, h in enumerate(at)], shape),
            np.broadcast_to(by_channel / base[:, None], (*shape, NUM_DEVICES)),
            np.broadcast_to([bool(active[h, c]) for c, h in enumerate(at)], shape),
        )

    keys = make_world_keys("validation", seed, _SIMULATED_WORLDS)
    unlimited = fit.family.model_copy(update={"daily_budget_micros": round(4 * _NO_LIMIT * MICROS)})
    return count_simulated(record_market(unlimited, keys, plan_hour, hours), observed, skipped)


def _find_planned_hour(hour: int, c: int, num_hours: int) -> int:
    """The hour whose plan has to be given now, so that it is in force in its own."""
    return min(max(hour + PLATFORM_RULES[CHANNELS[c]].plan_delay_hours, 0), num_hours - 1)


def _list_plans(fit: MarketFit, observed: AccountObservations) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
    """Bid [hours, devices], daily budget and running [hours] of each channel, where not known as fitted."""
    num_hours = observed.num_days * HOURS_PER_DAY
    plans = []
    for channel in CHANNELS:
        own = fit.channels.get(channel)
        if own is None:
            plans.append((np.full((num_hours, NUM_DEVICES), 0.01), np.zeros(num_hours), np.zeros(num_hours)))
            continue
        plans.append(_fill_plan(own.observed, own.estimate_bids(), num_hours))
    return plans


def _fill_plan(
    one: ChannelObservations, known_bid: FloatArray, num_hours: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Hours without reports are paused; a budget that nobody knows does not bind."""
    bid = np.full((num_hours, NUM_DEVICES), float(np.median(known_bid)))
    budget, active = np.full(num_hours, _NO_LIMIT), np.zeros(num_hours)
    bid[one.hour] = known_bid
    budget[one.hour] = np.where(np.isfinite(one.daily_budget), one.daily_budget, _NO_LIMIT)
    active[one.hour] = one.active
    return bid, budget, active


def _check_request(out: Path, name: str, time_zone: str) -> ZoneInfo:
    if out.suffix != ".toml":
        msg = f"out is {str(out)!r}: a market is written to a file that ends in .toml"
        raise ConfigError(msg)
    if not name or name in FAMILIES:
        msg = f"name is {name!r}: a market needs a name that no documented family has ({', '.join(FAMILIES)})"
        raise ConfigError(msg)
    try:
        return ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        near = suggest(time_zone, ("UTC", "Europe/Berlin", "Europe/London", "America/New_York", "America/Los_Angeles"))
        msg = f"time zone {time_zone!r} does not exist: give an IANA name.{near}"
        raise ConfigError(msg) from None


def _read(reports: Path) -> _Reading:
    parsed = load_reports(reports)
    if not parsed.accepted:
        return _Reading(parsed, [])
    oldest = max(row.hour for row in parsed.accepted) - timedelta(days=MAX_DAYS)
    return _Reading(parsed, [row for row in parsed.accepted if row.hour > oldest])


def _show_reading(reading: _Reading, show: Console) -> None:
    parsed = reading.parsed
    show.print(
        f"{parsed.num_rows:,} rows = {len(parsed.accepted):,} accepted + {len(parsed.quarantined):,} quarantined "
        f"+ {parsed.duplicates:,} duplicates"
    )
    for _, error in parsed.quarantined[:_SHOWN_REASONS]:
        show.print(f"  quarantined: {error}", markup=False)
    if len(parsed.quarantined) > _SHOWN_REASONS:
        show.print(f"  and {len(parsed.quarantined) - _SHOWN_REASONS:,} more, all in the report")
    older = len(parsed.accepted) - len(reading.recent)
    if older:
        show.print(f"  {older:,} accepted rows are older than {MAX_DAYS} days and are not used")


def _show_fit(fit: MarketFit, observed: AccountObservations, show: Console) -> None:
    table = Table(
        title=f"{fit.family.name}: {observed.num_days} days in {observed.currency}, {CONFIDENCE:.0%} intervals",
        box=SIMPLE_HEAD,
        title_justify="left",
    )
    for heading in ("parameter", "estimate", "from", "to", "source"):
        table.add_column(heading, justify="left" if heading in {"parameter", "source"} else "right", overflow="fold")
    for parameter in fit.parameters:
        if parameter.index:
            continue
        numbers = (f"{number:.4g}" for number in (parameter.estimate, parameter.low, parameter.high))
        table.add_row(escape(parameter.label), *numbers, escape(parameter.source))
    show.print(table)
    show.print("Hours, weekdays, devices and delays stand in the report.")
    for channel, reason in fit.left_out.items():
        show.print(f"{channel} keeps its defaults: {reason}")
