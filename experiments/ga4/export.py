"""``gaelp ga4-export``: the GA4 export, the reports and the plans of one account in a simulated market."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from experiments.ga4.account import Account, run_account
from experiments.ga4.background import make_background_sessions, make_crawler_sessions
from experiments.ga4.click_ids import make_click_ids, make_landing_pages
from experiments.ga4.clock import PropertyClock, make_clock, name_day
from experiments.ga4.columns import EventTables, format_users
from experiments.ga4.events import EVENT_NAMES, Events, count_events, join_events, make_events
from experiments.ga4.paid import PaidClicks, make_paid_sessions, sample_paid_clicks
from experiments.ga4.published import SESSIONS_PER_USER
from experiments.ga4.sessions import PAID_SOURCES, Sessions, Stage, join_sessions
from experiments.ga4.settings import ExportSettings
from experiments.ga4.shards import Shard
from experiments.ga4.truth import describe_paid, write_truth
from experiments.progress import WorkProgress, make_console
from gaelp_rl.bootstrap.ga4_schema import DAILY_PREFIX, INTRADAY_PREFIX
from gaelp_rl.domain.channels import CHANNELS, DEVICES, NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.errors import ConfigError

__all__ = ["FIRST_EDITION", "Site", "make_site", "run_ga4_export"]

FIRST_EDITION = "first_edition"
"""Folder of tables as they were exported first, before late events were added."""

_BLOCK = 8_000
_PILOT_USERS = 4_000
_FIRST_EXPORT_HOURS = 12
_HOUR_US = 3_600_000_000
_PURCHASE = EVENT_NAMES.index("purchase")


@dataclass(frozen=True, slots=True)
class Site:
    """Everybody who came to the site.

    Attributes:
        account: the account that bought the clicks.
        clicks: its clicks as people.
        sessions: all visits, by their start.
        clock: of the property.
    """

    account: Account
    clicks: PaidClicks
    sessions: Sessions
    clock: PropertyClock


def make_site(settings: ExportSettings) -> Site:
    """Runs the market, lands its clicks and adds the traffic around them.

    Args:
        settings: of the export.

    Raises:
        ConfigError: the family does not exist, or the paid clicks alone need more events.
    """
    account = run_account(settings)
    clock = make_clock(settings.property_time_zone, settings.days)
    rng = np.random.default_rng([settings.seed, 1])
    dirt = settings.dirt
    clicks = sample_paid_clicks(account.record, rng, dirt.not_landed, dirt.consent_denied)
    paid = make_paid_sessions(clicks, rng, 0, clock.horizon)
    pilot = make_background_sessions(rng, _PILOT_USERS, 0, settings.days, 0.0)
    spent = int(count_events(paid).sum())
    left = settings.events - spent
    if left < 0:
        msg = (
            f"events is {settings.events:,}, but the paid clicks alone send about {spent:,}: "
            "ask for more events, fewer days or a smaller daily_budget"
        )
        raise ConfigError(msg)
    users = round(left / (SESSIONS_PER_USER * float(count_events(pilot).mean())))
    others = make_background_sessions(rng, users, len(clicks), settings.days, dirt.consent_denied)
    bots = make_crawler_sessions(rng, round(dirt.bots * len(others)), len(clicks) + users, settings.days)
    return Site(account, clicks, join_sessions([paid, others, bots]), clock)


def run_ga4_export(settings: ExportSettings, out: Path, console: Console | None = None) -> None:
    """Writes the export: ``events_*`` files, ``reports.csv``, ``plans.csv``, ``clicks.parquet``, ``truth.json``.

    Args:
        settings: of the export.
        out: a folder without events.
        console: shows progress.

    Raises:
        ConfigError: the settings cannot be met, or the folder holds events already.
    """
    if out.is_dir() and any(out.glob(f"{DAILY_PREFIX}*")):
        msg = f"{str(out)!r} holds events already: name another folder, since tables of two exports must not mix"
        raise ConfigError(msg)
    show = console or make_console()
    site = make_site(settings)
    out.mkdir(parents=True, exist_ok=True)
    ids = make_click_ids(site.clicks, np.random.default_rng([settings.seed, 2]))
    tables = EventTables.make(site.sessions, site.clock, make_landing_pages(site.clicks, ids), ids)
    writing = _Writing(settings, site, tables, out)
    days = site.clock.list_days()
    with WorkProgress(show, "events", len(days)) as progress:
        for index, day in enumerate(days):
            writing.write_day(day, index)
            progress.update(index + 1, f"{writing.newest_rows:,} rows")
    reports, plans = (out / f"{name}.{settings.reports}" for name in ("reports", "plans"))
    rows, plan_rows = site.account.write(reports, plans)
    _write_clicks(out / "clicks.parquet", site.clicks)
    paid = describe_paid(site.account, site.clicks, site.clock.horizon, writing.exported)
    traffic = _describe_traffic(site)
    write_truth(
        out / "truth.json", settings, site.account, paid=paid, traffic=traffic, totals=writing.describe_totals(),
        shards=writing.shards,
    )  # fmt: skip
    show.print(f"events: {out} ({writing.newest_rows:,} rows in {len(writing.shards)} files)")
    show.print(f"reports: {reports} ({rows:,} rows)\nplans: {plans} ({plan_rows:,} rows)")
    show.print(f"Next: gaelp bootstrap --ga4 {out} --reports {reports}")


class _Writing:
    """The tables, one day after the other."""

    def __init__(self, settings: ExportSettings, site: Site, tables: EventTables, out: Path) -> None:
        self._settings, self._site, self._tables, self._out = settings, site, tables, out
        self._carried: list[Events] = []
        self._names: Counter[str] = Counter()
        self._days = site.clock.list_days()
        self._starts = site.clock.compute_days(site.sessions.start)
        self._not_arrived = 0
        self._exported_visits: set[int] = set()
        self.exported = np.zeros((NUM_CHANNELS, NUM_DEVICES), dtype=np.int64)
        self.newest_rows = 0
        self.shards: list[dict[str, Any]] = []

    def write_day(self, day: int, index: int) -> None:
        """Writes every edition of one day."""
        shards = self._make_shards(day, index)
        first, last = np.searchsorted(self._starts, (day, day + 1)).tolist()
        waiting, self._carried = self._carried, []
        with ExitStack() as stack:
            for shard in shards:
                stack.enter_context(shard)
            if waiting:
                self._write_block(join_events(waiting), day, shards)
            for block, begin in enumerate(range(first, last, _BLOCK)):
                rng = np.random.default_rng([self._settings.seed, 3, day, block])
                rows = np.arange(begin, min(begin + _BLOCK, last))
                self._write_block(make_events(self._site.sessions, rows, rng, self._settings.dirt), day, shards)
        self.newest_rows += shards[0].counts.rows
        for shard in shards:
            edition = "intraday" if shard.intraday else "daily" if shard is shards[0] else "first"
            name = shard.path.relative_to(self._out).as_posix()
            self.shards.append({"file": name, "edition": edition, "older": shard.older, **asdict(shard.counts)})

    def _write_block(self, events: Events, day: int, shards: list[Shard]) -> None:
        events = events.take(events.moment < self._site.clock.horizon)
        of_today = self._site.clock.compute_days(events.moment) == day
        if not of_today.all():
            self._carried.append(events.take(~of_today))
            events = events.take(of_today)
        if not len(events):
            return
        self._count(events)
        table = self._tables.make_table(events)
        for shard in shards:
            shard.write(table, events)

    def _count(self, events: Events) -> None:
        arrived = events.arrival <= self._site.clock.horizon
        self._not_arrived += int((~arrived).sum())
        seen = events.take(arrived)
        names, counts = np.unique(seen.name, return_counts=True)
        self._names.update({EVENT_NAMES[name]: int(n) for name, n in zip(names, counts, strict=True)})
        buys = seen.session[(seen.name == _PURCHASE) & seen.has_user]
        paid = buys[self._site.sessions.first_source[buys] < PAID_SOURCES]
        new = np.setdiff1d(paid, list(self._exported_visits))  # a purchase sent again counts once
        self._exported_visits.update(new.tolist())
        buyers = self._site.sessions.take(new)
        np.add.at(self.exported, (buyers.first_source, buyers.device), 1)

    def _make_shards(self, day: int, index: int) -> list[Shard]:
        """The newest edition first."""
        settings, horizon, end = self._settings, self._site.clock.horizon, self._site.clock.compute_end(day)
        as_json = settings.format == "jsonl" or (settings.format == "mixed" and index % 3 == 1)
        ending = f"{name_day(day)}.parquet" if not as_json else f"{name_day(day)}.jsonl"
        ending += ".gz" if as_json and settings.format == "mixed" else ""
        older = index < settings.older_days
        streamed = Shard(self._out / f"{INTRADAY_PREFIX}{ending}", min(end, horizon), older=older, intraday=True)
        if index == len(self._days) - 1:
            return [streamed]
        shards = [Shard(self._out / f"{DAILY_PREFIX}{ending}", horizon, older=older)]
        if index == len(self._days) - 2:
            shards.append(streamed)
        exported = end + _FIRST_EXPORT_HOURS * _HOUR_US
        if len(self._days) - index <= settings.restated_days + 1 and exported < horizon:
            shards.append(Shard(self._out / FIRST_EDITION / f"{DAILY_PREFIX}{ending}", exported, older=older))
        return shards

    def describe_totals(self) -> dict[str, Any]:
        """Sums over the newest edition of every day."""
        newest = {shard["file"].rpartition("_")[2].partition(".")[0]: shard for shard in reversed(self.shards)
                  if shard["edition"] != "first"}  # fmt: skip
        names = ("rows", "events", "duplicates", "malformed", "repeated_purchases", "no_user", "no_session", "late")
        sums = {name: sum(shard[name] for shard in newest.values()) for name in names}
        return sums | {"not_arrived": self._not_arrived, "by_name": dict(sorted(self._names.items()))}


def _describe_traffic(site: Site) -> dict[str, Any]:
    """Visits and people by kind, and the background's share of what is published."""
    sessions = site.sessions
    paid, crawls = sessions.first_source < PAID_SOURCES, sessions.stage == Stage.CRAWL
    others = sessions.take(~paid & ~crawls)
    buys = others.stage == Stage.PURCHASE
    return {
        "paid_sessions": int(paid.sum()),
        "crawler_sessions": int(crawls.sum()),
        "background_sessions": len(others),
        "background_users": len(np.unique(others.user)),
        "background_purchases": int(buys.sum()),
        "background_revenue_usd": round(float(others.order_usd.sum()), 2),
        "consent_denied_sessions": int((~sessions.consented).sum()),
    }


def _write_clicks(path: Path, clicks: PaidClicks) -> None:
    """One row per paid click: the joins that a reader should find."""
    users = format_users(np.arange(len(clicks)), clicks.moment)
    known = pa.array(np.arange(len(clicks)), mask=~(clicks.consented & clicks.landed))
    table = pa.table(
        {
            "moment": clicks.moment,
            "channel": pa.array([str(channel) for channel in CHANNELS]).take(pa.array(clicks.channel)),
            "device": pa.array([str(device) for device in DEVICES]).take(pa.array(clicks.device)),
            "landed": clicks.landed,
            "consented": clicks.consented,
            "user_pseudo_id": users.take(known),
            "conversion": pa.array(clicks.conversion, mask=clicks.conversion < 0),
            "immediate": clicks.immediate,
        }
    )
    pq.write_table(table, path, compression="zstd")
