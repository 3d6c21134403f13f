"""Runs an AuctionGym experiment over seeds and reports every metric."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from envs.auction.config import AuctionConfig
from envs.auction.engine import AuctionEngine
from envs.auction.metrics import MetricRow, iterate_metric_rows

__all__ = ["measure_auction_rate", "run_auctiongym"]


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
            is_last = (iteration + 1) % config.num_iter == 0
            totals = engine.simulate_iteration(learn=not is_last)[0]
            rows += iterate_metric_rows(config_name, seed, iteration, engine.agents, totals)
            done += 1
            if on_iteration is not None:
                on_iteration(done)
    return rows


def measure_auction_rate(
    config: AuctionConfig, rounds: int, seeds: Sequence[int] = (0,), compat: bool = True, repeats: int = 5
) -> float:
    """Auctions per CPU second of one process, agents' learning after each iteration included.

    Args:
        config: the experiment; its ``rounds_per_iter`` is not used.
        rounds: auctions of every world in one measurement.
        seeds: one per world.
        compat: see `AuctionEngine`.
        repeats: measurements, after one that is thrown away; their median is returned.
    """
    engine = AuctionEngine(config.model_copy(update={"rounds_per_iter": rounds}), seeds, compat)
    rates = []
    for _ in range(repeats + 1):
        started = time.process_time()
        engine.simulate_iteration()
        rates.append(rounds * len(seeds) / (time.process_time() - started))
    return statistics.median(rates[1:])
