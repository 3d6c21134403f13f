"""Google Ads through ``google-ads`` (gRPC)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import grpc
from google.ads.googleads.client import GoogleAdsClient
from google.ads.googleads.interceptors import ExceptionInterceptor, LoggingInterceptor, MetadataInterceptor
from google.ads.googleads.v26.errors.types.errors import GoogleAdsFailure
from google.protobuf.field_mask_pb2 import FieldMask

from connectors.credentials import GoogleCredentials
from connectors.google.errors import SDK_ERRORS, map_error, map_operation_error
from connectors.google.mapping import MUTATIONS, Mutation, add_hour_row, make_account, make_campaigns, make_share
from connectors.google.schema import CAPABILITIES, QUERIES, QUOTAS, SCOPE, VERSION
from connectors.google_rpc import make_loopback_channel, make_oauth, renew_oauth
from connectors.hours import ReportWindow
from connectors.operations import Operation, Setting, Target
from connectors.platform import PlatformConnector
from connectors.protocol import CheckResult
from connectors.push import Applied
from connectors.reports import FetchedReports
from connectors.rows import RowCollector
from connectors.settings import GoogleSettings
from connectors.state import Account, AccountState
from gaelp_rl.errors import ConnectorError

__all__ = ["GoogleConnector"]


class GoogleConnector(PlatformConnector):
    """Google Ads; see ``connectors.protocol.Connector``."""

    capabilities = CAPABILITIES
    quotas = QUOTAS
    sdk_errors = SDK_ERRORS
    loggers = (*PlatformConnector.loggers, "google.ads.googleads.client", "google.auth.transport.requests")

    def __init__(self, settings: GoogleSettings, credentials: GoogleCredentials, **options: Any) -> None:
        """Prepares the client; see ``PlatformConnector``."""
        super().__init__(settings, credentials, **options)
        self._settings = settings
        self._customer = settings.account.replace("-", "")
        self._credentials = credentials
        self._developer_token = (
            credentials.developer_token.get_secret_value() if credentials.developer_token is not None else None
        )
        self._login = settings.login_account.replace("-", "") or None
        self._channel: grpc.Channel | None = None
        self._services: dict[str, Any] = {}
        self._account: Account | None = None
        self._client = self.guard(self._make_client)

    def check(self) -> CheckResult:
        """Verifies credentials and account with one search and one write that is only validated."""
        account = self._fetch_account()
        campaign = next((one for one in self.fetch_state().campaigns if one.daily_budget_micros), None)
        if campaign is None:
            note = "the account has no campaign to try a write on"
            return CheckResult(account, (SCOPE,), can_write=True, notes=(note,))
        target = Target(Setting.DAILY_BUDGET, campaign.id, budget_id=campaign.budget_id)
        same = Operation(target, campaign.daily_budget_micros or 0, campaign.daily_budget_micros)
        try:
            error = self.caller.read(lambda: self.apply([same], dry_run=True))[0].error
        except ConnectorError as caught:
            error = caught
        return CheckResult(account, (SCOPE,), error is None, (str(error),) if error else ())

    def fetch_state(self) -> AccountState:
        """Reads the account in five searches."""
        account, as_of = self._fetch_account(), self._clock()
        rows = [self._search(name) for name in ("campaigns", "ad_groups", "ads", "modifiers")]
        return AccountState(account, as_of, make_campaigns(*rows))

    def fetch_reports(self, window: ReportWindow) -> FetchedReports:
        """Reads hours by ad and device, and impression share by campaign and day."""
        account, as_of = self._fetch_account(), self._clock()
        collector, shares = RowCollector(), []
        for first, last in window.split(account.time_zone, CAPABILITIES.max_days_per_report):
            for row in self._search("hours", first=first, last=last):
                add_hour_row(collector, row, account, window, as_of)
            found = (make_share(row, account, as_of) for row in self._search("shares", first=first, last=last))
            shares += [share for share in found if share is not None]
        return collector.make_reports("google", account, as_of, shares)

    def apply(self, operations: Sequence[Operation], *, dry_run: bool) -> list[Applied]:
        """One mutate call; operations that fail alone are told apart by partial failure."""
        mutation = MUTATIONS[operations[0].target.setting]
        request = self._make_request(mutation, operations, dry_run)

        def mutate() -> Any:
            call = getattr(self._get_service(mutation.service), mutation.method)
            return call(request=request, timeout=self._settings.timeout_s, retry=None)

        response = self.guard(mutate, writes=not dry_run)
        return self._list_answers(response, len(operations))

    def renew(self) -> None:
        """A new access token, for one that died before its time."""
        self.guard(lambda: renew_oauth(self._oauth))

    def close(self) -> None:
        """Closes the channel that this connector opened."""
        if self._channel is not None:
            self._channel.close()

    def _fetch_account(self) -> Account:
        if self._account is None:
            self._account = make_account(next(iter(self._search("account"))))
        return self._account

    def _search(self, query: str, **days: object) -> list[Any]:
        """All rows of a query; collected before they are used, since a stream may break after its first rows."""
        text = QUERIES[query].format(**days)
        service = self.guard(lambda: self._get_service("GoogleAdsService"))

        def stream() -> list[Any]:
            batches: Iterable[Any] = service.search_stream(
                customer_id=self._customer, query=text, timeout=self._settings.timeout_s, retry=None
            )
            return [row for batch in batches for row in batch.results]

        return self.caller.read(lambda: self.guard(stream))

    def map_error(self, error: BaseException, *, writes: bool) -> ConnectorError:
        """By the tables of ``schema``."""
        return map_error(error, self.redactor.redact, writes=writes)

    def _list_answers(self, response: Any, num_operations: int) -> list[Applied]:
        answers = [Applied() for _ in range(num_operations)]
        for detail in response.partial_failure_error.details:
            failure = GoogleAdsFailure.deserialize(detail.value)
            for error in failure.errors:
                index = error.location.field_path_elements[0].index
                answers[index] = Applied("", map_operation_error(error, "", self.redactor.redact))
        return answers

    def _make_request(self, mutation: Mutation, operations: Sequence[Operation], dry_run: bool) -> Any:
        request = self._client.get_type(mutation.request)
        request.customer_id = self._customer
        request.partial_failure = True
        request.validate_only = dry_run
        for op in operations:
            update = request.operations.add()
            update.update.resource_name = f"customers/{self._customer}/{mutation.find_resource(op.target)}"
            setattr(update.update, mutation.field, mutation.find_value(op))
            update.update_mask.CopyFrom(FieldMask(paths=[mutation.field]))
        return request

    def _make_client(self) -> GoogleAdsClient:
        settings = self._settings
        self._oauth = None if settings.plaintext else make_oauth(self._credentials, SCOPE, settings.token_endpoint)
        return GoogleAdsClient(
            credentials=self._oauth,
            developer_token=self._developer_token,
            login_customer_id=self._login,
            endpoint=self._settings.endpoint or None,
            version=VERSION,
            use_proto_plus=False,
        )

    def _get_service(self, name: str) -> Any:
        """The SDK's service, over one channel for all calls."""
        if name not in self._services:
            self._services[name] = self._make_service(name)
        return self._services[name]

    def _make_service(self, name: str) -> Any:
        """On loopback over a channel whose certificate is the sandbox's."""
        if not self._settings.endpoint:
            return self._client.get_service(name)
        if self._channel is None:
            self._channel = self._make_loopback_channel()
        service = _find_service_class(name)
        return service(transport=service.get_transport_class()(channel=self._channel))

    def _make_loopback_channel(self) -> grpc.Channel:
        channel = make_loopback_channel(self._settings, self._oauth)
        logger = logging.getLogger("google.ads.googleads.client")
        return grpc.intercept_channel(
            channel,
            MetadataInterceptor(self._developer_token, self._login, None),
            LoggingInterceptor(logger, VERSION, self._settings.endpoint),
            ExceptionInterceptor(VERSION, use_proto_plus=False),
        )


def _find_service_class(name: str) -> Any:
    """The SDK's client class of a service, such as ``CampaignServiceClient``."""
    from importlib import import_module

    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
    module = import_module(f"google.ads.googleads.{VERSION}.services.services.{snake}")
    return getattr(module, f"{name}Client")
