"""``gaelp benchmark``: what things cost on this machine, beside their goals and real peers.

Every figure is CPU time of this process, on one thread, so that a busy machine changes little; both
sides of a ratio are measured in the same run. Ratios above 1 are in our favour.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import numpy as np
from rich.console import Console

from envs.market.market import BatchedMarket
from envs.market.noise import make_world_keys
from envs.market.simulation import make_ledger
from experiments.benchmark_faults import FAULTS, FaultSizes, run_fault_campaign
from experiments.benchmark_runners import RunnerSizes, measure_runners
from experiments.benchmark_simulators import SimulatorSizes, measure_simulators
from experiments.benchmark_training import TrainingSizes, measure_learner, measure_training
from experiments.measurement import Measurement, render_measurements
from experiments.progress import make_console
from experiments.worlds import make_env_creator
from gaelp_rl.config.market import DEFAULT_FAMILY, load_family
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.control.change_limits import limit_changes
from gaelp_rl.control.market_model import make_channel_priors, make_market_model
from gaelp_rl.control.reference import ReferenceController
from gaelp_rl.domain.ledger import HOURS_PER_DAY
from gaelp_rl.errors import UnknownReferenceError, suggest
from gaelp_rl.features.actions import ACTION_SIZE
from gaelp_rl.features.builder import build_observation

__all__ = [
    "BENCHMARKS",
    "NOT_IN_ALL",
    "BenchmarkSizes",
    "measure_market",
    "run_benchmark",
]

_MICROSECONDS = 1e6


@dataclass(frozen=True, slots=True)
class BenchmarkSizes:
    """How much is measured; the defaults take about four minutes in all.

    Attributes:
        worlds: batch of the market benchmark.
        hours: hours of it that are timed.
        training: sizes of the learner's and the training benchmark.
        simulators: sizes of the simulators' benchmark.
        runners: sizes of the env runners' benchmark, which takes some minutes more.
    """

    worlds: int = 1_024
    hours: int = 240
    training: TrainingSizes = dataclasses.field(default_factory=TrainingSizes)
    simulators: SimulatorSizes = dataclasses.field(default_factory=SimulatorSizes)
    runners: RunnerSizes = dataclasses.field(default_factory=RunnerSizes)


def measure_market(sizes: BenchmarkSizes) -> list[Measurement]:
    """Microseconds of one core for one hour of one world: alone, planned for, observed, and as trained on."""
    market_s, planned_s, observed_s = _time_market(sizes)
    per_world_step = _MICROSECONDS / (sizes.hours * sizes.worlds)
    trained_s = _time_environment(sizes)
    name = f"market hour, {sizes.worlds:,} worlds"
    return [
        Measurement(f"{name}: market alone", market_s * per_world_step, "us", "goal", 5.0),
        Measurement(f"{name}: + ledger and controller", planned_s * per_world_step, "us", "goal", 15.0),
        Measurement(f"{name}: + observation", observed_s * per_world_step, "us"),
        Measurement(f"{name}: training environment, twin included", trained_s * per_world_step, "us"),
    ]


BENCHMARKS: Mapping[str, Callable[[BenchmarkSizes], list[Measurement]]] = MappingProxyType(
    {
        "market": measure_market,
        "simulators": lambda sizes: measure_simulators(sizes.simulators),
        "learner": lambda sizes: measure_learner(sizes.training),
        "training": lambda sizes: measure_training(sizes.training),
        "runners": lambda sizes: measure_runners(sizes.runners),
    }
)
"""Every benchmark by name."""

NOT_IN_ALL = frozenset({"runners"})
"""Benchmarks that take long or much memory: only asked for by name."""


def run_benchmark(
    name: str, sizes: BenchmarkSizes | None = None, out: Path = Path("runs/benchmark"), console: Console | None = None
) -> list[Measurement]:
    """Measures, prints a table and writes ``<out>/<name>.json``.

    Args:
        name: a key of ``BENCHMARKS``; ``all`` of them but ``NOT_IN_ALL``; or ``faults``, which breaks things and
            measures nothing else.
        sizes: how much is measured.
        out: folder of the JSON file.
        console: where the table goes.

    Returns:
        The measurements, in the order of the table; none for ``faults``, which has a table of its own.

    Raises:
        UnknownReferenceError: there is no such benchmark.
        CheckpointError: ``faults`` found that training does not survive them.
    """
    if name == FAULTS:
        run_fault_campaign(FaultSizes(), out, console or make_console())
        return []
    names = [one for one in BENCHMARKS if one not in NOT_IN_ALL] if name == "all" else [name]
    if not set(names) <= set(BENCHMARKS):
        msg = f"benchmark {name!r} does not exist.{suggest(name, [*BENCHMARKS, FAULTS, 'push', 'read', 'all'])}"
        raise UnknownReferenceError(msg)
    console, sizes = console or make_console(), sizes or BenchmarkSizes()
    measurements = []
    for one in names:
        with console.status(f"measuring {one}"):
            measurements += BENCHMARKS[one](sizes)
    console.print(render_measurements(measurements))
    path = _write_json(out, name, measurements)
    console.print(f"written to {path}")
    return measurements


def _time_market(sizes: BenchmarkSizes) -> tuple[float, float, float]:
    """CPU seconds over all hours: market; market, ledger and controller; and observation too."""
    family = load_family(DEFAULT_FAMILY)
    market, priors = BatchedMarket(family, sizes.worlds), make_channel_priors(family)
    controller = ReferenceController(make_market_model(family), family.objective)
    ledger = make_ledger(market)
    ledger.observe(market.reset(make_world_keys("validation", 0, sizes.worlds)))
    ledger.record_plan(market.make_initial_plan())
    controller.reset(ledger)
    in_market = in_planning = in_observation = 0.0
    for hour in range(HOURS_PER_DAY + sizes.hours):  # the first day compiles, and fills the history
        if hour == HOURS_PER_DAY:
            in_market = in_planning = in_observation = 0.0
        started = time.process_time()
        plan = limit_changes(controller.plan(ledger), ledger)
        planned = time.process_time()
        report, _ = market.step(plan)
        stepped = time.process_time()
        ledger.record_plan(plan)
        ledger.observe(report)
        recorded = time.process_time()
        build_observation(ledger, family.objective, priors, controller.compute_features().astype(np.float32))
        in_market += stepped - planned
        in_planning += (planned - started) + (recorded - stepped)
        in_observation += time.process_time() - recorded
    return in_market, in_market + in_planning, in_market + in_planning + in_observation


def _time_environment(sizes: BenchmarkSizes) -> float:
    """CPU seconds of ``sizes.hours`` steps of the environment that training runs in."""
    env = make_env_creator(SprintConfig())({"num_envs": sizes.worlds})
    env.reset(seed=0)
    action = np.zeros((sizes.worlds, ACTION_SIZE), dtype=np.float32)
    env.step(action)
    started = time.process_time()
    for _ in range(sizes.hours):
        env.step(action)
    return time.process_time() - started


def _write_json(out: Path, name: str, measurements: list[Measurement]) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    content = {
        "benchmark": name,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "measurements": [{**dataclasses.asdict(row), "ratio": row.ratio} for row in measurements],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path
