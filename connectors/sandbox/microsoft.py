"""Microsoft Advertising's REST API over the sandbox's market: queries and updates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from connectors.money import make_decimal
from connectors.operations import Setting
from connectors.sandbox.account import SandboxAccount, SandboxCampaign
from connectors.sandbox.faults import CallKind, Fault, FaultKind
from connectors.sandbox.http_host import WireRequest, WireResponse, make_json
from connectors.sandbox.microsoft_reports import MicrosoftReports, make_fault
from connectors.sandbox.tokens import TokenDesk
from connectors.sandbox.world import SandboxWorld
from gaelp_rl.domain.bid_plan import PlanStatus
from gaelp_rl.domain.channels import Channel, Device
from gaelp_rl.domain.numbers import parse_money_micros
from gaelp_rl.errors import FieldError, WireError, WriteRefusedError

__all__ = ["MicrosoftSandbox"]

_ZONES = {
    "UTC": "CasablancaMonrovia",
    "Europe/London": "GreenwichMeanTimeDublinEdinburghLisbonLondon",
    "Europe/Berlin": "AmsterdamBerlinBernRomeStockholmVienna",
    "America/New_York": "EasternTimeUSCanada",
    "America/Los_Angeles": "PacificTimeUSCanadaTijuana",
}
_CRITERIA = {Device.MOBILE: ("5", "Smartphones"), Device.DESKTOP: ("6", "Computers"), Device.TABLET: ("7", "Tablets")}
_CODES = {
    "not_found": (1100, "CampaignServiceInvalidCampaignId"),
    "not_a_unit": (1159, "CampaignServiceInvalidAmount"),
    "below_minimum": (1160, "CampaignServiceBudgetAmountBelowFloor"),
    "out_of_range": (1161, "CampaignServiceInvalidBidMultiplier"),
    "injected": (117, "CallRateExceeded"),
}

_Node = dict[str, Any]


class MicrosoftSandbox:
    """See ``connectors.sandbox.http_host.HttpPlatform``."""

    platform = "microsoft"

    def __init__(self, world: SandboxWorld, tokens: TokenDesk, developer_token: str) -> None:
        """Serves the account of Microsoft.

        Args:
            world: the market.
            tokens: what access tokens are good.
            developer_token: that callers must show.
        """
        self._world = world
        self._account: SandboxAccount = world.accounts[Channel.MICROSOFT]
        self._tokens = tokens
        self._developer_token = developer_token
        self._reports = MicrosoftReports(world)
        management = "/CampaignManagement/v13"
        self._routes: dict[tuple[str, str], Callable[[WireRequest, Any], object]] = {
            ("POST", "/CustomerManagement/v13/Account/Query"): self._describe_account,
            ("POST", "/CustomerManagement/v13/User/Query"): self._describe_user,
            ("POST", f"{management}/Campaigns/QueryByAccountId"): self._list_campaigns,
            ("POST", f"{management}/AdGroups/QueryByCampaignId"): self._list_ad_groups,
            ("POST", f"{management}/Ads/QueryByAdGroupId"): self._list_ads,
            ("POST", f"{management}/CampaignCriterions/QueryByIds"): self._list_criteria,
            ("PUT", f"{management}/Campaigns"): self._update_campaigns,
            ("PUT", f"{management}/AdGroups"): self._update_ad_groups,
            ("PUT", f"{management}/CampaignCriterions"): self._update_criteria,
            ("POST", "/Reporting/v13/GenerateReport/Submit"): self._reports.submit,
            ("POST", "/Reporting/v13/GenerateReport/Poll"): self._reports.poll,
        }

    def classify(self, request: WireRequest) -> CallKind:
        """Puts write; a report's faults meet its submission and its download."""
        if request.method == "PUT":
            return CallKind.WRITE
        is_report = request.path.endswith("/Submit") or request.path.startswith("/download/")
        return CallKind.REPORT if is_report else CallKind.READ

    def answer(self, request: WireRequest) -> WireResponse:
        """One call."""
        if request.path.startswith("/download/"):
            return self._reports.download(request)
        route = self._routes.get((request.method, request.path))
        try:
            self._check_caller(request.headers)
            if route is None:
                raise make_fault(404, 1, "NotFound", f"no such path: {request.path}")
            with self._world.lock:
                content = route(request, request.read_json())
        except WireError as error:
            return _make_fault(error)
        return make_json(content, headers={"TrackingId": "sandbox"})

    def refuse(self, request: WireRequest, fault: Fault) -> WireResponse:
        """Microsoft's throttling, server error and expired token."""
        del request
        if fault.kind is FaultKind.THROTTLE:
            response = _make_fault(make_fault(429, 117, "CallRateExceeded", "too many calls"), fault.wait_s)
            return WireResponse(response.status, response.body, {**response.headers, "Retry-After": str(fault.wait_s)})
        if fault.kind is FaultKind.AUTH_EXPIRED:
            self._tokens.expire()
            return _make_fault(make_fault(401, 109, "AuthenticationTokenExpired", "the token expired"))
        return WireResponse(503, b"Service Unavailable", {"Content-Type": "text/plain"})

    def _check_caller(self, headers: Mapping[str, str]) -> None:
        if headers.get("developertoken") != self._developer_token:
            raise make_fault(401, 105, "InvalidCredentials", "the developer token is not known")
        if not self._tokens.is_good(headers.get("authorization", "")):
            raise make_fault(401, 109, "AuthenticationTokenExpired", "the token expired")
        if headers.get("customeraccountid") != self._account.id:
            raise make_fault(403, 120, "UserIsNotAuthorized", "no access to this account")

    def _describe_account(self, request: WireRequest, body: _Node) -> object:
        del request
        if str(body.get("AccountId")) != self._account.id:
            raise make_fault(403, 120, "UserIsNotAuthorized", "no access to this account")
        account = self._account
        zone = _ZONES.get(str(account.time_zone), _ZONES["UTC"])
        node = {"Id": account.id, "Name": account.name, "CurrencyCode": account.currency, "TimeZone": zone}
        return {"Account": node}

    def _describe_user(self, request: WireRequest, body: _Node) -> object:
        del request, body
        return {"User": {"Id": "1"}, "CustomerRoles": [{"RoleId": 41, "CustomerId": "1"}]}

    def _list_campaigns(self, request: WireRequest, body: _Node) -> object:
        del request
        if str(body.get("AccountId")) != self._account.id:
            raise make_fault(403, 120, "UserIsNotAuthorized", "no access to this account")
        return {
            "Campaigns": [
                {
                    "Id": campaign.id,
                    "Name": campaign.name,
                    "Status": "Active" if campaign.status is PlanStatus.ENABLED else "Paused",
                    "BudgetType": "DailyBudgetStandard",
                    "BudgetId": campaign.budget_id if campaign.budget_references > 1 else None,
                    "DailyBudget": float(make_decimal(campaign.budget_micros)),
                }
                for campaign in self._account.campaigns.values()
            ]
        }

    def _list_ad_groups(self, request: WireRequest, body: _Node) -> object:
        del request
        campaign = self._find(lambda: self._account.find_campaign(str(body["CampaignId"])))
        bid = {"Amount": float(make_decimal(campaign.bid_micros))}
        group = {"Id": campaign.ad_group_id, "Name": f"{campaign.name} ads", "Status": "Active", "CpcBid": bid}
        return {"AdGroups": [group]}

    def _list_ads(self, request: WireRequest, body: _Node) -> object:
        del request
        campaign = self._find(lambda: self._account.find_by("ad_group", str(body["AdGroupId"])))
        return {"Ads": [{"Id": campaign.ad_id, "Type": "ResponsiveSearch", "Status": "Active"}]}

    def _list_criteria(self, request: WireRequest, body: _Node) -> object:
        del request
        campaign = self._find(lambda: self._account.find_campaign(str(body["CampaignId"])))
        return {
            "CampaignCriterions": [
                {
                    "Type": "BiddableCampaignCriterion",
                    "Id": f"{number}{campaign.id[1:]}",
                    "CampaignId": campaign.id,
                    "Criterion": {"Type": "DeviceCriterion", "DeviceName": name},
                    "CriterionBid": {"Type": "BidMultiplier", "Multiplier": float(campaign.modifier_percent[d] - 100)},
                }
                for d, (number, name) in _CRITERIA.items()
            ]
        }

    def _update_campaigns(self, request: WireRequest, body: _Node) -> object:
        def read(node: _Node) -> Iterator[tuple[SandboxCampaign, Setting, int | PlanStatus, Device | None]]:
            campaign = self._account.find_campaign(str(node["Id"]))
            if node.get("Status") is not None:
                status = PlanStatus.ENABLED if node["Status"] == "Active" else PlanStatus.PAUSED
                yield campaign, Setting.STATUS, status, None
            if node.get("DailyBudget") is not None:
                yield campaign, Setting.DAILY_BUDGET, _read_amount("DailyBudget", node["DailyBudget"]), None

        return self._update(request, body["Campaigns"], read)

    def _update_ad_groups(self, request: WireRequest, body: _Node) -> object:
        def read(node: _Node) -> Iterator[tuple[SandboxCampaign, Setting, int | PlanStatus, Device | None]]:
            campaign = self._account.find_by("ad_group", str(node["Id"]))
            if campaign.id != str(body["CampaignId"]):
                msg = f"ad group {node['Id']} is not in campaign {body['CampaignId']}"
                raise WriteRefusedError("not_found", msg)
            yield campaign, Setting.BID, _read_amount("CpcBid", node["CpcBid"]["Amount"]), None

        return self._update(request, body["AdGroups"], read)

    def _update_criteria(self, request: WireRequest, body: _Node) -> object:
        devices = {number: device for device, (number, _) in _CRITERIA.items()}

        def read(node: _Node) -> Iterator[tuple[SandboxCampaign, Setting, int | PlanStatus, Device | None]]:
            campaign = self._account.find_campaign(str(node["CampaignId"]))
            percent = 100 + round(node["CriterionBid"]["Multiplier"])
            yield campaign, Setting.DEVICE_MODIFIER, percent, devices[str(node["Id"])[0]]

        answer = self._update(request, body["CampaignCriterions"], read)
        return {"NestedPartialErrors": answer["PartialErrors"]}

    def _update(
        self,
        request: WireRequest,
        nodes: list[_Node],
        read: Callable[[_Node], Iterator[tuple[SandboxCampaign, Setting, int | PlanStatus, Device | None]]],
    ) -> _Node:
        """Applies what can be; the rest becomes partial errors by index."""
        if len(nodes) > 100:
            raise make_fault(400, 1102, "CampaignServiceArrayExceedsLimit", "more than 100 entities")
        errors = []
        for index, node in enumerate(nodes):
            try:
                if request.meets(FaultKind.PARTIAL) and index % 2 == 0:
                    raise WriteRefusedError("injected", "too many calls")
                for campaign, setting, amount, device in read(node):
                    self._account.write(campaign, setting, amount, device, self._world.hour)
            except WriteRefusedError as error:
                code, name = _CODES[error.rule]
                item: _Node = {"Index": index, "Code": code, "ErrorCode": name, "Message": str(error)}
                errors.append(item | ({"RetryAfter": 0.01} if error.rule == "injected" else {}))
        return {"PartialErrors": errors}

    def _find(self, find: Callable[[], SandboxCampaign]) -> SandboxCampaign:
        try:
            return find()
        except WriteRefusedError as error:
            raise make_fault(400, *_CODES[error.rule], str(error)) from None


def _read_amount(field: str, raw: object) -> int:
    try:
        return parse_money_micros(field, raw) or 0
    except FieldError as error:
        raise WriteRefusedError("not_a_unit", str(error)) from None


def _make_fault(error: WireError, wait_s: float | None = None) -> WireResponse:
    item: _Node = {"Code": error.code, "ErrorCode": error.detail, "Message": str(error)}
    if wait_s is not None:
        item["RetryAfter"] = wait_s
    return make_json({"TrackingId": "sandbox", "Type": "ApiFaultDetail", "Errors": [item]}, error.status)
