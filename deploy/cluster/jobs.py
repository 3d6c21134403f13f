"""Ray jobs: submitted with what they need, followed to their end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Self

import aiohttp

from deploy.cluster.dashboard import ENDED
from deploy.cluster.sprint_job import SprintJob
from deploy.cluster.target import ClusterTarget
from gaelp_rl.errors import ConfigError, ResourceError
from gaelp_rl.tracking.environment import make_git_environment

__all__ = ["JobClient", "make_plain_command"]

DETACHED = 130
STOPPED = 143
_RETRIES = 5
_QUIET = ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging", "ray.dashboard.modules.job.sdk")


class JobClient:
    """Jobs of one cluster.

    Args:
        target: the cluster.

    Raises:
        ResourceError: it does not answer, or refuses the token.
    """

    def __init__(self, target: ClusterTarget) -> None:
        from ray.job_submission import JobSubmissionClient  # takes seconds

        for name in _QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._target = target
        with _errors_mapped(f"reach {target.address}"):
            self._client: Any = JobSubmissionClient(target.address, headers={"Authorization": f"Bearer {target.token}"})

    def submit_sprint(self, job: SprintJob, upload: Path, checkout: Path) -> str:
        """Sends code and command.

        Args:
            job: the sprint.
            upload: the staged copy of the checkout.
            checkout: the checkout, whose commit the run records.

        Returns:
            The job's identifier.

        Raises:
            ConfigError: another job is writing to the same folder.
            ResourceError: the cluster refuses.
        """
        out = str(job.config.out.absolute() if self._target.is_local else job.config.out)
        for other in self._target.dashboard.fetch_jobs():
            if not other.is_ended and other.out == out:
                raise ConfigError(
                    f"job {other.job_id} is writing to {out}: choose another with --out, or stop it first with "
                    f"`gaelp cluster stop {other.job_id}`"
                )
        with _errors_mapped("submit the job"):
            return str(
                self._client.submit_job(
                    entrypoint=job.entrypoint,
                    submission_id=f"sprint-{secrets.token_hex(4)}",
                    runtime_env={
                        "working_dir": str(upload),
                        "env_vars": {"PYTHONUNBUFFERED": "1", **make_git_environment(checkout)},
                    },
                    metadata={"job_name": "sprint", "out": out},
                )
            )

    def follow(self, job_id: str, write: Callable[[str], None]) -> int:
        """Passes a job's output on, from its start, until it ends.

        A connection that breaks is made again, and goes on where it broke.

        Args:
            job_id: the job.
            write: takes pieces of text as they come.

        Returns:
            The exit code: the job's own, or 143 for one that was stopped.

        Raises:
            KeyboardInterrupt: Ctrl-C; the job goes on.
            ResourceError: the cluster is gone, or knows no such job.
        """
        output = _Output(write)
        with _Interrupt() as interrupt:
            self._follow_to_end(job_id, output, interrupt)
        return self.compute_exit_code(job_id)

    def _follow_to_end(self, job_id: str, output: _Output, interrupt: _Interrupt) -> None:
        for attempt in range(_RETRIES + 1):
            try:
                asyncio.run(self._tail(job_id, output))
            except (aiohttp.ClientError, OSError, RuntimeError) as error:
                interrupt.check()
                if attempt == _RETRIES:
                    raise ResourceError(f"the log of job {job_id} cannot be followed: {error}") from error
                time.sleep(min(2.0**attempt, 10.0))
                continue
            interrupt.check()
            if self.fetch_info(job_id).status in ENDED:
                break
            time.sleep(1.0)

    def fetch_logs(self, job_id: str) -> str:
        """All that a job has printed so far.

        Raises:
            ResourceError: the cluster does not answer, or knows no such job.
        """
        with _errors_mapped(f"read the log of job {job_id}"):
            return str(self._client.get_job_logs(job_id))

    def fetch_info(self, job_id: str) -> Any:
        """Ray's ``JobDetails``.

        Raises:
            ResourceError: the cluster does not answer, or knows no such job.
        """
        with _errors_mapped(f"find job {job_id}"):
            return self._client.get_job_info(job_id)

    def compute_exit_code(self, job_id: str, within_s: float = 30.0) -> int:
        """The exit code of a job that has ended, or is about to."""
        deadline = time.monotonic() + within_s
        while (info := self.fetch_info(job_id)).status not in ENDED:
            if time.monotonic() > deadline:
                raise ResourceError(
                    f"job {job_id} is still {info.status}; follow it with `gaelp cluster logs {job_id}`"
                )
            time.sleep(0.5)
        if info.status == "SUCCEEDED":
            return 0
        return STOPPED if info.status == "STOPPED" else int(info.driver_exit_code or 1)

    async def _tail(self, job_id: str, output: _Output) -> None:
        output.rewind()
        async for piece in self._client.tail_job_logs(job_id):
            output.take(piece)


class _Interrupt:
    """While entered, Ctrl-C is remembered besides being raised.

    asyncio turns it into a cancelled task, and a connection that breaks at that moment raises its own
    error instead: the wish to stop would be lost.
    """

    def __init__(self) -> None:
        self._is_made = False
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def check(self) -> None:
        if self._is_made:
            raise KeyboardInterrupt

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._is_made = True
        raise KeyboardInterrupt


class _Output:
    """Passes on each character once, though every new connection starts at the first."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._seen = self._passed = 0

    def rewind(self) -> None:
        self._seen = 0

    def take(self, piece: str) -> None:
        fresh = piece[max(self._passed - self._seen, 0) :]
        self._seen += len(piece)
        if fresh:
            self._passed = self._seen
            self._write(fresh)


def make_plain_command(target: ClusterTarget, job: SprintJob) -> str:
    """The same job by Ray's own command line; it holds no secret."""
    variables = " ".join(f"{name}={shlex.quote(text)}" for name, text in target.environment.items())
    return f"{variables} ray job submit --working-dir . -- {job.entrypoint}"


@contextlib.contextmanager
def _errors_mapped(action: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ConnectionError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()
        raise ResourceError(f"could not {action}: {reason[-1] if reason else type(error).__name__}") from error
