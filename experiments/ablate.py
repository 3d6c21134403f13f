"""What each ingredient of training is worth: the default sprint with one thing taken away.

    python -m experiments.ablate [--episodes N] [--seeds N] [--variants NAME ...] [--out FILE]

Every variant trains with every seed; the unshaped score on validation worlds (points of FHO against
the reference controller in the same worlds) is printed and written as JSON. Finished runs in the
file are kept, so that an interrupted ablation goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import ray
from rich.table import Table

from experiments.candidates import ScaledNetwork
from experiments.progress import WorkProgress, make_console
from experiments.sprint import start_ray
from experiments.validation import Validator
from experiments.worlds import ENV_NAME, make_env_creator, make_training_config
from gaelp_rl.config.loading import load_config
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.policy import MlpNetwork
from gaelp_rl.training.export import extract_actor_weights
from gaelp_rl.training.setup import make_algorithm_config

__all__ = ["VARIANTS", "main", "run_variant"]

VARIANTS: Mapping[str, tuple[str, ...]] = {
    "default": (),
    "no twin baseline": ("subtract_twin=false",),
    "no privileged critic": ("privileged_critic=false",),
    "plain critics": ("training.critic_curvature=0.0",),
    "myopic (gamma 0)": ("training.gamma=0.0",),
    "uniform replay": ("training.priority_alpha=0.0",),
    "free policy": (
        "max_log_bid=3.0",
        "max_logit=3.0",
        "subtract_twin=false",
        "training.critic_curvature=0.0",
    ),
}
"""Overrides of the default sprint, by the ingredient that is taken away.

The free policy is as close to reinforcement learning without the controller as the action allows: bids
from a twentieth to twenty times the controller's, plain critics, rewards as they come.
"""

_SCALES = (0.5, 1.0)


def run_variant(config: SprintConfig, validator: Validator) -> dict[str, float]:
    """Trains once and validates the last weights.

    Returns:
        Score in points of FHO against the reference controller, by ``<family> x <scale>``.
    """
    algorithm = make_algorithm_config(make_training_config(config), ENV_NAME, make_env_creator(config)).build_algo()
    try:
        while algorithm.iteration * config.training.worlds_per_env_runner < config.training.episodes:
            algorithm.train()
        layers = extract_actor_weights(algorithm)
    finally:
        algorithm.stop()
    network = MlpNetwork(tuple(weight for weight, _ in layers), tuple(bias for _, bias in layers))
    scores = {}
    for scale in _SCALES:
        validation = validator.validate(ScaledNetwork(network, scale))
        for name, family in validation.families.items():
            scores[f"{name} x {scale:g}"] = 100.0 * family.difference
    return scores


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the ablation and prints its table."""
    parser = argparse.ArgumentParser(prog="python -m experiments.ablate", description=__doc__)
    parser.add_argument("--episodes", type=int, default=8_192)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation.json"))
    options = parser.parse_args(arguments)
    console = make_console()
    results: dict[str, dict[str, float]] = json.loads(options.out.read_text()) if options.out.exists() else {}
    runs = [(name, seed) for seed in range(options.seeds) for name in options.variants]
    start_ray()
    try:
        with WorkProgress(console, "ablation", len(runs)) as progress:
            for done, (name, seed) in enumerate(runs):
                key = f"{name} | seed {seed} | {options.episodes} episodes"
                progress.update(done, key)
                if key not in results:
                    overrides = (
                        f"training.episodes={options.episodes}",
                        f"training.seed={seed}",
                        *VARIANTS[name],
                    )
                    config = load_config(SprintConfig, None, overrides)
                    results[key] = run_variant(config, Validator(config))
                    options.out.parent.mkdir(parents=True, exist_ok=True)
                    options.out.write_text(json.dumps(results, indent=1), encoding="utf-8")
    finally:
        ray.shutdown()
    console.print(_make_table(results, options.variants, options.episodes))


def _make_table(results: Mapping[str, Mapping[str, float]], variants: Sequence[str], episodes: int) -> Table:
    """Mean and range over the seeds, one row per variant."""
    columns = list(next(iter(results.values())))
    table = Table(title=f"points of FHO against action zero after {episodes:,} episodes: mean (lowest to highest seed)")
    for column in ("variant", "seeds", *columns):
        table.add_column(column, justify="left" if column == "variant" else "right")
    for name in variants:
        rows = [
            scores
            for key, scores in results.items()
            if key.startswith(f"{name} |") and key.endswith(f"| {episodes} episodes")
        ]
        cells = []
        for column in columns:
            numbers = np.array([row[column] for row in rows])
            cells.append(f"{numbers.mean():+.3f} ({numbers.min():+.3f} to {numbers.max():+.3f})")
        table.add_row(name, str(len(rows)), *cells)
    return table


if __name__ == "__main__":
    main()
