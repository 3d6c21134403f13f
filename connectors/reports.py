"""What one read of a platform's reports gave, and how several become the contract's rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gaelp_rl.domain.channels import Channel
from gaelp_rl.domain.daily_share import DailyShare
from gaelp_rl.domain.hourly_report import ConversionSource, ParsedReports, parse_hourly_reports
from gaelp_rl.domain.money import Micros
from gaelp_rl.errors import DataError

__all__ = ["ConversionCount", "FetchedReports", "join_conversions", "parse_reports"]

_PLACE = ("campaign", "creative", "device", "hour")


@dataclass(frozen=True, slots=True)
class ConversionCount:
    """Conversions that somebody other than the platform counted for one of its ads in one hour.

    Attributes:
        channel: the platform whose click brought them.
        campaign: id as the landing page's tags carry it; empty where they carry none.
        creative: likewise.
        device: None where unknown.
        hour: of the conversion, aware UTC.
        conversions: may be fractional.
        conversion_value_micros: what they were worth.
    """

    channel: Channel
    campaign: str
    creative: str
    device: str | None
    hour: datetime
    conversions: float
    conversion_value_micros: Micros


@dataclass(frozen=True, slots=True)
class FetchedReports:
    """One read.

    Attributes:
        platform: who was asked.
        account: the account's id.
        currency: ISO 4217 code of every amount.
        as_of: when it was read, aware UTC.
        rows: mappings as ``parse_hourly_report`` takes them; without ``conversions`` where the
            platform has none by hour.
        shares: impression shares of whole days.
        counts: conversions counted for other platforms (GA4).
        quarantined: wire rows that cannot be used, each with its error.
        duplicates: wire rows that came twice.
    """

    platform: str
    account: str
    currency: str
    as_of: datetime
    rows: tuple[Mapping[str, object], ...] = ()
    shares: tuple[DailyShare, ...] = ()
    counts: tuple[ConversionCount, ...] = ()
    quarantined: tuple[tuple[Mapping[str, object], DataError], ...] = ()
    duplicates: int = 0


def parse_reports(fetched: FetchedReports, counted: FetchedReports | None = None) -> ParsedReports:
    """Gives the contract's rows: ``rows in = accepted + quarantined + duplicates``.

    Args:
        fetched: a platform's read.
        counted: GA4's read of the same hours, for a platform that reports no conversions by hour;
            without it such rows are quarantined, since nothing is known of their conversions.

    Returns:
        The rows.
    """
    rows: Sequence[Mapping[str, object]] = fetched.rows
    if counted is not None:
        rows = join_conversions(fetched, counted)
    parsed = parse_hourly_reports(rows)
    return ParsedReports(
        parsed.accepted, fetched.quarantined + parsed.quarantined, fetched.duplicates + parsed.duplicates
    )


def join_conversions(fetched: FetchedReports, counted: FetchedReports) -> list[Mapping[str, object]]:
    """Adds to rows without conversions what was counted elsewhere; rows that have their own stay.

    A count joins the row of its campaign, creative, device and hour. One that finds no row (a
    conversion in an hour without impressions, a tag that names no ad) becomes a row of its own with
    no impressions, so that sums over any dimension hold all conversions.

    Args:
        fetched: the platform's read.
        counted: GA4's.

    Returns:
        Rows as ``parse_hourly_report`` takes them.
    """
    channel = Channel(fetched.platform)
    open_counts: defaultdict[tuple[object, ...], list[ConversionCount]] = defaultdict(list)
    for count in counted.counts:
        if count.channel is channel:
            open_counts[count.campaign, count.creative, count.device, count.hour].append(count)
    joined: list[Mapping[str, object]] = []
    for row in fetched.rows:
        if "conversions" in row:
            joined.append(row)
            continue
        counts = open_counts.pop(tuple(row.get(name) for name in _PLACE), [])
        joined.append({**row, **_sum_counts(counts)})
    for (campaign, creative, device, hour), counts in open_counts.items():
        joined.append(
            {
                "account": fetched.account,
                "channel": channel.value,
                "campaign": campaign or "(not set)",
                "creative": creative or "(not set)",
                "device": device,
                "hour": hour,
                "as_of": max(fetched.as_of, counted.as_of),
                "impressions": 0,
                "clicks": 0,
                "spend_micros": 0,
                "currency": fetched.currency,
                **_sum_counts(counts),
            }
        )
    return joined


def _sum_counts(counts: Sequence[ConversionCount]) -> dict[str, object]:
    return {
        "conversions": sum(count.conversions for count in counts),
        "conversion_value_micros": sum(count.conversion_value_micros for count in counts),
        "conversion_source": ConversionSource.GA4.value,
    }
