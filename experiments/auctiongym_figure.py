"""The plot beside AuctionGym results: every metric over iterations, by agent, with its spread over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import ColorType
from numpy.typing import NDArray

from envs.auction.config import ALL_AGENTS
from envs.auction.metrics import MetricRow

__all__ = ["make_auctiongym_figure"]

_INK = "#22303C"
_MUTED = "#8A97A3"
_GRID = "#E6EAEE"
_COLUMNS = 4
_MAX_NAMED_AGENTS = 12

FloatArray = NDArray[np.float64]


def make_auctiongym_figure(rows: Sequence[MetricRow]) -> Figure:
    """One panel per metric, totals first; a line is the mean over seeds, a band one standard deviation.

    Args:
        rows: of one config, at least one.
    """
    series = _collect_series(rows)
    metrics = sorted({metric for _, metric in series}, key=lambda one: ((ALL_AGENTS, one) not in series, one))
    agents = list(dict.fromkeys(agent for agent, _ in series if agent != ALL_AGENTS))
    palette = colormaps["tab20" if len(agents) > 10 else "tab10"]
    colors: dict[str, ColorType] = {agent: palette(index % palette.N) for index, agent in enumerate(agents)}
    colors[ALL_AGENTS] = _INK
    height = 2.3 * math.ceil(len(metrics) / _COLUMNS) + 1.2
    figure = Figure(figsize=(15.0, height), dpi=110, layout=ConstrainedLayoutEngine(), facecolor="white")
    panels = figure.subplots(math.ceil(len(metrics) / _COLUMNS), _COLUMNS, squeeze=False).ravel()
    for axes, metric in zip(panels, metrics, strict=False):
        _draw_metric(axes, metric, series, colors)
    for axes in panels[len(metrics) :]:
        axes.set_visible(False)
    seeds = len({row.seed for row in rows})
    figure.suptitle(
        f"{rows[0].config} · {seeds} seed{'s' * (seeds > 1)} · line: mean, band: ± 1 sd over seeds",
        x=0.01,
        ha="left",
        color=_INK,
        fontweight="bold",
    )
    _add_legend(figure, agents, colors)
    return figure


def _collect_series(rows: Sequence[MetricRow]) -> dict[tuple[str, str], FloatArray]:
    """By agent and metric: float64 [seeds, iterations], NaN where there is no figure."""
    seeds = {seed: place for place, seed in enumerate(dict.fromkeys(row.seed for row in rows))}
    iterations = 1 + max(row.iteration for row in rows)
    series: dict[tuple[str, str], FloatArray] = {}
    for row in rows:
        table = series.setdefault((row.agent, row.metric), np.full((len(seeds), iterations), np.nan))
        table[seeds[row.seed], row.iteration] = row.figure
    return series


def _draw_metric(
    axes: Axes, metric: str, series: dict[tuple[str, str], FloatArray], colors: Mapping[str, ColorType]
) -> None:
    for (agent, name), table in series.items():
        if name != metric or (agent == ALL_AGENTS and any(a != ALL_AGENTS and m == metric for a, m in series)):
            continue
        iterations = np.arange(table.shape[1])
        masked = np.ma.masked_invalid(table)
        mean, spread = masked.mean(axis=0), masked.std(axis=0)
        axes.plot(iterations, mean, color=colors[agent], linewidth=1.6, marker="o", markersize=3)
        axes.fill_between(iterations, mean - spread, mean + spread, color=colors[agent], alpha=0.12, linewidth=0)
    axes.set_title(metric, loc="left", fontsize=10, color=_INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=True, color=_GRID, linewidth=0.8)
    axes.tick_params(colors=_MUTED, labelcolor=_INK, labelsize=8, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("iteration", fontsize=8, color=_INK)


def _add_legend(figure: Figure, agents: Sequence[str], colors: Mapping[str, ColorType]) -> None:
    named = [*agents[:_MAX_NAMED_AGENTS]]
    lines = [figure.axes[0].plot([], [], color=colors[agent], linewidth=2)[0] for agent in named]
    labels = named + [f"and {len(agents) - len(named)} more"] * (len(agents) > len(named))
    lines += [figure.axes[0].plot([], [], alpha=0.0)[0]] * (len(agents) > len(named))
    figure.legend(lines, labels, loc="outside lower left", ncols=6, frameon=False, fontsize=9, labelcolor=_INK)
