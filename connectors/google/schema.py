"""Google Ads API v26: what is asked for, what comes back, and what its errors mean.

Sources: developers.google.com/google-ads/api (reference v26, best-practices/quotas, access-levels),
support.google.com/google-ads 1704443 (budgets), 2544985 (data freshness), 3123169 (windows).
"""

from __future__ import annotations

from datetime import timedelta

from connectors.calls import QuotaLimit
from connectors.capabilities import BudgetLevel, Capabilities, ImpressionShare, MoneyUnit
from connectors.operations import Setting
from gaelp_rl.domain.channels import Channel, Device

__all__ = [
    "AUTH_ERRORS",
    "CAPABILITIES",
    "DEVICES",
    "QUERIES",
    "QUOTAS",
    "RATE_ERRORS",
    "SCOPE",
    "TRANSIENT_ERRORS",
    "VERSION",
]

VERSION = "v26"
SCOPE = "https://www.googleapis.com/auth/adwords"

CAPABILITIES = Capabilities(
    platform="google",
    channel=Channel.GOOGLE,
    hourly_delivery=True,
    device_split=True,
    hourly_conversions=True,
    impression_share=ImpressionShare.DAILY,
    dry_run=True,
    device_modifiers=True,
    budget_level=BudgetLevel.CAMPAIGN,
    money_unit=MoneyUnit.MICROS,
    batch_size=dict.fromkeys(Setting, 1000),
    minimum_micros={},
    finality=timedelta(days=30),
    max_days_per_report=31,
    day_over_delivery=2.0,
    period_days=30.4,
)
"""Impression share by hour exists by name but is 0 for some campaign types: it is read by day. A row is
final once the conversion window (30 days unless the account changed it) has passed."""

QUOTAS = (QuotaLimit("operations a day", 15_000, 86_400.0),)
"""Basic access: 15,000 operations a day; a search is one, each mutated entity is one."""

DEVICES: dict[int, Device | None] = {2: Device.MOBILE, 3: Device.TABLET, 4: Device.DESKTOP}
"""``DeviceEnum`` to ours; other screens (5 OTHER, 6 CONNECTED_TV) count without a device."""

QUERIES = {
    "account": (
        "SELECT customer.id, customer.descriptive_name, customer.currency_code, customer.time_zone, customer.manager "
        "FROM customer LIMIT 1"
    ),
    "campaigns": (
        "SELECT campaign.id, campaign.name, campaign.status, campaign_budget.id, campaign_budget.amount_micros, "
        "campaign_budget.explicitly_shared, campaign_budget.reference_count "
        "FROM campaign WHERE campaign.status != 'REMOVED' ORDER BY campaign.id"
    ),
    "ad_groups": (
        "SELECT campaign.id, ad_group.id, ad_group.name, ad_group.status, ad_group.cpc_bid_micros "
        "FROM ad_group WHERE campaign.status != 'REMOVED' AND ad_group.status != 'REMOVED' ORDER BY ad_group.id"
    ),
    "ads": (
        "SELECT ad_group.id, ad_group_ad.ad.id FROM ad_group_ad "
        "WHERE campaign.status != 'REMOVED' AND ad_group_ad.status != 'REMOVED' ORDER BY ad_group_ad.ad.id"
    ),
    "modifiers": (
        "SELECT campaign.id, campaign_criterion.device.type, campaign_criterion.bid_modifier "
        "FROM campaign_criterion WHERE campaign_criterion.type = 'DEVICE' AND campaign.status != 'REMOVED'"
    ),
    "hours": (
        "SELECT campaign.id, ad_group_ad.ad.id, segments.date, segments.hour, segments.device, metrics.impressions, "
        "metrics.clicks, metrics.cost_micros, metrics.conversions, metrics.conversions_value "
        "FROM ad_group_ad WHERE segments.date BETWEEN '{first}' AND '{last}'"
    ),
    "shares": (
        "SELECT campaign.id, segments.date, metrics.impressions, metrics.search_impression_share, "
        "metrics.search_budget_lost_impression_share, metrics.search_rank_lost_impression_share "
        "FROM campaign WHERE segments.date BETWEEN '{first}' AND '{last}'"
    ),
}
"""GAQL by purpose; ``{first}`` and ``{last}`` are days in the account's time zone."""

TRANSIENT_ERRORS = frozenset(
    {
        ("internal_error", "INTERNAL_ERROR"),
        ("internal_error", "TRANSIENT_ERROR"),
        ("internal_error", "DEADLINE_EXCEEDED"),
        ("database_error", "CONCURRENT_MODIFICATION"),
        ("mutate_error", "ID_EXISTS_IN_MULTIPLE_MUTATES"),
    }
)
"""(kind, name) of errors after which the same request may succeed; as errors of a whole call of
status INTERNAL they leave a write's outcome unknown."""

RATE_ERRORS = {
    ("quota_error", "RESOURCE_TEMPORARILY_EXHAUSTED"): 30.0,
    ("quota_error", "RESOURCE_EXHAUSTED"): 86_400.0,
    ("quota_error", "EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION"): 60.0,
    ("quota_error", "EXCESSIVE_LONG_TERM_QUERY_RESOURCE_CONSUMPTION"): 3_600.0,
}
"""Seconds to wait where the error itself does not say."""

AUTH_ERRORS = frozenset({"authentication_error", "authorization_error"})
"""Kinds that only other credentials or permissions help against."""
