"""One row of a platform's report: what one creative did on one device in one hour.

Rows arrive as mappings of strings and numbers, in any state. ``parse_hourly_reports`` sorts them:
every row that comes in is accepted, quarantined with its error, or counted as a duplicate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from gaelp_rl.domain.channels import Channel, Device
from gaelp_rl.domain.money import Micros
from gaelp_rl.domain.numbers import CensoredShare, parse_count, parse_money_micros, parse_number, parse_share
from gaelp_rl.errors import DataError, FieldError, suggest

__all__ = [
    "ConversionSource",
    "HourlyReport",
    "ParsedReports",
    "ReportKey",
    "parse_hourly_report",
    "parse_hourly_reports",
]

ReportKey = tuple[str, Channel, str, str, Device | None, datetime]
"""Account, channel, campaign, creative, device, hour: what a row is about, whenever it was read."""

_Member = TypeVar("_Member", bound=StrEnum)


class ConversionSource(StrEnum):
    """Who counted the conversions of a row."""

    PLATFORM = "platform"
    GA4 = "ga4"
    ADVERTISER = "advertiser"


@dataclass(frozen=True, slots=True)
class HourlyReport:
    """One (account, channel, campaign, creative, device, hour) as it was known at ``as_of``.

    Attributes:
        account: the advertiser's account.
        channel: the platform.
        campaign: the platform's campaign id.
        creative: the platform's ad or creative id.
        device: None where the channel does not split hours by device.
        hour: start of the hour, aware UTC.
        as_of: when the row was read, aware UTC; never before ``hour``.
        impressions: ads shown.
        clicks: at most ``impressions``.
        spend_micros: money paid for the hour.
        conversions: attributed to the hour of the click; may be fractional; still growing.
        conversion_value_micros: what those conversions were worth.
        conversion_source: who counted the conversions.
        currency: ISO 4217 code of every amount.
        eligible_impressions: impressions that could have been won, at least ``impressions``; None
            where the channel does not report it.
        lost_share_budget: share of eligible impressions lost to budget; None likewise.
        lost_share_rank: share of eligible impressions lost to rank; None likewise.
        is_final: whether the platform will restate the row no more.
    """

    account: str
    channel: Channel
    campaign: str
    creative: str
    device: Device | None
    hour: datetime
    as_of: datetime
    impressions: int
    clicks: int
    spend_micros: Micros
    conversions: float
    conversion_value_micros: Micros
    conversion_source: ConversionSource
    currency: str
    eligible_impressions: int | None = None
    lost_share_budget: CensoredShare | None = None
    lost_share_rank: CensoredShare | None = None
    is_final: bool = False

    def __post_init__(self) -> None:
        for name in ("account", "campaign", "creative"):
            if not getattr(self, name):
                raise FieldError(name, getattr(self, name), "is empty; a row must say what it is about")
        self._check_times()
        self._check_counts()
        code = self.currency
        if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
            raise FieldError("currency", code, "is not an ISO 4217 code such as 'USD'")

    @property
    def key(self) -> ReportKey:
        """What the row is about; rows of one key differ only in ``as_of`` and figures."""
        return (self.account, self.channel, self.campaign, self.creative, self.device, self.hour)

    def _check_times(self) -> None:
        for name in ("hour", "as_of"):
            moment: datetime = getattr(self, name)
            if moment.utcoffset() != timedelta(0):
                raise FieldError(name, moment.isoformat(), "is not aware UTC; convert it with its account's time zone")
        if self.hour.minute % 15 or self.hour.second or self.hour.microsecond:
            raise FieldError("hour", self.hour.isoformat(), "is not the start of an hour in any time zone")
        if self.as_of < self.hour:
            rule = f"is before its hour {self.hour.isoformat()}; nothing can be reported ahead"
            raise FieldError("as_of", self.as_of.isoformat(), rule)

    def _check_counts(self) -> None:
        for name in ("impressions", "clicks", "spend_micros", "conversion_value_micros", "eligible_impressions"):
            count = getattr(self, name)
            if count is None and name == "eligible_impressions":
                continue
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise FieldError(name, count, "must be a whole number, 0 or more")
        if not (math.isfinite(self.conversions) and self.conversions >= 0):
            raise FieldError("conversions", self.conversions, "must be finite, 0 or more")
        if self.clicks > self.impressions:
            raise FieldError("clicks", self.clicks, f"is more than the {self.impressions} impressions of the row")
        if self.eligible_impressions is not None and self.impressions > self.eligible_impressions:
            rule = f"is more than the {self.eligible_impressions} eligible impressions of the row"
            raise FieldError("impressions", self.impressions, rule)


@dataclass(frozen=True, slots=True)
class ParsedReports:
    """What became of a set of rows: ``rows in = accepted + quarantined + duplicates``.

    Attributes:
        accepted: usable rows, in the order in which they came.
        quarantined: rows that cannot be used, each with the reason.
        duplicates: how many rows repeated an accepted one exactly.
    """

    accepted: tuple[HourlyReport, ...]
    quarantined: tuple[tuple[Mapping[str, object], DataError], ...]
    duplicates: int

    @property
    def num_rows(self) -> int:
        """How many rows came in."""
        return len(self.accepted) + len(self.quarantined) + self.duplicates


def parse_hourly_report(row: Mapping[str, object]) -> HourlyReport:
    """Parses one row whose columns carry the field names of ``HourlyReport``.

    Money may come as ``spend_micros`` (whole micros) or as ``spend`` (currency units), and likewise
    ``conversion_value_micros`` or ``conversion_value``; exactly one of each pair.

    Args:
        row: column name -> string, number, datetime or None.

    Returns:
        The row.

    Raises:
        FieldError: a column is unknown, missing or unusable; it names the column.
    """
    for column in row:
        if column not in _COLUMNS:
            raise FieldError(str(column), row[column], f"is in an unknown column.{suggest(str(column), _COLUMNS)}")
    return HourlyReport(
        account=_parse_text(row, "account"),
        channel=_parse_member(row, "channel", Channel),
        campaign=_parse_text(row, "campaign"),
        creative=_parse_text(row, "creative"),
        device=None if row.get("device") is None else _parse_member(row, "device", Device),
        hour=_parse_time(row, "hour"),
        as_of=_parse_time(row, "as_of"),
        impressions=_parse_required_count(row, "impressions"),
        clicks=_parse_required_count(row, "clicks"),
        spend_micros=_parse_amount(row, "spend"),
        conversions=_parse_conversions(row),
        conversion_value_micros=_parse_amount(row, "conversion_value"),
        conversion_source=_parse_member(row, "conversion_source", ConversionSource),
        currency=_parse_text(row, "currency"),
        eligible_impressions=parse_count("eligible_impressions", row.get("eligible_impressions")),
        lost_share_budget=parse_share("lost_share_budget", row.get("lost_share_budget")),
        lost_share_rank=parse_share("lost_share_rank", row.get("lost_share_rank")),
        is_final=_parse_flag(row, "is_final"),
    )


def parse_hourly_reports(rows: Iterable[Mapping[str, object]]) -> ParsedReports:
    """Parses rows one by one; a bad row never stops the others, and none is lost.

    Two rows of one key and one ``as_of`` are duplicates when they agree; when they differ, the
    later one is quarantined. Rows of one key with different ``as_of`` are restatements: both stay.

    Args:
        rows: as for ``parse_hourly_report``.

    Returns:
        The accepted rows, the quarantined ones with their errors, and the number of duplicates.
    """
    accepted: dict[tuple[ReportKey, datetime], HourlyReport] = {}
    quarantined: list[tuple[Mapping[str, object], DataError]] = []
    duplicates = 0
    for row in rows:
        try:
            report = parse_hourly_report(row)
        except DataError as error:
            quarantined.append((row, error))
            continue
        first = accepted.setdefault((report.key, report.as_of), report)
        if first is report:
            continue
        if first == report:
            duplicates += 1
        else:
            quarantined.append((row, DataError(_describe_conflict(first, report))))
    return ParsedReports(tuple(accepted.values()), tuple(quarantined), duplicates)


_COLUMNS = frozenset({field.name for field in fields(HourlyReport)} | {"spend", "conversion_value"})


def _describe_conflict(first: HourlyReport, second: HourlyReport) -> str:
    names = [field.name for field in fields(HourlyReport) if getattr(first, field.name) != getattr(second, field.name)]
    differences = ", ".join(f"{name} {getattr(first, name)!r} and {getattr(second, name)!r}" for name in names)
    return (
        f"two rows of {first.channel} creative {first.creative!r}, hour {first.hour.isoformat()}, read at "
        f"{first.as_of.isoformat()}, disagree on {differences}; the first was kept, read the report again"
    )


def _parse_text(row: Mapping[str, object], column: str) -> str:
    raw = row.get(column)
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw)
    if not isinstance(raw, str) or not raw.strip():
        raise FieldError(column, raw, "is not a name; expected text that is not empty")
    return raw.strip()


def _parse_member(row: Mapping[str, object], column: str, members: type[_Member]) -> _Member:
    raw = row.get(column)
    try:
        return members(str(raw))
    except ValueError:
        hint = suggest(str(raw), [member.value for member in members])
        raise FieldError(column, raw, f"is not a known {column}.{hint}") from None


def _parse_time(row: Mapping[str, object], column: str) -> datetime:
    raw = row.get(column)
    try:
        moment = datetime.fromisoformat(raw) if isinstance(raw, str) else raw
    except ValueError:
        raise FieldError(column, raw, "is not an ISO 8601 time such as '2026-01-02T07:00:00Z'") from None
    if not isinstance(moment, datetime):
        raise FieldError(column, raw, "is not a time; expected ISO 8601 text or a datetime")
    if moment.utcoffset() is None:
        raise FieldError(column, raw, "has no time zone; add its offset, or 'Z' for UTC")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise FieldError(column, raw, "is outside the calendar in UTC") from None


def _parse_flag(row: Mapping[str, object], column: str) -> bool:
    raw = row.get(column, False)
    if isinstance(raw, str) and raw.lower() in {"true", "false"}:
        return raw.lower() == "true"
    if not isinstance(raw, bool):
        raise FieldError(column, raw, "is neither true nor false")
    return raw


def _parse_required_count(row: Mapping[str, object], column: str) -> int:
    count = parse_count(column, row.get(column))
    if count is None:
        raise FieldError(column, row.get(column), "is missing; every row must report it")
    return count


def _parse_conversions(row: Mapping[str, object]) -> float:
    conversions = parse_number("conversions", row.get("conversions"))
    if conversions is None:
        rule = "is missing; where the platform has none by hour, join GA4 or the advertiser's own events first"
        raise FieldError("conversions", row.get("conversions"), rule)
    return conversions


def _parse_amount(row: Mapping[str, object], column: str) -> Micros:
    """``column`` in currency units, or ``column``_micros in whole micros; exactly one of them."""
    micros = parse_count(f"{column}_micros", row.get(f"{column}_micros"))
    amount = parse_money_micros(column, row.get(column))
    if micros is not None and amount is not None:
        raise FieldError(column, row[column], f"came together with {column}_micros; send exactly one of them")
    paid = amount if micros is None else micros
    if paid is None:
        raise FieldError(column, row.get(column), f"is missing; send it, or {column}_micros")
    return paid
