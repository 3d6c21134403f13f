"""From a GA4 export and platform reports to hourly facts, rates, delays and joined report rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from experiments.ga4_estimates import estimate_all
from experiments.ga4_figures import write_ga4_figures
from experiments.ga4_summary import make_summary, show_summary, write_summary
from experiments.progress import WorkProgress
from gaelp_rl.bootstrap.attribution import attribute, list_landed_clicks
from gaelp_rl.bootstrap.facts import AttributedExport, make_facts
from gaelp_rl.bootstrap.ga4_reader import read_export
from gaelp_rl.bootstrap.ga4_shards import ShardList, find_shards
from gaelp_rl.bootstrap.report_join import join_reports
from gaelp_rl.config.ga4 import Ga4Config
from gaelp_rl.domain.hourly_report import HourlyReport
from gaelp_rl.domain.numbers import CensoredShare, Censoring
from gaelp_rl.errors import DataError
from gaelp_rl.response.report_files import load_reports

__all__ = ["Ga4Result", "read_attributed_export", "run_ga4_facts", "write_reports"]

_REPORT_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("account", "channel", "campaign", "creative", "device", "hour", "as_of")]
    + [(name, pa.int64()) for name in ("impressions", "clicks", "spend_micros")]
    + [("conversions", pa.float64()), ("conversion_value_micros", pa.int64())]
    + [("conversion_source", pa.string()), ("currency", pa.string()), ("eligible_impressions", pa.int64())]
    + [(name, pa.string()) for name in ("lost_share_budget", "lost_share_rank")]
)


@dataclass(frozen=True, slots=True)
class Ga4Result:
    """Where the results lie.

    Attributes:
        reports: platform rows with GA4's conversions joined, Parquet; ``load_reports`` reads it.
        facts: hourly channel x device facts, Parquet.
        summary: counts, quarantine by field, landing rates, CVR and delay estimates with intervals, JSON.
    """

    reports: Path
    facts: Path
    summary: Path


def run_ga4_facts(ga4: Path, reports: Path, out: Path, settings: Ga4Config, console: Console) -> Ga4Result:
    """Reads an export and an account's rows, and writes what they say together.

    Args:
        ga4: folder of ``events_YYYYMMDD`` and ``events_intraday_YYYYMMDD`` files; see ``find_shards``.
        reports: the platforms' hourly rows, CSV or Parquet; see ``load_reports``.
        out: folder of the results, with figures of delays and rates beside them.
        settings: what the export does not say itself.
        console: shows progress and what was read.

    Returns:
        Where the results lie.

    Raises:
        DataError: a file cannot be read, or holds nothing that can be used.
    """
    shards = find_shards(ga4)
    parsed = load_reports(reports)
    if not parsed.accepted:
        msg = f"{reports} holds no usable row of {parsed.num_rows:,}: GA4's conversions need platform rows to join"
        raise DataError(msg)
    attributed = read_attributed_export(shards, settings, console)
    joined = join_reports(parsed.accepted, attributed, settings)
    estimates = estimate_all(attributed, settings)
    out.mkdir(parents=True, exist_ok=True)
    result = Ga4Result(out / "reports.parquet", out / "facts.parquet", out / "ga4-summary.json")
    write_reports(result.reports, joined.rows)
    pq.write_table(make_facts(attributed, settings), result.facts)
    summary = make_summary(shards, attributed, parsed, joined, estimates, settings)
    write_summary(result.summary, summary)
    write_ga4_figures(out, estimates)
    show_summary(summary, console)
    return result


def read_attributed_export(shards: ShardList, settings: Ga4Config, console: Console) -> AttributedExport:
    """Reads an export and finds each conversion's click.

    Args:
        shards: of the export.
        settings: of the export.
        console: shows progress.
    """
    total = len(shards.shards)
    with WorkProgress(console, "reading GA4", total) as progress:
        export = read_export(shards, settings, lambda done, rows: progress.update(done, f"{rows:,} events"))
    clicks = list_landed_clicks(export.sessions)
    found = attribute(export.conversions, clicks, settings.attribution, settings.lookback_days)
    return AttributedExport(export, clicks, found)


def write_reports(path: Path, rows: Iterable[HourlyReport]) -> None:
    """Writes report rows as Parquet that ``load_reports`` reads back to equal ones.

    Args:
        path: of the file.
        rows: report rows.
    """
    names = [field.name for field in fields(HourlyReport)]
    columns: dict[str, list[object]] = {name: [] for name in names}
    for row in rows:
        for name in names:
            columns[name].append(_write_cell(getattr(row, name)))
    arrays = [pa.array(columns[field.name], field.type) for field in _REPORT_SCHEMA]
    pq.write_table(pa.Table.from_arrays(arrays, schema=_REPORT_SCHEMA), path)


def _write_cell(cell: object) -> object:
    if isinstance(cell, CensoredShare):
        side = {Censoring.NONE: "", Censoring.BELOW: "< ", Censoring.ABOVE: "> "}[cell.censoring]
        return f"{side}{Decimal(repr(cell.share)).scaleb(2):f}%"
    if isinstance(cell, str):
        return str(cell)
    return cell.isoformat() if hasattr(cell, "isoformat") else cell
