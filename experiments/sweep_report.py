"""What a sweep found: the ranking, what each setting does to the score, and whether the winner is better."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from scipy.stats import norm

from gaelp_rl.config.sprint import dump_settings
from gaelp_rl.config.sweep import SweepConfig, apply_settings
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.errors import ResourceError
from gaelp_rl.evaluation.statistics import sample_paired_difference
from gaelp_rl.tracking import Tracker
from gaelp_rl.training.tuning import TrialOutcome

__all__ = [
    "Confirmation",
    "SweepResult",
    "compute_confirmation",
    "make_effects_figure",
    "render_ranking",
    "smooth",
    "write_sweep_report",
]

_INK, _FULL, _EARLY, _DEFAULT, _GRID = "#22303C", "#0F8B8D", "#9DB2C6", "#D9A441", "#E6EAEE"
_COLUMNS = 3
_RESAMPLES = 2_000
_LINEAR_POINTS, _LARGE_POINTS = 0.1, 1.0
_KERNEL_SHARE = 0.2
_SHOWN_TRIALS = 40


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Winner against default on fresh training seeds and in validation worlds that chose nothing.

    Attributes:
        difference: IQM of FHO over families, seeds and worlds, winner minus default, in points.
        low: lower end of its paired interval.
        high: upper end.
        families: the same by family, as (difference, low, high).
        seeds: fresh training seeds of each.
        worlds: per family.
    """

    difference: float
    low: float
    high: float
    families: dict[str, tuple[float, float, float]]
    seeds: int
    worlds: int

    @property
    def is_better(self) -> bool:
        """The interval lies above zero, and no family's lies below."""
        return self.low > 0.0 and all(high >= 0.0 for _, _, high in self.families.values())

    @property
    def plain_words(self) -> str:
        """The verdict in a sentence."""
        facts = (
            f"{self.difference:+.3f} points of FHO ({self.low:+.3f} to {self.high:+.3f}) against the default, "
            f"{self.seeds} fresh seeds, {self.worlds} other worlds per family"
        )
        if self.is_better:
            return f"adopt the winner: {facts}"
        if self.high < 0.0:
            return f"keep the default, the winner is worse: {facts}"
        return f"keep the default, the winner is not shown to be better: {facts}"


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep leaves.

    Attributes:
        ranking: trials, best first.
        confirmation: of the winner; None where the default itself won or no second look was asked for.
        winner_path: the winner's settings, for ``gaelp sprint --config``.
        figure_path: the effect of every setting.
    """

    ranking: tuple[TrialOutcome, ...]
    confirmation: Confirmation | None
    winner_path: Path
    figure_path: Path


def compute_confirmation(
    winner: Sequence[TrialOutcome], default: Sequence[TrialOutcome], config: SweepConfig
) -> Confirmation:
    """Compares runs of one seed each, seed by seed in the same order, in the same worlds.

    Raises:
        ResourceError: a run failed.
    """
    failed = [outcome.number for outcome in (*winner, *default) if outcome.is_failed or not outcome.metrics]
    if failed:
        raise ResourceError(f"runs {failed} of the second look failed: go on with --resume")
    families = list(winner[0].metrics["fho"])
    ours = {name: _stack(winner, name) for name in families}
    theirs = {name: _stack(default, name) for name in families}
    rng = np.random.default_rng([config.seed, 1])

    def compare(one: FloatArray, other: FloatArray) -> tuple[float, float, float]:
        found = sample_paired_difference(one, other, rng, _RESAMPLES, config.confidence)
        return 100.0 * found.difference, 100.0 * found.interval.low, 100.0 * found.interval.high

    overall = compare(np.hstack(list(ours.values())), np.hstack(list(theirs.values())))
    by_family = {name: compare(ours[name], theirs[name]) for name in families}
    return Confirmation(*overall, by_family, len(winner), next(iter(ours.values())).shape[1])


def render_ranking(config: SweepConfig, ranking: Sequence[TrialOutcome]) -> Table:
    """The trials, best first, with intervals from seeds and worlds."""
    seeds = f"{config.training_seeds} training seeds; interval {config.confidence:.0%}"
    table = Table(
        title=f"points of FHO against the reference controller, {seeds}", box=SIMPLE_HEAD, title_justify="left"
    )
    for column in ("trial", "episodes", "score", "interval"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("settings")
    width = float(norm.ppf(0.5 + 0.5 * config.confidence))
    for outcome in ranking[:_SHOWN_TRIALS]:
        name = "default" if outcome.number == 0 else str(outcome.number)
        settings = ", ".join(f"{path.rpartition('.')[2]} {_show(outcome.settings[path])}" for path in config.space)
        if outcome.is_failed or not outcome.metrics:
            table.add_row(name, "failed", "–", "–", settings)
            continue
        score, error = outcome.metrics["score"], width * outcome.metrics["score_se"]
        interval = f"{score - error:+.3f} to {score + error:+.3f}"
        table.add_row(name, f"{outcome.metrics['episodes']:,}", f"{score:+.3f}", interval, settings)
    return table


def make_effects_figure(config: SweepConfig, outcomes: Sequence[TrialOutcome]) -> Figure:
    """Score against every setting, one panel each, with a kernel mean; trials stopped early are hollow."""
    scored = [one for one in outcomes if one.metrics and not one.is_failed]
    rows = -(-len(config.space) // _COLUMNS)
    figure = Figure(figsize=(11.0, 0.8 + 2.9 * rows), layout="constrained")
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axes, path in zip(panels, config.space, strict=False):
        _draw_effect(axes, config, path, scored)
    for axes in panels[len(config.space) :]:
        axes.set_visible(False)
    for axes in panels[::_COLUMNS]:
        axes.set_ylabel("points of FHO", color=_INK)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle("Score of every trial against the reference controller, by setting", x=0.01, ha="left", color=_INK)
    return figure


def smooth(x: FloatArray, y: FloatArray, at: FloatArray, bandwidth: float) -> FloatArray:
    """Gaussian kernel mean (Nadaraya 1964, Watson 1964).

    Args:
        x: float64 [points].
        y: float64 [points].
        at: float64 [places] where the mean is wanted.
        bandwidth: standard deviation of the kernel, in the unit of ``x``.

    Returns:
        float64 [places].
    """
    weights = np.exp(-0.5 * ((at[:, None] - x) / bandwidth) ** 2)
    return np.asarray(weights @ y / weights.sum(axis=1))


def write_sweep_report(
    config: SweepConfig,
    ranking: Sequence[TrialOutcome],
    confirmation: Confirmation | None,
    tracker: Tracker,
    console: Console,
) -> SweepResult:
    """Prints the ranking and the verdict; writes winner, figure and scores, also to the sweep's run."""
    winner = ranking[0]
    words = _judge(winner, confirmation)
    winner_path, figure_path, scores_path = (
        config.out / name for name in ("winner.toml", "effects.png", "scores.json")
    )
    sprint = apply_settings(config.sprint, winner.settings)
    try:
        winner_path.write_text(
            f"# Trial {winner.number} of a sweep. Verdict: {words}.\n{dump_settings(sprint)}", encoding="utf-8"
        )
        make_effects_figure(config, ranking).savefig(figure_path, dpi=120)
        scores_path.write_text(json.dumps(_to_json(ranking, confirmation, words), indent=1), encoding="utf-8")
    except OSError as error:
        msg = f"the sweep's results cannot be written to {config.out} ({error}): free space, then go on with --resume"
        raise ResourceError(msg) from error
    for path in (winner_path, figure_path, scores_path):
        tracker.log_artifact(path, "sweep")
    metrics = {"sweep/winner_score": float(winner.metrics["score"])}
    if confirmation is not None:
        metrics |= {f"sweep/confirmed_{name}": getattr(confirmation, name) for name in ("difference", "low", "high")}
    tracker.log_metrics(metrics, 0)
    tracker.set_tags({"winner": str(winner.number), "verdict": words})
    console.print(render_ranking(config, ranking))
    for name, (difference, low, high) in (confirmation.families if confirmation else {}).items():
        console.print(f"second look, {name}: {difference:+.3f} points ({low:+.3f} to {high:+.3f})")
    console.print(words)
    console.print(f"winner: {winner_path}   effects: {figure_path}   scores: {scores_path}")
    console.print(f"Train with it: gaelp sprint --config {winner_path}")
    return SweepResult(tuple(ranking), confirmation, winner_path, figure_path)


