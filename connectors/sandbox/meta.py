"""Meta's Graph API over the sandbox's market: nodes, edges, Insights and batches."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any
from urllib.parse import parse_qsl

from connectors.money import compute_unit_micros, make_decimal, make_minor_units, parse_minor_units
from connectors.operations import Setting
from connectors.sandbox.account import SandboxAccount, SandboxCampaign
from connectors.sandbox.cells import CellReport
from connectors.sandbox.faults import CallKind, Fault, FaultKind, repeat_rows
from connectors.sandbox.http_host import WireRequest, WireResponse, make_json
from connectors.sandbox.tokens import TokenDesk
from connectors.sandbox.world import SandboxWorld
from gaelp_rl.domain.bid_plan import PlanStatus
from gaelp_rl.domain.channels import DEVICES, Channel, Device
from gaelp_rl.errors import FieldError, WireError, WriteRefusedError

__all__ = ["MetaSandbox"]

_PREFIX = "/v26.0"
_HOUR = "hourly_stats_aggregated_by_advertiser_time_zone"
_DEVICE_NAMES = {
    Device.MOBILE: ("iphone", "android_smartphone"),
    Device.DESKTOP: ("desktop",),
    Device.TABLET: ("ipad", "android_tablet"),
}
_CODES = {"not_found": (100, 33), "not_a_unit": (100, None), "below_minimum": (100, 1885272), "injected": (2, None)}

_Node = dict[str, Any]


class MetaSandbox:
    """See ``connectors.sandbox.http_host.HttpPlatform``."""

    platform = "meta"

    def __init__(self, world: SandboxWorld, tokens: TokenDesk, app_secret: str) -> None:
        """Serves the account of Meta.

        Args:
            world: the market.
            tokens: what access tokens are good.
            app_secret: that proofs are checked by.
        """
        self._world = world
        self._account: SandboxAccount = world.accounts[Channel.META]
        self._tokens = tokens
        self._app_secret = app_secret
        self._report: tuple[tuple[object, ...], list[_Node]] | None = None

    def classify(self, request: WireRequest) -> CallKind:
        """Posts write, Insights report."""
        if request.method == "POST":
            return CallKind.WRITE
        return CallKind.REPORT if request.path.endswith("/insights") else CallKind.READ

    def answer(self, request: WireRequest) -> WireResponse:
        """One Graph call."""
        try:
            self._check_caller(request.parameters)
            with self._world.lock:
                content = self._answer(request)
        except WireError as error:
            return self._make_error(error)
        return make_json(content, headers=self._make_usage())

    def refuse(self, request: WireRequest, fault: Fault) -> WireResponse:
        """Meta's throttling, server error and expired token."""
        del request
        if fault.kind is FaultKind.THROTTLE:
            error = WireError(17, "User request limit reached", 2446079)
            return self._make_error(error, self._make_usage(fault.wait_s))
        if fault.kind is FaultKind.AUTH_EXPIRED:
            return self._make_error(WireError(190, "Error validating access token: Session has expired", 463, 401))
        return WireResponse(500, b"<html>Sorry, something went wrong.</html>", {"Content-Type": "text/html"})

    def _answer(self, request: WireRequest) -> object:
        path = request.path.removeprefix(_PREFIX).strip("/")
        if request.method == "POST":
            return self._post_batch(request) if not path else self._post(path, request.parameters, meets=False)
        if path == "me/permissions":
            return {"data": [{"permission": name, "status": "granted"} for name in ("ads_read", "ads_management")]}
        node, _, edge = path.partition("/")
        if node != f"act_{self._account.id}" and not (edge == "insights" and node in self._account.campaigns):
            raise WireError(100, f"Unsupported get request. Object with ID '{node}' does not exist", 33)
        if not edge:
            return _pick(self._describe_account(), request.parameters)
        return self._make_page(edge, request)

    def _make_page(self, edge: str, request: WireRequest) -> object:
        """``limit`` nodes after the cursor; one empty page in the middle where the script says so."""
        nodes = self._list_nodes(edge, request)
        cursor = request.parameters.get("after", "0")
        at, limit = int(cursor.split("-")[0]), int(request.parameters.get("limit", "25"))
        if request.meets(FaultKind.EMPTY_PAGE):
            data, following = [], at
            cursor = f"{at}-again{len(cursor)}"
        else:
            data, following = repeat_rows(nodes[at : at + limit], request.fault), at + limit
            cursor = str(following)
        page: _Node = {"data": data, "paging": {"cursors": {"before": str(at), "after": cursor}}}
        if following < len(nodes):
            token = request.parameters["access_token"]
            page["paging"]["next"] = f"https://graph.facebook.com{request.path}?access_token={token}&after={cursor}"
        return page

    def _list_nodes(self, edge: str, request: WireRequest) -> list[_Node]:
        """All nodes of an edge; a report is made once for all its pages."""
        if edge == "insights":
            asked = {name: text for name, text in request.parameters.items() if name not in {"after", "limit"}}
            query = (self._world.hour, request.path, request.fault and request.fault.kind, *sorted(asked.items()))
            if self._report is None or self._report[0] != query:
                self._report = (query, list(self._list_insights(request)))
            return self._report[1]
        describe = {
            "campaigns": self._describe_campaign,
            "adsets": self._describe_ad_set,
            "ads": _describe_ad,
        }.get(edge)
        if describe is None:
            raise WireError(100, f"Tried accessing nonexisting field ({edge})")
        return [_pick(describe(campaign), request.parameters) for campaign in self._account.campaigns.values()]

    def _list_insights(self, request: WireRequest) -> Iterator[_Node]:
        """By hour and ad of the account or one campaign; or only which campaigns there are any of."""
        period = json.loads(request.parameters["time_range"])
        days = (date.fromisoformat(period["since"]), date.fromisoformat(period["until"]))
        only = next((one for one in self._account.campaigns if f"/{one}/" in request.path), None)
        lists_campaigns = request.parameters["level"] == "campaign"
        if request.meets(FaultKind.TOO_MUCH_DATA) and not lists_campaigns and (days[0] < days[1] or only is None):
            raise WireError(100, "Please reduce the amount of data you're asking for, then retry", 1504018)
        split = "impression_device" in json.loads(request.parameters.get("breakdowns", "[]"))
        cells = self._world.list_cells(
            Channel.META, days, self._account.time_zone, device_split=split, fault=request.fault
        )
        if lists_campaigns:
            yield from ({"campaign_id": one} for one in dict.fromkeys(cell.campaign.id for cell in cells))
            return
        for cell in cells:
            if only not in {None, cell.campaign.id}:
                continue
            names = _DEVICE_NAMES[DEVICES[cell.device]] if cell.device is not None else ("",)
            for name, part in zip(names, cell.split(len(names)), strict=True):
                yield _describe_cell(part, name)

    def _post_batch(self, request: WireRequest) -> object:
        answers = []
        for index, call in enumerate(json.loads(request.parameters["batch"])):
            meets = request.meets(FaultKind.PARTIAL) and index % 2 == 0
            try:
                body: object = self._post(call["relative_url"], dict(parse_qsl(call.get("body", ""))), meets=meets)
                status = 200
            except WireError as error:
                body, status = _describe_error(error), error.status
            answers.append({"code": status, "headers": [], "body": json.dumps(body)})
        return answers

    def _post(self, node: str, parameters: Mapping[str, str], *, meets: bool) -> object:
        if meets:
            raise WireError(2, "An unexpected error has occurred. Please retry your request later.")
        check_only = "validate_only" in parameters.get("execution_options", "")
        try:
            campaign = self._find(node)
            for setting, amount in self._read_amounts(node, campaign, parameters):
                self._account.write(campaign, setting, amount, None, self._world.hour, check_only=check_only)
        except WriteRefusedError as error:
            code, subcode = _CODES[error.rule]
            raise WireError(code, str(error), subcode) from None
        except FieldError as error:
            raise WireError(100, str(error)) from None
        return {"success": True}

    def _find(self, node: str) -> SandboxCampaign:
        return self._account.campaigns.get(node) or self._account.find_by("ad_group", node)

    def _read_amounts(
        self, node: str, campaign: SandboxCampaign, parameters: Mapping[str, str]
    ) -> Iterator[tuple[Setting, int | PlanStatus]]:
        currency = self._account.currency
        if node == campaign.id and "status" in parameters:
            yield Setting.STATUS, PlanStatus.ENABLED if parameters["status"] == "ACTIVE" else PlanStatus.PAUSED
        if node == campaign.ad_group_id and "daily_budget" in parameters:
            yield Setting.DAILY_BUDGET, parse_minor_units("daily_budget", parameters["daily_budget"], currency)
        if node == campaign.ad_group_id and "bid_amount" in parameters:
            yield Setting.BID, parse_minor_units("bid_amount", parameters["bid_amount"], currency)

    def _check_caller(self, parameters: Mapping[str, str]) -> None:
        token = parameters.get("access_token", "")
        proof = hmac.new(self._app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        if not self._tokens.is_good(token):
            raise WireError(190, "Invalid OAuth access token.", status=401)
        if parameters.get("appsecret_proof") != proof:
            raise WireError(100, "Invalid appsecret_proof provided in the API argument")

    def _describe_account(self) -> _Node:
        account = self._account
        return {
            "id": f"act_{account.id}",
            "account_id": account.id,
            "name": account.name,
            "currency": account.currency,
            "timezone_name": str(account.time_zone),
        }

    def _describe_campaign(self, campaign: SandboxCampaign) -> _Node:
        return {"id": campaign.id, "name": campaign.name, "status": _describe_status(campaign)}

    def _describe_ad_set(self, campaign: SandboxCampaign) -> _Node:
        unit = compute_unit_micros(self._account.currency)
        return {
            "id": campaign.ad_group_id,
            "name": f"{campaign.name} ads",
            "campaign_id": campaign.id,
            "status": "ACTIVE",
            "daily_budget": str(make_minor_units(campaign.budget_micros, self._account.currency)),
            "bid_amount": campaign.bid_micros // unit,
        }

    def _make_usage(self, wait_s: float = 0.0) -> dict[str, str]:
        usage = {
            "call_count": 100 if wait_s else 1,
            "total_cputime": 1,
            "total_time": 1,
            "type": "ads_management",
            "estimated_time_to_regain_access": wait_s / 60.0,
        }
        return {"X-Business-Use-Case-Usage": json.dumps({self._account.id: [usage]})}

    def _make_error(self, error: WireError, headers: Mapping[str, str] | None = None) -> WireResponse:
        return make_json(_describe_error(error), error.status, headers)


def _describe_error(error: WireError) -> _Node:
    body: _Node = {"message": str(error), "type": "OAuthException", "code": error.code, "fbtrace_id": "sandbox"}
    if error.detail is not None:
        body["error_subcode"] = error.detail
    return {"error": body}


def _describe_status(campaign: SandboxCampaign) -> str:
    return "ACTIVE" if campaign.status is PlanStatus.ENABLED else "PAUSED"


def _describe_ad(campaign: SandboxCampaign) -> _Node:
    return {"id": campaign.ad_id, "adset_id": campaign.ad_group_id}


def _describe_cell(cell: CellReport, device: str) -> _Node:
    day, hour = cell.local.date().isoformat(), f"{cell.local.hour:02d}"
    return {
        "campaign_id": cell.campaign.id,
        "ad_id": cell.campaign.ad_id,
        "impressions": str(cell.impressions),
        "clicks": str(cell.clicks),
        "spend": str(make_decimal(cell.spend_micros)),
        "date_start": day,
        "date_stop": day,
        _HOUR: f"{hour}:00:00 - {hour}:59:59",
        **({"impression_device": device} if device else {}),
    }


def _pick(node: _Node, parameters: Mapping[str, str]) -> _Node:
    """Graph sends ``id`` and what is asked for."""
    asked = {"id", *parameters.get("fields", "").split(",")}
    return {name: content for name, content in node.items() if name in asked}
