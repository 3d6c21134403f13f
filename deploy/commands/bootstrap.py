"""``gaelp bootstrap``: start from an account's own history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.options import Overrides
from gaelp_rl.config.bootstrap import BootstrapConfig
from gaelp_rl.config.loading import load_config

__all__ = ["EPILOG", "bootstrap"]

EPILOG = (
    "Examples: `gaelp bootstrap --reports reports.parquet --plans plans.parquet` · "
    '`gaelp bootstrap --ga4 export/ --reports reports.csv --plans plans.csv --set time_zone="America/New_York"`'
)


def bootstrap(
    reports: Annotated[Path, typer.Option(metavar="PATH", help="Hourly report rows, CSV or Parquet.")],
    plans: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Bids and budgets in force, CSV or Parquet; without, no logged actions."),
    ] = None,
    ga4: Annotated[Path | None, typer.Option(metavar="PATH", help="GA4's BigQuery export, to join.")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings, as TOML.")] = None,
    overrides: Overrides = None,
    sprint_config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings of the sprint that will start from it.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the artefact is written.")] = None,
) -> None:
    """Turn an account's history into a market, transitions and offline weights for `gaelp sprint --bootstrap`."""
    import json

    from gaelp_rl.config.sprint import SprintConfig

    flags = [f"out={json.dumps(str(out))}"] if out else []
    settings = load_config(BootstrapConfig, config, [*(overrides or []), *flags])
    sprint = load_config(SprintConfig, sprint_config, [])

    from experiments.bootstrap import run_bootstrap
    from experiments.progress import make_console

    if ga4 is not None:
        from experiments.ga4_facts import run_ga4_facts

        how = settings.ga4.model_copy(update={"account_time_zone": settings.time_zone})
        reports = run_ga4_facts(ga4, reports, settings.out / "ga4", how, make_console()).reports
    run_bootstrap(reports, plans, settings, sprint)
