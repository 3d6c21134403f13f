"""``gaelp sandbox``: the five platforms on this machine, over one simulated market, with time that runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from connectors.sandbox.faults import FaultInjector, FaultScript
from connectors.sandbox.quotas import ServerQuotas
from connectors.sandbox.servers import SandboxServers
from connectors.sandbox.world import SandboxWorld
from experiments.progress import make_console
from experiments.sandbox_market import SimulatedCampaigns
from gaelp_rl.config.loading import load_config
from gaelp_rl.config.market import DEFAULT_FAMILY, load_family
from gaelp_rl.domain.channels import CHANNELS
from gaelp_rl.domain.money import MICROS
from gaelp_rl.errors import ConfigError

__all__ = ["SandboxSettings", "run_sandbox"]

_SECONDS_PER_HOUR = 3600.0
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """What runs.

    Attributes:
        family: of worlds, or the path of a market TOML.
        campaigns: on each channel.
        seed: of the worlds.
        history: hours that have passed when the servers open.
        hours: to run before stopping; None to run until interrupted.
        speed: simulated seconds per second; 0 lets time pass by ``POST /advance`` only.
        time_zone: of all accounts.
        currency: of all accounts.
        plaintext: gRPC without TLS and sign-in.
        faults: a TOML of ``[[faults]]``; None for none.
        out: folder for ``connectors.toml``, ``secrets.env`` and the certificate.
    """

    family: str = DEFAULT_FAMILY
    campaigns: int = 1
    seed: int = 0
    history: int = 24
    hours: int | None = None
    speed: float = _SECONDS_PER_HOUR
    time_zone: str = "UTC"
    currency: str = "USD"
    plaintext: bool = False
    faults: Path | None = None
    out: Path = Path("runs/sandbox")


def run_sandbox(
    settings: SandboxSettings,
    console: Console | None = None,
    on_ready: Callable[[SandboxServers], None] | None = None,
) -> SandboxWorld:
    """Serves until its hours have passed or it is interrupted.

    Args:
        settings: what runs.
        console: says how to use it, then what happens.
        on_ready: called once the servers listen.

    Returns:
        The world as it ended.

    Raises:
        ConfigError: a setting that cannot be used.
    """
    console = console or make_console()
    zone = _load_zone(settings.time_zone)
    script = load_config(FaultScript, settings.faults) if settings.faults else FaultScript()
    first_day = (datetime.now(UTC) - timedelta(hours=settings.history)).astimezone(zone).date()
    with console.status("letting the market run until now"):
        world = _make_world(settings, first_day, zone)
    last = world.hour + settings.hours if settings.hours is not None else None
    servers = SandboxServers(
        world,
        injector=FaultInjector(script, ServerQuotas(lambda: world.hour * _SECONDS_PER_HOUR)),
        plaintext=settings.plaintext,
        folder=settings.out,
    )
    with servers:
        path = servers.write_files()
        console.print(_render_servers(servers))
        _print_help(console, path, servers)
        if on_ready is not None:
            on_ready(servers)
        try:
            _run(world, settings.speed, last, console)
        except KeyboardInterrupt:
            console.print("interrupted")
    console.print(_render_end(world))
    return world


def _make_world(settings: SandboxSettings, first_day: date, zone: ZoneInfo) -> SandboxWorld:
    family = load_family(settings.family)
    world = SandboxWorld(
        SimulatedCampaigns(family, settings.campaigns, settings.seed), first_day, zone, settings.currency
    )
    world.advance(settings.history)
    return world


def _run(world: SandboxWorld, speed: float, last: int | None, console: Console) -> None:
    """Lets time pass until the market's hour ``last``, or for ever."""
    pause = _SECONDS_PER_HOUR / speed if speed > 0.0 else None
    due = time.monotonic() + (pause or 0.0)
    with console.status("") as status:
        while last is None or world.hour < last:
            if pause is not None and time.monotonic() >= due:
                world.advance()
                due += pause
            status.update(_describe(world))
            time.sleep(min(max(due - time.monotonic(), 0.01), _POLL_S) if pause is not None else _POLL_S)


def _describe(world: SandboxWorld) -> str:
    writes = sum(account.num_writes for account in world.accounts.values())
    return f"{world.now:%a %d %b %H:%M} UTC, hour {world.hour}, {writes} writes so far; Ctrl-C stops"


def _load_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        msg = f"no time zone {name!r}: use a name such as 'Europe/Berlin'"
        raise ConfigError(msg) from None


def _render_servers(servers: SandboxServers) -> Table:
    table = Table(box=SIMPLE_HEAD, title="Sandbox", title_justify="left")
    for heading in ("platform", "account", "campaigns", "endpoint"):
        table.add_column(heading)
    for name in ("google", "meta", "tiktok", "microsoft", "ga4"):
        part = getattr(servers.config, name)
        table.add_row(name, part.account, str(len(part.managed_campaigns)), part.endpoint)
    table.add_row("clock, faults", "", "", servers.config.clock)
    return table


def _print_help(console: Console, path: Path, servers: SandboxServers) -> None:
    secrets = path.parent / "secrets.env"
    for line in (
        "In another terminal:",
        f"  source {secrets}",
        f"  gaelp check all --config {path}",
        f"  gaelp reports --config {path}",
        f"  gaelp push plan.toml --sandbox --config {path}",
        f"  curl -X POST '{servers.config.clock}/advance?hours=6'",
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _render_end(world: SandboxWorld) -> Table:
    table = Table(box=SIMPLE_HEAD, title=f"After {world.hour} hours", title_justify="left")
    table.add_column("channel")
    for heading in ("clicks", "spend", "conversions", "changes"):
        table.add_column(heading, justify="right")
    for c, channel in enumerate(CHANNELS):
        clicks = sum(int(hour.clicks[:, c].sum()) for hour in world.history)
        spend = sum(int(hour.spend_micros[:, c].sum()) for hour in world.history)
        conversions = sum(int((hour.conversions[:, 1] == c).sum()) for hour in world.history)
        changes = len(world.accounts[channel].changes)
        table.add_row(channel.value, f"{clicks:,}", f"{spend / MICROS:,.2f}", f"{conversions:,}", f"{changes:,}")
    return table
