"""``gaelp benchmark read``: one hourly read of all platforms by the real SDKs.

The sandbox runs in a process of its own, so that time and memory are the connectors'.
"""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from connectors.credentials import SecretSource
from connectors.hours import ReportWindow
from connectors.platform import PlatformConnector
from connectors.reading import AllReports, fetch_all
from connectors.registry import make_connector
from connectors.sandbox.servers import SandboxServers
from connectors.settings import ConnectorsConfig
from connectors.token_store import TokenStore
from experiments.benchmark_push import make_benchmark_world, write_figures
from experiments.progress import make_console
from gaelp_rl.config.loading import load_config
from gaelp_rl.domain.channels import CHANNELS, Channel
from gaelp_rl.domain.money import MICROS, Micros
from gaelp_rl.domain.platform_rules import PLATFORM_RULES
from gaelp_rl.errors import ConnectorError

__all__ = ["run_read_benchmark"]

_START_S = 300.0


@dataclass(frozen=True, slots=True)
class _Truth:
    """What the sandbox's process tells: secrets, the time, and what each channel spent by its reports."""

    environment: Mapping[str, str]
    now: datetime
    spend_micros: Mapping[Channel, Micros]


def run_read_benchmark(
    out: Path, console: Console | None = None, campaigns: int = 50, hours: int = 48, plaintext: bool = False
) -> AllReports:
    """Reads all platforms once and prints rows, time, memory and quota use.

    Args:
        out: folder of ``read.json``.
        console: where the table goes.
        campaigns: on each channel.
        hours: that are read, as an hourly loop would: yesterday and today.
        plaintext: gRPC without TLS.

    Raises:
        ConnectorError: a platform could not be read, or its spend is not the market's to the micro.
    """
    console = console or make_console()
    with (
        TemporaryDirectory(prefix="gaelp-sandbox-") as name,
        console.status("starting a sandbox") as status,
        _serve_apart(Path(name), campaigns, hours, plaintext) as truth,
    ):
        folder = Path(name)
        config = load_config(ConnectorsConfig, folder / "connectors.toml")
        source = SecretSource(truth.environment, TokenStore(folder / "credentials"), folder)
        status.update("loading the SDKs")
        loading = monotonic()
        platforms = [*(channel.value for channel in CHANNELS), "ga4"]
        connectors = {platform: make_connector(platform, config, source) for platform in platforms}
        loading = monotonic() - loading
        status.update("reading")
        reports = fetch_all(connectors, ReportWindow(truth.now - timedelta(hours=hours), truth.now))
        for connector in connectors.values():
            connector.close()
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    console.print(_render_read(reports, connectors))
    console.print(
        f"{reports.seconds:.1f} s for all, at once (goal 10); SDKs loaded in {loading:.1f} s before; "
        f"{memory_mb:.0f} MB at most, SDKs included (goal 500)"
    )
    write_figures(out, "read", {"seconds": reports.seconds, "loading_s": loading, "memory_mb": memory_mb})
    _check_spend(reports, truth)
    return reports


@contextmanager
def _serve_apart(folder: Path, campaigns: int, hours: int, plaintext: bool) -> Iterator[_Truth]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, folder, campaigns, hours, plaintext), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_START_S):
            raise ConnectorError("sandbox", "start", f"the sandbox did not start in {_START_S:.0f} s")
        try:
            truth = ours.recv()
        except EOFError:
            raise ConnectorError("sandbox", "start", "the sandbox's process ended: its error is above") from None
        yield truth
    finally:
        ours.close()
        process.join(30.0)
        if process.is_alive():
            process.kill()


def _serve(pipe: Connection, folder: Path, campaigns: int, hours: int, plaintext: bool) -> None:
    """Runs in the other process until the pipe is closed."""
    world = make_benchmark_world(campaigns, hours)
    spend = {
        channel: sum(
            int(hour.spend_micros[:, c].sum()) for hour in world.history[: hours - PLATFORM_RULES[channel].lag_hours]
        )
        for c, channel in enumerate(CHANNELS)
    }
    with SandboxServers(world, plaintext=plaintext, folder=folder) as servers:
        servers.write_files()
        pipe.send(_Truth(dict(servers.environment), world.now, spend))
        try:
            pipe.recv()
        except EOFError:
            return


def _check_spend(reports: AllReports, truth: _Truth) -> None:
    for name, part in reports.platforms.items():
        if part.error is not None:
            raise ConnectorError("sandbox", "read", f"{name} could not be read: {part.error}")
    for channel, spent in truth.spend_micros.items():
        parsed = reports.platforms[channel.value].parsed
        read = sum(row.spend_micros for row in parsed.accepted) if parsed else 0
        if read != spent:
            message = f"{channel} reports {read} micros of spend, the market spent {spent}"
            raise ConnectorError("sandbox", "reconcile", message)


def _render_read(reports: AllReports, connectors: Mapping[str, PlatformConnector]) -> Table:
    table = Table(title="Hourly read", box=SIMPLE_HEAD, title_justify="left")
    table.add_column("platform")
    for heading in ("rows", "quarantined", "conversions", "spend", "calls", "s"):
        table.add_column(heading, justify="right")
    table.add_column("quota used")
    for name in connectors:
        part = reports.platforms[name]
        rows = part.parsed.accepted if part.parsed else ()
        counted = sum(count.conversions for count in part.fetched.counts) if part.fetched else 0.0
        conversions = counted or sum(row.conversions for row in rows)
        quotas = "; ".join(f"{use.used:g} of {use.limit.amount:,g} {use.limit.name}" for use in part.quotas)
        table.add_row(
            name,
            f"{len(rows):,}",
            f"{len(part.parsed.quarantined) if part.parsed else 0:,}",
            f"{conversions:,.0f}",
            f"{sum(row.spend_micros for row in rows) / MICROS:,.2f}",
            str(part.num_calls),
            f"{part.seconds:.1f}",
            quotas,
        )
    return table
