"""``gaelp journey``: users of one model under one recommender; their statistics, a table and a plot."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from envs.journey.batched_sessions import simulate_sessions
from envs.journey.recsim_sessions import iterate_recsim_sessions
from envs.journey.statistics import SUMMARY_COLUMNS, SessionStatistics, SummaryRow, summarise, write_statistics
from envs.journey.stock_parameters import MODELS, STOCK_CHOICES, check_journey
from experiments.progress import WorkProgress, make_console
from gaelp_rl.errors import ConfigError, suggest

__all__ = ["BACKENDS", "make_journey_figure", "run_journey"]

BACKENDS: dict[str, Callable[[str, str, str, int, int, Callable[[int], None]], SessionStatistics]] = {
    "batched": simulate_sessions,
    "recsim": iterate_recsim_sessions,
}
"""What simulates the users: machine code, or the ``recsim`` package."""

_FIRST_CLICK_ONLY = "long_term_satisfaction"
_INK, _MUTED, _GRID, _CLICKS, _ALIVE = "#22303C", "#8A97A3", "#E6EAEE", "#0F8B8D", "#9DB2C6"
_MIN_ALIVE_SHARE = 0.02


def run_journey(
    model: str,
    choice: str | None,
    policy: str,
    users: int,
    seed: int,
    backend: str,
    out: Path,
    console: Console | None = None,
) -> list[SummaryRow]:
    """Simulates users and writes what came of it.

    Args:
        model: a name of ``MODELS``.
        choice: a name of ``CHOICES``; None for the model's stock choice.
        policy: a name of ``POLICIES``.
        users: sessions, at least 1.
        seed: of users, documents and choices, at least 0.
        backend: a name of ``BACKENDS``.
        out: the CSV; its case is called ``<model>_<choice>_<policy>``. A PNG goes beside it.
        console: where progress and the table go; made if missing.

    Returns:
        The rows written.

    Raises:
        ConfigError: a name does not exist, a number is out of range, or ``out`` cannot be such a file.
        ResourceError: the backend ``recsim`` is asked for and the package is not installed.
    """
    console = console or make_console()
    if model not in MODELS:
        raise ConfigError(f"model {model!r} does not exist.{suggest(model, MODELS)}")
    chosen = STOCK_CHOICES[model] if choice is None else choice
    check_journey(model, chosen, policy)
    if backend not in BACKENDS:
        raise ConfigError(f"backend {backend!r} does not exist.{suggest(backend, BACKENDS)}")
    if users < 1 or seed < 0:
        raise ConfigError(f"{users} users and seed {seed}: ask for at least 1 user, and seed 0 or above")
    _check_out(out)
    if model == _FIRST_CLICK_ONLY and choice is not None:
        console.print(f"users of {model} click the first document of a slate: choice {choice!r} changes nothing")
    case = f"{model}_{chosen}_{policy}"
    started = time.monotonic()
    with WorkProgress(console, f"{case} ({backend})", users) as progress:
        statistics = BACKENDS[backend](model, chosen, policy, users, seed, progress.update)
    elapsed_s = time.monotonic() - started
    rows = summarise(case, statistics)
    console.print(_render_rows(rows))
    steps = int(statistics.column("length").sum())
    console.print(f"{users:,} users, {steps:,} steps in {elapsed_s:.1f} s ({steps / max(elapsed_s, 1e-9):,.0f}/s)")
    write_statistics(out, rows)
    plot = out.with_suffix(".png")
    partial = plot.with_name(f"{plot.name}.partial")
    make_journey_figure(case, statistics).savefig(partial, format="png")
    partial.replace(plot)
    console.print(f"wrote {out} ({len(rows)} rows) and {plot}")
    return rows


def make_journey_figure(case: str, statistics: SessionStatistics) -> Figure:
    """Share of users that click, and that are still there, by step; where fewer than 1 in 50 are, not drawn.

    Args:
        case: the title.
        statistics: of at least one session.
    """
    alive, users = statistics.alive_by_step, statistics.sessions.shape[0]
    steps = np.flatnonzero(alive >= _MIN_ALIVE_SHARE * users)
    rate = statistics.clicks_by_step[steps] / alive[steps]
    error = 1.96 * np.sqrt(rate * (1.0 - rate) / alive[steps])
    figure = Figure(figsize=(9.0, 5.2), dpi=120, layout=ConstrainedLayoutEngine(), facecolor="white")
    clicks, there = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    clicks.plot(steps + 1, rate, color=_CLICKS, linewidth=2.0)
    clicks.fill_between(steps + 1, rate - error, rate + error, color=_CLICKS, alpha=0.2, linewidth=0.0)
    clicks.set_ylim(bottom=0.0)
    _style(clicks, "Clicks per step of users still there, with 95 % interval", "click rate")
    there.fill_between(np.arange(1, alive.size + 1), alive / users, color=_ALIVE, step="mid", linewidth=0.0)
    there.set_ylim(0.0, 1.02)
    _style(there, f"Users still there, of {users:,}", "share")
    there.set_xlim(0.0, 1.05 * (steps[-1] + 1))
    figure.suptitle(case, x=0.01, ha="left", color=_INK, fontweight="bold")
    there.set_xlabel("step of the session", color=_INK)
    return figure


def _style(axes: Axes, title: str, y_label: str) -> None:
    axes.set_title(title, loc="left", color=_INK, fontsize=11, fontweight="bold", pad=10)
    axes.set_ylabel(y_label, color=_INK)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(visible=True, color=_GRID, linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=_MUTED, labelcolor=_INK, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_MUTED)


def _check_out(out: Path) -> None:
    """Refuses to replace what is not such a table, before any work is done."""
    if out.suffix != ".csv":
        raise ConfigError(f"--out is {str(out)!r}; statistics are a table: name a file that ends in .csv")
    if out.is_dir():
        raise ConfigError(f"--out {str(out)!r} is a folder; name a file in it")
    if out.exists():
        with out.open(encoding="utf-8", errors="replace") as file:
            head = file.readline().strip()
        if head not in {"", ",".join(SUMMARY_COLUMNS)}:
            raise ConfigError(f"--out {str(out)!r} holds another table ({head[:60]!r}); name a new file")


def _render_rows(rows: list[SummaryRow]) -> Table:
    table = Table(title=rows[0].case, box=SIMPLE_HEAD, title_justify="left")
    table.add_column("metric")
    for name in ("mean", "sd", "± 95 %", "p5", "p50", "p95"):
        table.add_column(name, justify="right")
    for row in rows:
        figures = (row.mean, row.sd, 1.96 * row.se, row.p5, row.p50, row.p95)
        table.add_row(row.metric, *("-" if math.isnan(figure) else f"{figure:.5g}" for figure in figures))
    return table
