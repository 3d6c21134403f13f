"""Figures of a GA4 export: the delay of conversions and the rates by channel and device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from experiments.ga4_estimates import CONFIDENCE, DelayEstimate, Ga4Estimates

__all__ = ["make_delay_figure", "make_rate_figure", "write_ga4_figures"]

_OBSERVED, _FITTED, _BAND, _GRID = "#22303C", "#0F8B8D", "#BFE0E0", "#E6EAEE"


def write_ga4_figures(out: Path, estimates: Ga4Estimates) -> None:
    """Writes ``delay.png`` and ``cvr.png``; none where there was nothing to estimate.

    Args:
        out: folder.
        estimates: of an export.
    """
    if not estimates.delays:
        return
    make_delay_figure(estimates).savefig(out / "delay.png", dpi=110)
    make_rate_figure(estimates).savefig(out / "cvr.png", dpi=110)


def make_delay_figure(estimates: Ga4Estimates) -> Figure:
    """The product limit with its band, and the fitted delay, for all channels together and for each."""
    names = list(estimates.delays)
    columns = min(len(names), 3)
    figure = Figure(figsize=(4.4 * columns, 3.4 * -(-len(names) // columns)), layout="constrained")
    axes = figure.subplots(-(-len(names) // columns), columns, squeeze=False, sharey=True).ravel()
    for axis, name in zip(axes, names, strict=False):
        one: DelayEstimate = estimates.delays[name]
        curve = one.curve
        band = f"product limit, {CONFIDENCE:.0%} interval"
        axis.fill_between(curve.age_hours, curve.low, curve.high, step="post", color=_BAND, label=band)
        axis.step(curve.age_hours, curve.share, where="post", color=_OBSERVED, label="product limit")
        axis.plot(curve.age_hours, one.fitted_share, color=_FITTED, label="fitted delay")
        axis.set_xscale("log")
        axis.set_ylim(0.0, 1.02)
        axis.set_xlabel("hours since the click")
        axis.set_title(f"{name}: {curve.num_conversions:,} conversions within {one.horizon_hours / 24:.0f} days")
        axis.grid(color=_GRID, zorder=0)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    axes[0].set_ylabel("share of conversions that have come")
    axes[0].legend(frameon=False, loc="upper left", fontsize=8)
    return figure


def make_rate_figure(estimates: Ga4Estimates) -> Figure:
    """CVR of landed clicks with intervals, one row per channel and device."""
    rates = [(key, rate) for key, rate in estimates.rates.items() if np.isfinite(rate.estimate)]
    figure = Figure(figsize=(7.5, 0.45 * len(rates) + 1.4), layout="constrained")
    axis = figure.subplots()
    for row, (_, rate) in enumerate(reversed(rates)):
        axis.plot([100 * rate.low, 100 * rate.high], [row, row], color=_BAND, linewidth=6, solid_capstyle="butt")
        axis.plot(100 * rate.estimate, row, "o", color=_OBSERVED)
    labels = [f"{channel}, {device} ({rate.events:,.0f})" for (channel, device), rate in reversed(rates)]
    axis.set_yticks(range(len(rates)), labels)
    axis.set_xlim(left=0.0)
    axis.set_xlabel(f"conversions per 100 landed clicks, {CONFIDENCE:.0%} interval (conversions in brackets)")
    axis.grid(axis="x", color=_GRID, zorder=0)
    axis.spines[["top", "right"]].set_visible(False)
    return figure
