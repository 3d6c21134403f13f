"""Planners run through worlds side by side, one planner in one family a process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Self

from envs.market.noise import Split, make_world_keys
from envs.market.simulation import WorldBooks, simulate_planner
from experiments.planners import NamedPlanner
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.ledger import HOURS_PER_DAY
from gaelp_rl.errors import ResourceError

__all__ = ["OnHour", "Simulation", "WorldPool", "count_workers"]

OnHour = Callable[[int, str], None]
"""Called with the hours simulated so far, over all simulations, and the name of a planner."""

_MOST_WORKERS = 8
_WORTH_STARTING = 300_000
"""World-hours that take about as long here as workers take to start, 3 s."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """One planner in some worlds of a family.

    Attributes:
        planner: who; it is sent to another process, so its parts must pickle.
        family: of the worlds.
        split: which seeds.
        first_seed: of world 0; world i has ``first_seed + i``.
        num_worlds: how many.
    """

    planner: NamedPlanner
    family: FamilyConfig
    split: Split
    first_seed: int
    num_worlds: int

    @property
    def hours(self) -> int:
        """Length of a world."""
        return self.family.days * HOURS_PER_DAY

    @property
    def world_hours(self) -> int:
        """How much there is to simulate."""
        return self.hours * self.num_worlds

    def run(self, on_hour: Callable[[int, int], None] | None = None) -> WorldBooks:
        """Simulates here; ``on_hour`` is called with (hours so far, hours in all)."""
        keys = make_world_keys(self.split, self.first_seed, self.num_worlds)
        return simulate_planner(self.planner.make(self.family), self.family, keys, on_hour)


def count_workers() -> int:
    """Processes that this one may fill: its cores, a few at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MOST_WORKERS)


class WorldPool:
    """Worker processes for simulations; they start when there is enough to do, and end with the context.

    The books are the same to the last bit wherever a simulation runs: a world's noise is a function of its key.
    """

    def __init__(self, workers: int | None = None, worth_starting: int = _WORTH_STARTING) -> None:
        """Starts nothing yet.

        Args:
            workers: processes; as many as cores if not given. With 1, everything runs here.
            worth_starting: world-hours to simulate at once for which workers are started.
        """
        self._workers = count_workers() if workers is None else workers
        self._worth_starting = worth_starting
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the workers; what they have not begun is dropped."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None

    def run(self, simulations: Sequence[Simulation], on_hour: OnHour | None = None) -> list[WorldBooks]:
        """Runs simulations, and returns their books in order.

        Raises:
            ResourceError: a worker died, mostly for want of memory.
        """
        is_little = self._executor is None and sum(one.world_hours for one in simulations) < self._worth_starting
        if is_little or self._workers == 1 or len(simulations) == 1:
            return list(_run_here(simulations, on_hour))
        try:
            return self._run_apart(simulations, on_hour)
        except BrokenProcessPool as error:
            self._executor = None
            msg = (
                f"a process that simulates worlds died ({error}); {self._workers} ran side by side: "
                "free some memory, or judge fewer worlds"
            )
            raise ResourceError(msg) from error

    def _run_apart(self, simulations: Sequence[Simulation], on_hour: OnHour | None) -> list[WorldBooks]:
        if self._executor is None:
            context = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(self._workers, context, initializer=_live_and_die_with_parent)
        with _one_thread_each():
            futures = {self._executor.submit(Simulation.run, one): one for one in simulations}
        done = 0
        for future in as_completed(futures):
            future.result()
            done += futures[future].hours
            if on_hour is not None:
                on_hour(done, futures[future].planner.name)
        return [future.result() for future in futures]


def _run_here(simulations: Sequence[Simulation], on_hour: OnHour | None) -> Iterator[WorldBooks]:
    before = 0
    for one in simulations:

        def report(hour: int, hours: int, *, past: int = before, name: str = one.planner.name) -> None:
            del hours
            if on_hour is not None:
                on_hour(past + hour, name)

        yield one.run(report)
        before += one.hours


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that start within multiply matrices on one thread: together they fill the cores already."""
    name = "OMP_NUM_THREADS"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _live_and_die_with_parent() -> None:
    """A worker's first act: Ctrl-C is its parent's to handle, and a parent that was killed takes it along."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
