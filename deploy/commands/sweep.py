"""``gaelp sweep``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.options import Overrides

__all__ = ["sweep"]

_INTERRUPTED = 130


def sweep(
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings and search space, as TOML.")] = None,
    trials: Annotated[int | None, typer.Option(min=2, help="Settings tried, the default among them.")] = None,
    pbt: Annotated[bool, typer.Option("--pbt", help="Population based training instead of stopping early.")] = False,
    overrides: Overrides = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a killed sweep was, with its settings.")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where trials, winner and plots go.")] = None,
) -> None:
    """Search settings by many short runs, judge the winner again on fresh seeds, and write its config."""
    from experiments.sweep import load_resumable_config, run_sweep

    changes = [*(overrides or []), *([] if trials is None else [f"trials={trials}"])]
    settings = load_resumable_config(config, changes, "pbt" if pbt else "asha", out, resume=resume)
    try:
        run_sweep(settings, resume=resume)
    except KeyboardInterrupt:
        typer.echo(f"interrupted; go on with: gaelp sweep --resume --out {settings.out}", err=True)
        raise typer.Exit(_INTERRUPTED) from None
