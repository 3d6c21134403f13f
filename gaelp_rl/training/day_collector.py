"""Remote env runners kept busy, and what their deaths cost, counted."""

from __future__ import annotations

from ray.rllib.env.env_runner_group import EnvRunnerGroup

from gaelp_rl.training.day_sampler import SampledDay
from gaelp_rl.training.remote_env_runner import sample_day

__all__ = ["DayCollector"]

_TAG = "sample"


class DayCollector:
    """Asks every remote env runner for one day after the other.

    Attributes:
        quiet_restarts: restarts that only the restarted runner itself noticed.
    """

    def __init__(self, group: EnvRunnerGroup, timeout_s: float) -> None:
        self._group, self._timeout_s = group, timeout_s
        self._asked = self._delivered = 0
        self.quiet_restarts = 0

    @property
    def restarts(self) -> int:
        """Env runners that came back after a death, since this process began."""
        return int(self._group.num_remote_worker_restarts()) + self.quiet_restarts

    @property
    def lost_days(self) -> int:
        """Days of all of a runner's worlds that were asked for and died with their runner."""
        return self._asked - self._delivered - int(self._group.num_in_flight_async_reqs(tag=_TAG))

    def fetch(self) -> list[SampledDay]:
        """Waits for the days under way, then asks for the next ones; empty before the first."""
        answers = self._group.fetch_ready_async_reqs(tags=_TAG, timeout_seconds=self._timeout_s)
        days = [day for _, day in answers if day is not None]
        self.quiet_restarts += len(answers) - len(days)
        self._delivered += len(days)
        self._asked += self._group.foreach_env_runner_async(sample_day, tag=_TAG)
        return days
