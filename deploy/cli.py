"""The one door: `gaelp`.

Commands import what they run only when they run, so that `gaelp --help` answers at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from deploy.commands import cluster, ga4_export, markets
from deploy.commands import sandbox as sandbox_command
from deploy.commands.bootstrap import EPILOG as BOOTSTRAP_EPILOG
from deploy.commands.bootstrap import bootstrap
from deploy.commands.login import EPILOG as LOGIN_EPILOG
from deploy.commands.login import login
from deploy.commands.mlflow import EPILOG, open_mlflow
from deploy.commands.models import (
    MODELS_EPILOG,
    PROMOTE_EPILOG,
    ROLLBACK_EPILOG,
    list_models,
    promote_version,
    roll_back_champion,
)
from deploy.commands.options import Overrides
from deploy.commands.sweep import sweep
from gaelp_rl.config.fidelity import Fidelity
from gaelp_rl.errors import GaelpError

__all__ = [
    "app",
    "auctiongym",
    "benchmark",
    "calibrate",
    "doctor",
    "evaluate",
    "journey",
    "login",
    "main",
    "record",
    "sprint",
    "sweep",
    "version",
]

_PROJECT = Path(__file__).resolve().parents[1]


class _Door(TyperGroup):
    """Turns an error raised on purpose into its message and exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except GaelpError as error:
            if ctx.params.get("debug"):
                raise
            typer.echo(f"gaelp: {error}", err=True)
            raise typer.Exit(2) from None


app = typer.Typer(
    cls=_Door,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Train, judge and run an agent that bids and splits a daily budget over four ad platforms.",
    epilog="Start with `gaelp doctor`, then `gaelp sprint`. `gaelp COMMAND --help` shows examples.",
)


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    del debug  # read by _Door


@app.command(
    epilog="Examples: `gaelp sprint` · `gaelp sprint --episodes 100000` · `gaelp sprint --resume latest` · "
    "`gaelp sprint --set training.batch_size=512 --out runs/wide-batch`"
)
def sprint(
    episodes: Annotated[int | None, typer.Option(min=1, help="Episodes (days) to train on.")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings, as TOML.")] = None,
    overrides: Overrides = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the whole run.")] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="PATH|latest", help="Go on from a checkpoint, with its settings.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--bootstrap", metavar="REF|none", help="Start from an artefact of `gaelp bootstrap`.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the run is written.")] = None,
) -> None:
    """Train a policy, evaluate it on held-out worlds, register the champion, write a report."""
    from gaelp_rl.config.sprint import load_sprint_config

    options = {
        "training.episodes": episodes,
        "training.seed": seed,
        "bootstrap": start,
        "out": str(out) if out else None,
    }
    flags = [f"{key}={json.dumps(setting)}" for key, setting in options.items() if setting is not None]
    settings = load_sprint_config(config, [*(overrides or []), *flags], resume)

    from experiments.sprint import run_sprint

    run_sprint(settings, resume)


app.command(
    epilog="Examples: `gaelp sweep` · `gaelp sweep --trials 32 --out runs/wide-sweep` · `gaelp sweep --pbt` · "
    "`gaelp sweep --resume`"
)(sweep)


@app.command(
    epilog="Examples: `gaelp evaluate` · `gaelp evaluate --policy models:/gaelp-bidder@champion --family wide` · "
    "`gaelp evaluate --fidelity auction --worlds 16` · "
    "`gaelp evaluate --policy runs/sprint/policy --policy reference --worlds 400 --json scores.json`"
)
def evaluate(
    policy: Annotated[
        list[str] | None,
        typer.Option(metavar="REF", help="A path, models:/NAME@ALIAS, or a comparator. Default: all comparators."),
    ] = None,
    family: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A family of worlds. Repeatable. Default: campaign.")
    ] = None,
    worlds: Annotated[int, typer.Option(min=2, help="Held-out worlds per family.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the worlds and of the bootstrap.")] = 0,
    fidelity: Annotated[
        Fidelity, typer.Option(help="aggregate: an hour's auctions at once; auction: one by one, 100 times slower.")
    ] = "aggregate",
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the scores here.")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where tables and plots go.")] = Path("runs/evaluate"),
) -> None:
    """Judge policies on held-out worlds: the fraction of the hindsight optimum, with intervals."""
    from experiments.evaluate import run_evaluate

    run_evaluate(policy or [], family or ["campaign"], worlds, seed, json_file, out, fidelity)


