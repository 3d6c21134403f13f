"""A small real sprint as a process of its own, to be killed."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from gaelp_rl.errors import ResourceError
from gaelp_rl.training.checkpoint import list_checkpoints

__all__ = ["CHECKPOINT_EVERY", "DAYS_PER_ITERATION", "SprintProcess", "list_numbers"]

DAYS_PER_ITERATION = 16
CHECKPOINT_EVERY = 64
_NEVER_ENDS = 10_000_000
_POLL_S = 0.02
_PROJECT = Path(__file__).resolve().parents[1]
_RESUMED = re.compile(r"resumed at ([\d,]+) episodes from .* in (the same|new) worlds")


def list_numbers(checkpoints: Path) -> list[int]:
    """Episodes of the complete checkpoints in a folder, ascending."""
    return [int(path.name.rsplit("-", 1)[1]) for path in list_checkpoints(checkpoints)]


class SprintProcess:
    """``python -m experiments.sprint`` on few worlds, with a checkpoint every fourth iteration.

    Args:
        out: the run's folder.
        resume: go on from the newest checkpoint, with the settings of the folder.
        overrides: settings besides the small ones, as ``--set`` takes them.
        records: where its output and its MLflow store go; None for beside ``out``.

    Attributes:
        started_s: when it was started, seconds of ``time.monotonic``.
    """

    def __init__(
        self, out: Path, *, resume: bool, overrides: tuple[str, ...] = (), records: Path | None = None
    ) -> None:
        records = records or out.parent
        self.checkpoints = out / "checkpoints"
        self._log = records / f"{out.name}.log"
        self._start_of_log = self._log.stat().st_size if self._log.exists() else 0
        settings = [f'out="{out}"', *overrides] if resume else [*_make_small_settings(out, records), *overrides]
        command = [sys.executable, "-m", "experiments.sprint"]
        command += [part for setting in settings for part in ("--set", setting)]
        command += ["--resume", "latest"] if resume else []
        self.started_s = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=_PROJECT, env={**os.environ, "RAY_ADDRESS": ""}, stdout=log, stderr=subprocess.STDOUT
            )

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kills it, if it still runs."""
        self.kill()

    @property
    def printed(self) -> str:
        """What it has printed so far."""
        with self._log.open("rb") as log:
            log.seek(self._start_of_log)
            return log.read().decode("utf-8", errors="replace")

    def wait_for(self, is_so: Callable[[], bool], what: str, timeout_s: float = 600.0) -> float:
        """Waits until something holds.

        Returns:
            Seconds since the process was started.

        Raises:
            ResourceError: the process ended first, or it took too long.
        """
        deadline_s = time.monotonic() + timeout_s
        while not is_so():
            ended = self._process.poll()
            if (ended is not None and not is_so()) or time.monotonic() > deadline_s:
                self.kill()
                msg = f"a sprint was to reach {what!r} but ended with {ended}:\n{self.printed[-2_000:]}"
                raise ResourceError(msg)
            time.sleep(_POLL_S)
        return time.monotonic() - self.started_s

    def wait_until_under_way(self, above: int) -> float:
        """Waits for the first checkpoint above ``above`` episodes; returns seconds since the start."""
        return self.wait_for(lambda: list_numbers(self.checkpoints)[-1:] > [above], f"a checkpoint above {above}")

    def wait_until_resumed(self) -> tuple[int, bool, float]:
        """Waits for the line that says so.

        Returns:
            Episodes that it goes on from, whether in the same worlds, and seconds since the start.
        """
        seconds = self.wait_for(lambda: self._find_resumed() is not None, "resumed")
        found = self._find_resumed()
        episodes, worlds = found.groups() if found else ("0", "new")
        return int(episodes.replace(",", "")), worlds == "the same", seconds

    def _find_resumed(self) -> re.Match[str] | None:
        return _RESUMED.search(" ".join(self.printed.split()))  # a console breaks lines where they are full

    def wait_for_end(self, timeout_s: float = 240.0) -> int | None:
        """Its exit code; None if it still runs then."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s)
        return None

    def limit_files(self, size_bytes: int) -> None:
        """From now on the kernel cuts off what it writes to a file beyond that size."""
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))

    def kill(self) -> None:
        """SIGKILL: nothing of it runs after."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int | None:
        """SIGTERM, then its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait_for_end()


def _make_small_settings(out: Path, records: Path) -> list[str]:
    tracking = records / f"{out.name}-mlflow"
    return [
        f'out="{out}"',
        f'tracking.database="{tracking / "mlflow.db"}"',
        f'tracking.artifact_root="{tracking / "artifacts"}"',
        "tracking.metric_delay_s=0",
        'families=["campaign"]',
        'bootstrap="none"',
        "validation_worlds=8",
        f"training.episodes={_NEVER_ENDS}",
        f"training.worlds_per_env_runner={DAYS_PER_ITERATION}",
        "training.warmup_steps=384",
        "training.batch_size=64",
        "training.replay_capacity=8000",
        "training.critic_warmup_updates=8",
        "training.validate_every_episodes=4096",
        f"training.checkpoint_every_episodes={CHECKPOINT_EVERY}",
    ]
