"""From visits to events, as columns: what GA4 would send, when, and when it arrives."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from experiments.ga4.sessions import MICROS_PER_HOUR, Sessions, Stage
from experiments.ga4.settings import DirtRates
from gaelp_rl.bootstrap.ga4_schema import LATE_HOURS
from gaelp_rl.domain.reports import IntArray

__all__ = ["EVENT_NAMES", "Events", "count_events", "join_events", "make_events"]

EVENT_NAMES = (
    "session_start",
    "first_visit",
    "page_view",
    "user_engagement",
    "scroll",
    "view_item",
    "add_to_cart",
    "begin_checkout",
    "purchase",
)
"""What a site sends; `Events.name` is an index into it."""

_CODE = {name: code for code, name in enumerate(EVENT_NAMES)}
_STEPS = {
    Stage.BOUNCE: ("page_view",),
    Stage.ENGAGED: ("page_view", "scroll", "user_engagement"),
    Stage.VIEW_ITEM: ("page_view", "scroll", "user_engagement", "page_view", "view_item"),
    Stage.ADD_TO_CART: ("page_view", "user_engagement", "page_view", "view_item", "add_to_cart"),
    Stage.BEGIN_CHECKOUT: ("page_view", "user_engagement", "view_item", "add_to_cart", "begin_checkout"),
    Stage.PURCHASE: (
        "page_view",
        "scroll",
        "user_engagement",
        "view_item",
        "add_to_cart",
        "begin_checkout",
        "purchase",
    ),
    Stage.CRAWL: ("page_view",) * 40,
}
_LONGEST = max(len(steps) for steps in _STEPS.values())
_TABLE = np.full((len(Stage), _LONGEST), -1, dtype=np.int8)
for _stage, _steps in _STEPS.items():
    _TABLE[_stage, : len(_steps)] = [_CODE[step] for step in _steps]
_LENGTH = (_TABLE >= 0).sum(axis=1)
_REPEAT_AFTER_US = 45_000_000


@dataclass(frozen=True, slots=True)
class Events:
    """One row per event sent; every array has length [events].

    Attributes:
        session: int64; row of the visit.
        moment: int64; microseconds UTC.
        name: int8; index in `EVENT_NAMES`.
        position: int16; 0 for a visit's first event.
        repeated: bool; a purchase sent again.
        arrival: int64; microseconds UTC at which the export has it.
        has_user: bool; whether it carries ``user_pseudo_id``.
        has_session: bool; whether it carries ``ga_session_id``.
        copies: int8; how often the table holds it.
        damaged: bool; whether a damaged copy lies beside it.
    """

    session: IntArray
    moment: IntArray
    name: NDArray[np.int8]
    position: NDArray[np.int16]
    repeated: NDArray[np.bool_]
    arrival: IntArray
    has_user: NDArray[np.bool_]
    has_session: NDArray[np.bool_]
    copies: NDArray[np.int8]
    damaged: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.session)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Events:
        """Some of the events.

        Args:
            rows: what numpy takes as an index.
        """
        return Events(*(getattr(self, field.name)[rows] for field in fields(self)))


def join_events(parts: list[Events]) -> Events:
    """The events of all parts, in their order.

    Args:
        parts: at least one.
    """
    return Events(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Events)))


def count_events(sessions: Sessions) -> IntArray:
    """Events that each visit sends, before dirt, int64 [visits].

    A visit begins with ``session_start``, a first one with ``first_visit`` too.

    Args:
        sessions: any.
    """
    return np.asarray(1 + (sessions.number == 1) + _LENGTH[sessions.stage])


def make_events(sessions: Sessions, rows: IntArray, rng: np.random.Generator, dirt: DirtRates) -> Events:
    """The events of some visits, spread evenly over each; the dirt of each is drawn with it.

    Args:
        sessions: all visits.
        rows: int64; which of them.
        rng: draws.
        dirt: how often what goes wrong.
    """
    own = sessions.take(rows)
    count = count_events(own)
    visit = np.repeat(np.arange(len(own)), count)
    position = np.arange(len(visit)) - np.repeat(count.cumsum() - count, count)
    opening = 1 + (own.number[visit] == 1)
    step = np.maximum(position - opening, 0)
    name = np.where(position < opening, position, _TABLE[own.stage[visit], step]).astype(np.int8)
    share = np.maximum(position - opening, 0) / np.maximum(_LENGTH[own.stage[visit]] - 1, 1)
    moment = own.start[visit] + (share * (own.end - own.start)[visit]).astype(np.int64)
    return _add_dirt(rows[visit], moment, name, position, own.consented[visit], rng, dirt)


def _add_dirt(
    session: IntArray,
    moment: IntArray,
    name: NDArray[np.int8],
    position: IntArray,
    consented: NDArray[np.bool_],
    rng: np.random.Generator,
    dirt: DirtRates,
) -> Events:
    again = np.flatnonzero((name == _CODE["purchase"]) & (rng.random(len(name)) < dirt.repeated_purchase))
    order = np.concatenate((np.arange(len(name)), again))
    is_again = np.arange(len(order)) >= len(name)
    moment = moment[order] + is_again * _REPEAT_AFTER_US
    late = rng.random(len(order)) < dirt.late
    wait = (rng.random(len(order)) * LATE_HOURS * MICROS_PER_HOUR).astype(np.int64)
    return Events(
        session=session[order],
        moment=moment,
        name=name[order],
        position=(position[order] + is_again).astype(np.int16),
        repeated=is_again,
        arrival=moment + late * wait,
        has_user=consented[order] & (rng.random(len(order)) >= dirt.no_user),
        has_session=consented[order] & (rng.random(len(order)) >= dirt.no_session),
        copies=(1 + (rng.random(len(order)) < dirt.duplicate)).astype(np.int8),
        damaged=rng.random(len(order)) < dirt.malformed,
    )
