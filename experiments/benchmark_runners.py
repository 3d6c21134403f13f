"""What env runners cost, by how many there are and how many worlds each steps: start-up, memory, rate.

Every shape is measured in a fresh process, over its whole tree of processes, Ray's own included:

    python -m experiments.benchmark_runners ENV_RUNNERS WORLDS ENV_STEPS
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from experiments.measurement import Measurement
from experiments.preflight import check_capacity, load_capacity
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.config.training import TrainingConfig
from gaelp_rl.errors import ResourceError

__all__ = ["SHAPES", "RunnerSizes", "ShapeCost", "main", "measure_runners", "measure_shape"]

SHAPES = ((0, 128), (0, 256), (0, 512), (1, 256), (2, 256), (10, 32), (50, 8))
"""(env runners, worlds of each)."""

_MIB = 2**20
_MOST_SECONDS = 900


@dataclass(frozen=True, slots=True)
class RunnerSizes:
    """How much is measured.

    Attributes:
        shapes: (env runners, worlds of each).
        env_steps: environment steps, learning included, that are timed.
    """

    shapes: tuple[tuple[int, int], ...] = SHAPES
    env_steps: int = 150_000


@dataclass(frozen=True, slots=True)
class ShapeCost:
    """What one shape costs, over the whole tree of processes.

    Attributes:
        start_s, start_cpu_s: wall and CPU seconds until all env runners are up.
        memory_mib: proportional set size after training.
        env_runner_mib: the same of one env runner; 0 where there is none.
        steps_per_s, steps_per_cpu_s: environment steps per wall and per CPU second, learning included.
    """

    start_s: float
    start_cpu_s: float
    memory_mib: float
    env_runner_mib: float
    steps_per_s: float
    steps_per_cpu_s: float


def measure_runners(sizes: RunnerSizes) -> list[Measurement]:
    """The cost of every shape that fits this machine; one that does not is left out, with a line that says so."""
    rows: list[Measurement] = []
    for env_runners, worlds in sizes.shapes:
        try:
            check_capacity(_make_config(env_runners, worlds), load_capacity(SprintConfig().out))
        except ResourceError as error:
            sys.stderr.write(f"left out: {env_runners} x {worlds}: {error}\n")
            continue
        rows += _to_measurements(f"{env_runners} x {worlds}", _measure_apart(env_runners, worlds, sizes.env_steps))
    return rows


def measure_shape(env_runners: int, worlds: int, env_steps: int) -> ShapeCost:
    """Trains with one shape in this process, which should do nothing else."""
    import ray

    from experiments.worlds import ENV_NAME, make_env_creator, make_training_config
    from gaelp_rl.training.setup import make_algorithm_config

    config = _make_config(env_runners, worlds)
    started, started_cpu = time.monotonic(), _measure_tree()[0]
    ray.init(
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=200 * _MIB,
    )
    try:
        algorithm = make_algorithm_config(make_training_config(config), ENV_NAME, make_env_creator(config)).build_algo()
        up, up_cpu = time.monotonic(), _measure_tree()[0]
        _train_until(algorithm, 2 * max(env_runners, 1) * worlds * config.training.episode_steps)
        before, began, began_cpu = algorithm.env_steps, time.monotonic(), _measure_tree()[0]
        _train_until(algorithm, before + env_steps)
        steps, seconds = algorithm.env_steps - before, time.monotonic() - began
        cpu, memory, one = _measure_tree()
        algorithm.stop()
    finally:
        ray.shutdown()
    return ShapeCost(
        up - started, up_cpu - started_cpu, memory / _MIB, one / _MIB, steps / seconds, steps / (cpu - began_cpu)
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures one shape and prints it as JSON."""
    env_runners, worlds, env_steps = map(int, arguments if arguments is not None else sys.argv[1:])
    sys.stdout.write(json.dumps(asdict(measure_shape(env_runners, worlds, env_steps))) + "\n")
    return 0


def _make_config(env_runners: int, worlds: int) -> SprintConfig:
    return SprintConfig(training=TrainingConfig(env_runners=env_runners, worlds_per_env_runner=worlds))


def _measure_apart(env_runners: int, worlds: int, env_steps: int) -> ShapeCost:
    command = [sys.executable, "-m", "experiments.benchmark_runners", str(env_runners), str(worlds), str(env_steps)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_MOST_SECONDS, check=True)
    except subprocess.SubprocessError as error:
        said = str(getattr(error, "stderr", "") or "").strip().rpartition("\n")[2]
        msg = f"{env_runners} env runners x {worlds} worlds could not be measured ({error}): {said or 'no output'}"
        raise ResourceError(msg) from error
    return ShapeCost(**json.loads(done.stdout.strip().rpartition("\n")[2]))


def _train_until(algorithm: Any, env_steps: int) -> None:
    while algorithm.env_steps < env_steps:
        algorithm.train()


def _measure_tree() -> tuple[float, float, float]:
    """CPU seconds and proportional bytes of this process and all below it, and bytes of the largest env runner."""
    import psutil

    cpu = memory = largest = 0.0
    root = psutil.Process()
    for process in (root, *root.children(recursive=True)):
        try:
            times, used = process.cpu_times(), float(process.memory_full_info().pss)
            is_env_runner = any("EnvRunner" in part for part in process.cmdline())
        except psutil.Error:
            continue
        cpu += times.user + times.system
        memory += used
        largest = max(largest, used) if is_env_runner else largest
    return cpu, memory, largest


def _to_measurements(shape: str, cost: ShapeCost) -> list[Measurement]:
    return [
        Measurement(f"{shape}: start-up", cost.start_s, "s"),
        Measurement(f"{shape}: start-up, CPU", cost.start_cpu_s, "CPU s"),
        Measurement(f"{shape}: memory of all processes", cost.memory_mib, "MiB", "goal", 16_384.0),
        Measurement(f"{shape}: memory of one env runner", cost.env_runner_mib, "MiB"),
        Measurement(f"{shape}: training", cost.steps_per_s, "steps/s", is_rate=True),
        Measurement(f"{shape}: training, per CPU", cost.steps_per_cpu_s, "steps/CPU s", is_rate=True),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
