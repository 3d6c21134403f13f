"""TikTok's API for Business over the sandbox's market: lists, one report, three updates."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from connectors.money import make_decimal
from connectors.operations import Setting
from connectors.sandbox.account import SandboxAccount, SandboxCampaign
from connectors.sandbox.cells import CellReport
from connectors.sandbox.faults import CallKind, Fault, FaultKind, repeat_rows
from connectors.sandbox.http_host import WireRequest, WireResponse, make_json
from connectors.sandbox.tokens import TokenDesk
from connectors.sandbox.world import SandboxWorld
from gaelp_rl.domain.bid_plan import PlanStatus
from gaelp_rl.domain.channels import Channel
from gaelp_rl.domain.numbers import parse_money_micros
from gaelp_rl.errors import FieldError, WireError, WriteRefusedError

__all__ = ["TikTokSandbox"]

_PREFIX = "/open_api/v1.3"
_CODES = {"not_found": 40002, "not_a_unit": 40002, "below_minimum": 40002, "out_of_range": 40002, "injected": 40202}

_Node = dict[str, Any]


class TikTokSandbox:
    """See ``connectors.sandbox.http_host.HttpPlatform``."""

    platform = "tiktok"

    def __init__(self, world: SandboxWorld, tokens: TokenDesk) -> None:
        """Serves the account of TikTok.

        Args:
            world: the market.
            tokens: what access tokens are good.
        """
        self._world = world
        self._account: SandboxAccount = world.accounts[Channel.TIKTOK]
        self._tokens = tokens
        self._routes: dict[tuple[str, str], Callable[[WireRequest], object]] = {
            ("GET", "/advertiser/info/"): self._describe_advertiser,
            ("GET", "/campaign/get/"): lambda request: self._list(request, self._describe_campaign),
            ("GET", "/adgroup/get/"): lambda request: self._list(request, self._describe_ad_group),
            ("GET", "/ad/get/"): lambda request: self._list(request, _describe_ad),
            ("GET", "/report/integrated/get/"): self._report,
            ("POST", "/campaign/status/update/"): self._update_status,
            ("POST", "/adgroup/update/"): self._update_ad_group,
        }

    def classify(self, request: WireRequest) -> CallKind:
        """Posts write, the integrated report reports."""
        if request.method == "POST":
            return CallKind.WRITE
        return CallKind.REPORT if "/report/" in request.path else CallKind.READ

    def answer(self, request: WireRequest) -> WireResponse:
        """One call; HTTP always says 200."""
        route = self._routes.get((request.method, request.path.removeprefix(_PREFIX)))
        try:
            if not self._tokens.is_good(request.headers.get("access-token", "")):
                raise WireError(40105, "Access token is incorrect or has been revoked.")
            if route is None:
                raise WireError(40006, f"no such path: {request.path}")
            with self._world.lock:
                data = route(request)
        except WireError as error:
            return _make_answer(error.code, str(error))
        return _make_answer(0, "OK", data)

    def refuse(self, request: WireRequest, fault: Fault) -> WireResponse:
        """TikTok's throttling, internal error and dead token: all of them HTTP 200."""
        del request
        if fault.kind is FaultKind.THROTTLE:
            return _make_answer(40100, "Too many requests. Please retry in some time.")
        if fault.kind is FaultKind.AUTH_EXPIRED:
            return _make_answer(40105, "Access token is incorrect or has been revoked.")
        return _make_answer(50000, "System error.")

    def _describe_advertiser(self, request: WireRequest) -> object:
        if json.loads(request.parameters["advertiser_ids"]) != [self._account.id]:
            raise WireError(40001, "You don't have permission to the advertiser account.")
        account = self._account
        node = {"advertiser_id": account.id, "name": account.name, "currency": account.currency}
        return {"list": [{**node, "timezone": str(account.time_zone)}]}

    def _list(self, request: WireRequest, describe: Callable[[SandboxCampaign], _Node]) -> object:
        self._check_advertiser(request.parameters.get("advertiser_id"))
        asked = json.loads(request.parameters["fields"])
        nodes = [describe(campaign) for campaign in self._account.campaigns.values()]
        return _make_page(request, [{name: node[name] for name in asked} for node in nodes])

    def _report(self, request: WireRequest) -> object:
        parameters = request.parameters
        self._check_advertiser(parameters.get("advertiser_id"))
        first, last = (date.fromisoformat(parameters[name]) for name in ("start_date", "end_date"))
        if first != last:
            raise WireError(40002, "The time span of stat_time_hour cannot exceed 1 day.")
        cells = self._world.list_cells(
            Channel.TIKTOK, (first, last), self._account.time_zone, device_split=False, fault=request.fault
        )
        return _make_page(request, [self._describe_cell(cell) for cell in cells])

    def _describe_cell(self, cell: CellReport) -> _Node:
        value_micros = cell.conversions * self._world.conversion_value_micros
        return {
            "dimensions": {"ad_id": cell.campaign.ad_id, "stat_time_hour": f"{cell.local:%Y-%m-%d %H:00:00}"},
            "metrics": {
                "campaign_id": cell.campaign.id,
                "spend": str(make_decimal(cell.spend_micros)),
                "impressions": str(cell.impressions),
                "clicks": str(cell.clicks),
                "conversion": str(cell.conversions) if cell.clicks else "-",
                "total_complete_payment_rate": str(make_decimal(value_micros)),
            },
        }

    def _update_status(self, request: WireRequest) -> object:
        body = request.read_json()
        self._check_advertiser(body.get("advertiser_id"))
        status = PlanStatus.ENABLED if body["operation_status"] == "ENABLE" else PlanStatus.PAUSED
        if request.meets(FaultKind.PARTIAL):
            raise WireError(_CODES["injected"], "The campaigns are being changed by another request.")
        for campaign_id in body["campaign_ids"]:
            self._write(lambda at=campaign_id: self._account.find_campaign(at), Setting.STATUS, status)  # type: ignore[misc]
        return {"campaign_ids": body["campaign_ids"], "status": body["operation_status"]}

    def _update_ad_group(self, request: WireRequest) -> object:
        body = request.read_json()
        self._check_advertiser(body.get("advertiser_id"))
        known = {"advertiser_id", "adgroup_id", "budget", "bid_price"}
        if set(body) - known:
            raise WireError(40002, f"the sandbox does not expect {sorted(set(body) - known)}")
        if request.meets(FaultKind.PARTIAL):
            raise WireError(_CODES["injected"], "The ad group is being changed by another request.")
        for name, setting in (("budget", Setting.DAILY_BUDGET), ("bid_price", Setting.BID)):
            if name in body:
                try:
                    micros = parse_money_micros(name, body[name]) or 0
                except FieldError as error:
                    raise WireError(40002, str(error)) from None
                self._write(lambda: self._account.find_by("ad_group", body["adgroup_id"]), setting, micros)
        return {"adgroup_id": body["adgroup_id"]}

    def _write(self, find: Callable[[], SandboxCampaign], setting: Setting, amount: int | PlanStatus) -> None:
        try:
            self._account.write(find(), setting, amount, None, self._world.hour)
        except WriteRefusedError as error:
            raise WireError(_CODES[error.rule], str(error)) from None

    def _check_advertiser(self, advertiser: str | None) -> None:
        if advertiser != self._account.id:
            raise WireError(40001, "You don't have permission to the advertiser account.")

    def _describe_campaign(self, campaign: SandboxCampaign) -> _Node:
        status = "ENABLE" if campaign.status is PlanStatus.ENABLED else "DISABLE"
        return {
            "campaign_id": campaign.id,
            "campaign_name": campaign.name,
            "operation_status": status,
            "budget": 0.0,
        }

    def _describe_ad_group(self, campaign: SandboxCampaign) -> _Node:
        return {
            "adgroup_id": campaign.ad_group_id,
            "adgroup_name": f"{campaign.name} ads",
            "campaign_id": campaign.id,
            "operation_status": "ENABLE",
            "budget": float(make_decimal(campaign.budget_micros)),
            "bid_price": float(make_decimal(campaign.bid_micros)),
        }


def _describe_ad(campaign: SandboxCampaign) -> _Node:
    return {"ad_id": campaign.ad_id, "adgroup_id": campaign.ad_group_id}


def _make_page(request: WireRequest, nodes: list[_Node]) -> object:
    page, size = int(request.parameters["page"]), int(request.parameters["page_size"])
    if size > 1000:
        raise WireError(40002, "page_size: the value is larger than 1000")
    total = max(-(-len(nodes) // size), 1)
    info = {"page": page, "page_size": size, "total_number": len(nodes), "total_page": total}
    return {"list": repeat_rows(nodes[(page - 1) * size : page * size], request.fault), "page_info": info}


def _make_answer(code: int, message: str, data: object = None) -> WireResponse:
    body: Mapping[str, object] = {"code": code, "message": message, "request_id": "sandbox", "data": data or {}}
    return make_json(body)
