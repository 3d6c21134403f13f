"""One place for patience: retries, waits and quotas of every call to a platform.

The SDKs' own hidden retries are switched off by their clients; what is retried, how long, and at
what cost is decided here.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from gaelp_rl.errors import AuthError, ConnectorError, RateLimitedError, TransientError, UnknownOutcomeError

__all__ = ["Caller", "QuotaLimit", "QuotaUse", "QuotaWindow", "RetryPolicy", "Timer"]

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Timer:
    """The clock that waits are measured by, and the way to wait."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long.

    Attributes:
        max_attempts: calls in all.
        base_s: longest first wait; doubles with every attempt ("full jitter": a uniform share of it
            is waited. Source: AWS Architecture Blog, "Exponential backoff and jitter").
        cap_s: longest wait between attempts.
        max_wait_s: longest wait that a platform may ask for; beyond, the error is passed on.
        max_total_wait_s: longest wait over all attempts of a call.
    """

    max_attempts: int = 8
    base_s: float = 0.25
    cap_s: float = 20.0
    max_wait_s: float = 90.0
    max_total_wait_s: float = 180.0


@dataclass(frozen=True, slots=True)
class QuotaLimit:
    """At most ``amount`` units in any ``window_s`` seconds."""

    name: str
    amount: float
    window_s: float


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """What was used of a limit in its present window."""

    limit: QuotaLimit
    used: float


@dataclass(slots=True)
class QuotaWindow:
    """What was used of a limit, and when.

    Attributes:
        limit: that holds.
        used: units in the window that ended at the last ``advance``.
    """

    limit: QuotaLimit
    used: float = 0.0
    _entries: deque[tuple[float, float]] = field(default_factory=deque)

    def advance(self, now: float) -> None:
        """Forgets what lies before the window that ends now."""
        while self._entries and self._entries[0][0] <= now - self.limit.window_s:
            self.used -= self._entries.popleft()[1]

    def compute_wait(self, cost: float, now: float) -> float:
        """Seconds until ``cost`` more units fit; a cost above the limit waits for an empty window."""
        self.advance(now)
        spare, wait = self.limit.amount - self.used, 0.0
        for moment, units in self._entries:
            if spare >= cost:
                break
            spare += units
            wait = moment + self.limit.window_s - now
        return wait

    def take(self, cost: float, now: float) -> None:
        """Uses units now."""
        self.advance(now)
        self._entries.append((now, cost))
        self.used += cost


class Caller:
    """Makes one platform's calls, one at a time.

    Attributes:
        num_calls: calls made so far, repeated ones included.
        num_retries: how many of them were repetitions.
        waited_s: seconds spent waiting.
    """

    def __init__(
        self,
        platform: str,
        limits: Sequence[QuotaLimit] = (),
        policy: RetryPolicy | None = None,
        timer: Timer | None = None,
        refresh: Callable[[], None] | None = None,
    ) -> None:
        """Starts with nothing used.

        Args:
            platform: for errors.
            limits: the platform's quotas; a call waits until all have room.
            policy: patience.
            timer: clock and sleep.
            refresh: renews expired credentials; called once per call that fails for them.
        """
        self._platform = platform
        self._windows = [QuotaWindow(limit) for limit in limits]
        self._policy = policy or RetryPolicy()
        self._timer = timer or Timer()
        self._refresh = refresh
        self._rng = random.Random()
        self.num_calls = 0
        self.num_retries = 0
        self.waited_s = 0.0

    def list_quota_use(self) -> list[QuotaUse]:
        """What was used of every limit in its present window."""
        now = self._timer.monotonic()
        for window in self._windows:
            window.advance(now)
        return [QuotaUse(window.limit, window.used) for window in self._windows]

    def read(self, call: Callable[[], _Answer], cost: float = 1.0) -> _Answer:
        """Makes a call that changes nothing, and repeats it where that may help.

        Args:
            call: raises only ``ConnectorError``.
            cost: units of every limit.

        Raises:
            ConnectorError: the last failure, or one that repeating does not help.
        """
        return self._call(call, cost, (TransientError, UnknownOutcomeError))

    def write(self, call: Callable[[], _Answer], cost: float = 1.0) -> _Answer:
        """Makes a call that changes something; repeats it only where nothing can have been written.

        Args:
            call: raises only ``ConnectorError``; ``UnknownOutcomeError`` where it may have been applied.
            cost: units of every limit.

        Raises:
            ConnectorError: the last failure, or one that repeating does not help.
        """
        return self._call(call, cost, (TransientError,))

    def _call(self, call: Callable[[], _Answer], cost: float, repeatable: tuple[type[ConnectorError], ...]) -> _Answer:
        attempt, refreshed, waited = 1, False, 0.0
        while True:
            self._take_quota(cost)
            self.num_calls += 1
            try:
                return call()
            except ConnectorError as error:
                if isinstance(error, AuthError) and self._refresh is not None and not refreshed:
                    refreshed = True
                    self._refresh()
                else:
                    wait = self._compute_wait(error, attempt, repeatable)
                    waited += wait
                    if waited > self._policy.max_total_wait_s:
                        raise
                    self.wait(wait)
                    attempt += 1
                self.num_retries += 1

    def _compute_wait(self, error: ConnectorError, attempt: int, repeatable: tuple[type[ConnectorError], ...]) -> float:
        """Seconds before the next attempt; raises the error where there is none."""
        policy = self._policy
        if attempt >= policy.max_attempts:
            raise error
        backoff = self._rng.random() * min(policy.base_s * 2.0 ** (attempt - 1), policy.cap_s)
        if isinstance(error, RateLimitedError) and error.wait_s <= policy.max_wait_s:
            return error.wait_s + backoff
        if isinstance(error, repeatable):
            return backoff
        raise error

    def _take_quota(self, cost: float) -> None:
        wait = max((w.compute_wait(cost, self._timer.monotonic()) for w in self._windows), default=0.0)
        if wait > self._policy.max_wait_s:
            fullest = max(self._windows, key=lambda w: w.compute_wait(cost, self._timer.monotonic()))
            name = fullest.limit.name
            message = f"{fullest.used:g} of {fullest.limit.amount:g} units of {name} are used"
            raise RateLimitedError(self._platform, f"own quota {name}", message, wait)
        if wait > 0.0:
            self.wait(wait)
        now = self._timer.monotonic()
        for window in self._windows:
            window.take(cost, now)

    def wait(self, seconds: float) -> None:
        """Waits, and counts it."""
        self.waited_s += seconds
        self._timer.sleep(seconds)