@app.command(
    epilog="Examples: `gaelp calibrate reports.csv --plans plans.csv` · "
    "`gaelp calibrate reports.parquet --out market.toml && gaelp evaluate --family market.toml`"
)
def calibrate(
    reports: Annotated[Path, typer.Argument(metavar="REPORTS", help="Hourly reports, CSV or Parquet.")],
    plans: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Bids and budgets in force by hour, CSV or Parquet.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The market, as TOML; report and plots beside it.")] = Path(
        "market.toml"
    ),
    name: Annotated[str, typer.Option(help="What tables call the market.")] = "calibrated",
    time_zone: Annotated[str, typer.Option(metavar="ZONE", help="The account's, such as America/New_York.")] = "UTC",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated side of the plots.")] = 0,
) -> None:
    """Fit a simulated market to an account's own reports."""
    from experiments.calibrate import run_calibrate

    run_calibrate(reports, plans, out, name, seed, time_zone=time_zone)


@app.command(epilog="Example: `gaelp record && gaelp calibrate runs/record/reports.csv --plans runs/record/plans.csv`")
def record(
    family: Annotated[str, typer.Option(metavar="NAME", help="A family of worlds, or a market TOML.")] = "campaign",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the world and of how bids move.")] = 0,
    budget: Annotated[float, typer.Option(help="Per day, split evenly over channels.")] = 500.0,
    reports: Annotated[Path, typer.Option(metavar="FILE", help="CSV or Parquet.")] = Path("runs/record/reports.csv"),
    plans: Annotated[Path, typer.Option(metavar="FILE", help="CSV or Parquet.")] = Path("runs/record/plans.csv"),
) -> None:
    """Write the reports and plans that an account in a simulated market would hold."""
    from experiments.record import run_record

    run_record(family, seed, budget, reports, plans)


@app.command(
    epilog="Examples: `gaelp auctiongym config/SP_Oracle.json --seeds 20 --out results.csv` · "
    "`gaelp auctiongym config/FP_DR_TS.json --seeds 3 --compat`"
)
def auctiongym(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.json", help="A config file of AuctionGym, unchanged.")],
    seeds: Annotated[int, typer.Option(min=1, help="Runs the config once per seed 0 to N-1.")] = 1,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Tidy results; a plot goes beside them.")] = Path(
        "runs/auctiongym/results.csv"
    ),
    compat: Annotated[bool, typer.Option("--compat", help="Reproduce AuctionGym's defects too.")] = False,
    backend: Annotated[
        Literal["own", "upstream"], typer.Option(help="upstream runs the checkout that GAELP_AUCTIONGYM_PATH names.")
    ] = "own",
) -> None:
    """Run an AuctionGym experiment on the batched engine."""
    from experiments.auctiongym import run_auctiongym_job

    run_auctiongym_job(config, seeds, out, compat, backend=backend)


@app.command(
    epilog="Examples: `gaelp journey --model interest_evolution --policy greedy_pctr --users 2000` · "
    "`gaelp journey --model ads --backend recsim --users 200`"
)
def journey(
    model: Annotated[
        str, typer.Option(help="interest_evolution, interest_exploration, long_term_satisfaction or ads.")
    ] = "ads",
    choice: Annotated[
        str | None, typer.Option(help="proportional, mnl or exponential_cascade. Default: the model's own.")
    ] = None,
    policy: Annotated[str, typer.Option(help="random, greedy_pctr or greedy_quality.")] = "random",
    users: Annotated[int, typer.Option(min=2, help="Sessions.")] = 2_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of users, documents and choices.")] = 0,
    backend: Annotated[str, typer.Option(help="batched, or recsim: the package itself, hundreds of times slower.")] = (
        "batched"
    ),
    out: Annotated[Path, typer.Option(metavar="FILE", help="Statistics; a plot goes beside them.")] = Path(
        "runs/journey/stats.csv"
    ),
) -> None:
    """Simulate RecSim users under a recommender and write their statistics."""
    from experiments.journey import run_journey

    run_journey(model, choice, policy, users, seed, backend, out)


