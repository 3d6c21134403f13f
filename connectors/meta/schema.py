"""Meta Marketing API v26.0: what is asked for, what comes back, and what its errors mean.

Sources: developers.facebook.com/documentation/ads-commerce/marketing-api (insights/breakdowns, insights/best-practices,
insights/error-codes, overview/rate-limiting, bidding/overview/budgets), Graph API error handling.
"""

from __future__ import annotations

from datetime import timedelta

from connectors.calls import QuotaLimit
from connectors.capabilities import BudgetLevel, Capabilities, ImpressionShare, MoneyUnit
from connectors.operations import Setting
from gaelp_rl.domain.channels import Channel, Device
from gaelp_rl.domain.money import MICROS

__all__ = [
    "AUTH_CODES",
    "CAPABILITIES",
    "DEVICES",
    "DEVICE_BREAKDOWN",
    "FIELDS",
    "HOUR_BREAKDOWN",
    "PAGE_SIZE",
    "PERMISSIONS",
    "QUOTAS",
    "RATE_CODES",
    "TOO_MUCH_DATA",
    "TRANSIENT_CODES",
    "VERSION",
]

VERSION = "v26.0"
PAGE_SIZE = 500
PERMISSIONS = ("ads_read", "ads_management")

CAPABILITIES = Capabilities(
    platform="meta",
    channel=Channel.META,
    hourly_delivery=True,
    device_split=True,
    hourly_conversions=False,
    impression_share=ImpressionShare.NONE,
    dry_run=True,
    device_modifiers=False,
    budget_level=BudgetLevel.AD_GROUP,
    money_unit=MoneyUnit.MINOR_UNITS,
    batch_size=dict.fromkeys(Setting, 50),
    minimum_micros={Setting.DAILY_BUDGET: 1 * MICROS},
    finality=timedelta(days=28),
    max_days_per_report=31,
    day_over_delivery=1.75,
    period_days=7.0,
)
"""With an hourly breakdown the Insights API returns no conversions that happen off Meta: those come from
GA4 or the advertiser's own events."""

QUOTAS = (QuotaLimit("calls an hour", 100_000, 3_600.0),)
"""Full access: 100,000 + 40 per active ad in any hour and ad account; limited access 300 + 40 per ad. What
is left is in the headers of every answer; at 100 % the platform's own waiting time is kept."""

FIELDS = {
    "account": "id,account_id,name,currency,timezone_name",
    "campaigns": "id,name,status,daily_budget",
    "adsets": "id,name,campaign_id,status,daily_budget,bid_amount",
    "ads": "id,adset_id",
    "insights": "campaign_id,ad_id,impressions,clicks,spend",
}
"""Fields by edge."""

HOUR_BREAKDOWN = "hourly_stats_aggregated_by_advertiser_time_zone"
DEVICE_BREAKDOWN = "impression_device"

DEVICES: dict[str, Device] = {
    "desktop": Device.DESKTOP,
    "iphone": Device.MOBILE,
    "ipod": Device.MOBILE,
    "android_smartphone": Device.MOBILE,
    "ipad": Device.TABLET,
    "android_tablet": Device.TABLET,
}
"""``impression_device`` to ours; others count without a device."""

TOO_MUCH_DATA = frozenset({"1/99", "100/1487534", "100/1504018", "2/1504038"})
"""A synchronous report that is too large, or took too long for its size: ask for less at a time."""

TRANSIENT_CODES = frozenset({1, 2, 960})
"""Unknown error, service unavailable, batch sub-request not run."""

RATE_CODES = frozenset({4, 17, 32, 613, *range(80_000, 80_015)})
"""Application, user, page and business use case limits."""

AUTH_CODES = frozenset({10, 102, 190, *range(200, 300)})
"""Token (102, 190) and permission (10, 200 to 299)."""
