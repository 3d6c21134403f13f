"""Faults by script: which calls of which platform go wrong, and how."""

from __future__ import annotations

import random
import threading
from collections import Counter
from enum import StrEnum
from typing import Literal, TypeVar

from pydantic import Field

from connectors.sandbox.quotas import ServerQuotas
from gaelp_rl.config.strict import StrictModel

__all__ = ["CallKind", "Fault", "FaultInjector", "FaultKind", "FaultScript", "repeat_rows"]

_Row = TypeVar("_Row")


class CallKind(StrEnum):
    """What a call does."""

    READ = "read"
    WRITE = "write"
    REPORT = "report"
    AUTH = "auth"


class FaultKind(StrEnum):
    """What goes wrong."""

    THROTTLE = "throttle"
    """Refused with the platform's own way of asking for patience."""
    SERVER_ERROR = "server_error"
    """5xx before anything was done."""
    AUTH_EXPIRED = "auth_expired"
    """The access token is no longer good."""
    TIMEOUT_BEFORE = "timeout_before"
    """No answer; nothing was done."""
    TIMEOUT_AFTER = "timeout_after"
    """No answer; it was done."""
    REORDER = "reorder"
    """No answer; it is done after the next write."""
    BREAK = "break"
    """The connection ends in the middle of the answer."""
    GARBAGE = "garbage"
    """An answer that is none: a proxy's page, a status without details."""
    TOO_MUCH_DATA = "too_much_data"
    """A report over several days, or over all campaigns, is refused for its size (Meta)."""
    PARTIAL = "partial"
    """Every other operation of the call is refused for a passing reason."""
    DUPLICATE = "duplicate"
    """The network delivers the request twice."""
    LATE_ROWS = "late_rows"
    """The newest hours of a report are missing still."""
    UNFINISHED_ROWS = "unfinished_rows"
    """The newest hour of a report is only half counted, and restated later."""
    DUPLICATE_ROWS = "duplicate_rows"
    """Rows come twice."""
    EMPTY_PAGE = "empty_page"
    """A page in the middle holds nothing."""


class Fault(StrictModel):
    """One rule of a script.

    Attributes:
        kind: what goes wrong.
        platforms: whose calls; all if empty.
        calls: which calls; ``any`` for all but those for tokens.
        probability: of each call.
        at: or which calls of that kind on a platform, counted from 1.
        wait_s: patience that a throttled caller is asked for.
        stall_s: how long an answer that never comes is waited for before the connection is cut.
    """

    kind: FaultKind
    platforms: tuple[str, ...] = ()
    calls: Literal["read", "write", "report", "auth", "any"] = "any"
    probability: float = Field(default=0.0, ge=0.0, le=1.0)
    at: tuple[int, ...] = ()
    wait_s: float = Field(default=1.0, ge=0.0)
    stall_s: float = Field(default=60.0, ge=0.0)

    def concerns(self, platform: str, call: CallKind) -> bool:
        """Whether calls of this kind may meet it."""
        any_call = self.calls == "any" and call is not CallKind.AUTH
        return (not self.platforms or platform in self.platforms) and (any_call or self.calls == call)


class FaultScript(StrictModel):
    """A TOML file of ``[[faults]]``.

    Attributes:
        seed: of the draws.
        faults: in order; a call meets at most one, the first that applies.
    """

    seed: int = 0
    faults: tuple[Fault, ...] = ()


def repeat_rows(rows: list[_Row], fault: Fault | None) -> list[_Row]:
    """The rows of an answer, each twice where the script says so."""
    if fault is None or fault.kind is not FaultKind.DUPLICATE_ROWS:
        return rows
    return [row for row in rows for _ in range(2)]


class FaultInjector:
    """Decides call by call.

    Attributes:
        injected: how often each kind was met.
    """

    def __init__(self, script: FaultScript | None = None, quotas: ServerQuotas | None = None) -> None:
        """Starts a script.

        Args:
            script: what goes wrong; nothing if not given.
            quotas: the platforms' limits; none if not given.
        """
        self._lock = threading.Lock()
        self._quotas = quotas
        self.set_script(script or FaultScript())

    def set_script(self, script: FaultScript) -> None:
        """Starts a script from its beginning."""
        with self._lock:
            self._script = script
            self._rngs: dict[tuple[str, CallKind], random.Random] = {}
            self._calls: Counter[tuple[str, CallKind]] = Counter()
            self.injected: Counter[FaultKind] = Counter()

    def decide(self, platform: str, call: CallKind) -> Fault | None:
        """The fault that this call meets, if any: the script's, or a throttling where a quota is used up."""
        with self._lock:
            wait_s = self._quotas.take(platform) if self._quotas and call is not CallKind.AUTH else 0.0
            place = (platform, call)
            self._calls[place] += 1
            rng = self._rngs.setdefault(place, random.Random(f"{self._script.seed}/{platform}/{call}"))
            draw, reached = rng.random(), 0.0
            for fault in self._script.faults:
                if not fault.concerns(platform, call):
                    continue
                reached += fault.probability
                if draw < reached or self._calls[place] in fault.at:
                    self.injected[fault.kind] += 1
                    return fault
            return Fault(kind=FaultKind.THROTTLE, wait_s=wait_s) if wait_s > 0.0 else None
