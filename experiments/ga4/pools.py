"""Structs that many events share, made once as Arrow arrays and taken by index."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from experiments.ga4.events import EVENT_NAMES
from experiments.ga4.sessions import Source
from gaelp_rl.bootstrap.ga4_schema import EVENT_SCHEMA

__all__ = [
    "DEVICE_VARIANTS",
    "NO_GCLID",
    "PRODUCTS",
    "make_collected_pool",
    "make_device_pool",
    "make_geo_pool",
    "make_page_pool",
    "make_privacy_pool",
    "make_session_source_pool",
    "make_traffic_source_pool",
    "name_products",
]

DEVICE_VARIANTS = 2
"""Browsers of each kind of device."""

PRODUCTS = 24
"""Items in the shop."""

NO_GCLID = len(Source)
"""Row of the session pool for a Google click without ``gclid``; other rows are `Source`."""

_CUSTOMER = "4155550100"
_TRAFFIC = {
    Source.GOOGLE: ("google", "cpc", "google-1", "1001", "Paid Search"),
    Source.META: ("facebook", "paid_social", "meta-1", None, "Paid Social"),
    Source.TIKTOK: ("tiktok", "paid_social", "tiktok-1", None, "Paid Social"),
    Source.MICROSOFT: ("bing", "cpc", "microsoft-1", None, "Paid Search"),
    Source.REFERRAL: ("partner.example", "referral", "(referral)", None, "Referral"),
    Source.ORGANIC: ("google", "organic", "(organic)", None, "Organic Search"),
    Source.DIRECT: ("(direct)", "(none)", "(direct)", None, "Direct"),
    Source.EMAIL: ("newsletter", "email", "weekly", None, "Email"),
}
_DEVICES = (
    ("mobile", "Chrome", "Android", "Google"),
    ("desktop", "Chrome", "Windows", None),
    ("tablet", "Safari", "iOS", "Apple"),
    ("mobile", "Safari", "iOS", "Apple"),
    ("desktop", "Safari", "Macintosh", None),
    ("tablet", "Chrome", "Android", "Samsung"),
)
_PLACES = (
    ("New York", "New York", "United States", "Northern America", "Americas"),
    ("Los Angeles", "California", "United States", "Northern America", "Americas"),
    ("Chicago", "Illinois", "United States", "Northern America", "Americas"),
    ("Toronto", "Ontario", "Canada", "Northern America", "Americas"),
)
_PAGES = {"view_item": "item", "add_to_cart": "basket", "begin_checkout": "checkout", "purchase": "thanks"}


def _make_pool(column: str, rows: list[Any]) -> pa.Array:
    return pa.array(rows, type=EVENT_SCHEMA.field(column).type)


def make_device_pool() -> pa.Array:
    """``device``: row ``variant * 3 + device``."""
    return _make_pool(
        "device",
        [
            {
                "category": category,
                "mobile_brand_name": brand,
                "operating_system": system,
                "language": "en-us",
                "is_limited_ad_tracking": "No",
                "web_info": {"browser": browser, "hostname": "shop.example"},
            }
            for category, browser, system, brand in _DEVICES
        ],
    )


def make_geo_pool() -> pa.Array:
    """``geo``: a few towns."""
    names = ("city", "region", "country", "sub_continent", "continent")
    return _make_pool("geo", [dict(zip(names, place, strict=True)) for place in _PLACES])


def make_privacy_pool() -> pa.Array:
    """``privacy_info``: row 0 denied, row 1 granted."""
    rows = [
        {"analytics_storage": word, "ads_storage": word, "uses_transient_token": other}
        for word, other in (("No", "Yes"), ("Yes", "No"))
    ]
    return _make_pool("privacy_info", rows)


def make_traffic_source_pool() -> pa.Array:
    """``traffic_source``, of the first visit: rows are `Source`."""
    rows = [{"source": _TRAFFIC[s][0], "medium": _TRAFFIC[s][1], "name": _TRAFFIC[s][2]} for s in Source]
    return _make_pool("traffic_source", rows)


def make_collected_pool(click_ids: list[tuple[str, str]]) -> pa.Array:
    """``collected_traffic_source``: rows are `Source`, then one per click that has a ``gclid`` or null.

    Args:
        click_ids: of all clicks; only ``gclid`` has a column of its own, so the others give null.
    """
    rows: list[Any] = []
    for source in Source:
        manual = source not in {Source.GOOGLE, Source.DIRECT}
        name, medium, campaign = _TRAFFIC[source][:3]
        tags = {"manual_source": name, "manual_medium": medium, "manual_campaign_name": campaign}
        rows.append(tags if manual else None)
    rows += [{"gclid": text} if kind == "gclid" else None for kind, text in click_ids]
    return _make_pool("collected_traffic_source", rows)


def make_session_source_pool() -> pa.Array:
    """``session_traffic_source_last_click``: rows are `Source`, then `NO_GCLID`."""
    rows = [_describe_session(source) for source in Source]
    without = _describe_session(Source.GOOGLE)
    without["google_ads_campaign"] = None
    return _make_pool("session_traffic_source_last_click", [*rows, without])


def _describe_session(source: Source) -> dict[str, Any]:
    name, medium, campaign, campaign_id, group = _TRAFFIC[source]
    own = {"source": name, "medium": medium, "campaign_name": campaign, "campaign_id": campaign_id}
    ads = {
        "customer_id": _CUSTOMER,
        "account_name": "Shop",
        "campaign_id": campaign_id,
        "campaign_name": campaign,
        "ad_group_id": "2001",
        "ad_group_name": "all",
    }
    return {
        "manual_campaign": own,
        "google_ads_campaign": ads if source == Source.GOOGLE else None,
        "cross_channel_campaign": own | {"default_channel_group": group, "primary_channel_group": group},
    }


def make_page_pool(home: str) -> list[str]:
    """Addresses of pages: rows are events' names.

    Args:
        home: the site.
    """
    return [home + _PAGES.get(name, "") for name in EVENT_NAMES]


def name_products() -> tuple[pa.Array, pa.Array]:
    """Ids and names of the shop's items."""
    return (
        pa.array([f"SKU{i:03d}" for i in range(PRODUCTS)]),
        pa.array([f"Shirt no. {i + 1}" for i in range(PRODUCTS)]),
    )
