"""Between GA4's rows and ours; pure, and free of its SDK."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from connectors.ga4.schema import DEVICES
from connectors.hours import ReportWindow, make_moment
from connectors.reports import ConversionCount
from connectors.state import Account
from gaelp_rl.domain.channels import Channel
from gaelp_rl.domain.numbers import parse_money_micros, parse_number
from gaelp_rl.errors import FieldError

__all__ = ["make_count", "make_sources"]

_NOT_SET = frozenset({"", "(not set)", "(none)", "(other)"})


def make_sources(sources: Mapping[str, Sequence[str]]) -> dict[str, Channel]:
    """``sessionSource`` in lower case -> channel."""
    return {name.lower(): Channel(channel) for channel, names in sources.items() for name in names}


def make_count(
    row: Any, account: Account, window: ReportWindow, sources: Mapping[str, Channel]
) -> ConversionCount | None:
    """One row of the report; None where it is no channel's, outside the window, or without conversions.

    Raises:
        FieldError: a value that is not what GA4 sends.
    """
    hour_text, source, campaign, content, device = (value.value for value in row.dimension_values)
    events, revenue = (value.value for value in row.metric_values)
    channel = sources.get(source.lower())
    hour = _parse_hour(hour_text, account.time_zone)
    conversions = parse_number("keyEvents", events) or 0.0
    if channel is None or not conversions or not window.holds(hour):
        return None
    return ConversionCount(
        channel=channel,
        campaign="" if campaign in _NOT_SET else campaign,
        creative="" if content in _NOT_SET else content,
        device=DEVICES.get(device),
        hour=hour,
        conversions=conversions,
        conversion_value_micros=parse_money_micros("totalRevenue", revenue) or 0,
    )


def _parse_hour(text: str, zone: ZoneInfo) -> datetime:
    """Reads ``2026110205``, the property's wall clock."""
    try:
        local = datetime.strptime(text, "%Y%m%d%H")  # noqa: DTZ007 - a wall clock, given its zone below
    except ValueError:
        raise FieldError("dateHour", text, "is not an hour such as '2026110205'") from None
    return make_moment(local.date(), local.hour, zone)