def _judge(winner: TrialOutcome, confirmation: Confirmation | None) -> str:
    if confirmation is not None:
        return confirmation.plain_words
    if winner.number == 0:
        return "keep the default: no trial scored higher"
    return "keep the default: the winner had no second look, and the best of many is lucky (confirm_seeds is 0)"


def _to_json(ranking: Sequence[TrialOutcome], confirmation: Confirmation | None, words: str) -> dict[str, Any]:
    kept = ("episodes", "score", "score_se")
    rows = [
        {
            "trial": one.number,
            "settings": dict(one.settings),
            "is_failed": one.is_failed,
            **{key: one.metrics[key] for key in one.metrics if key in kept or key.startswith("score_")},
        }
        for one in ranking
    ]
    return {"trials": rows, "confirmation": asdict(confirmation) if confirmation else None, "verdict": words}


def _draw_effect(axes: Axes, config: SweepConfig, path: str, scored: Sequence[TrialOutcome]) -> None:
    dimension = config.space[path]
    score = np.array([one.metrics["score"] for one in scored])
    choices = [str(one) for one in dimension.choice or ()]
    if choices:
        shown = [str(one.settings[path]) for one in scored]
        choices += sorted(set(shown) - set(choices))
        x = np.array([float(choices.index(one)) for one in shown])
        for i in range(len(choices)):
            if (x == i).any():
                axes.plot([i - 0.3, i + 0.3], 2 * [float(score[x == i].mean())], color=_INK, linewidth=2.0)
        axes.set_xticks(range(len(choices)), choices)
        axes.set_xlim(-0.5, len(choices) - 0.5)
    else:
        x = np.array([float(one.settings[path]) for one in scored])
        _draw_kernel_mean(axes, x, score, is_logarithmic=dimension.is_logarithmic)
    is_full = np.array([one.metrics["episodes"] >= config.episodes for one in scored])
    is_default = np.array([one.number == 0 for one in scored])
    axes.axhline(0.0, color=_GRID, linewidth=1.2, zorder=0)
    for mask, label, style in (
        (is_full & ~is_default, "trained to the end", {"facecolor": _FULL}),
        (~is_full & ~is_default, "stopped early", {"facecolor": "none"}),
        (is_default, "default", {"facecolor": _DEFAULT, "s": 70, "marker": "D"}),
    ):
        edge = _EARLY if label == "stopped early" else _INK
        axes.scatter(x[mask], score[mask], label=label, edgecolor=edge, zorder=3, **style)
    if np.abs(score).max() > _LARGE_POINTS:
        axes.set_yscale("symlog", linthresh=_LINEAR_POINTS)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda points, _: f"{points:+.3g}"))
    axes.grid(color=_GRID, linewidth=0.6, zorder=0)
    axes.set_title(path, color=_INK, fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_kernel_mean(axes: Axes, x: FloatArray, score: FloatArray, *, is_logarithmic: bool) -> None:
    place = np.log(np.maximum(x, 1e-12)) if is_logarithmic else x
    span = float(np.ptp(place))
    if is_logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda setting, _: f"{setting:.4g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    if span <= 0.0:
        return
    grid = np.linspace(place.min(), place.max(), 60)
    mean = smooth(place, score, grid, _KERNEL_SHARE * span)
    axes.plot(np.exp(grid) if is_logarithmic else grid, mean, color=_INK, linewidth=1.6, label="kernel mean", zorder=2)


def _stack(outcomes: Sequence[TrialOutcome], family: str) -> FloatArray:
    """FHO float64 [seeds, worlds]."""
    return np.vstack([np.asarray(outcome.metrics["fho"][family]) for outcome in outcomes])


def _show(setting: object) -> str:
    return f"{setting:.4g}" if isinstance(setting, float) else str(setting)
