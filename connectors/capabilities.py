"""What a platform can and cannot do, declared once per connector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from connectors.hours import ReportWindow
from connectors.operations import Setting
from gaelp_rl.domain.channels import Channel
from gaelp_rl.domain.money import Micros

__all__ = ["BudgetLevel", "Capabilities", "ImpressionShare", "MoneyUnit"]


class ImpressionShare(StrEnum):
    """How often a platform reports impression share."""

    NONE = "none"
    DAILY = "daily"
    HOURLY = "hourly"


class BudgetLevel(StrEnum):
    """Where a daily budget sits."""

    CAMPAIGN = "campaign"
    AD_GROUP = "ad_group"


class MoneyUnit(StrEnum):
    """How amounts travel in writes."""

    MICROS = "micros"
    MINOR_UNITS = "minor_units"
    DECIMAL = "decimal"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """One platform's limits, each from the source that the connector's ``schema`` cites.

    Attributes:
        platform: name of the connector.
        channel: the channel that its plans steer; None where it only reports (GA4).
        hourly_delivery: whether impressions, clicks and spend come by hour.
        device_split: whether hourly rows are split by device.
        hourly_conversions: whether conversions come by hour; else they are GA4's.
        impression_share: how often it is reported.
        dry_run: whether the platform itself can check a write without applying it.
        device_modifiers: whether bids can be modified by device.
        budget_level: where daily budgets sit.
        money_unit: how amounts travel.
        batch_size: most operations a call may carry, by setting; empty where nothing is written.
        minimum_micros: least amounts in USD accounts, by setting; other currencies have the platform's own.
        finality: age after which a row is no longer restated; what is younger is read again.
        max_days_per_report: days that one report call may span.
        day_over_delivery: most that a day may spend, as a multiple of the daily budget.
        period_days: days over which the budget binds on average.
        one_campaign_a_call: settings whose calls may not mix campaigns.
    """

    platform: str
    channel: Channel | None
    hourly_delivery: bool
    device_split: bool
    hourly_conversions: bool
    impression_share: ImpressionShare
    dry_run: bool
    device_modifiers: bool
    budget_level: BudgetLevel
    money_unit: MoneyUnit
    batch_size: Mapping[Setting, int]
    minimum_micros: Mapping[Setting, Micros]
    finality: timedelta
    max_days_per_report: int
    day_over_delivery: float
    period_days: float
    one_campaign_a_call: frozenset[Setting] = frozenset()

    def make_reread_window(self, now: datetime) -> ReportWindow:
        """All hours that may still be restated: read them about once a day, and the newest every hour."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        return ReportWindow(hour - self.finality, hour + timedelta(hours=1))

    def is_final(self, hour: datetime, as_of: datetime) -> bool:
        """Whether what ``as_of`` said of the hour that starts at ``hour`` stays."""
        return as_of >= hour + self.finality
