"""The report's plots, as matplotlib figures that touch no global state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

from gaelp_rl.domain.channels import CHANNELS, Channel
from gaelp_rl.evaluation.comparison import FamilyComparison, PolicySummary
from gaelp_rl.evaluation.learning_curve import LearningCurve
from gaelp_rl.evaluation.statistics import compute_performance_profile
from gaelp_rl.evaluation.volume import VolumeCurve, compute_volume_at_budget

__all__ = [
    "make_channel_figure",
    "make_daily_spend_figure",
    "make_interval_figure",
    "make_learning_figure",
    "make_profile_figure",
    "make_volume_figure",
]

_INK = "#22303C"
_MUTED = "#8A97A3"
_GRID = "#E6EAEE"
_TRAINED = "#0F8B8D"
_COMPARATOR = "#9DB2C6"
_BEST = "#27476E"
_ORACLE = "#D9A441"
_LIMIT = "#C8553D"
_OTHERS = "#CFD7DE"
_CHANNEL_LABELS = {
    Channel.GOOGLE: "Google",
    Channel.META: "Meta",
    Channel.TIKTOK: "TikTok",
    Channel.MICROSOFT: "Microsoft",
}
_MAX_NAMED_LINES = 5


def make_interval_figure(comparisons: Sequence[FamilyComparison]) -> Figure:
    """FHO with its interval for every policy, one panel per family."""
    rows = max(len(comparison.policies) for comparison in comparisons)
    figure = _make_figure(9.0, 0.9 + (0.75 + 0.34 * rows) * len(comparisons))
    panels = figure.subplots(len(comparisons), 1, squeeze=False)[:, 0]
    for axes, comparison in zip(panels, comparisons, strict=True):
        _draw_intervals(axes, comparison)
    panels[-1].set_xlabel("share of what perfect hindsight would have bought (FHO, interquartile mean)", color=_INK)
    return figure


def make_profile_figure(comparison: FamilyComparison) -> Figure:
    """Share of worlds above each score: who is reliably good, not only on average."""
    figure = _make_figure(9.0, 4.2)
    axes = figure.subplots()
    thresholds = np.linspace(0.0, 1.05, 211)
    named = _choose_named(comparison)
    for summary in sorted(comparison.policies, key=lambda one: one.policy in named):
        is_named = summary.policy in named
        axes.plot(
            thresholds,
            compute_performance_profile(summary.fho, thresholds),
            color=_choose_color(summary, comparison) if is_named else _OTHERS,
            linewidth=2.2 if is_named else 1.4,
            linestyle="--" if summary.knows_truth else "-",
            label=summary.policy if is_named else None,
            zorder=3 if is_named else 2,
        )
    lowest = min(float(np.quantile(comparison.find(name).fho, 0.02)) for name in named)
    axes.set_xlim(max(0.0, min(0.8, lowest - 0.05)), 1.02)
    axes.set_ylim(0.0, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _style(axes, f"How many worlds reach a score · {comparison.family}", "score (FHO) above", "share of worlds")
    axes.legend(frameon=False, loc="lower left", labelcolor=_INK)
    return figure


def make_channel_figure(comparison: FamilyComparison) -> Figure:
    """Spend and conversions per day by channel, for the policies that matter most."""
    figure = _make_figure(9.0, 3.6)
    spend_axes, conversion_axes = figure.subplots(1, 2)
    summaries = [comparison.find(name) for name in _choose_named(comparison)]
    width = 0.8 / len(summaries)
    for i, summary in enumerate(summaries):
        x = np.arange(len(CHANNELS)) + (i - 0.5 * (len(summaries) - 1)) * width
        color = _choose_color(summary, comparison)
        for axes, bars in ((spend_axes, summary.channel_spend), (conversion_axes, summary.channel_conversions)):
            axes.bar(x, bars, width=0.92 * width, color=color, label=summary.policy, zorder=3)
    for axes in (spend_axes, conversion_axes):
        axes.set_xticks(np.arange(len(CHANNELS)), [_CHANNEL_LABELS[channel] for channel in CHANNELS])
    currency = comparison.objective.currency
    _style(spend_axes, f"Spend by channel · {comparison.family}", "", f"{currency} per day")
    _style(conversion_axes, "Conversions by channel", "", "expected conversions per day")
    handles, labels = spend_axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, labelcolor=_INK)
    return figure


def make_volume_figure(curve: VolumeCurve, daily_budget: float, weekly_goal: float, currency: str) -> Figure:
    """Conversions a week that each daily budget could buy, beside the goal and today's budget."""
    figure = _make_figure(9.0, 4.0)
    axes = figure.subplots()
    low, median, high = np.quantile(curve.conversions_per_week, (0.1, 0.5, 0.9), axis=0)
    axes.fill_between(curve.daily_budget, low, high, color=_TRAINED, alpha=0.15, linewidth=0, label="8 of 10 worlds")
    axes.plot(curve.daily_budget, median, color=_TRAINED, linewidth=2.4, label="median world")
    axes.axhline(weekly_goal, color=_LIMIT, linewidth=1.4, linestyle="--")
    axes.annotate(
        f"goal: {weekly_goal:,.0f} a week",
        (float(curve.daily_budget[0]), weekly_goal),
        xytext=(4, 4),
        textcoords="offset points",
        color=_LIMIT,
    )
    conversions, _ = compute_volume_at_budget(curve, daily_budget)
    axes.axvline(daily_budget, color=_MUTED, linewidth=1.0, linestyle=":")
    axes.plot([daily_budget], [conversions], "o", color=_BEST, markersize=8, zorder=4)
    axes.annotate(
        f"{conversions:,.0f} a week on {daily_budget:,.0f} a day",
        (daily_budget, conversions),
        xytext=(10, -16),
        textcoords="offset points",
        color=_BEST,
        fontweight="bold",
    )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda amount, _: f"{amount:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(_choose_budget_ticks(curve))
    axes.set_ylim(0.0, 1.12 * max(weekly_goal, float(high.max())))
    title = (
        f"What each daily budget could buy at a CPA of at most {curve.cpa_target:,.0f} {currency}, with full knowledge"
    )
    _style(axes, title, f"daily budget, {currency}", "conversions per week")
    axes.legend(frameon=False, loc="center left", labelcolor=_INK)
    return figure


