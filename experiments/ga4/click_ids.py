"""Click identifiers, as the platforms append them to the landing page's address."""

from __future__ import annotations

import base64

import numpy as np

from experiments.ga4.paid import PaidClicks
from gaelp_rl.domain.channels import CHANNELS, Channel

__all__ = ["HOME", "make_click_ids", "make_landing_pages"]

HOME = "https://shop.example/"
"""The site."""

_GOOGLE_KINDS = ("gclid", "gbraid", "wbraid")
_GOOGLE_WEIGHTS = (0.85, 0.10, 0.05)
_TAGS = {
    Channel.META: "utm_source=facebook&utm_medium=paid_social&utm_campaign=meta-1&",
    Channel.TIKTOK: "utm_source=tiktok&utm_medium=paid_social&utm_campaign=tiktok-1&",
    Channel.MICROSOFT: "utm_source=bing&utm_medium=cpc&utm_campaign=microsoft-1&",
}
_OWN_KIND = {Channel.META: "fbclid", Channel.TIKTOK: "ttclid", Channel.MICROSOFT: "msclkid"}
_BYTES = 15


def make_click_ids(clicks: PaidClicks, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Every click's identifier: its parameter and its text, unique.

    Args:
        clicks: all clicks.
        rng: draws; what an iPhone's Google click carries is ``gbraid`` or ``wbraid``.
    """
    raw = rng.bytes(_BYTES * len(clicks))
    google = rng.choice(_GOOGLE_KINDS, len(clicks), p=_GOOGLE_WEIGHTS).tolist()
    made = []
    for row, channel in enumerate(clicks.channel.tolist()):
        own = raw[row * _BYTES : (row + 1) * _BYTES]
        if CHANNELS[channel] is Channel.MICROSOFT:
            made.append((_OWN_KIND[Channel.MICROSOFT], own.hex()))
            continue
        text = base64.urlsafe_b64encode(own).decode()
        kind = _OWN_KIND.get(CHANNELS[channel], google[row])
        made.append((kind, f"{_PREFIXES.get(kind, '')}{text}"))
    return made


_PREFIXES = {"gclid": "Cj0KCQiA", "fbclid": "IwAR", "ttclid": "E.C.P."}


def make_landing_pages(clicks: PaidClicks, ids: list[tuple[str, str]]) -> list[str]:
    """The address that each click opens.

    Args:
        clicks: all clicks.
        ids: of `make_click_ids`.
    """
    channels = (CHANNELS[channel] for channel in clicks.channel.tolist())
    return [
        f"{HOME}?{_TAGS.get(channel, '')}{kind}={text}" for channel, (kind, text) in zip(channels, ids, strict=True)
    ]
