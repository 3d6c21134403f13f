"""Events as Arrow tables of the export's schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from experiments.ga4 import pools
from experiments.ga4.click_ids import HOME
from experiments.ga4.clock import PropertyClock, name_day
from experiments.ga4.events import EVENT_NAMES, Events
from experiments.ga4.params import Param, make_params
from experiments.ga4.published import NO_TRANSACTION_ID_SHARE
from experiments.ga4.sessions import PAID_SOURCES, Sessions, Source
from gaelp_rl.bootstrap.ga4_schema import EVENT_SCHEMA
from gaelp_rl.domain.reports import IntArray

__all__ = ["EventTables", "format_users"]

_VIEW_ITEM, _PURCHASE = EVENT_NAMES.index("view_item"), EVENT_NAMES.index("purchase")
_MIX = 2_654_435_761
_STREAM = "8675309"
_NOT_SET = "(not set)"


def format_users(user: IntArray, first_touch: IntArray) -> pa.Array:
    """``user_pseudo_id``: a number that hides the person's, and the second of the first visit.

    Args:
        user: int64.
        first_touch: int64; microseconds UTC.
    """
    hidden = _mix(user) % (1 << 31)
    return _join_text(_to_text(hidden), pa.scalar("."), _to_text(first_touch // 1_000_000))


def _mix(number: IntArray) -> IntArray:
    return np.asarray((number + 1) * _MIX % (1 << 40))


def _to_text(number: IntArray) -> pa.Array:
    return pc.cast(pa.array(number), pa.string())


def _join_text(*parts: Any) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")


def _take(pool: pa.Array, rows: NDArray[Any], known: NDArray[np.bool_] | None = None) -> pa.Array:
    return pool.take(pa.array(rows, mask=None if known is None else ~known))


@dataclass(frozen=True, slots=True)
class EventTables:
    """Turns events into tables.

    Attributes:
        sessions: all visits.
        clock: of the property.
        pages: addresses by the name of an event, then by click.
        has_gclid: bool [clicks]; whether the click's identifier is a ``gclid``.
        pools: structs that many events share, by column.
    """

    sessions: Sessions
    clock: PropertyClock
    pages: pa.Array
    has_gclid: NDArray[np.bool_]
    pools: dict[str, pa.Array]

    @staticmethod
    def make(
        sessions: Sessions, clock: PropertyClock, landing_pages: list[str], click_ids: list[tuple[str, str]]
    ) -> EventTables:
        """Makes the shared structs.

        Args:
            sessions: all visits.
            clock: of the property.
            landing_pages: address that each click opens.
            click_ids: parameter and text of each click's identifier.
        """
        shared = {
            "device": pools.make_device_pool(),
            "geo": pools.make_geo_pool(),
            "privacy_info": pools.make_privacy_pool(),
            "traffic_source": pools.make_traffic_source_pool(),
            "collected_traffic_source": pools.make_collected_pool(click_ids),
            "session_traffic_source_last_click": pools.make_session_source_pool(),
        }
        has_gclid = np.array([kind == "gclid" for kind, _ in click_ids], dtype=np.bool_)
        pages = pa.array([*pools.make_page_pool(HOME), *landing_pages], type=pa.string())
        return EventTables(sessions, clock, pages, has_gclid, shared)

    def make_table(self, events: Events) -> pa.Table:
        """One row per event, in `EVENT_SCHEMA`.

        Args:
            events: any.
        """
        visits = self.sessions.take(events.session)
        opening = events.position <= 1 + (visits.number == 1)
        landed = opening & (visits.click >= 0)
        days = self.clock.compute_days(events.moment)
        names, day_rows = np.unique(days, return_inverse=True)
        columns = {
            "event_date": _take(pa.array([name_day(day) for day in names.tolist()]), day_rows),
            "event_timestamp": pa.array(events.moment),
            "event_name": _take(pa.array(EVENT_NAMES), events.name),
            "event_params": self._make_params(events, visits, landed),
            "event_bundle_sequence_id": pa.array(_mix(events.session) % 1_000_000_000),
            "event_server_timestamp_offset": pa.array(_mix(visits.user) % 900_000),
            "user_pseudo_id": _take(
                format_users(visits.user, visits.first_touch), np.arange(len(events)), events.has_user
            ),
            "user_first_touch_timestamp": pa.array(visits.first_touch, mask=~events.has_user),
            "stream_id": pa.array([_STREAM] * len(events)),
            "platform": pa.array(["WEB"] * len(events)),
            "is_active_user": pa.array(visits.stage > 0),
            "batch_event_index": pa.array(events.position.astype(np.int64) + 1),
            "batch_page_id": pa.array(visits.start // 1_000),
            "batch_ordering_id": pa.array(events.position.astype(np.int64) + 1),
            **self._make_structs(events, visits, opening),
            **self._make_commerce(events, visits),
        }
        made = [columns.get(f.name) for f in EVENT_SCHEMA]
        whole = [pa.nulls(len(events), f.type) if c is None else c for f, c in zip(EVENT_SCHEMA, made, strict=True)]
        return pa.Table.from_arrays(whole, schema=EVENT_SCHEMA)

    def _make_structs(self, events: Events, visits: Sessions, opening: NDArray[np.bool_]) -> dict[str, pa.Array]:
        person = _mix(visits.user) >> 8
        google = (visits.source == Source.GOOGLE) & (visits.click >= 0)
        gclid = google.copy()
        gclid[google] = self.has_gclid[visits.click[google]]
        session_row = np.where(google & ~gclid, pools.NO_GCLID, visits.source)
        collected = np.where(google, len(Source) + visits.click, visits.source)
        variant = person % pools.DEVICE_VARIANTS
        return {
            "device": _take(self.pools["device"], variant * 3 + visits.device),
            "geo": _take(self.pools["geo"], person % len(self.pools["geo"])),
            "privacy_info": _take(self.pools["privacy_info"], visits.consented.astype(np.int8)),
            "traffic_source": _take(self.pools["traffic_source"], visits.first_source),
            "collected_traffic_source": _take(self.pools["collected_traffic_source"], collected, opening),
            "session_traffic_source_last_click": _take(self.pools["session_traffic_source_last_click"], session_row),
            "event_dimensions": _take(pa.array([{"hostname": "shop.example"}]), np.zeros(len(events), np.int8)),
        }

    def _make_params(self, events: Events, visits: Sessions, landed: NDArray[np.bool_]) -> pa.Array:
        always = np.ones(len(events), dtype=np.bool_)
        buys = events.name == _PURCHASE
        page = np.where(landed, len(EVENT_NAMES) + visits.click, events.name)
        first = visits.source < PAID_SOURCES
        referrer = np.where(first | (visits.source == Source.DIRECT), 0, 1)
        transaction, has_id = self._make_transactions(events, visits)
        engaged = (visits.stage > 0).astype(np.int8)
        return make_params(
            [
                Param.integer("ga_session_id", visits.start // 1_000_000, events.has_session),
                Param.integer("ga_session_number", visits.number.astype(np.int64), events.has_session),
                Param.text("session_engaged", _take(pa.array(["0", "1"]), engaged), always),
                Param.text("page_location", _take(self.pages, page), always),
                Param.text("page_referrer", _take(pa.array(["", "https://partner.example/"]), referrer), referrer > 0),
                Param.text("page_title", _take(pa.array(EVENT_NAMES), events.name), always),
                Param.integer("engagement_time_msec", (events.moment - visits.start) // 1_000, events.position > 1),
                Param.text("transaction_id", transaction, buys & has_id),
                Param.number("value", visits.order_usd, buys),
                Param.text("currency", _take(pa.array(["USD"]), np.zeros(len(events), np.int8)), buys),
            ]
        )

    def _make_transactions(self, events: Events, visits: Sessions) -> tuple[pa.Array, NDArray[np.bool_]]:
        text = _join_text(
            pa.scalar("T"), _to_text(visits.user), pa.scalar("-"), _to_text(visits.number.astype(np.int64))
        )
        lottery = _mix(events.session + 7) % 100_000 / 100_000
        return text, lottery >= NO_TRANSACTION_ID_SHARE

    def _make_commerce(self, events: Events, visits: Sessions) -> dict[str, pa.Array]:
        buys = events.name == _PURCHASE
        order = pa.array(visits.order_usd, mask=~buys)
        transaction, has_id = self._make_transactions(events, visits)
        known = _take(
            pa.concat_arrays([transaction, pa.array([_NOT_SET])]),
            np.where(has_id, np.arange(len(events)), len(events)),
            buys & (has_id | (events.session % 2 == 0)),
        )
        ones = pa.array(np.ones(len(events), dtype=np.int64), mask=~buys)
        ecommerce = _make_struct(
            EVENT_SCHEMA.field("ecommerce").type,
            {
                "total_item_quantity": ones,
                "purchase_revenue_in_usd": order,
                "purchase_revenue": order,
                "unique_items": ones,
                "transaction_id": known,
            },
            ~buys,
        )
        return {"event_value_in_usd": order, "ecommerce": ecommerce, "items": _make_items(events, visits)}


def _make_items(events: Events, visits: Sessions) -> pa.Array:
    """One item for every step of the shop, at the order's price where there is an order."""
    shows = events.name >= _VIEW_ITEM
    product = _mix(events.session)[shows] % pools.PRODUCTS
    ids, names = pools.name_products()
    price = np.where(visits.order_usd[shows] > 0, visits.order_usd[shows], 15.0 + 5.0 * product)
    bought = events.name[shows] == _PURCHASE
    kind = EVENT_SCHEMA.field("items").type
    item = _make_struct(
        kind.value_type,
        {
            "item_id": _take(ids, product),
            "item_name": _take(names, product),
            "price_in_usd": pa.array(price),
            "price": pa.array(price),
            "quantity": pa.array(np.ones(len(product), dtype=np.int64)),
            "item_revenue_in_usd": pa.array(price, mask=~bought),
            "item_revenue": pa.array(price, mask=~bought),
        },
        np.zeros(len(product), dtype=np.bool_),
    )
    offsets = np.concatenate(([0], shows.cumsum())).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), item, type=kind)


def _make_struct(kind: Any, columns: dict[str, pa.Array], is_null: NDArray[np.bool_]) -> pa.Array:
    count = len(is_null)
    children = [columns.get(field.name) for field in kind]
    whole = [pa.nulls(count, f.type) if c is None else c for f, c in zip(kind, children, strict=True)]
    return pa.StructArray.from_arrays(whole, fields=list(kind), mask=pa.array(is_null))
