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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from rich.console import Console

from envs.market.market import BatchedMarket
from envs.market.noise import make_world_keys
from envs.market.simulation import make_ledger
from experiments.benchmark_runners import RunnerSizes, measure_runners
from experiments.benchmark_simulators import SimulatorSizes, measure_simulators
from experiments.measurement import Measurement, render_measurements
from experiments.progress import make_console
from experiments.worlds import ENV_NAME, make_env_creator, make_training_config
from gaelp_rl.config.market import DEFAULT_FAMILY, load_family
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.config.training import TrainingConfig
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
    "measure_learner",
    "measure_market",
    "measure_training",
    "run_benchmark",
]

_MICROSECONDS, _MILLISECONDS = 1e6, 1e3
_STOCK = "RLlib's own parts"
_NEVER = 10_000_000


@dataclass(frozen=True, slots=True)
class BenchmarkSizes:
    """How much is measured; the defaults take about four minutes in all.

    Attributes:
        worlds: batch of the market benchmark.
        hours: hours of it that are timed.
        training: worlds per env runner, batch, networks and ratio of updates to steps.
        calls: learner calls that are timed, of ``updates_per_call`` minibatches each.
        stock_updates: updates of the stock learner that are timed.
        days: days of all worlds that our training is timed over; the stock one gets a single day.
        simulators: sizes of the simulators' benchmark.
        runners: sizes of the env runners' benchmark, which takes some minutes more.
    """

    worlds: int = 1_024
    hours: int = 240
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    calls: int = 30
    stock_updates: int = 60
    days: int = 12
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


def measure_learner(sizes: BenchmarkSizes) -> list[Measurement]:
    """Milliseconds for one update of the same hidden sizes and batch, drawing from replay left out."""
    training = sizes.training.model_copy(update={"warmup_steps": _NEVER})
    with _open_algorithm(training, stock=False) as algorithm:
        algorithm.train()
        ours = _time_own_learner(algorithm, training, sizes.calls) / training.updates_per_call
    with _open_algorithm(training, stock=True) as algorithm:
        algorithm.train()
        stock = _time_stock_learner(algorithm, training, sizes.stock_updates)
    name = f"learner update, batch {training.batch_size}"
    return [Measurement(name, ours * _MILLISECONDS, "ms", _STOCK, stock * _MILLISECONDS)]


def measure_training(sizes: BenchmarkSizes) -> list[Measurement]:
    """Environment steps per CPU second on ``gaelp/MultiChannel-v1``, learning included, at one ratio of updates."""
    one_day = sizes.training.worlds_per_env_runner * sizes.training.episode_steps
    training = sizes.training.model_copy(update={"warmup_steps": one_day})
    rates = []
    for stock, days in ((False, sizes.days), (True, 1)):
        with _open_algorithm(training, stock=stock) as algorithm:
            before = _count_steps(algorithm.train())
            started = time.process_time()
            for _ in range(days):
                result = algorithm.train()
            rates.append((_count_steps(result) - before) / (time.process_time() - started))
    name = f"training steps, one update per {training.env_steps_per_update}"
    return [Measurement(name, rates[0], "steps/s", _STOCK, rates[1], is_rate=True)]


BENCHMARKS: Mapping[str, Callable[[BenchmarkSizes], list[Measurement]]] = MappingProxyType(
    {
        "market": measure_market,
        "simulators": lambda sizes: measure_simulators(sizes.simulators),
        "learner": measure_learner,
        "training": measure_training,
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
        name: a key of ``BENCHMARKS``, or ``all`` for every one but ``NOT_IN_ALL``.
        sizes: how much is measured.
        out: folder of the JSON file.
        console: where the table goes.

    Returns:
        The measurements, in the order of the table.

    Raises:
        UnknownReferenceError: there is no such benchmark.
    """
    names = [one for one in BENCHMARKS if one not in NOT_IN_ALL] if name == "all" else [name]
    if not set(names) <= set(BENCHMARKS):
        msg = f"benchmark {name!r} does not exist.{suggest(name, [*BENCHMARKS, 'all'])}"
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


def _time_own_learner(algorithm: Any, training: TrainingConfig, calls: int) -> float:
    """CPU seconds per call."""
    from gaelp_rl.training.learner import make_learner_batch

    drawn = algorithm.replay.sample(training.updates_per_call * training.batch_size, 1.0)
    batch = make_learner_batch(drawn, drawn.rewards)
    return _time_call(lambda: algorithm.learner_group.update(batch=batch, timesteps=_TIMESTEPS), calls)


def _time_stock_learner(algorithm: Any, training: TrainingConfig, updates: int) -> float:
    """CPU seconds per update."""
    episodes = algorithm.local_replay_buffer.sample(
        num_items=training.batch_size, n_step=training.n_step, gamma=training.gamma, beta=1.0, sample_episodes=True
    )
    return _time_call(lambda: algorithm.learner_group.update(episodes=episodes, timesteps=_TIMESTEPS), updates)


_TIMESTEPS = {"num_env_steps_sampled_lifetime": 1}


def _time_call(call: Callable[[], Any], times: int) -> float:
    """Mean CPU seconds of a call, the first left out."""
    call()
    started = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - started) / times


def _count_steps(result: Mapping[str, Any]) -> float:
    return float(result["env_runners"]["num_env_steps_sampled_lifetime"])


@contextmanager
def _open_algorithm(training: TrainingConfig, *, stock: bool) -> Iterator[Any]:
    """An algorithm in this process on the sprint's environment, on one thread of torch."""
    import ray
    import torch

    from gaelp_rl.training.setup import make_algorithm_config

    config = SprintConfig(training=training)
    is_own_ray = not ray.is_initialized()
    if is_own_ray:
        ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    algorithm = None
    try:
        settings = make_training_config(config)
        algorithm = make_algorithm_config(settings, ENV_NAME, make_env_creator(config), stock=stock).build_algo()
        yield algorithm
    finally:
        if algorithm is not None:
            algorithm.stop()
        torch.set_num_threads(threads)
        if is_own_ray:
            ray.shutdown()


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
