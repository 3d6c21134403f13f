"""The platforms' limits as their servers keep them.

Seconds and minutes go by this machine's clock, hours and days by the market's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import connectors.ga4.schema
import connectors.google.schema
import connectors.meta.schema
import connectors.microsoft.schema
import connectors.tiktok.schema
from connectors.calls import QuotaLimit, QuotaWindow

__all__ = ["QUOTAS", "ServerQuotas"]

QUOTAS: Mapping[str, Sequence[QuotaLimit]] = MappingProxyType(
    {
        "google": connectors.google.schema.QUOTAS,
        "meta": connectors.meta.schema.QUOTAS,
        "tiktok": connectors.tiktok.schema.QUOTAS,
        "microsoft": connectors.microsoft.schema.QUOTAS,
        "ga4": connectors.ga4.schema.QUOTAS,
    }
)
"""As the platforms document them, by platform."""

_COSTS = {"ga4": 10.0}
_LONG_S = 3_600.0


class ServerQuotas:
    """Counts every platform's calls."""

    def __init__(self, market_clock: Callable[[], float], quotas: Mapping[str, Sequence[QuotaLimit]] = QUOTAS) -> None:
        """Starts with nothing used.

        Args:
            market_clock: seconds of simulated time.
            quotas: limits by platform.
        """
        self._market_clock = market_clock
        self._windows = {name: [QuotaWindow(limit) for limit in limits] for name, limits in quotas.items()}

    def take(self, platform: str) -> float:
        """Counts a call.

        Returns:
            0 where it fits; else the seconds until it would, and it is not counted.
        """
        cost, windows = _COSTS.get(platform, 1.0), self._windows.get(platform, [])
        wait = max((window.compute_wait(cost, self._read(window)) for window in windows), default=0.0)
        if wait <= 0.0:
            for window in windows:
                window.take(cost, self._read(window))
        return wait

    def _read(self, window: QuotaWindow) -> float:
        return self._market_clock() if window.limit.window_s >= _LONG_S else time.monotonic()
