"""Tunes every comparator on validation worlds, all with the same budget of draws.

    python -m experiments.tune_comparators [FAMILY ...]

Half of the draws come from the whole range of each parameter, the other half from an ever closer
neighbourhood of the best so far; the first draw is the default. What wins by the IQM of FHO is
written to ``experiments/configs/comparators.toml``. Test worlds are never touched.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from experiments.judge import judge, load_worlds
from experiments.planners import COMPARATORS_FILE, NamedPlanner
from gaelp_rl.config.comparators import ComparatorsConfig, TunedComparator, TuningConfig
from gaelp_rl.config.loading import dump_config, load_config
from gaelp_rl.config.market import FamilyConfig, load_family
from gaelp_rl.control.planner import Planner
from gaelp_rl.control.registry import COMPARATORS, make_comparator
from gaelp_rl.evaluation.score import WorldScores, compute_world_scores
from gaelp_rl.evaluation.statistics import compute_iqm

__all__ = ["SPACES", "TUNED_FAMILIES", "Range", "main", "sample_params", "tune_comparator"]

TUNED_FAMILIES = ("campaign", "mild", "wide", "binding")

_FIRST_SPREAD, _LAST_SPREAD = 0.2, 0.05
_SIGNIFICANT_DIGITS = 3

Params = dict[str, float | tuple[float, ...]]


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """Where a parameter is looked for; every entry of a tuple parameter has the same range."""

    low: float
    high: float
    is_log: bool = False

    def compute_point(self, position: float) -> float:
        """The number at a position between 0 (low) and 1 (high), to three digits."""
        position = min(max(position, 0.0), 1.0)
        if self.is_log:
            return _round(self.low * (self.high / self.low) ** position)
        return _round(self.low + (self.high - self.low) * position)

    def compute_position(self, point: float) -> float:
        """The inverse of ``compute_point``, before rounding."""
        if self.is_log:
            return math.log(point / self.low) / math.log(self.high / self.low)
        return (point - self.low) / (self.high - self.low)


_MARGIN = Range(0.75, 1.02)
_PID_SPACE = {
    "proportional": Range(0.2, 6.0, is_log=True),
    "integral": Range(0.005, 0.5, is_log=True),
    "derivative": Range(0.0, 2.0),
    "cpa_gain": Range(0.0005, 0.1, is_log=True),
    "cpa_margin": _MARGIN,
    "prior_conversions": Range(1.0, 20.0, is_log=True),
}

SPACES: Mapping[str, Mapping[str, Range]] = {
    "fixed-bids": {"bid_ratio": Range(0.2, 1.6, is_log=True), "budget_weights": Range(0.05, 0.6)},
    "even-split": {"bid_ratio": Range(0.2, 1.6, is_log=True)},
    "static-dayparts": {
        "channel_bid_ratio": Range(0.2, 2.0, is_log=True),
        "daypart_bid_ratio": Range(0.5, 1.6, is_log=True),
    },
    "pid-uniform": _PID_SPACE,
    "pid-profile": _PID_SPACE,
    "dual-descent": {
        "budget_step": Range(0.2, 8.0, is_log=True),
        "cpa_step": Range(0.3, 20.0, is_log=True),
        "initial_cpa_price": Range(0.02, 5.0, is_log=True),
        "cpa_margin": _MARGIN,
        "prior_conversions": Range(1.0, 20.0, is_log=True),
    },
    "reference": {
        "prior_strength": Range(0.4, 3.0, is_log=True),
        "optimism": Range(0.0, 0.8),
        "drift_gain": Range(0.25, 4.0, is_log=True),
        "budget_headroom": Range(1.0, 2.5),
        "budget_margin": Range(0.0, 0.04),
        "cpa_margin": _MARGIN,
        "cpa_caution": Range(0.0, 2.0),
    },
}
"""What is tuned of each comparator, and how far."""


def sample_params(space: Mapping[str, Range], best: Params, draw: int, draws: int, rng: np.random.Generator) -> Params:
    """One draw: from the whole space in the first half of the budget, near the best after.

    Args:
        space: ranges by parameter.
        best: the best parameters so far; gives the length of tuples.
        draw: which draw it is, from 1.
        draws: how many there are.
        rng: draws the parameters.
    """
    later = 2.0 * draw / draws - 1.0
    spread = _FIRST_SPREAD * (_LAST_SPREAD / _FIRST_SPREAD) ** max(later, 0.0)

    def sample_number(bounds: Range, around: float) -> float:
        if later < 0.0:
            return bounds.compute_point(rng.random())
        return bounds.compute_point(bounds.compute_position(around) + spread * rng.standard_normal())

    params: Params = {}
    for name, bounds in space.items():
        around = best[name]
        if isinstance(around, tuple):
            params[name] = tuple(sample_number(bounds, number) for number in around)
        else:
            params[name] = sample_number(bounds, around)
    return params


def tune_comparator(
    name: str,
    family: FamilyConfig,
    tuning: TuningConfig,
    compute_score: Callable[[Planner], WorldScores],
    on_draw: Callable[[], None],
) -> TunedComparator:
    """The best of ``tuning.draws`` parameter draws.

    Args:
        name: the comparator.
        family: the worlds' family.
        tuning: the budget and its seed.
        compute_score: runs a planner on the validation worlds.
        on_draw: called after every draw.
    """
    rng = np.random.default_rng([tuning.seed, *name.encode()])
    defaults = dataclasses.asdict(COMPARATORS[name].params_type())
    params: Params = {key: defaults[key] for key in SPACES[name]}
    best = _summarise(params, compute_score(make_comparator(name, family, params)))
    on_draw()
    for draw in range(1, tuning.draws):
        params = sample_params(SPACES[name], best.params, draw, tuning.draws, rng)
        candidate = _summarise(params, compute_score(make_comparator(name, family, params)))
        best = max(best, candidate, key=lambda tuned: tuned.fho_iqm)
        on_draw()
    return best


def _summarise(params: Params, scores: WorldScores) -> TunedComparator:
    return TunedComparator(
        params=params,
        fho_iqm=round(float(compute_iqm(scores.fho)), 5),
        fho_mean=round(float(scores.fho.mean()), 5),
        cpa_violation_share=round(float(scores.is_above_cpa.mean()), 5),
    )


def main(
    families: Sequence[str] = TUNED_FAMILIES,
    path: Path = COMPARATORS_FILE,
    tuning: TuningConfig | None = None,
    comparators: Sequence[str] = tuple(COMPARATORS),
) -> ComparatorsConfig:
    """Tunes the comparators and writes the file after each of them.

    Args:
        families: families to tune on; entries of others are kept.
        path: the TOML file to update.
        tuning: the budget; None for the default.
        comparators: comparators to tune; entries of others are kept.

    Returns:
        What the file now holds.
    """
    tuning = tuning or TuningConfig()
    tuned = {name: dict(rows) for name, rows in _load_tuned(path).items()}
    config = ComparatorsConfig(tuning=tuning, families=tuned)
    columns = (
        TextColumn("{task.description:32}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        task = progress.add_task("tuning", total=len(families) * len(comparators) * tuning.draws)
        for family_name in families:
            family = load_family(family_name)
            compute_score = _make_scorer(family, tuning)
            for name in comparators:
                progress.update(task, description=f"{family_name}: {name}")
                best = tune_comparator(name, family, tuning, compute_score, lambda: progress.advance(task))
                tuned.setdefault(family_name, {})[name] = best
                config = ComparatorsConfig(tuning=tuning, families=tuned)
                path.write_text(dump_config(config), encoding="utf-8")
                progress.console.print(f"{family_name:10} {name:16} {best.fho_iqm:.4f} {best.cpa_violation_share:.3f}")
    return config


def _load_tuned(path: Path) -> dict[str, dict[str, TunedComparator]]:
    return load_config(ComparatorsConfig, path).families if path.exists() else {}


def _make_scorer(family: FamilyConfig, tuning: TuningConfig) -> Callable[[Planner], WorldScores]:
    """Scores planners on the same validation worlds, whose optimum is solved once."""
    worlds = load_worlds(family, "validation", tuning.first_seed, tuning.worlds)

    def compute_score(planner: Planner) -> WorldScores:
        (outcomes,) = judge([NamedPlanner(planner.name, lambda _family: planner)], worlds)
        return compute_world_scores(outcomes, family.objective)

    return compute_score


def _round(number: float) -> float:
    return float(f"{number:.{_SIGNIFICANT_DIGITS}g}")


if __name__ == "__main__":
    main(sys.argv[1:] or TUNED_FAMILIES)