@app.command(
    epilog="`faults`, `runners`, `push` and `read` run by name only. Examples: `gaelp benchmark` · "
    "`gaelp benchmark market` · `gaelp benchmark push`"
)
def benchmark(
    name: Annotated[str, typer.Argument(help="Which benchmark.")] = "all",
) -> None:
    """Measure speed as ratios against real peers, all in this run, on this machine."""
    if name == "push":
        from experiments.benchmark_push import PushSizes, run_push_benchmark

        run_push_benchmark(PushSizes(), Path("runs/benchmark"))
        return
    if name == "read":
        from experiments.benchmark_read import run_read_benchmark

        run_read_benchmark(Path("runs/benchmark"))
        return
    from experiments.benchmark import run_benchmark

    run_benchmark(name)


@app.command(epilog="Exit code 1 when a check fails. Examples: `gaelp doctor` · `gaelp doctor --json`")
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print findings as JSON.")] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder that runs would be written to.")] = Path("runs"),
) -> None:
    """Check this machine, and say how to fix what is found."""
    from deploy.doctor import CheckStatus, check_machine, load_machine

    findings = check_machine(load_machine(out, _PROJECT / "requirements" / "lock.txt", _PROJECT / "pyproject.toml"))
    rows = [
        {"name": item.name, "status": item.status.value, "detail": item.detail, "fix": item.fix} for item in findings
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        _render_findings(rows)
    if any(item.status is CheckStatus.FAIL for item in findings):
        raise typer.Exit(1)


app.command(epilog=sandbox_command.EPILOG)(sandbox_command.sandbox)
app.command(epilog=LOGIN_EPILOG)(login)
app.command(epilog=markets.CHECK_EPILOG)(markets.check)
app.command(epilog=markets.REPORTS_EPILOG)(markets.reports)
app.command(epilog=markets.PUSH_EPILOG)(markets.push)
app.command(name="ga4-export", epilog=ga4_export.EPILOG)(ga4_export.ga4_export)
app.add_typer(cluster.app, name="cluster")
app.command(
    epilog="Needs `gaelp cluster up` first, or --address. Examples: `gaelp submit --episodes 100000` · "
    "`gaelp submit --resume latest` · `gaelp submit --address https://ray.example.com "
    "--config experiments/configs/sprint-cluster.toml --no-wait`"
)(cluster.submit)


@app.command()
def version() -> None:
    """Print the version."""
    from importlib import metadata

    typer.echo(f"gaelp-rl {metadata.version('gaelp-rl')}")


app.command(name="bootstrap", epilog=BOOTSTRAP_EPILOG)(bootstrap)
app.command(name="mlflow", epilog=EPILOG)(open_mlflow)
app.command(name="models", epilog=MODELS_EPILOG)(list_models)
app.command(name="promote", epilog=PROMOTE_EPILOG)(promote_version)
app.command(name="rollback", epilog=ROLLBACK_EPILOG)(roll_back_champion)


def main() -> None:
    """Runs `gaelp` with the process's own arguments."""
    app(prog_name="gaelp")


def _render_findings(rows: list[dict[str, str]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    table = Table("", "check", "found", "fix", box=None)
    for row in rows:
        colour = colours[row["status"]]
        table.add_row(f"[{colour}]{row['status']}[/{colour}]", row["name"], escape(row["detail"]), escape(row["fix"]))
    Console().print(table)
