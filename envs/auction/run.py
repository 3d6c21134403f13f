"""Runs an AuctionGym experiment over seeds and reports every metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from envs.auction.config import AuctionConfig
from envs.auction.engine import AuctionEngine
from envs.auction.metrics import MetricRow, iterate_metric_rows

__all__ = ["run_auctiongym"]


def run_auctiongym(
    config: AuctionConfig,
    config_name: str,
    seeds: Sequence[int],
    compat: bool,
    on_iteration: Callable[[int], None] | None = None,
) -> list[MetricRow]:
    """Runs an experiment once per seed.

    Args:
        config: the experiment; its ``random_seed`` is replaced by each seed in turn.
        config_name: goes into the rows.
        seeds: each gives AuctionGym's catalogue for that seed.
        compat: whether AuctionGym's slips are reproduced; see `AuctionEngine`.
        on_iteration: told after each iteration of each seed how many have ended, of
            ``len(seeds) * num_runs * num_iter``.

    Returns:
        The metrics of every agent and the totals, by seed and iteration; iterations count on across runs.

    Raises:
        ConfigError: a seed is negative.
    """
    rows: list[MetricRow] = []
    done = 0
    for seed in seeds:
        engine = AuctionEngine(config, (seed,), compat)
        for iteration in range(config.num_runs * config.num_iter):
            if iteration > 0 and iteration % config.num_iter == 0:
                engine.start_run()
            totals = engine.simulate_iteration()[0]
            rows += iterate_metric_rows(config_name, seed, iteration, engine.agents, totals)
            done += 1
            if on_iteration is not None:
                on_iteration(done)
    return rows