def make_learning_figure(curve: LearningCurve) -> Figure:
    """The score on validation worlds while training, beside the reference controller."""
    figure = _make_figure(9.0, 3.6)
    axes = figure.subplots()
    if curve.fho.shape[0] > 1:
        for run in curve.fho:
            axes.plot(curve.episodes, run, color=_TRAINED, alpha=0.3, linewidth=1.0)
    label = "trained policy" if curve.fho.shape[0] == 1 else f"median of {curve.fho.shape[0]} training seeds"
    axes.plot(curve.episodes, np.median(curve.fho, axis=0), color=_TRAINED, linewidth=2.4, label=label)
    if curve.reference_fho is not None:
        axes.axhline(curve.reference_fho, color=_BEST, linewidth=1.4, linestyle="--", label="reference controller")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda episodes, _: f"{episodes:,.0f}"))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=2))
    _style(axes, f"Learning curve · validation worlds, {curve.family}", "training episodes (days)", "FHO")
    axes.legend(frameon=False, loc="lower left", ncols=2, labelcolor=_INK)
    axes.margins(y=0.25)
    return figure


def make_daily_spend_figure(comparison: FamilyComparison, policy: str) -> Figure:
    """One policy's spend on each day against the daily budget."""
    figure = _make_figure(9.0, 3.2)
    axes = figure.subplots()
    low, median, high = comparison.find(policy).daily_spend
    days = np.arange(1, median.size + 1)
    axes.fill_between(days, low, high, color=_TRAINED, alpha=0.15, linewidth=0, label="8 of 10 worlds", step="mid")
    axes.step(days, median, color=_TRAINED, linewidth=2.2, label="median world", where="mid")
    budget = comparison.objective.daily_budget
    axes.axhline(budget, color=_LIMIT, linewidth=1.4, linestyle="--", label="daily budget")
    axes.set_ylim(0.0, 1.12 * max(budget, float(high.max())))
    axes.set_xlim(0.5, median.size + 0.5)
    currency = comparison.objective.currency
    _style(axes, f"Spend by day · {policy}, {comparison.family}", "day of the campaign", f"{currency} per day")
    axes.legend(frameon=False, loc="lower right", ncols=3, labelcolor=_INK)
    return figure


