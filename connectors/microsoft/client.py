"""Microsoft Advertising through ``msads`` (REST)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import bingads.service_client
import requests
import urllib3
from bingads.authorization import AuthorizationData
from bingads.service_client import ServiceClient
from openapi_client.models.campaign.bid_multiplier import BidMultiplier
from openapi_client.models.campaign.biddable_campaign_criterion import BiddableCampaignCriterion
from openapi_client.models.reporting.ad_performance_report_request import AdPerformanceReportRequest
from openapi_client.models.reporting.campaign_performance_report_request import CampaignPerformanceReportRequest

from connectors.credentials import MicrosoftCredentials
from connectors.hours import ReportWindow
from connectors.microsoft.errors import SDK_ERRORS, map_answer, map_error, map_item
from connectors.microsoft.mapping import (
    add_hour_row,
    make_account,
    make_campaign,
    make_report_request,
    make_share,
    read_archive,
    read_modifiers,
)
from connectors.microsoft.schema import AD_TYPES, CAPABILITIES, QUOTAS, TOKEN_ENDPOINT
from connectors.money import make_decimal
from connectors.operations import Operation, Setting
from connectors.platform import PlatformConnector
from connectors.protocol import CheckResult
from connectors.push import Applied
from connectors.renewal import renew_microsoft
from connectors.reports import FetchedReports
from connectors.rows import RowCollector
from connectors.settings import MicrosoftSettings
from connectors.state import Account, AccountState
from connectors.token_store import TokenStore
from gaelp_rl.domain.bid_plan import PlanStatus
from gaelp_rl.domain.channels import Device
from gaelp_rl.errors import ConnectorError, RefusedError, TransientError

__all__ = ["MicrosoftConnector"]

_Node = Mapping[str, Any]
_MAX_POLLS = 60
# The SDK would replace ``pydantic.BaseModel.__setattr__`` for the whole process, so that frozen settings thaw.
bingads.service_client.enable_alias_support = lambda: None
_REPORTS = {"hours": AdPerformanceReportRequest, "shares": CampaignPerformanceReportRequest}


class _Bearer:
    """What the SDK asks for headers before every call."""

    def __init__(self) -> None:
        self.token = ""

    def enrich_headers(self, headers: dict[str, str]) -> None:
        """Adds the access token in force."""
        headers["Authorization"] = f"Bearer {self.token}"


class MicrosoftConnector(PlatformConnector):
    """Microsoft Advertising; see ``connectors.protocol.Connector``."""

    capabilities = CAPABILITIES
    quotas = QUOTAS
    sdk_errors = SDK_ERRORS
    loggers = (*PlatformConnector.loggers, "openapi_client", "bingads")

    def __init__(
        self,
        settings: MicrosoftSettings,
        credentials: MicrosoftCredentials,
        *,
        store: TokenStore | None = None,
        **options: Any,
    ) -> None:
        """Prepares clients whose own retries are off.

        Args:
            settings: account, customer, endpoint.
            credentials: with the refresh token to start from.
            store: where the refresh token that replaces it is kept; this user's if not given.
            options: see ``PlatformConnector``.
        """
        super().__init__(settings, credentials, **options)
        credentials.require("client_id", "developer_token", "refresh_token")
        self._settings = settings
        self._credentials = credentials
        self._store = store
        self._bearer = _Bearer()
        developer = credentials.developer_token
        self._authorization = AuthorizationData(
            account_id=settings.account,
            customer_id=settings.customer,
            developer_token=developer.get_secret_value() if developer else None,
            authentication=self._bearer,
        )
        self._campaigns = self._make_client("CampaignManagement")
        self._reports = self._make_client("Reporting")
        self._customers = self._make_client("CustomerManagement")
        self._account: Account | None = None
        self._criteria: dict[tuple[str, Device], str] = {}

    def check(self) -> CheckResult:
        """Verifies token, account and user."""
        account = self._fetch_account()
        user = self._read(self._customers, "get_user", {"UserId": None})
        roles = [str(role.get("RoleId")) for role in user.get("CustomerRoles") or ()]
        note = "Search campaigns have no manual CPC: a bid is the base that enhanced CPC moves around"
        return CheckResult(account, tuple(f"role {role}" for role in roles), bool(roles), (note,))

    def renew(self) -> None:
        """A new access token; the refresh token that comes with it is stored before it is used."""
        self._bearer.token = renew_microsoft(
            self._credentials,
            self._store,
            self._settings.token_endpoint or TOKEN_ENDPOINT,
            self._settings.timeout_s,
        )

    def fetch_state(self) -> AccountState:
        """Reads campaigns, and for each its ad groups, ads and device criteria."""
        account, as_of = self._fetch_account(), self._clock()
        answer = self._read(
            self._campaigns, "get_campaigns_by_account_id", {"AccountId": account.id, "CampaignType": "Search"}
        )
        campaigns = [
            make_campaign(
                node,
                self._list("get_ad_groups_by_campaign_id", "AdGroups", {"CampaignId": str(node["Id"])}),
                lambda group: self._list("get_ads_by_ad_group_id", "Ads", {"AdGroupId": group, "AdTypes": AD_TYPES}),
                self._fetch_modifiers(str(node["Id"])),
            )
            for node in answer.get("Campaigns") or ()
        ]
        return AccountState(account, as_of, tuple(campaigns))

    def fetch_reports(self, window: ReportWindow) -> FetchedReports:
        """Downloads hours by ad and device, and impression share by campaign and day."""
        account, as_of = self._fetch_account(), self._clock()
        collector, shares = RowCollector(), []
        for first, last in window.split(ZoneInfo("UTC"), CAPABILITIES.max_days_per_report):
            for row in self._download("hours", first, last):
                add_hour_row(collector, row, account, window, as_of)
            found = (make_share(row, account, as_of) for row in self._download("shares", first, last))
            shares += [share for share in found if share is not None]
        return collector.make_reports("microsoft", account, as_of, shares)

    def apply(self, operations: Sequence[Operation], *, dry_run: bool) -> list[Applied]:
        """One update call. Microsoft has no dry run, so ``push`` asks for none."""
        del dry_run
        setting = operations[0].target.setting
        if setting is Setting.BID:
            return self._apply_bids(operations)
        if setting is Setting.DEVICE_MODIFIER:
            return self._apply_modifiers(operations)
        nodes = [{"Id": op.target.campaign, **_make_campaign_change(op)} for op in operations]
        request = {"AccountId": self._settings.account, "Campaigns": nodes}
        return self._update("update_campaigns", request, len(operations))

    def close(self) -> None:
        """Closes pooled connections."""
        for client in (self._campaigns, self._reports, self._customers):
            client._api.api_client.rest_client.pool_manager.clear()

    def _apply_bids(self, operations: Sequence[Operation]) -> list[Applied]:
        nodes = [
            {"Id": op.target.ad_group, "CpcBid": {"Amount": float(make_decimal(int(op.intended)))}} for op in operations
        ]
        request = {"CampaignId": operations[0].target.campaign, "AdGroups": nodes}
        return self._update("update_ad_groups", request, len(operations))

    def _apply_modifiers(self, operations: Sequence[Operation]) -> list[Applied]:
        nodes, known = [], []
        for op in operations:
            criterion = self._criteria.get((op.target.campaign, op.target.device or Device.MOBILE))
            if criterion is None:
                continue
            known.append(op)
            bid = BidMultiplier(Type="BidMultiplier", Multiplier=float(int(op.intended) - 100))
            nodes.append(
                BiddableCampaignCriterion(
                    Type="BiddableCampaignCriterion", Id=criterion, CampaignId=op.target.campaign, CriterionBid=bid
                )
            )
        request = {"CriterionType": "Targets", "CampaignCriterions": nodes}
        applied = self._update("update_campaign_criterions", request, len(known)) if nodes else []
        answers = dict(zip(known, applied, strict=True))
        missing = RefusedError("microsoft", "no criterion", "the campaign targets no such device: add it once by hand")
        return [answers.get(op, Applied("", missing)) for op in operations]

    def _update(self, method: str, request: _Node, num_operations: int) -> list[Applied]:
        answer = self._call(self._campaigns, method, request, writes=True)
        request_id = str(answer.get("TrackingId", ""))
        answers = [Applied(request_id)] * num_operations
        for item in (answer.get("PartialErrors") or []) + (answer.get("NestedPartialErrors") or []):
            if item:
                error = map_item(item, request_id, self.redactor.redact, writes=True)
                answers[int(item["Index"])] = Applied(request_id, error)
        return answers

    def _fetch_account(self) -> Account:
        if self._account is None:
            answer = self._read(self._customers, "get_account", {"AccountId": self._settings.account})
            self._account = make_account(answer["Account"])
        return self._account

    def _fetch_modifiers(self, campaign: str) -> dict[Device, int]:
        request = {"CampaignId": campaign, "CriterionType": "Device"}
        found = read_modifiers(self._list("get_campaign_criterions_by_ids", "CampaignCriterions", request))
        self._criteria |= {(campaign, device): criterion for device, (criterion, _) in found.items()}
        return {device: percent for device, (_, percent) in found.items()}

    def _list(self, method: str, field: str, request: _Node) -> list[_Node]:
        return [node for node in self._read(self._campaigns, method, request).get(field) or () if node]

    def _download(self, kind: str, first: date, last: date) -> list[dict[str, str]]:
        """Submits a report, waits until it is made, fetches it; empty where there are no data."""
        report = _REPORTS[kind].model_validate(make_report_request(kind, self._settings.account, first, last))
        request = {"ReportRequest": report}
        report_id = self._read(self._reports, "submit_generate_report", request)["ReportRequestId"]
        for poll in range(_MAX_POLLS):
            answer = self._read(self._reports, "poll_generate_report", {"ReportRequestId": report_id})
            status = answer["ReportRequestStatus"]
            if status["Status"] == "Success":
                return self._fetch(status.get("ReportDownloadUrl"))
            if status["Status"] == "Error":
                raise TransientError("microsoft", "report failed", f"the report {report_id} could not be made")
            self.caller.wait(min(0.25 * 2.0**poll, 15.0))
        raise TransientError("microsoft", "report late", f"the report {report_id} was not made in time")

    def _fetch(self, url: str | None) -> list[dict[str, str]]:
        """The rows behind a download address; no address means no data."""
        if not url:
            return []

        def load() -> list[dict[str, str]]:
            answer = self.guard(lambda: requests.get(url, timeout=self._settings.timeout_s))
            if not answer.ok:
                headers = {name.lower(): text for name, text in answer.headers.items()}
                raise map_answer(answer.status_code, {}, headers, self.redactor.redact, writes=False)
            return self.guard(lambda: read_archive(answer.content))

        return self.caller.read(load)

    def _read(self, client: ServiceClient, method: str, request: _Node) -> _Node:
        return self.caller.read(lambda: self._call(client, method, request, writes=False))

    def _call(self, client: ServiceClient, method: str, request: _Node, *, writes: bool) -> _Node:
        """The body of the answer, as sent: the SDK's own classes drop what they do not know."""
        if not self._bearer.token:
            self.renew()

        def ask() -> tuple[int, _Node, dict[str, str]]:
            call = getattr(client, f"{method}_without_preload_content")
            answer = call(request, _request_timeout=self._settings.timeout_s)
            raw = answer.read()
            body = json.loads(raw) if raw[:1] == b"{" else {}
            if 200 <= answer.status < 300 and not body:
                msg = "the answer is no JSON object"
                raise ValueError(msg)
            return answer.status, body, {name.lower(): text for name, text in answer.headers.items()}

        status, body, headers = self.guard(ask, writes=writes)
        if not 200 <= status < 300:
            raise map_answer(status, body, headers, self.redactor.redact, writes=writes)
        return body

    def map_error(self, error: BaseException, *, writes: bool) -> ConnectorError:
        """By the tables of ``schema``."""
        return map_error(error, self.redactor.redact, writes=writes)

    def _make_client(self, service: str) -> ServiceClient:
        location = self._settings.endpoint or None
        client = ServiceClient(service, 13, self._authorization, "production", location=location)
        client._api.api_client.rest_client.pool_manager.connection_pool_kw["retries"] = urllib3.Retry(0)
        return client


def _make_campaign_change(operation: Operation) -> dict[str, object]:
    if operation.target.setting is Setting.STATUS:
        return {"Status": "Active" if operation.intended is PlanStatus.ENABLED else "Paused"}
    return {"DailyBudget": float(make_decimal(int(operation.intended))), "BudgetType": "DailyBudgetStandard"}
