"""Google Ads' own gRPC services over the sandbox's market: search and four mutates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import grpc
from google.ads.googleads.v26.errors.types.errors import GoogleAdsFailure
from google.ads.googleads.v26.services.types.ad_group_service import MutateAdGroupsRequest, MutateAdGroupsResponse
from google.ads.googleads.v26.services.types.campaign_budget_service import (
    MutateCampaignBudgetsRequest,
    MutateCampaignBudgetsResponse,
)
from google.ads.googleads.v26.services.types.campaign_criterion_service import (
    MutateCampaignCriteriaRequest,
    MutateCampaignCriteriaResponse,
)
from google.ads.googleads.v26.services.types.campaign_service import MutateCampaignsRequest, MutateCampaignsResponse
from google.ads.googleads.v26.services.types.google_ads_service import (
    SearchGoogleAdsStreamRequest,
    SearchGoogleAdsStreamResponse,
)
from google.protobuf.any_pb2 import Any as AnyMessage

from connectors.operations import Setting
from connectors.sandbox.account import SandboxAccount, SandboxCampaign
from connectors.sandbox.faults import CallKind, Fault, FaultKind, repeat_rows
from connectors.sandbox.grpc_host import GrpcMethod
from connectors.sandbox.tokens import TokenDesk
from connectors.sandbox.world import SandboxWorld
from gaelp_rl.domain.bid_plan import PlanStatus
from gaelp_rl.domain.channels import DEVICES, Channel, Device
from gaelp_rl.errors import WireError, WriteRefusedError

__all__ = ["GoogleSandbox"]

_FAILURE_KEY = "google.ads.googleads.v26.errors.googleadsfailure-bin"
_SERVICES = "/google.ads.googleads.v26.services"
_QUERY = re.compile(
    r"SELECT (?P<fields>.+?) FROM (?P<resource>\w+)"
    r"(?: WHERE (?P<where>.+?))?(?: ORDER BY .+?)?(?: LIMIT (?P<limit>\d+))?"
)
_BETWEEN = re.compile(r"segments\.date BETWEEN '(\d{4}-\d\d-\d\d)' AND '(\d{4}-\d\d-\d\d)'")
_NAME = re.compile(r"customers/(?P<customer>\d+)/(?P<kind>\w+)/(?P<id>[\d~]+)")
_DEVICE_NUMBERS = {Device.MOBILE: 2, Device.TABLET: 3, Device.DESKTOP: 4}
_CRITERIA = {30000: Device.DESKTOP, 30001: Device.MOBILE, 30002: Device.TABLET}
_CODES = {
    "not_found": ("mutate_error", "RESOURCE_NOT_FOUND"),
    "not_a_unit": ("campaign_budget_error", "NON_MULTIPLE_OF_MINIMUM_CURRENCY_UNIT"),
    "below_minimum": ("campaign_budget_error", "BUDGET_AMOUNT_TOO_SMALL"),
    "out_of_range": ("criterion_error", "INVALID_CRITERION_BID_MODIFIER"),
    "injected": ("database_error", "CONCURRENT_MODIFICATION"),
}

_Row = Mapping[str, Any]


class GoogleSandbox:
    """See ``connectors.sandbox.grpc_host.GrpcPlatform``."""

    platform = "google"

    def __init__(self, world: SandboxWorld, tokens: TokenDesk | None) -> None:
        """Serves the account of Google.

        Args:
            world: the market.
            tokens: what access tokens are good; None where the transport carries none (plaintext).
        """
        self._world = world
        self._account: SandboxAccount = world.accounts[Channel.GOOGLE]
        self._tokens = tokens
        self._num_requests = 0

    def make_methods(self) -> Mapping[str, GrpcMethod]:
        """Search, and a mutate for each setting."""

        def mutate(request: Any, response: Any, read: Callable[[Any], _Write]) -> GrpcMethod:
            def answer(message: Any, headers: Mapping[str, str], fault: Fault | None) -> Any:
                return self._mutate(message, headers, fault, response, read)

            return GrpcMethod(CallKind.WRITE, request, response.pb(), answer)

        return {
            f"{_SERVICES}.GoogleAdsService/SearchStream": GrpcMethod(
                CallKind.REPORT,
                SearchGoogleAdsStreamRequest.pb(),
                SearchGoogleAdsStreamResponse.pb(),
                self._search,
                is_stream=True,
            ),
            f"{_SERVICES}.CampaignService/MutateCampaigns": mutate(
                MutateCampaignsRequest.pb(), MutateCampaignsResponse, self._read_status
            ),
            f"{_SERVICES}.CampaignBudgetService/MutateCampaignBudgets": mutate(
                MutateCampaignBudgetsRequest.pb(), MutateCampaignBudgetsResponse, self._read_budget
            ),
            f"{_SERVICES}.AdGroupService/MutateAdGroups": mutate(
                MutateAdGroupsRequest.pb(), MutateAdGroupsResponse, self._read_bid
            ),
            f"{_SERVICES}.CampaignCriterionService/MutateCampaignCriteria": mutate(
                MutateCampaignCriteriaRequest.pb(), MutateCampaignCriteriaResponse, self._read_modifier
            ),
        }

    def refuse(self, fault: Fault) -> WireError:
        """Google's throttling, internal error and expired token."""
        if fault.kind is FaultKind.THROTTLE:
            error = _make_failure("quota_error", "RESOURCE_TEMPORARILY_EXHAUSTED", "too many requests")
            error.errors[0].details.quota_error_details.retry_delay = timedelta(seconds=fault.wait_s)
            return self._make_error(grpc.StatusCode.RESOURCE_EXHAUSTED, error)
        if fault.kind is FaultKind.AUTH_EXPIRED:
            if self._tokens is not None:
                self._tokens.expire()
            return WireError(grpc.StatusCode.UNAUTHENTICATED, "Request had invalid authentication credentials.")
        return WireError(grpc.StatusCode.UNAVAILABLE, "The service is currently unavailable.")

    def _search(self, request: Any, headers: Mapping[str, str], fault: Fault | None) -> list[Any]:
        self._check_caller(request, headers)
        match = _QUERY.fullmatch(" ".join(request.query.split()))
        make = _RESOURCES.get(match["resource"]) if match else None
        if match is None or make is None:
            raise self._refuse_request("query_error", "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE", request.query)
        fields = [field.strip() for field in match["fields"].split(",")]
        days = _BETWEEN.search(match["where"] or "")
        with self._world.lock:
            rows = list(make(self, days and (date.fromisoformat(days[1]), date.fromisoformat(days[2])), fault))
        rows = repeat_rows(rows, fault)
        limit = int(match["limit"]) if match["limit"] else len(rows)
        return [self._make_batch(fields, rows[at : at + 1000]) for at in range(0, max(min(limit, len(rows)), 1), 1000)]

    def _make_batch(self, fields: list[str], rows: list[_Row]) -> Any:
        batch = SearchGoogleAdsStreamResponse.pb()()
        paths = [(field, field.split(".")) for field in fields]
        for row in rows:
            message = batch.results.add()
            for field, path in paths:
                if field not in row:
                    raise self._refuse_request("query_error", "UNRECOGNIZED_FIELD", field)
                if row[field] is not None:
                    _assign(message, path, row[field])
        batch.request_id = self._make_request_id()
        return batch

    def _list_customers(self, days: object, fault: Fault | None) -> Iterator[_Row]:
        del days, fault
        yield {
            "customer.id": int(self._account.id),
            "customer.descriptive_name": self._account.name,
            "customer.currency_code": self._account.currency,
            "customer.time_zone": str(self._account.time_zone),
            "customer.manager": False,
        }

    def _list_campaigns(self, days: tuple[date, date] | None, fault: Fault | None) -> Iterator[_Row]:
        del fault
        if days is not None:
            yield from self._list_shares(*days)
            return
        for campaign in self._account.campaigns.values():
            yield {
                **_describe(campaign),
                "campaign_budget.id": int(campaign.budget_id),
                "campaign_budget.amount_micros": campaign.budget_micros,
                "campaign_budget.explicitly_shared": campaign.budget_references > 1,
                "campaign_budget.reference_count": campaign.budget_references,
            }

    def _list_shares(self, first: date, last: date) -> Iterator[_Row]:
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        for share in self._world.list_day_shares(Channel.GOOGLE, days):
            yield {
                **_describe(share.campaign),
                "segments.date": share.day.isoformat(),
                "metrics.impressions": share.impressions,
                "metrics.search_impression_share": share.share,
                "metrics.search_budget_lost_impression_share": share.lost_to_budget,
                "metrics.search_rank_lost_impression_share": share.lost_to_rank,
            }

    def _list_ad_groups(self, days: object, fault: Fault | None) -> Iterator[_Row]:
        del days, fault
        for campaign in self._account.campaigns.values():
            yield {
                **_describe(campaign),
                "ad_group.id": int(campaign.ad_group_id),
                "ad_group.name": f"{campaign.name} ads",
                "ad_group.status": 2,
                "ad_group.cpc_bid_micros": campaign.bid_micros,
            }

    def _list_ads(self, days: tuple[date, date] | None, fault: Fault | None) -> Iterator[_Row]:
        if days is not None:
            yield from self._list_hours(*days, fault)
            return
        for campaign in self._account.campaigns.values():
            yield {"ad_group.id": int(campaign.ad_group_id), "ad_group_ad.ad.id": int(campaign.ad_id)}

    def _list_hours(self, first: date, last: date, fault: Fault | None) -> Iterator[_Row]:
        for cell in self._world.list_cells(Channel.GOOGLE, (first, last), self._account.time_zone, fault=fault):
            yield {
                **_describe(cell.campaign),
                "ad_group_ad.ad.id": int(cell.campaign.ad_id),
                "segments.date": cell.local.date().isoformat(),
                "segments.hour": cell.local.hour,
                "segments.device": _DEVICE_NUMBERS[DEVICES[cell.device or 0]],
                "metrics.impressions": cell.impressions,
                "metrics.clicks": cell.clicks,
                "metrics.cost_micros": cell.spend_micros,
                "metrics.conversions": float(cell.conversions),
                "metrics.conversions_value": cell.conversions * self._world.conversion_value_micros / 1e6,
            }

    def _list_modifiers(self, days: object, fault: Fault | None) -> Iterator[_Row]:
        del days, fault
        for campaign in self._account.campaigns.values():
            for device, percent in campaign.modifier_percent.items():
                yield {
                    **_describe(campaign),
                    "campaign_criterion.device.type": _DEVICE_NUMBERS[device],
                    "campaign_criterion.bid_modifier": percent / 100,
                }

    def _mutate(
        self,
        request: Any,
        headers: Mapping[str, str],
        fault: Fault | None,
        response: Any,
        read: Callable[[Any], _Write],
    ) -> Any:
        self._check_caller(request, headers)
        answer, failure = response.pb()(), GoogleAdsFailure.pb()()
        with self._world.lock:
            for index, operation in enumerate(request.operations):
                result = answer.results.add()
                try:
                    if fault is not None and fault.kind is FaultKind.PARTIAL and index % 2 == 0:
                        raise WriteRefusedError("injected", "another request is changing the same entity")
                    self._write(read(operation), check_only=request.validate_only)
                    result.resource_name = operation.update.resource_name
                except WriteRefusedError as error:
                    failure.errors.append(_make_error(*_CODES[error.rule], str(error), index))
        if failure.errors and not request.partial_failure:
            raise self._make_error(grpc.StatusCode.INVALID_ARGUMENT, failure)
        if failure.errors:
            answer.partial_failure_error.code = 3
            answer.partial_failure_error.message = "Multiple errors in ‘details’."
            packed = AnyMessage()
            packed.Pack(failure)
            answer.partial_failure_error.details.append(packed)
        if request.validate_only:
            del answer.results[:]
        return answer

    def _write(self, write: _Write, *, check_only: bool) -> None:
        campaign, setting, amount, device = write
        self._account.write(campaign, setting, amount, device, self._world.hour, check_only=check_only)

    def _read_status(self, operation: Any) -> _Write:
        campaign = self._account.find_campaign(self._read_id(operation, "campaigns"))
        status = PlanStatus.ENABLED if operation.update.status == 2 else PlanStatus.PAUSED
        return campaign, Setting.STATUS, status, None

    def _read_budget(self, operation: Any) -> _Write:
        campaign = self._account.find_by("budget", self._read_id(operation, "campaignBudgets"))
        return campaign, Setting.DAILY_BUDGET, operation.update.amount_micros, None

    def _read_bid(self, operation: Any) -> _Write:
        campaign = self._account.find_by("ad_group", self._read_id(operation, "adGroups"))
        return campaign, Setting.BID, operation.update.cpc_bid_micros, None

    def _read_modifier(self, operation: Any) -> _Write:
        campaign_id, _, criterion = self._read_id(operation, "campaignCriteria").partition("~")
        device = _CRITERIA.get(int(criterion or 0))
        if device is None:
            msg = f"no criterion {criterion}"
            raise WriteRefusedError("not_found", msg)
        percent = round(100 * operation.update.bid_modifier)
        return self._account.find_campaign(campaign_id), Setting.DEVICE_MODIFIER, percent, device

    def _read_id(self, operation: Any, kind: str) -> str:
        match = _NAME.fullmatch(operation.update.resource_name)
        if match is None or match["customer"] != self._account.id or match["kind"] != kind:
            msg = f"no {kind} {operation.update.resource_name!r}"
            raise WriteRefusedError("not_found", msg)
        return match["id"]

    def _check_caller(self, request: Any, headers: Mapping[str, str]) -> None:
        if self._tokens is not None and not self._tokens.is_good(headers.get("authorization", "")):
            raise WireError(grpc.StatusCode.UNAUTHENTICATED, "Request had invalid authentication credentials.")
        if request.customer_id != self._account.id:
            raise self._refuse_request("authorization_error", "USER_PERMISSION_DENIED", "no access to this customer")

    def _refuse_request(self, kind: str, name: str, message: str) -> WireError:
        code = grpc.StatusCode.PERMISSION_DENIED if "authorization" in kind else grpc.StatusCode.INVALID_ARGUMENT
        return self._make_error(code, _make_failure(kind, name, message))

    def _make_error(self, code: grpc.StatusCode, failure: Any) -> WireError:
        trailers = ((_FAILURE_KEY, failure.SerializeToString()), ("request-id", self._make_request_id()))
        return WireError(code, failure.errors[0].message, trailers)

    def _make_request_id(self) -> str:
        self._num_requests += 1
        return f"sandbox-{self._num_requests}"


