"""``gaelp ga4-export``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from deploy.commands.options import Overrides

__all__ = ["EPILOG", "ga4_export"]

EPILOG = (
    "Examples: `gaelp ga4-export --small --out runs/ga4-small` · `gaelp ga4-export --events 10000000` · "
    "`gaelp ga4-export --format jsonl --events 50000 --days 7 --budget 100 --set dirt.malformed=0.01`"
)


def ga4_export(
    family: Annotated[str | None, typer.Option(metavar="NAME", help="A family of worlds, or a market TOML.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the world and of everybody on the site.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=28, help="Days of the account. Default: 28.")] = None,
    budget: Annotated[float | None, typer.Option(help="Per day, split evenly over channels. Default: 500.")] = None,
    events: Annotated[int | None, typer.Option(min=1, help="About how many. Default: 1,000,000.")] = None,
    small: Annotated[bool, typer.Option("--small", help="A few days in both formats, some 5,000 events.")] = False,
    file_format: Annotated[
        Literal["parquet", "jsonl", "mixed"] | None,
        typer.Option("--format", help="mixed: every third day as gzipped JSON lines. Default: parquet."),
    ] = None,
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="A folder without events.")] = Path("runs/ga4"),
) -> None:
    """Write the GA4 export, reports and plans of an account in a simulated market, and the truth about it."""
    from experiments.ga4.settings import make_settings

    options = {
        "family": family,
        "seed": seed,
        "days": days,
        "daily_budget": budget,
        "events": events,
        "format": file_format,
    }
    flags = [f"{key}={json.dumps(setting)}" for key, setting in options.items() if setting is not None]
    settings = make_settings([*flags, *(overrides or [])], small=small)

    from experiments.ga4.export import run_ga4_export

    run_ga4_export(settings, out)
