"""``gaelp auctiongym``: an AuctionGym config, run once per seed; tidy results, a plot and the totals."""

from __future__ import annotations

import csv
import io
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from envs.auction.config import ALL_AGENTS, AuctionConfig, load_auctiongym_config
from envs.auction.metrics import MetricRow
from envs.auction.run import run_auctiongym
from envs.auction.upstream import UPSTREAM_PATH_VARIABLE, UpstreamAuctionGym
from experiments.auctiongym_figure import make_auctiongym_figure
from experiments.progress import WorkProgress, make_console
from gaelp_rl.errors import ConfigError

__all__ = ["Backend", "load_upstream", "run_auctiongym_job", "write_metric_rows"]

Backend = Literal["own", "upstream"]
HEADER = ("config", "seed", "iteration", "agent", "metric", "value")


def run_auctiongym_job(
    config_path: Path,
    seeds: int,
    out: Path,
    compat: bool,
    rounds: int | None = None,
    console: Console | None = None,
    backend: Backend = "own",
) -> list[MetricRow]:
    """Runs a config with the seeds 0 to ``seeds`` - 1 and writes what came of it.

    Args:
        config_path: an AuctionGym config file; its stem becomes the column ``config``.
        seeds: how many; each gives the catalogue that AuctionGym draws from it.
        out: the CSV ``config,seed,iteration,agent,metric,value`` with 17 significant digits; a PNG beside it.
        compat: reproduce AuctionGym's defects.
        rounds: auctions per iteration in place of the config's.
        console: where progress and totals go; made if missing.
        backend: the engine here, or the checkout of AuctionGym that GAELP_AUCTIONGYM_PATH names.

    Returns:
        The rows written.

    Raises:
        ConfigError: the config cannot be used, ``out`` holds something else, or no checkout is named.
    """
    console = console or make_console()
    config = load_auctiongym_config(config_path)
    if rounds is not None:
        config = config.model_copy(update={"rounds_per_iter": rounds})
    _check_out(out)
    started = time.monotonic()
    run = _run_upstream if backend == "upstream" else _run_own
    rows = run(config, config_path.stem, range(seeds), compat, console)
    elapsed_s = time.monotonic() - started
    console.print(_render_totals(rows, config))
    auctions = seeds * config.num_runs * config.num_iter * config.rounds_per_iter
    name = "AuctionGym" if backend == "upstream" else "engine"
    console.print(f"{auctions:,} auctions in {elapsed_s:.1f} s ({name}, {auctions / elapsed_s:,.0f}/s with learning)")
    plot = out.with_suffix(".png")
    write_metric_rows(rows, out)
    partial = plot.with_name(f"{plot.name}.partial")
    make_auctiongym_figure(rows).savefig(partial, format="png")
    partial.replace(plot)
    console.print(f"wrote {out} ({len(rows):,} rows) and {plot}")
    return rows


def load_upstream() -> UpstreamAuctionGym:
    """The checkout of AuctionGym that the environment names.

    Raises:
        ConfigError: it names none, or what it names is none.
    """
    path = os.environ.get(UPSTREAM_PATH_VARIABLE, "")
    if not path:
        msg = (
            f"the upstream backend needs a checkout of AuctionGym: `git clone https://github.com/amzn/auction-gym` "
            f"and set {UPSTREAM_PATH_VARIABLE} to its folder"
        )
        raise ConfigError(msg)
    return UpstreamAuctionGym(Path(path))


def write_metric_rows(rows: Sequence[MetricRow], path: Path) -> None:
    """Writes rows as CSV, whole or not at all, with 17 significant digits.

    Args:
        rows: what to write.
        path: where; its folder is made if missing.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows((*row[:-1], f"{row.figure:.17g}") for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text.getvalue(), encoding="utf-8")
    partial.replace(path)


def _check_out(out: Path) -> None:
    """Refuses to replace what is not such a table, before any work is done."""
    if out.suffix != ".csv":
        raise ConfigError(f"--out is {str(out)!r}; results are a table: name a file that ends in .csv")
    if out.is_dir():
        raise ConfigError(f"--out {str(out)!r} is a folder; name a file in it")
    if out.exists():
        with out.open(encoding="utf-8", errors="replace") as file:
            head = file.readline().strip()
        if head not in {"", ",".join(HEADER)}:
            raise ConfigError(f"--out {str(out)!r} holds another table ({head[:60]!r}); name a new file")


def _run_own(
    config: AuctionConfig, config_name: str, seeds: Sequence[int], compat: bool, console: Console
) -> list[MetricRow]:
    total = len(seeds) * config.num_runs * config.num_iter
    with WorkProgress(console, f"{config_name}, {len(seeds)} seeds", total) as progress:
        return run_auctiongym(
            config, config_name, seeds, compat, on_iteration=lambda done: progress.update(done, "iterations")
        )


def _run_upstream(
    config: AuctionConfig, config_name: str, seeds: Sequence[int], compat: bool, console: Console
) -> list[MetricRow]:
    del compat
    upstream = load_upstream()
    iterations = config.num_runs * config.num_iter
    rows: list[MetricRow] = []
    with WorkProgress(console, f"{config_name} in AuctionGym", len(seeds) * iterations) as progress:
        for place, seed in enumerate(seeds):
            for row in upstream.run_seed(config, config_name, seed):
                if not rows or row[1:3] != rows[-1][1:3]:
                    progress.update(place * iterations + row.iteration + 1, f"seed {seed}")
                rows.append(row)
    return rows


def _render_totals(rows: Sequence[MetricRow], config: AuctionConfig) -> Table:
    """Totals over all agents in the first and last iteration: mean over seeds, and sd between them."""
    last = max(row.iteration for row in rows)
    first_name, last_name = "first iteration", f"iteration {last}"
    table = Table(
        title=f"{rows[0].config} · {config.allocation} · {config.rounds_per_iter:,} auctions an iteration",
        caption="mean over seeds ± sd between seeds",
        box=SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("total over agents")
    for heading in dict.fromkeys((first_name if last else last_name, last_name)):
        table.add_column(heading, justify="right")
    for metric in dict.fromkeys(row.metric for row in rows if row.agent == ALL_AGENTS):
        cells = [
            _format_spread([row.figure for row in rows if (row.iteration, row.agent, row.metric) == key])
            for key in dict.fromkeys(((0, ALL_AGENTS, metric), (last, ALL_AGENTS, metric)))
        ]
        table.add_row(metric, *cells)
    return table


def _format_spread(figures: Sequence[float]) -> str:
    spread = f" ± {statistics.stdev(figures):,.1f}" if len(figures) > 1 else ""
    return f"{statistics.fmean(figures):,.1f}{spread}"
