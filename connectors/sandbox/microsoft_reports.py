"""Microsoft's reports over the sandbox's market: asked for, polled, and downloaded as a zipped CSV."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from connectors.money import make_decimal
from connectors.sandbox.faults import Fault, repeat_rows
from connectors.sandbox.http_host import WireRequest, WireResponse
from connectors.sandbox.world import SandboxWorld
from gaelp_rl.domain.channels import DEVICES, Channel, Device
from gaelp_rl.errors import WireError

__all__ = ["MicrosoftReports", "make_fault"]

_UTC = ZoneInfo("UTC")
_DEVICES = {Device.MOBILE: "Smartphone", Device.DESKTOP: "Computer", Device.TABLET: "Tablet"}
_SHARE_COLUMNS = {"ImpressionSharePercent", "ImpressionLostToBudgetPercent", "ImpressionLostToRankAggPercent"}
_MOST_KEPT = 1_000

_Node = dict[str, Any]


def make_fault(status: int, code: int, name: str, message: str) -> WireError:
    """A fault in Microsoft's terms, with the HTTP status that carries it."""
    return WireError(code, message, name, status)


class MicrosoftReports:
    """The reporting service of one account."""

    def __init__(self, world: SandboxWorld) -> None:
        """Starts without reports; the newest thousand are kept."""
        self._world = world
        self._reports: dict[str, tuple[_Node, Fault | None]] = {}
        self._count = 0

    def submit(self, request: WireRequest, body: _Node) -> object:
        """Takes a request for a report; an hourly one with impression share is refused."""
        report = body["ReportRequest"]
        if report["Aggregation"] == "Hourly" and _SHARE_COLUMNS & set(report["Columns"]):
            raise make_fault(400, 2053, "InvalidColumnsForAggregation", "impression share is not reported by hour")
        self._count += 1
        report_id = f"report-{self._count}"
        self._reports[report_id] = (report, request.fault)
        if len(self._reports) > _MOST_KEPT:
            del self._reports[next(iter(self._reports))]
        return {"ReportRequestId": report_id}

    def poll(self, request: WireRequest, body: _Node) -> object:
        """Where a report is."""
        report_id = body["ReportRequestId"]
        if report_id not in self._reports:
            raise make_fault(400, 2100, "ReportingServiceInvalidReportId", "no such report")
        url = f"http://{request.headers['host']}/download/{report_id}.zip?sig=sandbox-signature"
        return {"ReportRequestStatus": {"Status": "Success", "ReportDownloadUrl": url}}

    def download(self, request: WireRequest) -> WireResponse:
        """The report as a zipped CSV, as of now."""
        known = self._reports.get(request.path.removeprefix("/download/").removesuffix(".zip"))
        if known is None:
            return WireResponse(404, b"gone")
        report, fault = known
        with self._world.lock:
            text = self._write_csv(report, request.fault or fault)
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("report.csv", "\ufeff" + text)
        return WireResponse(200, file.getvalue(), {"Content-Type": "application/zip"})

    def _write_csv(self, report: _Node, fault: Fault | None) -> str:
        days = tuple(
            date(at["Year"], at["Month"], at["Day"])
            for at in (report["Time"][f"CustomDateRange{end}"] for end in ("Start", "End"))
        )
        make = self._list_hours if report["Aggregation"] == "Hourly" else self._list_shares
        text = io.StringIO()
        writer = csv.DictWriter(text, report["Columns"], lineterminator="\r\n", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(repeat_rows(list(make((days[0], days[1]), fault)), fault))
        return text.getvalue()

    def _list_hours(self, days: tuple[date, date], fault: Fault | None) -> Iterator[_Node]:
        for cell in self._world.list_cells(Channel.MICROSOFT, days, _UTC, fault=fault):
            yield {
                "TimePeriod": f"{cell.local.date()}|{cell.local.hour}",
                "CampaignId": cell.campaign.id,
                "AdId": cell.campaign.ad_id,
                "DeviceType": _DEVICES[DEVICES[cell.device or 0]],
                "Impressions": cell.impressions,
                "Clicks": cell.clicks,
                "Spend": make_decimal(cell.spend_micros),
                "ConversionsQualified": f"{cell.conversions:.2f}",
                "Revenue": make_decimal(cell.conversions * self._world.conversion_value_micros),
            }

    def _list_shares(self, days: tuple[date, date], fault: Fault | None) -> Iterator[_Node]:
        del fault
        span = [days[0] + timedelta(days=n) for n in range((days[1] - days[0]).days + 1)]
        for share in self._world.list_day_shares(Channel.MICROSOFT, span):
            yield {
                "TimePeriod": share.day.isoformat(),
                "CampaignId": share.campaign.id,
                "Impressions": share.impressions,
                "ImpressionSharePercent": f"{100 * share.share:.2f}%",
                "ImpressionLostToBudgetPercent": f"{100 * share.lost_to_budget:.2f}%",
                "ImpressionLostToRankAggPercent": f"{100 * share.lost_to_rank:.2f}%",
            }
