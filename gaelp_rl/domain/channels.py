"""The advertising channels, the devices, and the order in which arrays hold them."""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "CHANNELS",
    "CHANNEL_BID_KIND",
    "DEVICES",
    "NUM_CHANNELS",
    "NUM_DEVICES",
    "BidKind",
    "Channel",
    "Device",
]


class Channel(StrEnum):
    """An ad platform that sells clicks."""

    GOOGLE = "google"
    META = "meta"
    TIKTOK = "tiktok"
    MICROSOFT = "microsoft"


class Device(StrEnum):
    """The kind of device on which an ad was shown."""

    MOBILE = "mobile"
    DESKTOP = "desktop"
    TABLET = "tablet"


class BidKind(StrEnum):
    """What a bid means to the platform that receives it."""

    CPC = "cpc"
    TARGET_CPA = "target_cpa"
    BID_CAP = "bid_cap"


CHANNELS: tuple[Channel, ...] = tuple(Channel)
"""The channel axis of every array, in this order."""

DEVICES: tuple[Device, ...] = tuple(Device)
"""The device axis of every array, in this order."""

NUM_CHANNELS = len(CHANNELS)
NUM_DEVICES = len(DEVICES)

CHANNEL_BID_KIND: dict[Channel, BidKind] = {
    Channel.GOOGLE: BidKind.CPC,
    Channel.META: BidKind.BID_CAP,
    Channel.TIKTOK: BidKind.CPC,
    Channel.MICROSOFT: BidKind.CPC,
}
"""The kind of bid each channel takes in a plan: money for one click, as an exact bid or a cap."""
