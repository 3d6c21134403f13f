"""The summary of a GA4 export: what was read, what was left out and why, and what was found."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from experiments.ga4_estimates import CONFIDENCE, DelayEstimate, Ga4Estimates
from gaelp_rl.bootstrap.account_hours import MICROS_PER_HOUR, make_instant
from gaelp_rl.bootstrap.attribution import attribute
from gaelp_rl.bootstrap.conversion_rates import Rate, estimate_rate
from gaelp_rl.bootstrap.facts import AttributedExport
from gaelp_rl.bootstrap.ga4_events import Tally
from gaelp_rl.bootstrap.ga4_shards import ShardList
from gaelp_rl.bootstrap.report_join import ChannelComparison, JoinedReports
from gaelp_rl.config.ga4 import Ga4Config
from gaelp_rl.domain.hourly_report import ParsedReports

__all__ = ["make_summary", "show_summary", "write_summary"]

_CURVE_AGES_HOURS = (1.0, 6.0, 24.0, 72.0, 168.0, 336.0)
_SHOWN_REASONS = 5


def make_summary(
    shards: ShardList,
    attributed: AttributedExport,
    parsed: ParsedReports,
    joined: JoinedReports,
    estimates: Ga4Estimates,
    settings: Ga4Config,
) -> dict[str, Any]:
    """Collects everything that is worth knowing about a run.

    Args:
        shards: files that were read and files that were replaced.
        attributed: the export.
        parsed: the platform rows.
        joined: both together.
        estimates: rates and delays.
        settings: of the export.

    Returns:
        Plain numbers, text, lists and dictionaries; money in micros, shares from 0 to 1.
    """
    export = attributed.export
    return {
        "settings": settings.model_dump(mode="json"),
        "as_of": make_instant(export.as_of).isoformat(),
        "confidence": CONFIDENCE,
        "events": _sum_tallies(list(export.tallies.values())),
        "shards": {name: _sum_tallies([tally]) for name, tally in export.tallies.items()},
        "superseded_files": [path.name for path in shards.superseded],
        "provisional_from": _find_provisional(attributed, settings),
        "sessions": int(export.sessions.session.size),
        "landed_clicks": int(attributed.clicks.user.size),
        "conversions": _describe_conversions(attributed, settings),
        "reports": {
            "rows": parsed.num_rows,
            "accepted": len(parsed.accepted),
            "quarantined": len(parsed.quarantined),
            "duplicates": parsed.duplicates,
            "rows_after_join": len(joined.rows),
            "rows_with_ga4_conversions": joined.joined,
            "rows_not_covered": joined.not_covered,
        },
        "channels": {str(channel): _describe_channel(one) for channel, one in joined.channels.items()},
        "conversion_rates": _describe_rates(joined, estimates),
        "delays": {name: _describe_delay(delay) for name, delay in estimates.delays.items()},
    }


def write_summary(path: Path, summary: dict[str, Any]) -> None:
    """Writes a summary as JSON; what is not a number becomes null."""
    path.write_text(json.dumps(_clean(summary), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def show_summary(summary: dict[str, Any], console: Console) -> None:
    """Prints what a reader should look at first."""
    events, conversions = summary["events"], summary["conversions"]
    console.print(
        f"{events['rows']:,} events = {events['accepted']:,} accepted + {events['quarantined']:,} quarantined + "
        f"{events['duplicates']:,} duplicates; {len(summary['superseded_files'])} files replaced by newer ones"
    )
    for name, count in list(events["quarantined_by_field"].items())[:_SHOWN_REASONS]:
        shown = ", ".join(events["examples"][name])
        console.print(f"  quarantined: field {name!r}, {count:,} rows, such as {shown}", markup=False)
    console.print(
        f"{summary['sessions']:,} sessions, {summary['landed_clicks']:,} landed clicks, {conversions['counted']:,} "
        f"conversions ({conversions['attributed']:,} after an ad click); provisional from {summary['provisional_from']}"
    )
    table = Table(title=f"GA4, {CONFIDENCE:.0%} intervals", box=SIMPLE_HEAD, title_justify="left")
    for heading in ("channel", "landing rate", "conversions: platform", "GA4", "CVR of landed clicks by device"):
        table.add_column(heading, overflow="fold")
    for channel, one in summary["channels"].items():
        rates = [
            f"{rate['device']} {rate['estimate']:.2%} ({rate['low']:.2%} to {rate['high']:.2%})"
            for rate in summary["conversion_rates"]
            if rate["channel"] == channel and rate["effective_clicks"] > 0
        ]
        landing = one["landing_rate"]
        shown = f"{landing['estimate']:.1%}" if landing["trials"] else "no clicks"
        counts = (f"{one['platform_conversions']:,.0f}", f"{one['ga4_conversions']:,}")
        table.add_row(channel, shown, *counts, "\n".join(rates) or "too few clicks")
    console.print(table)


def _sum_tallies(tallies: list[Tally]) -> dict[str, Any]:
    fields: Counter[str] = sum((tally.quarantined for tally in tallies), start=Counter())
    examples: dict[str, list[str]] = {}
    for tally in tallies:
        for name, cells in tally.examples.items():
            examples.setdefault(name, []).extend(cells[: 3 - len(examples.get(name, []))])
    counted = ("rows", "accepted", "duplicates", "without_user", "consent_denied", "without_session")
    return {
        **{name: sum(getattr(tally, name) for tally in tallies) for name in counted},
        "quarantined": fields.total(),
        "quarantined_by_field": dict(fields.most_common()),
        "examples": examples,
    }


def _find_provisional(attributed: AttributedExport, settings: Ga4Config) -> str:
    """First day that GA4 may still restate."""
    days = [shard.day for shard in attributed.export.shards]
    newest = max(days).toordinal()
    young = [day for day in days if newest - day.toordinal() < settings.provisional_days]
    return min(young).isoformat() if young else "none"


def _describe_conversions(attributed: AttributedExport, settings: Ga4Config) -> dict[str, Any]:
    export = attributed.export
    own = attributed.click_of >= 0
    delays = {}
    for model in ("last_click", "first_click"):
        found = attribute(export.conversions, attributed.clicks, model, settings.lookback_days)
        where = found >= 0
        hours = (export.conversions.timestamp[where] - attributed.clicks.timestamp[found[where]]) / MICROS_PER_HOUR
        delays[model] = float(np.median(hours)) if hours.size else math.nan
    names = [event.name for event in settings.key_events]
    by_event = np.bincount(export.conversions.key_event, minlength=len(names)).tolist()
    return {
        "counted": int(own.size),
        "attributed": int(own.sum()),
        "unpaid": int((~own).sum()),
        "without_user": int((export.conversions.user == 0).sum()),
        "repeated_key_events": export.repeated_key_events,
        "by_key_event": dict(zip(names, by_event, strict=True)),
        "value_micros": int(export.conversions.value_micros.sum()),
        "median_delay_hours": delays,
    }


def _describe_channel(one: ChannelComparison) -> dict[str, Any]:
    platform = one.platform_conversions
    return {
        "platform_clicks": one.platform_clicks,
        "landed_clicks": one.landed_clicks,
        "landing_rate": _describe_rate(estimate_rate(one.landed_clicks, one.platform_clicks)),
        "platform_conversions": platform,
        "ga4_conversions": one.ga4_conversions,
        "ga4_per_platform_conversion": one.ga4_conversions / platform if platform else math.nan,
        "unjoined_ga4_conversions": one.unjoined_conversions,
    }


def _describe_rates(joined: JoinedReports, estimates: Ga4Estimates) -> list[dict[str, Any]]:
    """Rates of landed clicks, and of platform clicks by the channel's landing rate."""
    described = []
    for (channel, device), rate in estimates.rates.items():
        both = next(one for name, one in joined.channels.items() if name == channel)
        landing = min(both.landed_clicks / both.platform_clicks, 1.0) if both.platform_clicks else math.nan
        row = {"channel": channel, "device": device, "conversions": rate.events, "effective_clicks": rate.trials}
        row |= {"estimate": rate.estimate, "low": rate.low, "high": rate.high}
        described.append(row | {"per_platform_click": rate.estimate * landing})
    return described


