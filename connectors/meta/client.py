"""Meta through ``facebook-business`` (Graph API)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession

from connectors.credentials import MetaCredentials
from connectors.hours import ReportWindow
from connectors.meta.errors import SDK_ERRORS, map_error, map_error_body
from connectors.meta.mapping import add_hour_row, make_account, make_campaigns, make_parameters
from connectors.meta.schema import (
    CAPABILITIES,
    DEVICE_BREAKDOWN,
    FIELDS,
    HOUR_BREAKDOWN,
    PAGE_SIZE,
    PERMISSIONS,
    QUOTAS,
    TOO_MUCH_DATA,
    VERSION,
)
from connectors.operations import Operation
from connectors.platform import PlatformConnector
from connectors.protocol import CheckResult
from connectors.push import Applied
from connectors.reports import FetchedReports
from connectors.rows import RowCollector
from connectors.settings import MetaSettings
from connectors.state import Account, AccountState
from gaelp_rl.errors import ConnectorError, RefusedError, TransientError, UnknownOutcomeError

__all__ = ["MetaConnector"]

_INVALID_PARAMETER = "100"


class MetaConnector(PlatformConnector):
    """Meta; see ``connectors.protocol.Connector``."""

    capabilities = CAPABILITIES
    quotas = QUOTAS
    sdk_errors = SDK_ERRORS
    loggers = (*PlatformConnector.loggers, "facebook_business")

    def __init__(self, settings: MetaSettings, credentials: MetaCredentials, **options: Any) -> None:
        """Prepares a session of its own, so that no global API object or crash reporter is installed."""
        super().__init__(settings, credentials, **options)
        credentials.require("app_id", "app_secret", "access_token")
        self._node = f"act_{settings.account.removeprefix('act_')}"
        self._session = FacebookSession(
            *(getattr(credentials, name).get_secret_value() for name in ("app_id", "app_secret", "access_token")),
            timeout=settings.timeout_s,
        )
        if settings.endpoint:
            self._session.GRAPH = settings.endpoint
        self._api = FacebookAdsApi(self._session, api_version=VERSION)
        self._account: Account | None = None
        self._splits_hours_by_device = True

    def check(self) -> CheckResult:
        """Verifies token, permissions and account."""
        account = self._fetch_account()
        granted = {node["permission"] for node in self._list(("me", "permissions"), {}) if node["status"] == "granted"}
        missing = [name for name in PERMISSIONS if name not in granted]
        notes = [f"the token lacks {name}" for name in missing]
        return CheckResult(account, tuple(sorted(granted)), "ads_management" in granted, tuple(notes))

    def fetch_state(self) -> AccountState:
        """Reads the account by three edges."""
        account, as_of = self._fetch_account(), self._clock()
        campaigns, ad_sets, ads = (
            self._list((self._node, edge), {"fields": FIELDS[edge]}) for edge in ("campaigns", "adsets", "ads")
        )
        states = self.guard(lambda: make_campaigns(campaigns, ad_sets, ads, account.currency))
        return AccountState(account, as_of, states)

    def fetch_reports(self, window: ReportWindow) -> FetchedReports:
        """Reads hours by ad and device; conversions are not among them (see ``CAPABILITIES``)."""
        account, as_of = self._fetch_account(), self._clock()
        collector = RowCollector()
        for first, last in window.split(account.time_zone, CAPABILITIES.max_days_per_report):
            for row in self._list_days(first, last):
                add_hour_row(collector, row, account, window, as_of)
        return collector.make_reports("meta", account, as_of)

    def apply(self, operations: Sequence[Operation], *, dry_run: bool) -> list[Applied]:
        """One batch call of up to 50 posts."""
        currency = self._fetch_account().currency
        batch = self._api.new_batch()
        answers: list[Applied | None] = [None] * len(operations)

        def note(index: int, response: Any) -> None:
            answers[index] = self._make_answer(response, writes=not dry_run)

        for index, operation in enumerate(operations):
            node, parameters = make_parameters(operation, currency)
            if dry_run:
                parameters["execution_options"] = ["validate_only"]
            batch.add(
                "POST",
                (node,),
                parameters,
                success=lambda response, i=index: note(i, response),
                failure=lambda response, i=index: note(i, response),
            )
        self.guard(batch.execute, writes=not dry_run)
        not_run = Applied("", TransientError("meta", "not run", "Meta left this call of the batch out"))
        return [answer or not_run for answer in answers]

    def close(self) -> None:
        """Closes pooled connections."""
        self._session.requests.close()

    def _make_answer(self, response: Any, *, writes: bool) -> Applied:
        body, headers = response.json(), {}
        for header in response.headers() or ():
            headers[str(header.get("name", "")).lower()] = str(header.get("value", ""))
        if response.is_success() and isinstance(body, dict) and "error" not in body:
            return Applied(headers.get("x-fb-trace-id", ""))
        if not isinstance(body, dict):
            return Applied("", UnknownOutcomeError("meta", "unreadable", "the answer is no JSON object"))
        error = map_error_body(body, int(response.status()), headers, self.redactor.redact, writes=writes)
        return Applied(error.request_id, error)

    def _list_days(self, first: date, last: date) -> list[Mapping[str, Any]]:
        """Insights of some days; in halves where Meta finds them too many, and a day campaign by campaign."""
        try:
            return self._list_insights(self._node, first, last)
        except RefusedError as error:
            if error.code not in TOO_MUCH_DATA:
                raise
        if first == last:
            return [row for campaign in self._list_shown(first) for row in self._list_insights(campaign, first, last)]
        middle = first + (last - first) // 2
        return self._list_days(first, middle) + self._list_days(middle + timedelta(days=1), last)

    def _list_shown(self, day: date) -> list[str]:
        """Ids of campaigns with impressions, deleted ones included, which the edge of campaigns leaves out.

        Source: Insights, limits and best practices: first ask for the objects, then for each one's insights.
        """
        shown = [{"field": "ad.impressions", "operator": "GREATER_THAN", "value": 0}]
        parameters = {"level": "campaign", "fields": "campaign_id", "filtering": shown, **_make_period(day, day)}
        return [str(node["campaign_id"]) for node in self._list((self._node, "insights"), parameters)]

    def _list_insights(self, node: str, first: date, last: date) -> list[Mapping[str, Any]]:
        """Hours by device; by hour alone where the account's API refuses the two breakdowns together."""
        parameters = {
            "level": "ad",
            "fields": FIELDS["insights"],
            "time_increment": 1,
            **_make_period(first, last),
        }
        if self._splits_hours_by_device:
            try:
                return self._list((node, "insights"), {**parameters, "breakdowns": [HOUR_BREAKDOWN, DEVICE_BREAKDOWN]})
            except RefusedError as error:
                if error.code in TOO_MUCH_DATA or not error.code.startswith(_INVALID_PARAMETER):
                    raise
                self._splits_hours_by_device = False
        return self._list((node, "insights"), {**parameters, "breakdowns": [HOUR_BREAKDOWN]})

    def _fetch_account(self) -> Account:
        if self._account is None:
            node = self._get((self._node,), {"fields": FIELDS["account"]})
            self._account = self.guard(lambda: make_account(node))
        return self._account

    def _list(self, path: tuple[str, ...], parameters: dict[str, object]) -> list[Mapping[str, Any]]:
        """Every page of an edge: as long as there is a next one, an empty page in the middle included."""
        nodes: list[Mapping[str, Any]] = []
        after: dict[str, object] = {}
        while True:
            page = self._get(path, {**parameters, "limit": PAGE_SIZE, **after})
            nodes += page.get("data", ())
            paging = page.get("paging", {})
            cursor = paging.get("cursors", {}).get("after")
            if "next" not in paging or cursor is None or after.get("after") == cursor:
                return nodes
            after = {"after": cursor}

    def _get(self, path: tuple[str, ...], parameters: dict[str, object]) -> Mapping[str, Any]:
        def read() -> Mapping[str, Any]:
            body = self._api.call("GET", path, params=dict(parameters)).json()
            if not isinstance(body, dict):
                msg = "the answer is no JSON object"
                raise TypeError(msg)
            return body

        return self.caller.read(lambda: self.guard(read))

    def map_error(self, error: BaseException, *, writes: bool) -> ConnectorError:
        """By the tables of ``schema``."""
        return map_error(error, self.redactor.redact, writes=writes)


def _make_period(first: date, last: date) -> dict[str, object]:
    return {"time_range": {"since": first.isoformat(), "until": last.isoformat()}}
