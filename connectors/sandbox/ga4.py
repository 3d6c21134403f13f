"""GA4's Data API over the sandbox's market: one report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import grpc
from google.analytics.data_v1beta.types import RunReportRequest, RunReportResponse

from connectors.sandbox.faults import CallKind, Fault, FaultKind
from connectors.sandbox.grpc_host import GrpcMethod
from connectors.sandbox.tokens import TokenDesk
from connectors.sandbox.world import SandboxWorld
from gaelp_rl.domain.channels import CHANNELS, DEVICES, Channel
from gaelp_rl.errors import WireError

__all__ = ["PROPERTY", "Ga4Sandbox"]

PROPERTY = "300000001"
_SOURCES = {Channel.GOOGLE: "google", Channel.META: "facebook", Channel.TIKTOK: "tiktok", Channel.MICROSOFT: "bing"}
_EVENT = "purchase"

_Row = dict[str, str]


class Ga4Sandbox:
    """See ``connectors.sandbox.grpc_host.GrpcPlatform``."""

    platform = "ga4"

    def __init__(self, world: SandboxWorld, tokens: TokenDesk | None) -> None:
        """Serves the property that sees the landing pages of all channels.

        Args:
            world: the market.
            tokens: what access tokens are good; None where the transport carries none (plaintext).
        """
        self._world = world
        self._tokens = tokens

    def make_methods(self) -> Mapping[str, GrpcMethod]:
        """``runReport``."""
        name = "/google.analytics.data.v1beta.BetaAnalyticsData/RunReport"
        return {name: GrpcMethod(CallKind.REPORT, RunReportRequest.pb(), RunReportResponse.pb(), self._run_report)}

    def refuse(self, fault: Fault) -> WireError:
        """GA4's throttling, unavailability and expired token."""
        if fault.kind is FaultKind.THROTTLE:
            return WireError(grpc.StatusCode.RESOURCE_EXHAUSTED, "Exhausted property tokens for an hour.")
        if fault.kind is FaultKind.AUTH_EXPIRED:
            if self._tokens is not None:
                self._tokens.expire()
            return WireError(grpc.StatusCode.UNAUTHENTICATED, "Request had invalid authentication credentials.")
        return WireError(grpc.StatusCode.UNAVAILABLE, "The service is currently unavailable.")

    def _run_report(self, request: Any, headers: Mapping[str, str], fault: Fault | None) -> Any:
        del fault
        self._check_caller(request, headers)
        answer = RunReportResponse.pb()()
        with self._world.lock:
            rows = list(self._list_rows(request))
        for name in request.dimensions:
            answer.dimension_headers.add().name = name.name
        for row in rows[request.offset : request.offset + (request.limit or 10_000)]:
            message = answer.rows.add()
            for dimension in request.dimensions:
                message.dimension_values.add().value = row[dimension.name]
            for metric in request.metrics:
                message.metric_values.add().value = row[metric.name]
        answer.row_count = len(rows)
        answer.metadata.time_zone = str(self._world.time_zone)
        answer.metadata.currency_code = self._world.accounts[Channel.GOOGLE].currency
        if request.return_property_quota:
            answer.property_quota.tokens_per_day.consumed = 10
            answer.property_quota.tokens_per_day.remaining = 199_990
        return answer

    def _list_rows(self, request: Any) -> Iterator[_Row]:
        wanted = request.dimension_filter.filter.string_filter.value
        if wanted and wanted != _EVENT:
            return
        for period in request.date_ranges:
            days = (self._read_day(period.start_date), self._read_day(period.end_date))
            for channel in CHANNELS:
                yield from self._list_channel(channel, days)

    def _list_channel(self, channel: Channel, days: tuple[date, date]) -> Iterator[_Row]:
        campaigns = list(self._world.accounts[channel].campaigns.values())
        worth = self._world.conversion_value_micros
        for local, index, device, count in self._world.list_event_counts(channel, days):
            yield {
                "dateHour": f"{local:%Y%m%d%H}",
                "sessionSource": _SOURCES[channel],
                "sessionCampaignId": campaigns[index].id,
                "sessionManualAdContent": campaigns[index].ad_id,
                "deviceCategory": DEVICES[device].value,
                "keyEvents": str(count),
                "totalRevenue": str(count * worth / 1e6),
            }

    def _read_day(self, text: str) -> date:
        if text == "today":
            return self._world.now.astimezone(self._world.time_zone).date()
        return date.fromisoformat(text)

    def _check_caller(self, request: Any, headers: Mapping[str, str]) -> None:
        if self._tokens is not None and not self._tokens.is_good(headers.get("authorization", "")):
            raise WireError(grpc.StatusCode.UNAUTHENTICATED, "Request had invalid authentication credentials.")
        if request.property != f"properties/{PROPERTY}":
            raise WireError(grpc.StatusCode.PERMISSION_DENIED, "User does not have sufficient permissions.")