def _describe_rate(rate: Rate) -> dict[str, float]:
    return {name: getattr(rate, name) for name in ("events", "trials", "estimate", "low", "high")}


def _describe_delay(delay: DelayEstimate) -> dict[str, Any]:
    curve = delay.curve
    points = []
    for age in (*_CURVE_AGES_HOURS, delay.horizon_hours):
        i = int(np.searchsorted(curve.age_hours, age))
        if i < curve.age_hours.size and age <= delay.horizon_hours:
            names = ("age_hours", "converted", "share", "low", "high", "at_risk")
            points.append({name: float(getattr(curve, name)[i]) for name in names})
    gap = np.abs(delay.fitted_share - curve.share)
    return {
        "conversions": curve.num_conversions,
        "horizon_hours": delay.horizon_hours,
        "product_limit": points,
        "fitted": {
            name: {"estimate": numbers[0], "low": numbers[1], "high": numbers[2]}
            for name, numbers in delay.parameters.items()
        },
        "largest_gap_of_fit": float(np.nanmax(gap)) if np.isfinite(gap).any() else math.nan,
    }


def _clean(item: Any) -> Any:
    if isinstance(item, dict):
        return {str(key): _clean(part) for key, part in item.items()}
    if isinstance(item, list | tuple):
        return [_clean(part) for part in item]
    return None if isinstance(item, float) and not math.isfinite(item) else item
