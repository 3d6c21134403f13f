"""The hourly read: every platform at once, and the contract's rows from all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.calls import QuotaUse
from connectors.hours import ReportWindow
from connectors.platform import PlatformConnector
from connectors.reports import FetchedReports, parse_reports
from gaelp_rl.domain.hourly_report import ParsedReports
from gaelp_rl.errors import GaelpError

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["AllReports", "PlatformReports", "fetch_all"]

_COUNTER = "ga4"


@dataclass(frozen=True, slots=True)
class PlatformReports:
    """What one platform gave.

    Attributes:
        fetched: the read; None where it failed.
        parsed: the contract's rows; None where it failed, or only counts (GA4).
        error: why it failed.
        seconds: that it took.
        num_calls: to the platform.
        num_retries: among them.
        quotas: use of each limit.
    """

    fetched: FetchedReports | None
    parsed: ParsedReports | None
    error: GaelpError | None
    seconds: float
    num_calls: int
    num_retries: int
    quotas: tuple[QuotaUse, ...]


@dataclass(frozen=True, slots=True)
class AllReports:
    """What all platforms gave, by name; one that failed does not stop the others."""

    platforms: Mapping[str, PlatformReports]
    seconds: float


def fetch_all(
    connectors: Mapping[str, PlatformConnector],
    window: ReportWindow | Mapping[str, ReportWindow],
    on_done: Callable[[str], None] | None = None,
) -> AllReports:
    """Reads all platforms at the same time.

    Conversions of a platform that reports none by hour are those that GA4 counted, if it is among
    the connectors and answered; otherwise its rows are quarantined.

    Args:
        connectors: by name.
        window: hours to read, of all platforms or by name.
        on_done: called with each name when its read has ended, from another thread.

    Returns:
        Rows, errors and costs.
    """
    from concurrent.futures import ThreadPoolExecutor  # a tenth of what importing connectors takes

    started = time.monotonic()
    with ThreadPoolExecutor(max(len(connectors), 1), thread_name_prefix="read") as pool:
        reads: dict[str, Future[tuple[FetchedReports | GaelpError, float]]] = {
            name: pool.submit(_fetch, connector, window if isinstance(window, ReportWindow) else window[name])
            for name, connector in connectors.items()
        }
        if on_done is not None:
            for name, read in reads.items():
                read.add_done_callback(lambda _, name=name: on_done(name))  # type: ignore[misc]
        answers = {name: read.result() for name, read in reads.items()}
    counted = answers.get(_COUNTER, (None, 0.0))[0]
    platforms = {
        name: _collect(connector, *answers[name], counted if isinstance(counted, FetchedReports) else None)
        for name, connector in connectors.items()
    }
    return AllReports(platforms, time.monotonic() - started)


def _fetch(connector: PlatformConnector, window: ReportWindow) -> tuple[FetchedReports | GaelpError, float]:
    started = time.monotonic()
    try:
        return connector.fetch_reports(window), time.monotonic() - started
    except GaelpError as error:
        return error, time.monotonic() - started


def _collect(
    connector: PlatformConnector, answer: FetchedReports | GaelpError, seconds: float, counted: FetchedReports | None
) -> PlatformReports:
    fetched = answer if isinstance(answer, FetchedReports) else None
    capabilities = connector.capabilities
    parsed = None
    if fetched is not None and capabilities.channel is not None:
        parsed = parse_reports(fetched, None if capabilities.hourly_conversions else counted)
    return PlatformReports(
        fetched=fetched,
        parsed=parsed,
        error=None if isinstance(answer, FetchedReports) else answer,
        seconds=seconds,
        num_calls=connector.caller.num_calls,
        num_retries=connector.caller.num_retries,
        quotas=tuple(connector.caller.list_quota_use()),
    )