_Write = tuple[SandboxCampaign, Setting, int | PlanStatus, Device | None]

_RESOURCES: dict[str, Callable[[GoogleSandbox, Any, Fault | None], Iterator[_Row]]] = {
    "customer": GoogleSandbox._list_customers,
    "campaign": GoogleSandbox._list_campaigns,
    "ad_group": GoogleSandbox._list_ad_groups,
    "ad_group_ad": GoogleSandbox._list_ads,
    "campaign_criterion": GoogleSandbox._list_modifiers,
}


def _describe(campaign: SandboxCampaign) -> dict[str, Any]:
    return {
        "campaign.id": int(campaign.id),
        "campaign.name": campaign.name,
        "campaign.status": 2 if campaign.status is PlanStatus.ENABLED else 3,
    }


def _assign(message: Any, path: list[str], content: Any) -> None:
    for name in path[:-1]:
        message = getattr(message, name)
    name = path[-1]
    setattr(message, name if hasattr(message, name) else f"{name}_", content)


def _make_failure(kind: str, name: str, message: str) -> Any:
    failure = GoogleAdsFailure.pb()()
    failure.errors.append(_make_error(kind, name, message, None))
    return failure


def _make_error(kind: str, name: str, message: str, index: int | None) -> Any:
    error = GoogleAdsFailure.pb()().errors.add()
    field = error.error_code.DESCRIPTOR.fields_by_name[kind]
    setattr(error.error_code, kind, field.enum_type.values_by_name[name].number)
    error.message = message
    if index is not None:
        element = error.location.field_path_elements.add()
        element.field_name, element.index = "operations", index
    return error
