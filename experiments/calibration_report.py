"""The report of a calibration: every number with its interval and source, and what was checked."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gaelp_rl.domain.channels import CHANNELS, Channel
from gaelp_rl.domain.hourly_report import ParsedReports
from gaelp_rl.domain.reports import FloatArray, IntArray
from gaelp_rl.response.channel_fit import WEEKDAYS, ChannelFit
from gaelp_rl.response.market_fit import KEPT_SETTINGS, MarketFit
from gaelp_rl.response.observations import HOURS_PER_DAY, AccountObservations
from gaelp_rl.response.parameters import CONFIDENCE, FittedParameter
from gaelp_rl.response.simulated import FIGURES, HourlyFigures, SimulatedAccount, count_observed

__all__ = ["make_channel_figure", "write_calibration_report"]

_OBSERVED, _SIMULATED, _BAND, _GRID = "#22303C", "#0F8B8D", "#BFE0E0", "#E6EAEE"
_TAIL = (1.0 - CONFIDENCE) / 2.0
_CURVE_GROUPS = 24


def write_calibration_report(
    out: Path, fit: MarketFit, observed: AccountObservations, simulated: SimulatedAccount, parsed: ParsedReports
) -> Path:
    """Writes the report beside the market: Markdown, a figure per channel, all parameters as CSV.

    Args:
        out: the market TOML; its stem names the other files.
        fit: what was found.
        observed: the account.
        simulated: the same hours in worlds of the fitted market.
        parsed: what the file held.

    Returns:
        The Markdown file's path.
    """
    _write_parameters(out.with_name(f"{out.stem}-parameters.csv"), fit.parameters)
    _write_quarantine(out.with_name(f"{out.stem}-quarantined.csv"), parsed)
    figures = []
    for channel, own in fit.channels.items():
        path = out.with_name(f"{out.stem}-{channel}.png")
        make_channel_figure(channel, own, observed.first_weekday, simulated[channel], fit).savefig(path, dpi=110)
        figures.append((channel, path.name))
    lines = [*_describe_data(out, fit, observed, parsed), *_compare_totals(fit, simulated)]
    lines += [line for channel, name in figures for line in (f"![{channel}]({name})", "")]
    lines += [*_list_parameters(fit.parameters), *_list_kept()]
    report = out.with_name(f"{out.stem}-fit.md")
    report.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return report


def make_channel_figure(
    channel: Channel, own: ChannelFit, first_weekday: int, simulated: HourlyFigures, fit: MarketFit
) -> Figure:
    """Observed against simulated: hours, weekdays, daily CPC, CTR and CVR, and the delay."""
    figure = Figure(figsize=(13, 7), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    seen = count_observed(own.observed)
    hours: IntArray = np.arange(HOURS_PER_DAY, dtype=np.int64)
    _draw_profile(axes[0], seen, simulated, seen.hour % HOURS_PER_DAY, hours, [str(h) for h in hours])
    axes[0].set_title("impressions an hour, by hour of day")
    weekday = (first_weekday + seen.hour // HOURS_PER_DAY) % 7
    _draw_profile(axes[1], seen, simulated, weekday, np.arange(7, dtype=np.int64), list(WEEKDAYS))
    axes[1].set_title("impressions an hour, by weekday")
    for axis, (title, over, under) in zip(
        axes[2:5],
        (("CPC", "spend", "clicks"), ("CTR", "clicks", "impressions"), ("CVR", "conversions", "clicks")),
        strict=True,
    ):
        _draw_daily_ratio(axis, seen, simulated, over, under)
        axis.set_title(f"{title} by day")
    _draw_delay(axes[5], channel, own, fit)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color=_GRID, zorder=0)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3, frameon=False)
    figure.suptitle(f"{channel}: observed, and simulated from the fitted market", x=0.01, ha="left")
    return figure


def _draw_profile(
    axis: Axes, seen: HourlyFigures, simulated: HourlyFigures, group: IntArray, groups: IntArray, labels: list[str]
) -> None:
    def average(figures: HourlyFigures) -> FloatArray:
        counts = figures.figures["impressions"]
        members = [counts[:, group == one] for one in groups]
        return np.stack([own.mean(axis=1) if own.size else np.full(len(counts), np.nan) for own in members])

    worlds = average(simulated)
    low, middle, high = np.quantile(worlds, (_TAIL, 0.5, 1.0 - _TAIL), axis=1)
    axis.fill_between(groups, low, high, color=_BAND, label=f"simulated, {CONFIDENCE:.0%} of worlds", zorder=1)
    axis.plot(groups, middle, color=_SIMULATED, label="simulated, median", zorder=2)
    axis.plot(groups, average(seen)[:, 0], "o", color=_OBSERVED, markersize=4, label="observed", zorder=3)
    step = 3 if len(groups) == _CURVE_GROUPS else 1
    axis.set_xticks(groups[::step], labels[::step])
    axis.set_ylim(bottom=0.0)


def _compute_daily_ratio(figures: HourlyFigures, over: str, under: str) -> FloatArray:
    """Finite daily ratios of all worlds, [n]."""
    day = figures.hour // HOURS_PER_DAY
    totals = [np.stack([np.bincount(day, world) for world in figures.figures[name]]).ravel() for name in (over, under)]
    known = totals[1] > 0.0
    return np.asarray(totals[0][known] / totals[1][known])


def _draw_daily_ratio(axis: Axes, seen: HourlyFigures, simulated: HourlyFigures, over: str, under: str) -> None:
    ours, theirs = _compute_daily_ratio(seen, over, under), _compute_daily_ratio(simulated, over, under)
    both = np.concatenate((ours, theirs))
    if both.size == 0:
        return
    bins = np.linspace(0.0, float(np.quantile(both, 0.995)) * 1.05 + 1e-9, 22).tolist()
    axis.hist(theirs, bins=bins, density=True, color=_BAND, zorder=1)
    axis.hist(ours, bins=bins, density=True, histtype="step", color=_OBSERVED, linewidth=1.5, zorder=2)
    axis.set_yticks([])


def _draw_delay(axis: Axes, channel: Channel, own: ChannelFit, fit: MarketFit) -> None:
    delay = fit.delay.by_channel[channel]
    hours = np.geomspace(0.5, 720.0, 120)
    axis.plot(hours, delay.compute_cdf(hours), color=_SIMULATED, zorder=2)
    ages, shares = _compute_observed_delay(own)
    axis.plot(
        np.maximum(ages, 0.5),
        shares * float(delay.compute_cdf(ages[-1:])[0] if ages.size else 1.0),
        "o",
        color=_OBSERVED,
        markersize=4,
        zorder=3,
    )
    axis.set_xscale("log")
    axis.set_ylim(0.0, 1.05)
    axis.set_title("conversions reported, by hours")


def _compute_observed_delay(own: ChannelFit) -> tuple[FloatArray, FloatArray]:
    """Ages at which many rows were read, and conversions by then over those by the last of them."""
    arrivals = own.observed.arrivals
    spans, inverse = np.unique(np.column_stack((arrivals.age_from, arrivals.age_to)), axis=0, return_inverse=True)
    inverse = inverse.ravel()
    clicks, conversions = np.zeros((2, len(spans)))
    np.add.at(clicks, inverse, arrivals.clicks)
    np.add.at(conversions, inverse, arrivals.conversions)
    chain, at = [], -1.0
    total = 0.0
    while True:
        following = np.flatnonzero((spans[:, 0] == at) & (clicks >= 0.1 * clicks.max(initial=1.0)))
        if not following.size:
            break
        best = following[clicks[following].argmax()]
        total += conversions[best] / clicks[best]
        at = spans[best, 1]
        chain.append((at, total))
    if not chain or total <= 0.0:
        return np.zeros(0), np.zeros(0)
    ages, rates = np.array(chain).T
    return ages, rates / total


def _describe_data(out: Path, fit: MarketFit, observed: AccountObservations, parsed: ParsedReports) -> list[str]:
    lines = [
        f"# {fit.family.name}: a market fitted to reports",
        "",
        f"{parsed.num_rows:,} rows: {len(parsed.accepted):,} accepted, {len(parsed.quarantined):,} quarantined, "
        f"{parsed.duplicates:,} duplicates. {observed.num_days} days, amounts in {observed.currency}. "
        f"The market is `{out.name}`; `gaelp evaluate --family {out.name}` judges in it.",
        "",
        "| channel | hours | left out: budget | impression share | bids in force | devices | clicks | conversions |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for channel in CHANNELS:
        if channel in fit.left_out:
            lines.append(f"| {channel} | keeps its defaults: {fit.left_out[channel]} | | | | | | |")
            continue
        own = fit.channels[channel]
        known = ("no", "yes")
        lines.append(
            f"| {channel} | {own.observed.hour.size} | {own.demand.num_paced_hours} | {known[own.observed.has_share]} "
            f"| {known[own.observed.has_bids]} | {known[own.observed.has_devices]} "
            f"| {own.observed.clicks.sum():,.0f} | {own.observed.arrivals.conversions.sum():,.0f} |"
        )
    return [*lines, ""]


def _compare_totals(fit: MarketFit, simulated: SimulatedAccount) -> list[str]:
    lines = [
        "## Observed and simulated",
        "",
        f"The same hours, bids and budgets in worlds of the fitted market: median and {CONFIDENCE:.0%} of worlds.",
        "",
        "| channel | figure | observed | simulated | from | to |",
        "|---|---|---|---|---|---|",
    ]
    for channel, own in fit.channels.items():
        seen = count_observed(own.observed)
        for name in FIGURES:
            totals = simulated[channel].figures[name].sum(axis=1)
            low, middle, high = np.quantile(totals, (_TAIL, 0.5, 1.0 - _TAIL))
            total = float(seen.figures[name].sum())
            lines.append(f"| {channel} | {name} | {total:,.0f} | {middle:,.0f} | {low:,.0f} | {high:,.0f} |")
    return [*lines, ""]


def _list_parameters(parameters: Sequence[FittedParameter]) -> list[str]:
    lines = [
        "## Parameters",
        "",
        f"Intervals hold {CONFIDENCE:.0%}: those of the normal approximation to the posterior of the logs. `fitted` is "
        "what the data have told; `kept` says why they have not, and the number is the default with its prior's "
        "interval. Hours stand in the CSV beside this report.",
        "",
        "| parameter | estimate | from | to | source |",
        "|---|---|---|---|---|",
    ]
    rows = [
        f"| {one.label} | {one.estimate:.4g} | {one.low:.4g} | {one.high:.4g} | {one.source} |"
        for one in parameters
        if not one.index.isdigit()
    ]
    return [*lines, *rows, ""]


def _list_kept() -> list[str]:
    rows = [f"| {name} | {reason} |" for name, reason in KEPT_SETTINGS.items()]
    return ["## Kept for every account", "", "| setting | why |", "|---|---|", *rows]


def _write_parameters(path: Path, parameters: Sequence[FittedParameter]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("channel", "parameter", "index", "estimate", "low", "high", "source"))
        for one in parameters:
            writer.writerow((one.channel, one.name, one.index, one.estimate, one.low, one.high, one.source))


def _write_quarantine(path: Path, parsed: ParsedReports) -> None:
    """Every row that could not be used, with its reason; no file where there is none."""
    if not parsed.quarantined:
        path.unlink(missing_ok=True)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("reason", "row"))
        writer.writerows((str(error), dict(row)) for row, error in parsed.quarantined)
