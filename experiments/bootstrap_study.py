"""What a bootstrap is worth: episodes to the untrained run's final score, with it, without, and offline alone.

    python -m experiments.bootstrap_study --bootstrap REF [--episodes N] [--every N] [--seeds N] [--out FILE]

Every run trains with every seed and is validated, unshaped, on validation worlds (points of FHO against
the reference controller). Finished runs in the file are kept, so that an interrupted study goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import ray
from rich.table import Table

from experiments.bootstrap_start import apply_bootstrap
from experiments.candidates import ScaledNetwork
from experiments.progress import WorkProgress, make_console
from experiments.sprint import start_ray
from experiments.validation import Validator
from experiments.worlds import ENV_NAME, make_env_creator, make_training_config
from gaelp_rl.config.loading import load_config
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.policy import MlpNetwork
from gaelp_rl.training.algorithm import FastSAC
from gaelp_rl.training.export import extract_actor_weights
from gaelp_rl.training.setup import make_algorithm_config

__all__ = ["count_episodes_to_reach", "main", "run_curve"]

_VARIANTS = ("without", "with")

Curve = list[tuple[int, float]]
"""Episodes so far and score, in points of FHO."""


def run_curve(config: SprintConfig, validator: Validator, every: int) -> Curve:
    """Trains once, from the artefact if the settings name one; validates at the start and every so many episodes."""
    built = make_algorithm_config(make_training_config(config), ENV_NAME, make_env_creator(config)).build_algo()
    algorithm = built if isinstance(built, FastSAC) else None
    if algorithm is None:
        msg = f"{type(built).__name__} was built where FastSAC was expected"
        raise TypeError(msg)
    try:
        if config.bootstrap:
            apply_bootstrap(algorithm, config)
        curve = [(0, _score(algorithm, validator))]
        while algorithm.episodes < config.training.episodes:
            algorithm.train()
            if algorithm.episodes >= curve[-1][0] + every:
                curve.append((algorithm.episodes, _score(algorithm, validator)))
    finally:
        algorithm.stop()
    return curve


def count_episodes_to_reach(curve: Sequence[tuple[int, float]], score: float) -> float:
    """Episodes at the first validation that is at least ``score``; infinity where none is."""
    return next((float(episodes) for episodes, reached in curve if reached >= score), float("inf"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the study and prints its table."""
    parser = argparse.ArgumentParser(prog="python -m experiments.bootstrap_study", description=__doc__)
    parser.add_argument("--bootstrap", required=True, help="folder of an artefact")
    parser.add_argument("--episodes", type=int, default=8_192)
    parser.add_argument("--every", type=int, default=1_024)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one sprint setting")
    parser.add_argument("--out", type=Path, default=Path("runs/bootstrap-study.json"))
    options = parser.parse_args(arguments)
    console = make_console()
    results: dict[str, Curve] = json.loads(options.out.read_text()) if options.out.exists() else {}
    runs = [(variant, seed) for seed in range(options.seeds) for variant in _VARIANTS]
    start_ray()
    try:
        with WorkProgress(console, "bootstrap study", len(runs)) as progress:
            for done, (variant, seed) in enumerate(runs):
                key = _make_key(variant, seed, options.episodes, options.every, options.set)
                progress.update(done, key)
                if key not in results:
                    reference = options.bootstrap if variant == "with" else ""
                    config = load_config(
                        SprintConfig,
                        None,
                        [
                            *options.set,
                            f"training.episodes={options.episodes}",
                            f"training.seed={seed}",
                            f"bootstrap={json.dumps(reference)}",
                        ],
                    )
                    results[key] = run_curve(config, Validator(config), options.every)
                    options.out.parent.mkdir(parents=True, exist_ok=True)
                    options.out.write_text(json.dumps(results, indent=1), encoding="utf-8")
    finally:
        ray.shutdown()
    keys = {
        variant: [
            _make_key(variant, seed, options.episodes, options.every, options.set) for seed in range(options.seeds)
        ]
        for variant in _VARIANTS
    }
    console.print(_make_table({variant: [results[key] for key in own] for variant, own in keys.items()}))


def _make_key(variant: str, seed: int, episodes: int, every: int, overrides: Sequence[str]) -> str:
    return " | ".join((variant, f"seed {seed}", f"{episodes} episodes", f"every {every}", *overrides))


def _score(algorithm: FastSAC, validator: Validator) -> float:
    layers = extract_actor_weights(algorithm)
    network = MlpNetwork(tuple(weight for weight, _ in layers), tuple(bias for _, bias in layers))
    return 100.0 * validator.validate(ScaledNetwork(network, 1.0)).score


def _make_table(curves: Mapping[str, Sequence[Curve]]) -> Table:
    """Means over the seeds with their range; episodes count to each seed's own final score without bootstrap."""
    goals = [curve[-1][1] for curve in curves["without"]]
    rows = {
        "without bootstrap": (
            [curve[-1][1] for curve in curves["without"]],
            [count_episodes_to_reach(curve, goal) for curve, goal in zip(curves["without"], goals, strict=True)],
        ),
        "with bootstrap": (
            [curve[-1][1] for curve in curves["with"]],
            [count_episodes_to_reach(curve, goal) for curve, goal in zip(curves["with"], goals, strict=True)],
        ),
        "offline alone": (
            [curve[0][1] for curve in curves["with"]],
            [count_episodes_to_reach(curve[:1], goal) for curve, goal in zip(curves["with"], goals, strict=True)],
        ),
    }
    table = Table(title="points of FHO against action zero, and episodes to the final score without bootstrap")
    for column in ("run", "seeds", "score: mean (lowest to highest)", "episodes: median (lowest to highest)"):
        table.add_column(column)
    for name, (scores, episodes) in rows.items():
        table.add_row(
            name,
            str(len(scores)),
            f"{np.mean(scores):+.3f} ({min(scores):+.3f} to {max(scores):+.3f})",
            f"{np.median(episodes):,.0f} ({min(episodes):,.0f} to {max(episodes):,.0f})",
        )
    return table


if __name__ == "__main__":
    main()
