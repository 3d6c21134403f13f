"""``gaelp models``, ``gaelp promote`` and ``gaelp rollback``: who bids, and on what evidence."""

from __future__ import annotations

import json
from typing import Annotated

import typer

__all__ = [
    "MODELS_EPILOG",
    "PROMOTE_EPILOG",
    "ROLLBACK_EPILOG",
    "list_models",
    "promote_version",
    "roll_back_champion",
]

MODELS_EPILOG = "Examples: `gaelp models` · `gaelp models --card 3` · `gaelp models --json`"
PROMOTE_EPILOG = "Examples: `gaelp promote 3` · `gaelp promote 3 --judge --family campaign --family wide --worlds 400`"
ROLLBACK_EPILOG = "Example: `gaelp rollback`"

TrackingOverrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one tracking setting, such as database=FILE. Repeatable."),
]


def list_models(
    card: Annotated[int | None, typer.Option(min=1, metavar="VERSION", help="Print one version's model card.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print versions as JSON.")] = False,
    overrides: TrackingOverrides = None,
) -> None:
    """List registered policies: aliases, score, verdict and run of every version."""
    from experiments.promote import make_rows, print_models
    from gaelp_rl.config.loading import load_config
    from gaelp_rl.config.tracking import TrackingConfig
    from gaelp_rl.tracking import ModelRegistry

    tracking = load_config(TrackingConfig, None, overrides or [])
    registry = ModelRegistry(tracking)
    if card is not None:
        typer.echo(registry.find_version(card).card or "This version was registered without a model card.")
    elif as_json:
        typer.echo(json.dumps(make_rows(registry.list_versions()), indent=2))
    else:
        print_models(tracking, registry.list_versions())


def promote_version(
    version: Annotated[int, typer.Argument(min=1, metavar="VERSION", help="As `gaelp models` shows it.")],
    judge: Annotated[
        bool, typer.Option("--judge", help="Judge it now, against every controller and the present champion.")
    ] = False,
    family: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Judge on these families. Repeatable. Default: all four.")
    ] = None,
    worlds: Annotated[int, typer.Option(min=2, help="Held-out worlds per family.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="First of them; the default is met by no sprint.")] = 50_000,
    overrides: TrackingOverrides = None,
) -> None:
    """Make a version the champion, if its evaluation passes the claim rule."""
    from experiments.promote import run_promote
    from gaelp_rl.config.evaluation import EvaluationConfig
    from gaelp_rl.config.loading import load_config
    from gaelp_rl.config.tracking import TrackingConfig

    tracking = load_config(TrackingConfig, None, overrides or [])
    settings = [f"worlds={worlds}", f"seed={seed}", "cross_check_worlds=0"]
    settings += [f"families={json.dumps(family)}"] if family else []
    run_promote(tracking, version, load_config(EvaluationConfig, None, settings) if judge else None)


def roll_back_champion(overrides: TrackingOverrides = None) -> None:
    """Make the champion before the present one champion again."""
    from gaelp_rl.config.loading import load_config
    from gaelp_rl.config.tracking import TrackingConfig
    from gaelp_rl.tracking import ModelRegistry

    before, now = ModelRegistry(load_config(TrackingConfig, None, overrides or [])).roll_back()
    typer.echo(f"version {now} is champion again; it was version {before}")
