"""The axes of every array: their order is part of every stored policy."""

from __future__ import annotations

from gaelp_rl.domain.channels import CHANNEL_BID_KIND, CHANNELS, DEVICES, NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.money import MICROS


def test_axes__keep_their_order() -> None:
    assert CHANNELS == ("google", "meta", "tiktok", "microsoft")
    assert DEVICES == ("mobile", "desktop", "tablet")
    assert (NUM_CHANNELS, NUM_DEVICES) == (4, 3)


def test_bid_kinds__cover_every_channel() -> None:
    assert set(CHANNEL_BID_KIND) == set(CHANNELS)


def test_micros__are_millionths() -> None:
    assert MICROS == 10**6