def _make_figure(width: float, height: float) -> Figure:
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    return Figure(figsize=(width, height), dpi=120, layout=layout, facecolor="white")


def _style(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    axes.set_title(title, loc="left", color=_INK, fontsize=11, fontweight="bold", pad=10)
    axes.set_xlabel(x_label, color=_INK)
    axes.set_ylabel(y_label, color=_INK)
    axes.grid(visible=True, color=_GRID, linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=_MUTED, labelcolor=_INK, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_MUTED)


def _choose_color(summary: PolicySummary, comparison: FamilyComparison) -> str:
    if summary.knows_truth:
        return _ORACLE
    if summary.policy == comparison.best_comparator:
        return _BEST
    return _COMPARATOR if summary.is_comparator else _TRAINED


def _choose_named(comparison: FamilyComparison) -> list[str]:
    """The best of the trained, the best comparator, the best oracle, and the weakest comparator."""
    trained = [s for s in comparison.policies if not s.is_comparator and not s.knows_truth]
    comparators = [s for s in comparison.policies if s.is_comparator]
    oracles = [s for s in comparison.policies if s.knows_truth]
    named = [s.policy for s in (*trained[:2], *comparators[:1], *comparators[-1:], *oracles[:1])]
    return list(dict.fromkeys(named))[:_MAX_NAMED_LINES]


def _draw_intervals(axes: Axes, comparison: FamilyComparison) -> None:
    for row, summary in enumerate(comparison.policies):
        color = _choose_color(summary, comparison)
        low, high = summary.fho_ci.low, summary.fho_ci.high
        axes.plot([low, high], [row, row], color=color, linewidth=5, alpha=0.45, solid_capstyle="round", zorder=3)
        face = "white" if summary.knows_truth else color
        axes.plot([summary.fho_iqm], [row], "o", color=color, markerfacecolor=face, markersize=7, zorder=4)
        axes.annotate(
            f"{100 * summary.fho_iqm:.1f} %",
            (high, row),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            color=_INK,
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )
    if comparison.best_comparator is not None:
        axes.axvline(comparison.find(comparison.best_comparator).fho_iqm, color=_BEST, linewidth=1, linestyle=":")
    axes.set_yticks(range(len(comparison.policies)), [summary.policy for summary in comparison.policies])
    axes.set_ylim(len(comparison.policies) - 0.4, -0.6)
    lowest = min(summary.fho_ci.low for summary in comparison.policies)
    highest = max(summary.fho_ci.high for summary in comparison.policies)
    axes.set_xlim(max(0.0, lowest - 0.05), max(1.0, highest) + 0.05)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _style(axes, f"{comparison.family} · {len(comparison.world_seeds):,} worlds", "", "")
    axes.grid(visible=False, axis="y")


def _choose_budget_ticks(curve: VolumeCurve) -> list[float]:
    """Round amounts (1, 2, 5 times a power of ten) within the curve's budgets."""
    low, high = float(curve.daily_budget[0]), float(curve.daily_budget[-1])
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
    return [tick for tick in ticks if low <= tick <= high]
