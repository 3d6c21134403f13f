"""TikTok through ``tiktok-business-api-sdk-official``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import business_api_client
import urllib3
from business_api_client.api.account_management_api import AccountManagementApi
from business_api_client.api.ad_api import AdApi
from business_api_client.api.adgroup_api import AdgroupApi
from business_api_client.api.campaign_creation_api import CampaignCreationApi
from business_api_client.api.reporting_api import ReportingApi
from business_api_client.tiktok_business.tiktok_exceptions import TiktokSDKError

from connectors.credentials import TikTokCredentials
from connectors.hours import ReportWindow
from connectors.operations import Operation, Setting
from connectors.platform import PlatformConnector
from connectors.protocol import CheckResult
from connectors.push import Applied
from connectors.reports import FetchedReports
from connectors.rows import RowCollector
from connectors.settings import TikTokSettings
from connectors.state import Account, AccountState
from connectors.tiktok.errors import SDK_ERRORS, map_code, map_error
from connectors.tiktok.mapping import add_hour_row, make_account, make_body, make_campaigns
from connectors.tiktok.schema import CAPABILITIES, FIELDS, METRICS, PAGE_SIZE, QUOTAS
from gaelp_rl.domain.bid_plan import PlanStatus
from gaelp_rl.errors import ConnectorError

__all__ = ["TikTokConnector"]

_Node = Mapping[str, Any]


class TikTokConnector(PlatformConnector):
    """TikTok; see ``connectors.protocol.Connector``."""

    capabilities = CAPABILITIES
    quotas = QUOTAS
    sdk_errors = SDK_ERRORS
    loggers = (*PlatformConnector.loggers, "business_api_client", "business_api_client.rest")

    def __init__(self, settings: TikTokSettings, credentials: TikTokCredentials, **options: Any) -> None:
        """Prepares a client whose own retries are off."""
        super().__init__(settings, credentials, **options)
        credentials.require("access_token")
        token = credentials.access_token
        self._token = token.get_secret_value() if token is not None else ""
        self._advertiser = settings.account
        configuration = business_api_client.Configuration()
        if settings.endpoint:
            configuration.host = settings.endpoint
        self._client = business_api_client.ApiClient(configuration)
        self._client.rest_client.pool_manager.connection_pool_kw["retries"] = urllib3.Retry(0)
        wait = max(settings.timeout_s, 0.001)
        self._timeout = (min(wait, 10.0), wait)
        self._account: Account | None = None

    def check(self) -> CheckResult:
        """Verifies token and advertiser; TikTok tells no permissions, so writing shows only when it is tried."""
        account = self._fetch_account()
        self.fetch_state()
        note = "TikTok does not say whether the token may write: the first push shows it"
        return CheckResult(account, ("read",), can_write=True, notes=(note,))

    def fetch_state(self) -> AccountState:
        """Reads the account by three lists."""
        account, as_of = self._fetch_account(), self._clock()
        campaigns = self._list(CampaignCreationApi(self._client).campaign_get, "campaign")
        groups = self._list(AdgroupApi(self._client).adgroup_get, "adgroup")
        ads = self._list(AdApi(self._client).ad_get, "ad")
        return AccountState(account, as_of, make_campaigns(campaigns, groups, ads))

    def fetch_reports(self, window: ReportWindow) -> FetchedReports:
        """Reads hours by ad, a day a call."""
        account, as_of = self._fetch_account(), self._clock()
        collector = RowCollector()
        for day, _ in window.split(account.time_zone, CAPABILITIES.max_days_per_report):
            for row in self._list_hours(day.isoformat()):
                add_hour_row(collector, row, account, window, as_of)
        return collector.make_reports("tiktok", account, as_of)

    def apply(self, operations: Sequence[Operation], *, dry_run: bool) -> list[Applied]:
        """One update. TikTok has no dry run, so ``push`` asks for none."""
        del dry_run
        operation = operations[0]
        if operation.target.setting is Setting.STATUS:
            word = "ENABLE" if operation.intended is PlanStatus.ENABLED else "DISABLE"
            same = [op.target.campaign for op in operations if op.intended is operation.intended]
            update = CampaignCreationApi(self._client).campaign_status_update
            body: dict[str, object] = {
                "advertiser_id": self._advertiser,
                "campaign_ids": same,
                "operation_status": word,
            }
        elif operation.target.ad_group:
            update, body = AdgroupApi(self._client).adgroup_update, make_body(operation, self._advertiser)
        else:
            update, body = CampaignCreationApi(self._client).campaign_update, make_body(operation, self._advertiser)
        answer = self._call(lambda: update(self._token, body=body, _request_timeout=self._timeout), writes=True)
        return [Applied(str(answer.get("request_id", ""))) for _ in operations]

    def close(self) -> None:
        """Closes connections and the SDK's thread pool."""
        self._client.rest_client.pool_manager.clear()
        self._client.pool.close()

    def _fetch_account(self) -> Account:
        if self._account is None:
            info = AccountManagementApi(self._client).advertiser_info
            answer = self._read(
                lambda: info(
                    [self._advertiser],
                    self._token,
                    fields=["advertiser_id", "name", "currency", "timezone"],
                    _request_timeout=self._timeout,
                )
            )
            self._account = self.guard(lambda: make_account(answer["data"]["list"][0]))
        return self._account

    def _list(self, fetch: Callable[..., Any], entity: str) -> list[_Node]:
        return self._list_pages(
            lambda page: fetch(
                self._advertiser,
                self._token,
                fields=FIELDS[entity],
                page=page,
                page_size=PAGE_SIZE,
                _request_timeout=self._timeout,
            )
        )

    def _list_hours(self, day: str) -> list[_Node]:
        fetch = ReportingApi(self._client).report_integrated_get
        return self._list_pages(
            lambda page: fetch(
                "BASIC",
                self._token,
                advertiser_id=self._advertiser,
                data_level="AUCTION_AD",
                dimensions=["ad_id", "stat_time_hour"],
                metrics=METRICS,
                start_date=day,
                end_date=day,
                page=page,
                page_size=PAGE_SIZE,
                _request_timeout=self._timeout,
            )
        )

    def _list_pages(self, fetch: Callable[[int], Any]) -> list[_Node]:
        nodes: list[_Node] = []
        page = 1
        while True:
            data = self._read(lambda at=page: fetch(at)).get("data") or {}  # type: ignore[misc]
            nodes += data.get("list") or ()
            if page >= int((data.get("page_info") or {}).get("total_page", 1)):
                return nodes
            page += 1

    def _read(self, call: Callable[[], Any]) -> Any:
        return self.caller.read(lambda: self._call(call, writes=False))

    def _call(self, call: Callable[[], Any], *, writes: bool) -> _Node:
        """The body of the answer. The SDK's error drops what came with it, so the raw answer is read."""

        def ask() -> _Node:
            self._client.last_response = None
            try:
                call()
            except TiktokSDKError:
                if self._client.last_response is None:
                    raise
            body = json.loads(self._client.last_response.data)
            if not isinstance(body, dict):
                msg = "the answer is no JSON object"
                raise TypeError(msg)
            return body

        body = self.guard(ask, writes=writes)
        if body.get("code") != 0:
            raise map_code(body, self.redactor.redact, writes=writes)
        return body

    def map_error(self, error: BaseException, *, writes: bool) -> ConnectorError:
        """By the tables of ``schema``."""
        return map_error(error, self.redactor.redact, writes=writes)
