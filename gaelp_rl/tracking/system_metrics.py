"""What a run takes from its machine: processor, memory, disk and network, sampled in the background.

MLflow's own monitor sees only the whole machine, reads the global tracking URI and stops at the first failed write.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from gaelp_rl.errors import ResourceError

__all__ = ["RECORDED_S", "SystemMonitor", "SystemSampler"]

RECORDED_S = "system/recorded_s"
"""Metric that holds the step of the samples: seconds recorded, over all sessions of a run."""


@dataclass(frozen=True, slots=True)
class _Usage:
    """Totals at one moment.

    Attributes:
        cpu_s: CPU seconds by process.
        read_bytes, write_bytes: to and from disks, by process.
        private_bytes: resident memory that no other process shares, summed.
        shared_bytes: the largest shared part of any process.
    """

    cpu_s: Mapping[tuple[int, float], float]
    read_bytes: Mapping[tuple[int, float], float]
    write_bytes: Mapping[tuple[int, float], float]
    private_bytes: float
    shared_bytes: float


class SystemSampler:
    """Measures a process and its descendants, and the machine around them, between two calls.

    Args:
        disk: a path on the disk that results are written to.
        root: the process; None for this one.
        clock: monotonic seconds.
    """

    def __init__(
        self, disk: Path, root: psutil.Process | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._disk, self._root, self._clock = disk, root or psutil.Process(), clock
        self._last_s = clock()
        self._usage = _measure(self._root)
        self._network = psutil.net_io_counters()
        psutil.cpu_percent()  # the first answer has nothing to compare with

    def sample(self) -> dict[str, float]:
        """What happened since the last call.

        Returns:
            ``system/...`` as ``docs/metrics.md`` defines them; those that this platform does not tell are left out.
        """
        now_s = self._clock()
        elapsed_s = max(now_s - self._last_s, 1e-6)
        usage, network, before = _measure(self._root), psutil.net_io_counters(), self._usage
        memory = psutil.virtual_memory()
        sampled = {
            "system/cpu_cores": _sum_growth(usage.cpu_s, before.cpu_s) / elapsed_s,
            "system/memory_bytes": usage.private_bytes + usage.shared_bytes,
            "system/processes": float(len(usage.cpu_s)),
            "system/machine_cpu_share": psutil.cpu_percent() / 100.0,
            "system/machine_memory_available_bytes": float(memory.available),
            "system/disk_free_bytes": float(psutil.disk_usage(str(_find_existing(self._disk))).free),
        }
        if usage.read_bytes:
            sampled["system/disk_read_bytes_per_s"] = _sum_growth(usage.read_bytes, before.read_bytes) / elapsed_s
            sampled["system/disk_write_bytes_per_s"] = _sum_growth(usage.write_bytes, before.write_bytes) / elapsed_s
        if network is not None and self._network is not None:
            received, sent = (
                network.bytes_recv - self._network.bytes_recv,
                network.bytes_sent - self._network.bytes_sent,
            )
            sampled["system/machine_network_received_bytes_per_s"] = max(received, 0) / elapsed_s
            sampled["system/machine_network_sent_bytes_per_s"] = max(sent, 0) / elapsed_s
        self._last_s, self._usage, self._network = now_s, usage, network
        return sampled


class SystemMonitor:
    """Samples in a background thread until it is stopped.

    Args:
        log: takes the metrics of a sample and its step; called in that thread.
        sampler: measures.
        every_s: seconds between two samples.
        recorded_s: seconds that earlier sessions of the run have recorded: steps go on from there.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        log: Callable[[Mapping[str, float], int], None],
        sampler: SystemSampler,
        every_s: float,
        recorded_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._sampler, self._every_s, self._clock = log, sampler, every_s, clock
        self._started_s = clock() - recorded_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="system-metrics", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Takes a last sample and ends; a second call does nothing."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        self._log_sample()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self._log_sample()
            except ResourceError:
                return  # the store is gone for good; the run's own thread meets the same error and raises it

    def _log_sample(self) -> None:
        recorded_s = self._clock() - self._started_s
        self._log({**self._sampler.sample(), RECORDED_S: recorded_s}, int(recorded_s))


def _measure(root: psutil.Process) -> _Usage:
    cpu_s, read_bytes, write_bytes = {}, {}, {}
    private_bytes = shared_bytes = 0.0
    for process in [root, *root.children(recursive=True)]:
        try:
            with process.oneshot():
                key = (process.pid, process.create_time())
                times, memory = process.cpu_times(), process.memory_info()
                shared = float(getattr(memory, "shared", 0))
                io = process.io_counters() if hasattr(process, "io_counters") else None
        except (psutil.Error, OSError):
            continue  # it has just ended, or belongs to somebody else
        cpu_s[key] = times.user + times.system
        private_bytes += memory.rss - shared
        shared_bytes = max(shared_bytes, shared)
        if io is not None:
            read_bytes[key], write_bytes[key] = float(io.read_bytes), float(io.write_bytes)
    return _Usage(cpu_s, read_bytes, write_bytes, private_bytes, shared_bytes)


def _sum_growth(now: Mapping[tuple[int, float], float], before: Mapping[tuple[int, float], float]) -> float:
    """Growth over all processes; one that is new counts from zero, one that has ended no more."""
    return sum(total - before.get(process, 0.0) for process, total in now.items())


def _find_existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())
