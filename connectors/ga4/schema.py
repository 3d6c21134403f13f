"""GA4 Data API v1beta: what is asked for and what comes back.

Sources: developers.google.com/analytics/devguides/reporting/data/v1 (api-schema, quotas), support.google.com/analytics
11198161 (data freshness).
"""

from __future__ import annotations

from datetime import timedelta

from connectors.calls import QuotaLimit
from connectors.capabilities import BudgetLevel, Capabilities, ImpressionShare, MoneyUnit
from gaelp_rl.domain.channels import Device

__all__ = ["CAPABILITIES", "DEVICES", "DIMENSIONS", "METRICS", "PAGE_SIZE", "QUOTAS", "SCOPE"]

SCOPE = "https://www.googleapis.com/auth/analytics.readonly"
PAGE_SIZE = 100_000

CAPABILITIES = Capabilities(
    platform="ga4",
    channel=None,
    hourly_delivery=False,
    device_split=True,
    hourly_conversions=True,
    impression_share=ImpressionShare.NONE,
    dry_run=False,
    device_modifiers=False,
    budget_level=BudgetLevel.CAMPAIGN,
    money_unit=MoneyUnit.DECIMAL,
    batch_size={},
    minimum_micros={},
    finality=timedelta(days=3),
    max_days_per_report=31,
    day_over_delivery=1.0,
    period_days=1.0,
)
"""Conversions stand on the hour in which they happen, not on that of the click; intraday data are 2 to 6 hours
old and change for up to 48 hours after their day."""

QUOTAS = (QuotaLimit("tokens an hour", 40_000, 3_600.0), QuotaLimit("tokens a day", 200_000, 86_400.0))
"""Of a standard property. A report like ours takes about ten tokens; what was really taken is in each answer."""

DIMENSIONS = ("dateHour", "sessionSource", "sessionCampaignId", "sessionManualAdContent", "deviceCategory")
"""``sessionCampaignId`` is the landing address's ``utm_id``, ``sessionManualAdContent`` its ``utm_content``: tag
ads with the platform's campaign and ad ids."""

METRICS = ("keyEvents", "totalRevenue")

DEVICES = {device.value: device for device in Device}
"""``deviceCategory`` to ours; others (smart tv) count without a device."""
