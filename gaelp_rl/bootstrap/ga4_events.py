"""One table's rows as typed arrays: accepted, quarantined with the field named, or duplicate.

``rows in = accepted + quarantined + duplicates``, exactly. Two rows are the same event when user,
session, timestamp, name, transaction and GA4's own batch numbers agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gaelp_rl.bootstrap.account_hours import find_local_hours
from gaelp_rl.bootstrap.channel_rules import Codes, find_clicks, rank_channels
from gaelp_rl.bootstrap.ga4_columns import FlatBatch
from gaelp_rl.bootstrap.hashing import KeyArray, combine_keys, hash_strings
from gaelp_rl.config.ga4 import Ga4Config
from gaelp_rl.domain.channels import DEVICES, NUM_DEVICES
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.reports import IntArray

__all__ = ["FACT_DEVICES", "EventBatch", "SeenKeys", "Tally", "accept_events"]

FACT_DEVICES: tuple[str, ...] = (*DEVICES, "other")
"""Devices of facts; codes are positions. GA4 also knows smart TVs."""

_FIRST_INSTANT, _LAST_INSTANT = 978_307_200_000_000, 4_102_444_800_000_000
_MAX_AMOUNT = 1e9
_DENIED = pa.array(["no", "denied"])
_ROW_KEY = ("event_timestamp", "event_params.ga_session_id", "event_bundle_sequence_id", "batch_event_index")
_ROW_KEY_REST = ("batch_page_id", "batch_ordering_id")
_REVENUE, _USD = "ecommerce.purchase_revenue", "event_value_in_usd"


class EventBatch(NamedTuple):
    """Accepted events, arrays [n].

    Attributes:
        timestamp: microseconds UTC.
        user: key of the user, 0 without one or without consent.
        session: key of the session, 0 where user or session is not known.
        rank: channel and rule; see ``rank_channels``.
        click: channel code of the event's own click identifier, or ``NO_CLICK``.
        device: position in ``FACT_DEVICES``.
        key_event: position in the settings' key events, -1 for all other events.
        transaction: key of the transaction id, 0 without one.
        value_micros: of a key event.
    """

    timestamp: IntArray
    user: KeyArray
    session: KeyArray
    rank: Codes
    click: Codes
    device: Codes
    key_event: NDArray[np.int8]
    transaction: KeyArray
    value_micros: IntArray


@dataclass(slots=True)
class Tally:
    """What became of one table's rows.

    Attributes:
        rows: that came in.
        accepted: usable rows.
        duplicates: rows that repeat an accepted one.
        quarantined: rows by the field that makes them unusable.
        without_user: accepted rows without a user, consent denied among them.
        consent_denied: accepted rows whose user refused analytics storage.
        without_session: accepted rows with a user and without a session id.
        examples: a few unusable cells by field, as text.
    """

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    without_user: int = 0
    consent_denied: int = 0
    without_session: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)


class SeenKeys:
    """The row keys of one table, as sorted runs that are merged when they grow alike."""

    def __init__(self) -> None:
        self._runs: list[KeyArray] = []

    def find_new(self, keys: KeyArray) -> NDArray[np.bool_]:
        """Which keys come for the first time, bool [n]; all are remembered."""
        unique, first = np.unique(keys, return_index=True)
        known = np.zeros(unique.size, dtype=np.bool_)
        for run in self._runs:
            at = np.minimum(np.searchsorted(run, unique), run.size - 1)
            known |= run[at] == unique
        is_new = np.zeros(keys.size, dtype=np.bool_)
        is_new[first[~known]] = True
        self._add(unique[~known])
        return is_new

    def _add(self, run: KeyArray) -> None:
        while self._runs and self._runs[-1].size <= run.size:
            run = np.sort(np.concatenate((self._runs.pop(), run)), kind="stable")
        if run.size:
            self._runs.append(run)


def accept_events(batch: FlatBatch, day: date, settings: Ga4Config, seen: SeenKeys, tally: Tally) -> EventBatch:
    """Sorts a batch's rows and types the accepted ones.

    Args:
        batch: rows of one table.
        day: of the table.
        settings: zones and key events.
        seen: of the same table; grows.
        tally: of the same table; grows.
    """
    usable = _quarantine(batch, day, ZoneInfo(settings.property_time_zone), tally)
    where = np.flatnonzero(usable)
    kept = _take(batch, where)
    user, denied = _find_users(kept)
    is_new = seen.find_new(_make_row_keys(kept))
    if not is_new.all():
        user, denied = user[is_new], denied[is_new]
        kept = _take(kept, np.flatnonzero(is_new))
    session = _make_session_keys(kept, user)
    tally.rows += batch.num_rows
    tally.accepted += kept.num_rows
    tally.duplicates += int(where.size - kept.num_rows)
    tally.without_user += int((user == 0).sum())
    tally.consent_denied += int(denied.sum())
    tally.without_session += int(((user != 0) & (session == 0)).sum())
    return _make_events(kept, user, session, settings)


def _make_events(kept: FlatBatch, user: KeyArray, session: KeyArray, settings: Ga4Config) -> EventBatch:
    click = find_clicks(kept)
    names = {event.name: code for code, event in enumerate(settings.key_events)}
    found = pc.index_in(kept.columns["event_name"], pa.array(list(names)))
    key_event = np.asarray(pc.fill_null(found, -1)).astype(np.int8)
    devices = pc.index_in(pc.utf8_lower(kept.columns["device.category"]), pa.array([str(d) for d in DEVICES]))
    ids = pc.coalesce(kept.columns["ecommerce.transaction_id"], kept.columns["event_params.transaction_id"])
    given = pc.and_(pc.greater(pc.binary_length(ids), 0), pc.not_equal(ids, "(not set)"))
    return EventBatch(
        timestamp=np.asarray(kept.columns["event_timestamp"]),
        user=user,
        session=session,
        rank=rank_channels(kept, click),
        click=click,
        device=np.asarray(pc.fill_null(devices, NUM_DEVICES)).astype(np.uint8),
        key_event=key_event,
        transaction=hash_strings(pc.if_else(given, ids, None)),
        value_micros=_compute_values(kept, key_event, settings),
    )


def _quarantine(batch: FlatBatch, day: date, zone: ZoneInfo, tally: Tally) -> NDArray[np.bool_]:
    """Counts unusable rows under the first field that makes them so; returns which rows are left."""
    left = np.ones(batch.num_rows, dtype=np.bool_)
    for name, bad in _list_faults(batch, day, zone):
        own = left & bad
        if not own.any():
            continue
        tally.quarantined[name] += int(own.sum())
        shown = tally.examples.setdefault(name, [])
        for row in np.flatnonzero(own)[: max(3 - len(shown), 0)].tolist():
            cell = batch.columns[name][row].as_py() if name in batch.columns else None
            shown.append("not of the column's type" if cell is None and name in batch.malformed else repr(cell))
        left &= ~bad
    return left


def _list_faults(batch: FlatBatch, day: date, zone: ZoneInfo) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    if "row" in batch.malformed:
        yield "row", batch.malformed["row"]
    yield "event_date", ~_is_true(pc.equal(batch.columns["event_date"], f"{day:%Y%m%d}"))
    stamps = batch.columns["event_timestamp"]
    instants = np.asarray(pc.fill_null(stamps, 0))
    plausible = (instants >= _FIRST_INSTANT) & (instants < _LAST_INSTANT)
    local = find_local_hours(np.where(plausible, instants, _FIRST_INSTANT), zone)
    yield "event_timestamp", ~plausible | (np.abs(local.day - day.toordinal()) > 1)
    yield "event_name", ~_is_true(pc.greater(pc.binary_length(batch.columns["event_name"]), 0))
    for name, bad in batch.malformed.items():
        yield name, bad
    for name in (_REVENUE, "event_params.value", _USD):
        amounts = np.asarray(pc.fill_null(batch.columns[name], 0.0))
        yield name, ~((amounts >= 0.0) & (amounts <= _MAX_AMOUNT))
    ids = np.asarray(pc.fill_null(batch.columns["event_params.ga_session_id"], 0))
    yield "event_params.ga_session_id", ids < 0


def _find_users(kept: FlatBatch) -> tuple[KeyArray, NDArray[np.bool_]]:
    """User keys, 0 where nobody may be followed; and whose consent was denied."""
    denied = _is_true(pc.is_in(pc.utf8_lower(kept.columns["privacy_info.analytics_storage"]), value_set=_DENIED))
    ids = kept.columns["user_pseudo_id"]
    known = _is_true(pc.greater(pc.binary_length(ids), 0)) & ~denied
    return np.where(known, hash_strings(ids), np.uint64(0)), denied


def _make_row_keys(kept: FlatBatch) -> KeyArray:
    columns = [
        hash_strings(kept.columns[name]) for name in ("user_pseudo_id", "event_name", "ecommerce.transaction_id")
    ]
    numbers = (np.asarray(pc.fill_null(kept.columns[name], -1)) for name in (*_ROW_KEY, *_ROW_KEY_REST))
    return combine_keys(*columns, *numbers)


def _make_session_keys(kept: FlatBatch, user: KeyArray) -> KeyArray:
    ids = kept.columns["event_params.ga_session_id"]
    keys = combine_keys(user, np.asarray(pc.fill_null(ids, 0)))
    return np.where((user != 0) & np.asarray(ids.is_valid()), keys, np.uint64(0))


def _compute_values(kept: FlatBatch, key_event: NDArray[np.int8], settings: Ga4Config) -> IntArray:
    """Micros of each key event: revenue, then the parameter, then dollars where they count, then the default."""
    values = np.zeros(kept.num_rows, dtype=np.int64)
    rows = np.flatnonzero(key_event >= 0)
    if rows.size == 0:
        return values
    at = pa.array(rows)
    currency = kept.columns["event_params.currency"].take(at)
    ours = pc.fill_null(pc.equal(pc.utf8_upper(currency), settings.currency), True)
    own = [pc.if_else(ours, kept.columns[name].take(at), None) for name in (_REVENUE, "event_params.value")]
    if settings.currency == "USD":
        own.append(kept.columns[_USD].take(at))
    amount = pc.coalesce(*own)
    defaults = np.array([event.default_value_micros for event in settings.key_events], dtype=np.int64)
    micros = np.rint(np.asarray(pc.fill_null(amount, 0.0)) * MICROS).astype(np.int64)
    values[rows] = np.where(np.asarray(amount.is_valid()), micros, defaults[key_event[rows]])
    return values


def _is_true(column: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(column, False))


def _take(batch: FlatBatch, rows: IntArray) -> FlatBatch:
    if rows.size == batch.num_rows:
        return FlatBatch(batch.columns, {}, batch.num_rows)
    at = pa.array(rows)
    return FlatBatch({name: column.take(at) for name, column in batch.columns.items()}, {}, int(rows.size))
