"""Sessions from events: when each began, where it came from, and whether an ad click landed with it.

A session is ``user_pseudo_id`` with ``ga_session_id``; neither is unique alone. What its earliest
event says holds for the session; of events with the same earliest timestamp, the most decisive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.bootstrap.channel_rules import NO_CLICK, Codes
from gaelp_rl.bootstrap.ga4_events import EventBatch
from gaelp_rl.bootstrap.hashing import KeyArray
from gaelp_rl.domain.reports import IntArray

__all__ = ["Sessions", "merge_sessions", "reduce_events"]


class Sessions(NamedTuple):
    """Sessions, arrays [n], sorted by key; 27 bytes each.

    Attributes:
        session: key.
        user: key.
        start: microseconds UTC of the earliest event.
        rank: channel and rule; see ``rank_channels``.
        click: channel code of the landing event's click identifier, or ``NO_CLICK``.
        device: position in ``FACT_DEVICES``.
    """

    session: KeyArray
    user: KeyArray
    start: IntArray
    rank: Codes
    click: Codes
    device: Codes

    @property
    def has_click(self) -> NDArray[np.bool_]:
        """Whether an ad click landed with the session, bool [n]."""
        return np.asarray(self.click != NO_CLICK)

    def take(self, rows: IntArray) -> Sessions:
        """Some of the sessions, in the order of ``rows``, int64 [k]."""
        return Sessions._make(column[rows] for column in self)


def reduce_events(events: EventBatch) -> Sessions:
    """The sessions of a batch of events, as far as the batch tells."""
    own = events.session != 0
    columns = (events.session, events.user, events.timestamp, events.rank, events.click, events.device)
    return _reduce(Sessions(*columns).take(np.flatnonzero(own)))


def merge_sessions(parts: Sequence[Sessions]) -> Sessions:
    """One entry per session from several parts; the order of the parts does not matter."""
    return _reduce(Sessions._make(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _reduce(parts: Sessions) -> Sessions:
    if parts.session.size == 0:
        return parts
    order = np.lexsort((parts.start, parts.session))
    sorted_parts = parts.take(order)
    is_first = np.ones(order.size, dtype=np.bool_)
    is_first[1:] = sorted_parts.session[1:] != sorted_parts.session[:-1]
    first, which = np.flatnonzero(is_first), np.cumsum(is_first) - 1
    is_landing = sorted_parts.start == sorted_parts.start[first][which]
    rank, click, device = (
        np.minimum.reduceat(np.where(is_landing, codes, np.uint8(255)), first)
        for codes in (sorted_parts.rank, sorted_parts.click, sorted_parts.device)
    )
    return Sessions(
        sorted_parts.session[first], sorted_parts.user[first], sorted_parts.start[first], rank, click, device
    )
