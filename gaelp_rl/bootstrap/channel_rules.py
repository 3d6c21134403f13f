"""Which channel an event's session came from, by the first rule that decides.

1. A Google Ads campaign, or a ``gclid`` in its own column: google.
2. A click identifier in ``page_location``: its channel; google first where several stand there.
3. Source and medium of the manual campaign, where the medium says that it was paid for.
4. The default channel group, where it is a paid one.
5. Otherwise the session was not paid for.

Only rules 1 (``gclid``) and 2 see a click itself. The others are inherited by later direct sessions of
the same user (GA4 attributes to the last click that was not direct), so a click that landed needs
its own identifier.

Source: https://developers.google.com/analytics/bigquery/traffic-attribution-data and
https://support.google.com/analytics/answer/9756891 (paid channel groups).
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gaelp_rl.bootstrap.ga4_columns import FlatBatch
from gaelp_rl.bootstrap.ga4_schema import CLICK_ID_CHANNELS
from gaelp_rl.domain.channels import CHANNELS, Channel

__all__ = [
    "NO_CLICK",
    "PAID_OTHER",
    "SESSION_CHANNELS",
    "UNPAID",
    "Codes",
    "find_clicks",
    "rank_channels",
    "split_rank",
]

SESSION_CHANNELS: tuple[str, ...] = (*CHANNELS, "paid_other", "unpaid")
"""Where a session can come from; codes are positions."""

PAID_OTHER, UNPAID = SESSION_CHANNELS.index("paid_other"), SESSION_CHANNELS.index("unpaid")
NO_CLICK = 255
"""Code of an event without a click identifier."""

_CODES = {channel: code for code, channel in enumerate(SESSION_CHANNELS)}
_UNDECIDED = 255
_RANK_STEP = 8
_SEPARATOR = "\x1f"
_ANY_CLICK_ID = f"[?&](?:{'|'.join(CLICK_ID_CHANNELS)})=[^&#]"
_PLATFORM = {
    Channel.GOOGLE: re.compile(r"google|adwords|youtube"),
    Channel.META: re.compile(r"facebook|instagram|\bfb\b|\big\b|\bmeta\b"),
    Channel.TIKTOK: re.compile(r"tiktok"),
    Channel.MICROSOFT: re.compile(r"bing|microsoft|\bmsn\b"),
}
_PAID_MEDIUM = re.compile(r"(.*cp.*|ppc|retargeting|paid.*|.*[_-]paid|display|banner)")
_PAID_GROUP = re.compile(r"paid .*|cross-network|display|audio")

Codes = NDArray[np.uint8]
"""Positions in a short list, one byte each."""


def find_clicks(batch: FlatBatch) -> Codes:
    """The channel of each event's own click identifier, uint8 [rows], ``NO_CLICK`` where it has none."""
    codes = np.full(batch.num_rows, NO_CLICK, dtype=np.uint8)
    pages = batch.columns["event_params.page_location"]
    where = np.flatnonzero(_match(pages, _ANY_CLICK_ID))
    tagged = pages.take(pa.array(where))
    for channel in reversed(CHANNELS):
        ids = [name for name, owner in CLICK_ID_CHANNELS.items() if owner == channel]
        codes[where[_match(tagged, f"[?&](?:{'|'.join(ids)})=[^&#]")]] = _CODES[channel]
    codes[_has_text(batch.columns["collected_traffic_source.gclid"])] = _CODES[Channel.GOOGLE]
    return codes


def rank_channels(batch: FlatBatch, clicks: Codes) -> Codes:
    """The channel of each event and the rule that found it, as one number: smaller is more decisive.

    Args:
        batch: events.
        clicks: as ``find_clicks`` gives them.

    Returns:
        uint8 [rows]; see ``split_rank``.
    """
    ranks = np.full(batch.num_rows, 5 * _RANK_STEP + UNPAID, dtype=np.uint8)
    _set_rank(ranks, 4, _map_pairs(*_pick_group(batch), _find_group_channel))
    _set_rank(ranks, 3, _map_pairs(*_pick_manual(batch), _find_manual_channel))
    _set_rank(ranks, 2, clicks)
    google = _has_text(batch.columns["session_traffic_source_last_click.google_ads_campaign.campaign_id"])
    google |= _has_text(batch.columns["collected_traffic_source.gclid"])
    ranks[google] = _RANK_STEP + _CODES[Channel.GOOGLE]
    return ranks


def split_rank(ranks: Codes) -> tuple[Codes, Codes]:
    """Rule (1 to 5) and channel code of what ``rank_channels`` gave."""
    return ranks // _RANK_STEP, ranks % _RANK_STEP


def _set_rank(ranks: Codes, rule: int, codes: Codes) -> None:
    decided = codes != _UNDECIDED
    ranks[decided] = rule * _RANK_STEP + codes[decided]


def _pick_manual(batch: FlatBatch) -> tuple[pa.Array, pa.Array]:
    """Source and medium of the session, or of the event where the session's are not known."""
    session, event = "session_traffic_source_last_click.manual_campaign.", "collected_traffic_source.manual_"
    source, medium = (batch.columns[session + name] for name in ("source", "medium"))
    known = pc.or_(source.is_valid(), medium.is_valid())
    pairs = ((source, "source"), (medium, "medium"))
    first, second = (pc.if_else(known, own, batch.columns[event + name]) for own, name in pairs)
    return first, second


def _pick_group(batch: FlatBatch) -> tuple[pa.Array, pa.Array]:
    prefix = "session_traffic_source_last_click.cross_channel_campaign."
    return batch.columns[prefix + "source"], batch.columns[prefix + "default_channel_group"]


def _map_pairs(first: pa.Array, second: pa.Array, find: Callable[[str, str], int]) -> Codes:
    """Applies a rule to each distinct pair of texts once."""
    joined = pc.binary_join_element_wise(pc.fill_null(first, ""), pc.fill_null(second, ""), _SEPARATOR)
    encoded = joined.dictionary_encode()
    pairs = (text.lower().split(_SEPARATOR, 1) for text in encoded.dictionary.to_pylist())
    codes = np.array([find(*pair) for pair in pairs], dtype=np.uint8)
    return codes[np.asarray(encoded.indices)] if codes.size else np.zeros(0, dtype=np.uint8)


def _find_manual_channel(source: str, medium: str) -> int:
    return _find_platform(source, PAID_OTHER) if _PAID_MEDIUM.fullmatch(medium) else _UNDECIDED


def _find_group_channel(source: str, group: str) -> int:
    if not _PAID_GROUP.fullmatch(group):
        return _UNDECIDED
    return _find_platform(source, _CODES[Channel.GOOGLE] if group == "cross-network" else PAID_OTHER)


def _find_platform(source: str, otherwise: int) -> int:
    return next((_CODES[channel] for channel, names in _PLATFORM.items() if names.search(source)), otherwise)


def _has_text(column: pa.Array) -> NDArray[np.bool_]:
    """Where a text is neither null nor empty nor GA4's "(not set)"."""
    known = pc.and_(pc.greater(pc.binary_length(column), 0), pc.not_equal(column, "(not set)"))
    return np.asarray(pc.fill_null(known, False))


def _match(column: pa.Array, pattern: str) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(pc.match_substring_regex(column, pattern), False))
