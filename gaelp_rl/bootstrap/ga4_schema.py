"""The events table of GA4's BigQuery export: its fields, its types, and its form as JSON lines.

One table per day and kind: ``events_YYYYMMDD`` (daily, updated for up to three days) and
``events_intraday_YYYYMMDD`` (streamed while the day lasts, replaced by the daily table, so the two
are never summed). As files, a table is one Parquet file, or one file of JSON lines, plain or gzipped.

JSON lines follow BigQuery's export: INT64 is a string (``"1767225600000000"``), FLOAT64 a number,
BOOL ``true`` or ``false``, STRUCT an object, ARRAY a list. A null field is left out, and so is an
empty array. `make_json_record` writes that form.

Source: https://support.google.com/analytics/answer/7029846 and
https://taggingdocs.com/ga4/bigquery/schema-reference
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pyarrow as pa

__all__ = [
    "CLICK_ID_CHANNELS",
    "DAILY_PREFIX",
    "EVENT_COLUMNS",
    "EVENT_SCHEMA",
    "INTRADAY_PREFIX",
    "LATE_HOURS",
    "OLDER_EVENT_SCHEMA",
    "OPTIONAL_COLUMNS",
    "SHARD_SUFFIXES",
    "make_json_record",
]

DAILY_PREFIX = "events_"
"""A daily table is named by this and ``YYYYMMDD``, the day in the property's time zone."""

INTRADAY_PREFIX = "events_intraday_"
"""A streamed table is named by this and ``YYYYMMDD``; it lacks `session_traffic_source_last_click` values."""

SHARD_SUFFIXES = (".parquet", ".jsonl", ".jsonl.gz")
"""How a file of events ends."""

LATE_HOURS = 72
"""Hours after which an event that is still on its way is dropped by GA4, and a daily table is final."""

CLICK_ID_CHANNELS = MappingProxyType(
    {"gclid": "google", "gbraid": "google", "wbraid": "google", "fbclid": "meta", "ttclid": "tiktok"}
    | {"msclkid": "microsoft"}
)
"""Which channel a click identifier in the query of ``page_location`` belongs to."""

OPTIONAL_COLUMNS = ("collected_traffic_source", "session_traffic_source_last_click")
"""Top-level columns that tables older than 2023 and 2024 lack."""


def _make_strings(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.string()) for name in names]


def _make_integers(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.int64()) for name in names]


def _make_floats(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.float64()) for name in names]


_ANY_KIND = [*_make_strings("string_value"), *_make_integers("int_value"), *_make_floats("float_value", "double_value")]
_EVENT_PARAMS = pa.list_(pa.struct([*_make_strings("key"), pa.field("value", pa.struct(_ANY_KIND))]))
_USER_PROPERTIES = pa.list_(
    pa.struct(
        [*_make_strings("key"), pa.field("value", pa.struct([*_ANY_KIND, *_make_integers("set_timestamp_micros")]))]
    )
)
_DEVICE = pa.struct(
    [
        *_make_strings("category", "mobile_brand_name", "mobile_model_name", "mobile_marketing_name"),
        *_make_strings("mobile_os_hardware_model", "operating_system", "operating_system_version", "vendor_id"),
        *_make_strings("advertising_id", "language", "is_limited_ad_tracking"),
        *_make_integers("time_zone_offset_seconds"),
        *_make_strings("browser", "browser_version"),
        pa.field("web_info", pa.struct(_make_strings("browser", "browser_version", "hostname"))),
    ]
)
_COLLECTED_TRAFFIC_SOURCE = pa.struct(
    [
        *_make_strings("manual_campaign_id", "manual_campaign_name", "manual_source", "manual_medium", "manual_term"),
        *_make_strings("manual_content", "manual_source_platform", "manual_creative_format"),
        *_make_strings("manual_marketing_tactic", "gclid", "dclid", "srsltid"),
    ]
)
_CAMPAIGN = _make_strings("campaign_id", "campaign_name", "source", "medium")
_MANUAL_CAMPAIGN = pa.struct(
    [*_CAMPAIGN, *_make_strings("term", "content", "source_platform", "creative_format", "marketing_tactic")]
)
_GOOGLE_ADS_CAMPAIGN = pa.struct(
    _make_strings("customer_id", "account_name", "campaign_id", "campaign_name", "ad_group_id", "ad_group_name")
)
_CROSS_CHANNEL_CAMPAIGN = pa.struct(
    [*_CAMPAIGN, *_make_strings("source_platform", "default_channel_group", "primary_channel_group")]
)
_SA360_CAMPAIGN = pa.struct(
    [
        *_CAMPAIGN,
        *_make_strings("ad_group_id", "ad_group_name", "creative_format", "engine_account_name"),
        *_make_strings("engine_account_type", "manager_account_name"),
    ]
)
_CM360_CAMPAIGN = pa.struct(
    [
        *_CAMPAIGN,
        *_make_strings("account_id", "account_name", "advertiser_id", "advertiser_name", "creative_format"),
        *_make_strings("creative_id", "creative_name", "creative_type", "creative_type_id", "creative_version"),
        *_make_strings("placement_cost_structure", "placement_id", "placement_name", "rendering_id", "site_id"),
        *_make_strings("site_name"),
    ]
)
_DV360_CAMPAIGN = pa.struct(
    [
        *_CAMPAIGN,
        *_make_strings("advertiser_id", "advertiser_name", "creative_format", "creative_id", "creative_name"),
        *_make_strings("exchange_id", "exchange_name", "insertion_order_id", "insertion_order_name", "line_item_id"),
        *_make_strings("line_item_name", "partner_id", "partner_name"),
    ]
)
_SESSION_TRAFFIC_SOURCE = pa.struct(
    [
        pa.field("manual_campaign", _MANUAL_CAMPAIGN),
        pa.field("google_ads_campaign", _GOOGLE_ADS_CAMPAIGN),
        pa.field("cross_channel_campaign", _CROSS_CHANNEL_CAMPAIGN),
        pa.field("sa360_campaign", _SA360_CAMPAIGN),
        pa.field("cm360_campaign", _CM360_CAMPAIGN),
        pa.field("dv360_campaign", _DV360_CAMPAIGN),
    ]
)
_ECOMMERCE = pa.struct(
    [
        *_make_integers("total_item_quantity"),
        *_make_floats("purchase_revenue_in_usd", "purchase_revenue", "refund_value_in_usd", "refund_value"),
        *_make_floats("shipping_value_in_usd", "shipping_value", "tax_value_in_usd", "tax_value"),
        *_make_integers("unique_items"),
        *_make_strings("transaction_id"),
    ]
)
_ITEMS = pa.list_(
    pa.struct(
        [
            *_make_strings("item_id", "item_name", "item_brand", "item_variant", "item_category", "item_category2"),
            *_make_strings("item_category3", "item_category4", "item_category5"),
            *_make_floats("price_in_usd", "price"),
            *_make_integers("quantity"),
            *_make_floats("item_revenue_in_usd", "item_revenue", "item_refund_in_usd", "item_refund"),
            *_make_strings("coupon", "affiliation", "location_id", "item_list_id", "item_list_name"),
            *_make_strings("item_list_index", "promotion_id", "promotion_name", "creative_name", "creative_slot"),
            pa.field("item_params", _EVENT_PARAMS),
        ]
    )
)

