"""``gaelp reports``: one hourly read of live accounts, or of the sandbox, as a table and a file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from connectors.credentials import SecretSource
from connectors.hours import ReportWindow
from connectors.reading import AllReports, fetch_all
from connectors.registry import fetch_clock, make_connector
from connectors.settings import ConnectorsConfig
from experiments.progress import WorkProgress, make_console
from gaelp_rl.domain.hourly_report import HourlyReport
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.numbers import CensoredShare
from gaelp_rl.errors import ConfigError

__all__ = ["render_reports", "run_live_reports", "write_rows"]

_FORMATS = (".csv", ".parquet")


def run_live_reports(
    config: ConnectorsConfig,
    names: Sequence[str],
    hours: int | None,
    out: Path | None = None,
    console: Console | None = None,
    source: SecretSource | None = None,
) -> AllReports:
    """Reads the newest hours of all platforms at once.

    Args:
        config: accounts.
        names: platforms to read.
        hours: how many; None for all that each platform may still restate.
        out: where rows go; nowhere if not given.
        console: where the table goes.
        source: where secrets are; this process's environment if not given.

    Returns:
        What was read.

    Raises:
        ConfigError: the file is neither CSV nor Parquet, or a platform is not set up.
        GaelpError: the first platform that could not be read, after the table.
    """
    if out is not None and out.suffix not in _FORMATS:
        msg = f"{str(out)!r} is neither CSV nor Parquet: name it .csv or .parquet"
        raise ConfigError(msg)
    console = console or make_console()
    now = fetch_clock(config.clock, 10.0) if config.clock else datetime.now(UTC)
    end = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1 if now.minute or now.second else 0)
    with ExitStack() as stack:
        connectors = {name: make_connector(name, config, source or SecretSource.of_process()) for name in names}
        for connector in connectors.values():
            stack.callback(connector.close)
        windows = {
            name: connector.capabilities.make_reread_window(now)
            if hours is None
            else ReportWindow(end - timedelta(hours=hours), end)
            for name, connector in connectors.items()
        }
        with WorkProgress(console, f"reading {', '.join(names)}", len(names)) as progress:
            done: list[str] = []

            def note(name: str) -> None:
                done.append(name)
                progress.update(len(done), name)

            reports = fetch_all(connectors, windows, note)
    console.print(render_reports(reports))
    rows = [row for part in reports.platforms.values() if part.parsed for row in part.parsed.accepted]
    if out is not None:
        write_rows(out, rows)
        console.print(f"reports: {out} ({len(rows):,} rows)")
    for part in reports.platforms.values():
        if part.error is not None:
            raise part.error
    return reports


def render_reports(reports: AllReports) -> Table:
    """One line per platform: what came, what it cost, or why nothing came."""
    table = Table(
        title="Hourly reports", caption=f"{reports.seconds:.1f} s for all", box=SIMPLE_HEAD, title_justify="left"
    )
    table.caption_justify = "left"
    table.add_column("platform")
    for heading in ("rows", "quarantined", "duplicates", "clicks", "spend", "conversions", "calls", "s"):
        table.add_column(heading, justify="right")
    table.add_column("quota used")
    for name, part in reports.platforms.items():
        if part.error is not None:
            table.add_row(name, *[""] * 8, f"FAILED: {part.error}")
            continue
        rows = part.parsed.accepted if part.parsed else ()
        counted = sum(count.conversions for count in part.fetched.counts) if part.fetched else 0.0
        table.add_row(
            name,
            f"{len(rows):,}",
            f"{len(part.parsed.quarantined) if part.parsed else 0:,}",
            f"{part.parsed.duplicates if part.parsed else 0:,}",
            f"{sum(row.clicks for row in rows):,}",
            f"{sum(row.spend_micros for row in rows) / MICROS:,.2f}",
            f"{counted or sum(row.conversions for row in rows):,.1f}",
            str(part.num_calls),
            f"{part.seconds:.1f}",
            "; ".join(f"{use.used:g} of {use.limit.amount:,g} {use.limit.name}" for use in part.quotas),
        )
    return table


def write_rows(path: Path, rows: Sequence[HourlyReport]) -> None:
    """Writes rows with the contract's columns, as ``gaelp calibrate`` reads them; censored shares as their bound."""
    names = [field.name for field in fields(HourlyReport)]
    columns = {name: [_make_cell(getattr(row, name)) for row in rows] for name in names}
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    else:
        pa_csv.write_csv(pa.table(columns), path)


def _make_cell(content: object) -> object:
    if isinstance(content, datetime):
        return content.isoformat()
    if isinstance(content, CensoredShare):
        return content.share
    return str(content) if isinstance(content, str) else content
