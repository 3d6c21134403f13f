"""Speed of the simulators: the auction engine beside AuctionGym, batched users beside RecSim.

CPU time of one thread, the median of some repeats; the peer runs in the same process, or the figure
says that it was recorded elsewhere. Growth is shown as time per item beside what linear growth from
the smallest size would cost.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from envs.auction.config import AuctionConfig, parse_auctiongym_config
from envs.auction.engine import AuctionEngine
from envs.auction.run import measure_auction_rate
from envs.auction.upstream import UPSTREAM_PATH_VARIABLE, measure_upstream_rate
from envs.journey.batched_sessions import measure_batched_rate, simulate_sessions
from envs.journey.recsim_sessions import measure_recsim_rate
from envs.market.market import BatchedMarket
from envs.market.noise import make_world_keys
from experiments.measurement import Measurement
from gaelp_rl.config.fidelity import FIDELITIES
from gaelp_rl.config.market import DEFAULT_FAMILY, load_family
from gaelp_rl.tracking import load_git_state

__all__ = ["SimulatorSizes", "make_oracle_config", "measure_simulators"]

_RECORDED_RATE = 5_550.0
"""Auctions per CPU second of AuctionGym 62216d8 on ``make_oracle_config``, AMD EPYC 2.45 GHz, Python 3.11."""

_MICROSECONDS = 1e6
_POLICIES = ("random", "greedy_pctr")


@dataclass(frozen=True, slots=True)
class SimulatorSizes:
    """How much is measured.

    Attributes:
        repeats: of every figure; the median counts.
        auctions: per repeat of the engine.
        upstream_auctions: per repeat of AuctionGym.
        users: sessions per repeat of batched users.
        recsim_users: sessions per repeat of the package.
        worlds: batch of the market.
        hours: timed at aggregate fidelity; at auction fidelity a tenth of them.
    """

    repeats: int = 5
    auctions: int = 1_000_000
    upstream_auctions: int = 4_000
    users: int = 10_000
    recsim_users: int = 40
    worlds: int = 64
    hours: int = 240


def make_oracle_config(auctions: int, **changes: Any) -> AuctionConfig:
    """AuctionGym's SP_Oracle: second price, 6 agents of 12 items that know their click probabilities.

    Args:
        auctions: per iteration.
        changes: other top-level keys; ``num_copies`` and ``num_items`` go to the agents.
    """
    agent = {
        "name": "Truthful Oracle",
        "num_copies": changes.pop("num_copies", 6),
        "num_items": changes.pop("num_items", 12),
        "allocator": {"type": "OracleAllocator", "kwargs": {}},
        "bidder": {"type": "TruthfulBidder", "kwargs": {}},
    }
    settings = {
        "random_seed": 0,
        "num_iter": 1,
        "rounds_per_iter": auctions,
        "num_participants_per_round": 2,
        "embedding_size": 5,
        "embedding_var": 1.0,
        "obs_embedding_size": 4,
        "allocation": "SecondPrice",
        "agents": [agent],
        "output_dir": "results",
        **changes,
    }
    return parse_auctiongym_config(settings, "SP_Oracle")


def measure_simulators(sizes: SimulatorSizes) -> list[Measurement]:
    """Auctions, user-steps and world-steps per CPU second beside their peers, then how cost grows."""
    return [
        _measure_engine(sizes),
        *_measure_users(sizes),
        *_measure_fidelities(sizes),
        *_measure_auction_growth(sizes),
        *_measure_user_growth(sizes),
        _measure_memory(sizes),
    ]


def _measure_engine(sizes: SimulatorSizes) -> Measurement:
    config = make_oracle_config(sizes.auctions)
    ours = measure_auction_rate(config, sizes.auctions, repeats=sizes.repeats)
    path = os.environ.get(UPSTREAM_PATH_VARIABLE)
    if path:
        peer = f"AuctionGym {load_git_state(Path(path)).label[:7]}"
        rate = _take_median(sizes.repeats, partial(measure_upstream_rate, Path(path), config, sizes.upstream_auctions))
    else:
        peer, rate = f"AuctionGym 62216d8, recorded ({UPSTREAM_PATH_VARIABLE} is not set)", _RECORDED_RATE
    return Measurement("auctions, SP_Oracle", ours, "/s", peer, rate, is_rate=True)


def _measure_users(sizes: SimulatorSizes) -> list[Measurement]:
    package = f"recsim {metadata.version('recsim')}"
    rows = []
    for model, choice, policies in (("interest_evolution", "proportional", _POLICIES), ("ads", "mnl", _POLICIES[:1])):
        peer = _take_median(sizes.repeats, partial(measure_recsim_rate, model, sizes.recsim_users))
        for policy in policies:
            rate = _take_median(sizes.repeats, partial(measure_batched_rate, model, choice, policy, sizes.users))
            name = f"user-steps, {model}, {policy}"
            rows.append(Measurement(name, rate, "/s", f"{package}, random slates", peer, is_rate=True))
    return rows


def _measure_fidelities(sizes: SimulatorSizes) -> list[Measurement]:
    rows = []
    for fidelity in FIDELITIES:
        hours = sizes.hours if fidelity == "aggregate" else max(sizes.hours // 10, 1)
        market = BatchedMarket(load_family(DEFAULT_FAMILY).at_fidelity(fidelity), sizes.worlds)
        market.reset(make_world_keys("validation", 0, sizes.worlds))
        plan = market.make_initial_plan()
        market.step(plan)
        started = time.process_time()
        for _ in range(hours):
            market.step(plan)
        rate = sizes.worlds * hours / (time.process_time() - started)
        rows.append(Measurement(f"world-steps, {sizes.worlds} worlds, {fidelity} fidelity", rate, "/s", is_rate=True))
    return rows


def _measure_auction_growth(sizes: SimulatorSizes) -> list[Measurement]:
    """Microseconds per auction as one size grows; linear growth is what the smallest would cost so often."""
    auctions = max(sizes.auctions // 10, 1)
    grown: list[tuple[str, list[tuple[int, AuctionConfig, int]]]] = [  # size, experiment, worlds
        (
            "participants",
            [(k, make_oracle_config(auctions, num_copies=16, num_participants_per_round=k), 1) for k in (2, 4, 8, 16)],
        ),
        (
            "slots at 9 participants",
            [
                (k, make_oracle_config(auctions, num_copies=9, num_participants_per_round=9, max_slots=k), 1)
                for k in (1, 2, 4, 8)
            ],
        ),
        ("items", [(n, make_oracle_config(auctions, num_items=n), 1) for n in (12, 48, 192)]),
        (
            "embedding size",
            [(d, make_oracle_config(auctions, embedding_size=d, obs_embedding_size=d), 1) for d in (5, 20, 80)],
        ),
        ("worlds", [(w, make_oracle_config(max(auctions // 16, 1)), w) for w in (1, 4, 16)]),
    ]
    rows = []
    for what, cases in grown:
        times = [
            (size, 1.0 / measure_auction_rate(config, config.rounds_per_iter, range(worlds), repeats=sizes.repeats))
            for size, config, worlds in cases
        ]
        rows += _make_growth_rows(f"auction, {what}", times, is_total=what != "worlds")
    return rows


def _measure_user_growth(sizes: SimulatorSizes) -> list[Measurement]:
    users = max(sizes.users // 10, 2)
    times = []
    for factor in (1, 4, 16):
        measure = partial(measure_batched_rate, "interest_evolution", "proportional", "random", users * factor)
        rate = _take_median(sizes.repeats, measure)
        times.append((users * factor, 1.0 / rate))
    return _make_growth_rows("user-step, users", times, is_total=False)


def _make_growth_rows(name: str, times: list[tuple[int, float]], *, is_total: bool) -> list[Measurement]:
    """One row per size; ``is_total``: the item itself grows, else there are more of the same."""
    smallest, base = times[0]
    rows = []
    for size, seconds in times:
        linear = base * (size / smallest if is_total else 1.0)
        rows.append(
            Measurement(f"{name}: {size:,}", seconds * _MICROSECONDS, "us", "linear growth", linear * _MICROSECONDS)
        )
    return rows


def _measure_memory(sizes: SimulatorSizes) -> Measurement:
    """MiB that sixteen times the auctions and users add to the process."""
    for factor in (1, 16):
        AuctionEngine(make_oracle_config(sizes.auctions // 16 * factor), (0,), compat=True).simulate_iteration()
        simulate_sessions("interest_evolution", "proportional", "random", max(sizes.users // 16, 2) * factor, 0)
        used = psutil.Process().memory_info().rss
        if factor == 1:
            before = used
    return Measurement("memory that 16 times the auctions and users add", max(used - before, 0) / 2**20, "MiB")


def _take_median(repeats: int, measure: Callable[[], float]) -> float:
    """The median of some calls after one that compiles and warms up."""
    measure()
    return float(statistics.median([measure() for _ in range(repeats)]))