EVENT_SCHEMA = pa.schema(
    [
        *_make_strings("event_date"),
        *_make_integers("event_timestamp"),
        *_make_strings("event_name"),
        pa.field("event_params", _EVENT_PARAMS),
        *_make_integers("event_previous_timestamp"),
        *_make_floats("event_value_in_usd"),
        *_make_integers("event_bundle_sequence_id", "event_server_timestamp_offset"),
        *_make_integers("event_original_occurrence_timestamp"),
        *_make_strings("user_id", "user_pseudo_id"),
        pa.field("privacy_info", pa.struct(_make_strings("analytics_storage", "ads_storage", "uses_transient_token"))),
        pa.field("user_properties", _USER_PROPERTIES),
        *_make_integers("user_first_touch_timestamp"),
        pa.field("user_ltv", pa.struct([*_make_floats("revenue"), *_make_strings("currency")])),
        pa.field("device", _DEVICE),
        pa.field("geo", pa.struct(_make_strings("city", "country", "continent", "region", "sub_continent", "metro"))),
        pa.field(
            "app_info", pa.struct(_make_strings("id", "version", "install_store", "firebase_app_id", "install_source"))
        ),
        pa.field("traffic_source", pa.struct(_make_strings("name", "medium", "source"))),
        *_make_strings("stream_id", "platform"),
        pa.field("event_dimensions", pa.struct(_make_strings("hostname"))),
        pa.field("ecommerce", _ECOMMERCE),
        pa.field("items", _ITEMS),
        pa.field("collected_traffic_source", _COLLECTED_TRAFFIC_SOURCE),
        pa.field("is_active_user", pa.bool_()),
        *_make_integers("batch_event_index", "batch_page_id", "batch_ordering_id"),
        pa.field("session_traffic_source_last_click", _SESSION_TRAFFIC_SOURCE),
        pa.field(
            "publisher",
            pa.struct(
                [*_make_floats("ad_revenue_in_usd"), *_make_strings("ad_format", "ad_source_name", "ad_unit_id")]
            ),
        ),
    ]
)
"""The table of 2026: 31 columns. ``event_timestamp`` is microseconds UTC, ``event_date`` the property's day."""

EVENT_COLUMNS = tuple(EVENT_SCHEMA.names)
"""Top-level columns of the table of 2026, in order."""

OLDER_EVENT_SCHEMA = pa.schema([field for field in EVENT_SCHEMA if field.name not in OPTIONAL_COLUMNS])
"""A table from before 2023: channels are told by ``page_location`` and by ``traffic_source`` alone."""


def make_json_record(record: dict[str, Any]) -> dict[str, Any]:
    """Turns one row, as ``Table.to_pylist`` gives it, into the object of a JSON line.

    Args:
        record: column -> Python value; structs are dicts, arrays lists.

    Returns:
        The same without nulls, empty structs and empty arrays, integers as strings.
    """
    pairs = ((name, _make_json(item)) for name, item in record.items())
    return {name: item for name, item in pairs if item not in (None, [], {})}


def _make_json(item: Any) -> Any:
    if isinstance(item, dict):
        return make_json_record(item)
    if isinstance(item, list):
        return [_make_json(part) for part in item]
    if isinstance(item, int) and not isinstance(item, bool):
        return str(item)
    return item
