"""Which landed ad click gets a conversion: the user's last, or first, inside the look-back window.

Last click is what platforms and GA4's export follow. A conversion without a paid click in the window
belongs to none, and stays unpaid.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gaelp_rl.bootstrap.account_hours import MICROS_PER_DAY
from gaelp_rl.bootstrap.channel_rules import Codes
from gaelp_rl.bootstrap.ga4_reader import KeyEvents
from gaelp_rl.bootstrap.hashing import KeyArray
from gaelp_rl.bootstrap.sessions import Sessions
from gaelp_rl.config.ga4 import Attribution
from gaelp_rl.domain.reports import IntArray

__all__ = ["LandedClicks", "attribute", "list_landed_clicks"]


class LandedClicks(NamedTuple):
    """Ad clicks that landed, arrays [n], sorted by user and time, then by channel and device.

    Attributes:
        user: key.
        timestamp: microseconds UTC.
        channel: position in ``CHANNELS``.
        device: position in ``FACT_DEVICES``.
    """

    user: KeyArray
    timestamp: IntArray
    channel: Codes
    device: Codes


def list_landed_clicks(sessions: Sessions) -> LandedClicks:
    """The sessions whose landing carries a click identifier, as clicks."""
    own = np.flatnonzero(sessions.has_click)
    columns = (sessions.device, sessions.click, sessions.start, sessions.user)
    order = own[np.lexsort([column[own] for column in columns])]
    return LandedClicks(sessions.user[order], sessions.start[order], sessions.click[order], sessions.device[order])


def attribute(conversions: KeyEvents, clicks: LandedClicks, attribution: Attribution, lookback_days: int) -> IntArray:
    """Finds each conversion's click.

    Args:
        conversions: of all users.
        clicks: of all users.
        attribution: which click of the window.
        lookback_days: length of the window; its end belongs to it, and so does the click's own instant.

    Returns:
        int64 [conversions]; position in ``clicks``, -1 for none.
    """
    begin = np.searchsorted(clicks.user, conversions.user, side="left")
    end = np.searchsorted(clicks.user, conversions.user, side="right")
    after = _search(clicks.timestamp, begin, end, conversions.timestamp + 1)
    oldest = _search(clicks.timestamp, begin, after, conversions.timestamp - lookback_days * MICROS_PER_DAY)
    found = after - 1 if attribution == "last_click" else oldest
    return np.where((oldest < after) & (conversions.user != 0), found, -1)


def _search(stamps: IntArray, begin: IntArray, end: IntArray, wanted: IntArray) -> IntArray:
    """First position from ``begin`` to ``end`` whose stamp is not before ``wanted``, else ``end``."""
    low, high = begin.copy(), end.copy()
    while (open_ := low < high).any():
        middle = (low + high) // 2
        before = open_ & (stamps[np.minimum(middle, max(stamps.size - 1, 0))] < wanted)
        low = np.where(before, middle + 1, low)
        high = np.where(open_ & ~before, middle, high)
    return low
