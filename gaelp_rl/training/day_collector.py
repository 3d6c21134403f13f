"""Days from all env runners: remote ones kept busy, and what their deaths cost, counted."""

from __future__ import annotations

import time

from ray.rllib.env.env_runner_group import EnvRunnerGroup

from gaelp_rl.errors import ResourceError
from gaelp_rl.training.day_sampler import SampledDay
from gaelp_rl.training.fragment import ArrayFragment
from gaelp_rl.training.remote_env_runner import sample_day

__all__ = ["DayCollector"]

_TAG = "sample"
_MOST_TIMES_WITHOUT_DAY = 20
_LONGEST_WITHOUT_DAY_S = 180.0
_PAUSE_WITHOUT_DAY_S = 1.0


class DayCollector:
    """Asks every env runner for one day after the other.

    Attributes:
        quiet_restarts: restarts that only the restarted runner itself noticed.
    """

    def __init__(self, group: EnvRunnerGroup, timeout_s: float) -> None:
        self._group, self._timeout_s = group, timeout_s
        self._asked = self._delivered = 0
        self.quiet_restarts = 0
        self._times_without_day, self._last_day_s = 0, time.monotonic()

    @property
    def restarts(self) -> int:
        """Env runners that came back after a death, since this process began."""
        return int(self._group.num_remote_worker_restarts()) + self.quiet_restarts

    @property
    def lost_days(self) -> int:
        """Days of all of a runner's worlds that were asked for and died with their runner."""
        return self._asked - self._delivered - int(self._group.num_in_flight_async_reqs(tag=_TAG))

    def collect(self) -> list[ArrayFragment]:
        """A day of every env runner; remote ones go on with the next while the learner works on this one.

        Empty where all of them are being started again. The local env runner has the metrics.

        Raises:
            ResourceError: no env runner has sampled for minutes.
        """
        local = self._group.local_env_runner
        if self._group.num_remote_env_runners() == 0:
            return [local.sample()]
        days = self.fetch() or self.fetch()
        local.report(days)
        self._check_collected(bool(days))
        return [day.fragment for day in days]

    def fetch(self) -> list[SampledDay]:
        """Waits for the days under way, then asks for the next ones; empty before the first."""
        answers = self._group.fetch_ready_async_reqs(tags=_TAG, timeout_seconds=self._timeout_s)
        days = [day for _, day in answers if day is not None]
        self.quiet_restarts += len(answers) - len(days)
        self._delivered += len(days)
        self._asked += self._group.foreach_env_runner_async(sample_day, tag=_TAG)
        return days

    def _check_collected(self, has_days: bool) -> None:
        """Waits a moment where no env runner could sample, and gives up when that lasts."""
        now_s = time.monotonic()
        if has_days:
            self._times_without_day, self._last_day_s = 0, now_s
            return
        self._times_without_day += 1
        waited_s = now_s - self._last_day_s
        if self._times_without_day > _MOST_TIMES_WITHOUT_DAY and waited_s > _LONGEST_WITHOUT_DAY_S:
            msg = f"no env runner has sampled {self._times_without_day} times in {waited_s:.0f} s: see their logs"
            raise ResourceError(msg)
        time.sleep(_PAUSE_WITHOUT_DAY_S)
