"""Where the distance to the hindsight optimum comes from: one thing after another is taken out of the market.

    python -m experiments.gap [--families NAME ...] [--worlds N] [--out FILE]

The reference controller and the same controller given the true parameters play the same validation
worlds of each family as it is, then without what only hindsight can know or avoid. What is left when
all of it is gone is inertia (Meta and TikTok change twice a day), reporting lags, and planning.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from rich.table import Table

from experiments.judge import judge, load_worlds
from experiments.planners import TRUTH_INFORMED, make_comparator_planner, resolve_planner
from experiments.progress import WorkProgress, make_console
from gaelp_rl.config.market import load_family
from gaelp_rl.evaluation.score import compute_world_scores
from gaelp_rl.evaluation.statistics import compute_iqm

__all__ = ["STEPS", "main", "measure_gap"]

STEPS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "as it is": {},
        "without fatigue": {"fatigue_per_exposure": 0.0},
        "and without noise from hour to hour": {"hourly_price_sd": 0.0, "hourly_volume_sd": 0.0},
        "and without uneven pacing, shocks, seasons": {
            "pacing_log_sd": 0.0,
            "shock_rate_per_day": 0.0,
            "season_amplitude": 0.0,
        },
        "and without devices of unknown worth": {"device_conversion_log_sd": 0.0},
        "and without drifts": {"conversion_drift_sd": 0.0, "price_drift_sd": 0.0, "volume_drift_sd": 0.0},
    }
)
"""What each step takes away besides what the steps before took."""

_FIRST_SEED = 20_000


def measure_gap(family: str, worlds: int) -> dict[str, dict[str, float]]:
    """IQM of FHO by step: of the reference controller, and of the one that is told the truth."""
    planners = [make_comparator_planner("reference"), resolve_planner(TRUTH_INFORMED)]
    market = load_family(family)
    scores = {}
    for step, taken in STEPS.items():
        market = market.model_copy(update=taken)
        held_out = load_worlds(market, "validation", _FIRST_SEED, worlds)
        scores[step] = {
            outcomes.policy: float(compute_iqm(compute_world_scores(outcomes, market.objective).fho))
            for outcomes in judge(planners, held_out)
        }
    return scores


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints one table per family."""
    parser = argparse.ArgumentParser(prog="python -m experiments.gap", description=__doc__)
    parser.add_argument("--families", nargs="+", default=["campaign", "wide", "mild"], metavar="NAME")
    parser.add_argument("--worlds", type=int, default=192)
    parser.add_argument("--out", type=Path, default=Path("runs/gap.json"))
    options = parser.parse_args(arguments)
    console = make_console()
    results = {}
    with WorkProgress(console, "gap", len(options.families)) as progress:
        for done, family in enumerate(options.families):
            progress.update(done, family)
            results[family] = measure_gap(family, options.worlds)
    table = Table("world", *(f"{family}, {name}" for family in results for name in ("reference", TRUTH_INFORMED)))
    for step in STEPS:
        row = [f"{100 * scores[step][name]:.1f}" for scores in results.values() for name in scores[step]]
        table.add_row(step, *row)
    console.print(table)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
