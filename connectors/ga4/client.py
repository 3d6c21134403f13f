"""GA4 through ``google-analytics-data`` (gRPC)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import grpc
from google.analytics.data_v1beta import BetaAnalyticsDataClient
from google.analytics.data_v1beta.services.beta_analytics_data.transports import BetaAnalyticsDataGrpcTransport
from google.analytics.data_v1beta.types import (
    DateRange,
    Dimension,
    Filter,
    FilterExpression,
    Metric,
    RunReportRequest,
    RunReportResponse,
)

from connectors.credentials import Ga4Credentials
from connectors.ga4.mapping import make_count, make_sources
from connectors.ga4.schema import CAPABILITIES, DIMENSIONS, METRICS, PAGE_SIZE, QUOTAS, SCOPE
from connectors.google_rpc import RPC_ERRORS, make_loopback_channel, make_oauth, map_status, renew_oauth
from connectors.hours import ReportWindow
from connectors.operations import Operation
from connectors.platform import PlatformConnector
from connectors.protocol import CheckResult
from connectors.push import Applied
from connectors.reports import ConversionCount, FetchedReports
from connectors.settings import Ga4Settings
from connectors.state import Account, AccountState
from gaelp_rl.errors import ConnectorError, DataError, FieldError, PlanError

__all__ = ["Ga4Connector"]

_TOKENS_PER_REPORT = 10.0


class Ga4Connector(PlatformConnector):
    """GA4, which only reports; see ``connectors.protocol.Connector``."""

    capabilities = CAPABILITIES
    quotas = QUOTAS
    sdk_errors = RPC_ERRORS
    loggers = (*PlatformConnector.loggers, "google.auth.transport.requests")

    def __init__(self, settings: Ga4Settings, credentials: Ga4Credentials, **options: Any) -> None:
        """Prepares the client; see ``PlatformConnector``."""
        super().__init__(settings, credentials, **options)
        self._settings = settings
        self._credentials = credentials
        self._sources = make_sources(settings.sources)
        self._channel: grpc.Channel | None = None
        self._account: Account | None = None
        self._client = self.guard(self._make_client)

    def check(self) -> CheckResult:
        """Verifies credentials and property with one small report."""
        return CheckResult(self._fetch_account(), (SCOPE,), can_write=False, notes=("GA4 only reports",))

    def fetch_state(self) -> AccountState:
        """The property; it has no campaigns."""
        return AccountState(self._fetch_account(), self._clock(), ())

    def fetch_reports(self, window: ReportWindow) -> FetchedReports:
        """Reads conversions by hour, source, campaign, ad and device."""
        account, as_of = self._fetch_account(), self._clock()
        counts: list[ConversionCount] = []
        quarantined = []
        for first, last in window.split(account.time_zone, CAPABILITIES.max_days_per_report):
            for row in self._list_rows(first.isoformat(), last.isoformat()):
                try:
                    count = make_count(row, account, window, self._sources)
                except DataError as error:
                    quarantined.append(({"row": str(row)}, error))
                    continue
                if count is not None:
                    counts.append(count)
        return FetchedReports(
            "ga4", account.id, account.currency, as_of, counts=tuple(counts), quarantined=tuple(quarantined)
        )

    def apply(self, operations: Sequence[Operation], *, dry_run: bool) -> list[Applied]:
        """GA4 has nothing to write."""
        del operations, dry_run
        msg = "ga4 only reports: it has no bids to set"
        raise PlanError(msg)

    def renew(self) -> None:
        """A new access token, for one that died before its time."""
        self.guard(lambda: renew_oauth(self._oauth))

    def close(self) -> None:
        """Closes the channel that this connector opened."""
        if self._channel is not None:
            self._channel.close()

    def _fetch_account(self) -> Account:
        if self._account is None:
            answer = self._run(self._make_request("today", "today", 0, 1))
            zone, currency = answer.metadata.time_zone, answer.metadata.currency_code
            if not zone or not currency:
                raise FieldError("metadata", f"{zone!r}, {currency!r}", "lacks the property's time zone or currency")
            self._account = Account(self._settings.account, "GA4 property", currency, ZoneInfo(zone))
        return self._account

    def _list_rows(self, first: str, last: str) -> list[Any]:
        rows: list[Any] = []
        while True:
            answer = self._run(self._make_request(first, last, len(rows), PAGE_SIZE))
            rows += answer.rows
            if len(rows) >= answer.row_count or not answer.rows:
                return rows

    def _run(self, request: RunReportRequest) -> RunReportResponse:
        def run() -> RunReportResponse:
            return self._client.run_report(request, timeout=self._settings.timeout_s, retry=None)

        return self.caller.read(lambda: self.guard(run), cost=_TOKENS_PER_REPORT)

    def _make_request(self, first: str, last: str, offset: int, limit: int) -> RunReportRequest:
        event = self._settings.key_event
        return RunReportRequest(
            property=f"properties/{self._settings.account.removeprefix('properties/')}",
            date_ranges=[DateRange(start_date=first, end_date=last)],
            dimensions=[Dimension(name=name) for name in DIMENSIONS],
            metrics=[Metric(name=name) for name in METRICS],
            dimension_filter=(
                FilterExpression(filter=Filter(field_name="eventName", string_filter=Filter.StringFilter(value=event)))
                if event
                else None
            ),
            offset=offset,
            limit=limit,
            keep_empty_rows=False,
            return_property_quota=True,
        )

    def map_error(self, error: BaseException, *, writes: bool) -> ConnectorError:
        """By the tables of ``schema``."""
        return map_status("ga4", error, self.redactor.redact, writes=writes)

    def _make_client(self) -> BetaAnalyticsDataClient:
        settings = self._settings
        self._oauth = None if settings.plaintext else make_oauth(self._credentials, SCOPE, settings.token_endpoint)
        if not settings.endpoint:
            return BetaAnalyticsDataClient(credentials=self._oauth)
        self._channel = make_loopback_channel(settings, self._oauth)
        return BetaAnalyticsDataClient(transport=BetaAnalyticsDataGrpcTransport(channel=self._channel))
