"""``gaelp check``, ``gaelp reports`` and ``gaelp push``: live accounts, or the sandbox, from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gaelp_rl.errors import ConfigError, ConnectorError, GaelpError

if TYPE_CHECKING:
    from connectors.settings import ConnectorsConfig

__all__ = ["CHECK_EPILOG", "PUSH_EPILOG", "REPORTS_EPILOG", "check", "push", "reports"]

CHECK_EPILOG = (
    "Writes nothing. Exit code 1 when a platform cannot be reached. Examples: `gaelp check google` · `gaelp check all "
    "--config runs/sandbox/connectors.toml`"
)
REPORTS_EPILOG = "Examples: `gaelp reports` · `gaelp reports --hours 168 --out runs/reports.parquet`"
PUSH_EPILOG = (
    "A dry run unless --live or --sandbox is given. Examples: `gaelp push plan.toml` · `gaelp push plan.toml --sandbox "
    "--config runs/sandbox/connectors.toml`"
)
_DEFAULT = Path("connectors.toml")

Config = Annotated[
    Path, typer.Option("--config", metavar="FILE", help="Accounts and managed campaigns, a table per platform.")
]
Platform = Annotated[str, typer.Argument(metavar="PLATFORM|all", help="google, meta, tiktok, microsoft, ga4 or all.")]


def check(platform: Platform = "all", config: Config = _DEFAULT) -> None:
    """Verify credentials, permissions and accounts, without writing anything."""
    from connectors.credentials import SecretSource
    from connectors.registry import make_connector

    settings, names = _load(config, platform)
    source, failed = SecretSource.of_process(), 0
    for name in names:
        try:
            connector = make_connector(name, settings, source)
            try:
                result = connector.check()
            finally:
                connector.close()
        except GaelpError as error:
            failed += 1
            typer.echo(f"{name}: FAILED: {error}")
            continue
        account = result.account
        writes = "may write" if result.can_write else "reads only"
        typer.echo(f"{name}: ok: {account.name} ({account.id}), {account.currency}, {account.time_zone}, {writes}")
        for note in result.notes:
            typer.echo(f"  {note}")
    if failed:
        raise typer.Exit(1)


def reports(
    hours: Annotated[int, typer.Option(min=1, max=24 * 31, help="Newest hours to read.")] = 48,
    reread: Annotated[
        bool, typer.Option("--reread", help="Instead: all hours that each platform may still restate.")
    ] = False,
    platform: Platform = "all",
    config: Config = _DEFAULT,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where rows go, .csv or .parquet.")] = None,
) -> None:
    """Read hourly reports of all platforms at once; Meta's conversions come from GA4."""
    from experiments.live_reports import run_live_reports

    settings, names = _load(config, platform)
    run_live_reports(settings, names, None if reread else hours, out)


def push(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="TOML: currency, and a table per channel.")],
    platform: Platform = "all",
    config: Config = _DEFAULT,
    live: Annotated[bool, typer.Option("--live", help="Really write. Spends money.")] = False,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Write to a sandbox on this machine.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --live: do not ask.")] = False,
) -> None:
    """Make managed campaigns do what a plan says; by default only check it."""
    from connectors.settings import WriteMode
    from experiments.live_push import load_plan, run_push

    if live and sandbox:
        msg = "--live and --sandbox exclude each other"
        raise ConfigError(msg)
    settings, names = _load(config, platform)
    names = [name for name in names if name != "ga4"]
    mode = WriteMode.LIVE if live else WriteMode.SANDBOX if sandbox else WriteMode.DRY_RUN
    if live and not yes:
        typer.confirm(f"Write to the live accounts of {', '.join(names)}?", abort=True)
    if not run_push(settings, names, load_plan(plan), mode):
        raise typer.Exit(1)


def _load(path: Path, platform: str) -> tuple[ConnectorsConfig, list[str]]:
    """The settings, and the platforms that are meant."""
    from connectors.registry import PLATFORMS, list_configured
    from connectors.settings import ConnectorsConfig
    from gaelp_rl.config.loading import load_config
    from gaelp_rl.errors import suggest

    if platform != "all" and platform not in PLATFORMS:
        msg = f"no platform {platform!r}.{suggest(platform, [*PLATFORMS, 'all'])}"
        raise ConfigError(msg)
    if not path.exists():
        msg = f"no {path}: write one (docs/connectors.md shows it), or run `gaelp sandbox` and use the one it writes"
        raise ConfigError(msg)
    settings = load_config(ConnectorsConfig, path)
    names = list_configured(settings) if platform == "all" else [platform]
    if not names:
        msg = f"{path} names no account: set `account` in the table of at least one platform"
        raise ConnectorError("connectors", "settings", msg)
    return settings, names
