"""The schema is the export's, and its JSON form is BigQuery's."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from gaelp_rl.bootstrap.ga4_schema import (
    CLICK_ID_CHANNELS,
    EVENT_SCHEMA,
    OLDER_EVENT_SCHEMA,
    OPTIONAL_COLUMNS,
    make_json_record,
)
from gaelp_rl.domain.channels import CHANNELS


def _count_paths(kind: Any) -> int:
    if pa.types.is_list(kind):
        return _count_paths(kind.value_type)
    return sum(1 + _count_paths(field.type) for field in kind) if pa.types.is_struct(kind) else 0


def test_event_schema__has_as_many_columns_and_paths_as_a_real_property() -> None:
    """31 top-level fields and 217 paths: a web property's dictionary of 2026."""
    assert len(EVENT_SCHEMA) == 31
    assert sum(1 + _count_paths(field.type) for field in EVENT_SCHEMA) == 217
    assert set(EVENT_SCHEMA.names) - set(OLDER_EVENT_SCHEMA.names) == set(OPTIONAL_COLUMNS)


def test_click_ids__name_known_channels() -> None:
    assert set(CLICK_ID_CHANNELS.values()) == {str(channel) for channel in CHANNELS}


def test_make_json_record__writes_integers_as_text_and_leaves_nulls_out() -> None:
    row = {
        "event_timestamp": 1_767_687_766_473_856,
        "event_name": "purchase",
        "is_active_user": False,
        "event_value_in_usd": 0.0,
        "event_params": [{"key": "value", "value": {"int_value": 0, "string_value": None}}],
        "items": [],
        "app_info": {"id": None},
        "user_id": None,
    }
    assert make_json_record(row) == {
        "event_timestamp": "1767687766473856",
        "event_name": "purchase",
        "is_active_user": False,
        "event_value_in_usd": 0.0,
        "event_params": [{"key": "value", "value": {"int_value": "0"}}],
    }
