"""Visits to the site, as columns: who came when, from where, how far they got."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.domain.reports import FloatArray, IntArray

__all__ = ["MICROS_PER_HOUR", "PAID_SOURCES", "Sessions", "Source", "Stage", "join_sessions"]

MICROS_PER_HOUR = 3_600_000_000
"""Microseconds in an hour."""


class Source(IntEnum):
    """Where a visit came from; the first four are the paid channels, in the order of ``CHANNELS``."""

    GOOGLE = 0
    META = 1
    TIKTOK = 2
    MICROSOFT = 3
    REFERRAL = 4
    ORGANIC = 5
    DIRECT = 6
    EMAIL = 7


PAID_SOURCES = 4
"""Sources below this are paid channels."""


class Stage(IntEnum):
    """How far a visit got; each step has made all steps before it."""

    BOUNCE = 0
    ENGAGED = 1
    VIEW_ITEM = 2
    ADD_TO_CART = 3
    BEGIN_CHECKOUT = 4
    PURCHASE = 5
    CRAWL = 6


@dataclass(frozen=True, slots=True)
class Sessions:
    """One row per visit; every array has length [visits].

    Attributes:
        user: int64; number of the person, unique in the export.
        number: int8; 1 for a person's first visit.
        start: int64; microseconds UTC of the first event.
        end: int64; microseconds UTC of the last event; a purchase is the last event.
        first_touch: int64; microseconds UTC of the person's first visit.
        source: int8; `Source` of this visit.
        first_source: int8; `Source` of the person's first visit.
        device: int8; index in ``DEVICES``.
        stage: int8; `Stage`.
        click: int64; row of the paid click that this visit landed from, -1 for none.
        consented: bool; whether events may carry ids.
        order_usd: float64; revenue of the purchase in USD, 0 without one.
    """

    user: IntArray
    number: NDArray[np.int8]
    start: IntArray
    end: IntArray
    first_touch: IntArray
    source: NDArray[np.int8]
    first_source: NDArray[np.int8]
    device: NDArray[np.int8]
    stage: NDArray[np.int8]
    click: IntArray
    consented: NDArray[np.bool_]
    order_usd: FloatArray

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Sessions:
        """Some of the visits.

        Args:
            rows: what numpy takes as an index.
        """
        return Sessions(*(getattr(self, field.name)[rows] for field in fields(self)))


def join_sessions(parts: list[Sessions]) -> Sessions:
    """All visits of the parts, by their start.

    Args:
        parts: at least one.
    """
    joined = Sessions(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Sessions)))
    return joined.take(np.argsort(joined.start, kind="stable"))
