"""TikTok API for Business v1.3: what is asked for, what comes back, and what its errors mean.

Sources: business-api.tiktok.com/portal/docs (reporting, rate limits v1.3, return codes),
ads.tiktok.com/help (budget-and-bidding-faq, about-dynamic-daily-budget).
"""

from __future__ import annotations

from datetime import timedelta

from connectors.calls import QuotaLimit
from connectors.capabilities import BudgetLevel, Capabilities, ImpressionShare, MoneyUnit
from connectors.operations import Setting
from gaelp_rl.domain.channels import Channel
from gaelp_rl.domain.money import MICROS

__all__ = [
    "AUTH_CODES",
    "CAPABILITIES",
    "FIELDS",
    "METRICS",
    "PAGE_SIZE",
    "PARTIAL_SUCCESS",
    "QUOTAS",
    "RATE_WAIT_S",
    "VALUE_METRIC",
    "is_transient",
    "is_unknown",
]

PAGE_SIZE = 1000

CAPABILITIES = Capabilities(
    platform="tiktok",
    channel=Channel.TIKTOK,
    hourly_delivery=True,
    device_split=False,
    hourly_conversions=True,
    impression_share=ImpressionShare.NONE,
    dry_run=False,
    device_modifiers=False,
    budget_level=BudgetLevel.AD_GROUP,
    money_unit=MoneyUnit.DECIMAL,
    batch_size={Setting.STATUS: 20, Setting.DAILY_BUDGET: 1, Setting.BID: 1},
    minimum_micros={Setting.DAILY_BUDGET: 20 * MICROS},
    finality=timedelta(days=28),
    max_days_per_report=1,
    day_over_delivery=1.25,
    period_days=7.0,
)
"""Devices are split in audience reports only, which know no hours; a report by hour spans one day."""

QUOTAS = (QuotaLimit("calls a second", 10, 1.0), QuotaLimit("calls a minute", 600, 60.0))
"""Basic access of an app."""

FIELDS = {
    "campaign": ["campaign_id", "campaign_name", "operation_status", "budget"],
    "adgroup": ["adgroup_id", "adgroup_name", "campaign_id", "operation_status", "budget", "bid_price"],
    "ad": ["ad_id", "adgroup_id"],
}
"""Fields by entity."""

VALUE_METRIC = "total_complete_payment_rate"
"""The worth of completed payments, whatever its name says."""

METRICS = ["campaign_id", "spend", "impressions", "clicks", "conversion", VALUE_METRIC]
"""Of reports; ``conversion`` is booked on the hour of the click or view."""

PARTIAL_SUCCESS = 20001

AUTH_CODES = frozenset({40001, 40002, 40102, 40103, 40104, 40105})
"""Permission and token."""

RATE_WAIT_S = {40100: 1.0, 40132: 60.0, 61000: 60.0}
"""Too many calls, by code, with seconds to wait: the answer itself says nothing of time."""


def is_transient(code: int) -> bool:
    """Whether the same call may succeed, and nothing was done: a write conflict, a busy service."""
    return code in {40202, 60001}


def is_unknown(code: int) -> bool:
    """Whether TikTok failed inside: a write may have been applied."""
    return code in {50000, 50002} or 51000 <= code < 52000
