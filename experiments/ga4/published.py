"""What is published about a real shop's export, and what the traffic around the paid clicks is held to.

Source: ``bigquery-public-data.ga4_obfuscated_sample_ecommerce``, the Google Merchandise Store from
2020-11-01 to 2021-01-31 (https://developers.google.com/analytics/bigquery/web-ecommerce-demo-dataset),
aggregates as recomputed by a public dbt project: 270,154 users, 360,129 sessions, 4,452 orders worth
$360,837. Its paid search (13,031 users) is left out: the market's clicks take that place.
"""

from __future__ import annotations

from types import MappingProxyType

__all__ = [
    "BUYER_SHARE",
    "CHANNEL_REVENUE",
    "CHANNEL_USERS",
    "DEVICE_CONVERSION_RATES",
    "DEVICE_SESSIONS",
    "FUNNEL_USERS",
    "MEAN_ORDER_USD",
    "NO_TRANSACTION_ID_SHARE",
    "REPEAT_BUYER_SHARE",
    "SESSIONS_PER_USER",
    "SESSION_CONVERSION_RATE",
]

SESSIONS_PER_USER = 360_129 / 270_154
"""1.333."""

SESSION_CONVERSION_RATE = 0.0135
"""Sessions with a purchase over sessions."""

REPEAT_BUYER_SHARE = 502 / 4_400
"""Buyers with more than one order over buyers: 11.4 %."""

BUYER_SHARE = SESSION_CONVERSION_RATE * SESSIONS_PER_USER / (1.0 + REPEAT_BUYER_SHARE)
"""Buyers over users: 1.615 %, so that the session rate holds; the 1.636 % published do not quite agree with it."""

MEAN_ORDER_USD = 81.05
"""Mean revenue of an order."""

NO_TRANSACTION_ID_SHARE = 23 / 4_452
"""Purchases without a transaction id over purchases."""

FUNNEL_USERS = MappingProxyType(
    {"session_start": 270_154, "view_item": 61_252, "add_to_cart": 12_545, "begin_checkout": 9_715, "purchase": 4_419}
)
"""Users who got as far as this step."""

DEVICE_SESSIONS = MappingProxyType({"mobile": 143_185, "desktop": 208_942, "tablet": 8_002})
"""Sessions by device."""

DEVICE_CONVERSION_RATES = MappingProxyType({"mobile": 0.0139, "desktop": 0.0132, "tablet": 0.0130})
"""Session conversion rate by device."""

CHANNEL_USERS = MappingProxyType({"referral": 55_495, "organic": 100_518, "direct": 56_531, "email": 44_579})
"""Users by the channel of their first touch; the source's "other" is called email here."""

CHANNEL_REVENUE = MappingProxyType({"referral": 213_179, "organic": 94_158, "direct": 24_387, "email": 24_022})
"""USD by the channel of the first touch."""
