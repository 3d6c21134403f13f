"""Impression share as platforms publish it: once a day, late, by campaign, cut off at its ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from gaelp_rl.domain.channels import Channel
from gaelp_rl.domain.numbers import CensoredShare
from gaelp_rl.errors import FieldError

__all__ = ["DailyShare"]


@dataclass(frozen=True, slots=True)
class DailyShare:
    """One (account, channel, campaign, day) as it was known at ``as_of``.

    Attributes:
        account: the advertiser's account.
        channel: the platform.
        campaign: the platform's campaign id.
        day: in the account's time zone.
        as_of: when the row was read, aware UTC.
        impressions: ads shown on that day; weighs the campaign among the channel's others.
        impression_share: impressions over eligible impressions.
        lost_share_budget: share of eligible impressions lost to budget; None where not reported.
        lost_share_rank: share of eligible impressions lost to rank; None likewise.
    """

    account: str
    channel: Channel
    campaign: str
    day: date
    as_of: datetime
    impressions: int
    impression_share: CensoredShare
    lost_share_budget: CensoredShare | None = None
    lost_share_rank: CensoredShare | None = None

    def __post_init__(self) -> None:
        if self.as_of.utcoffset() != timedelta(0):
            raise FieldError("as_of", self.as_of.isoformat(), "is not aware UTC")
        if self.impressions < 0:
            raise FieldError("impressions", self.impressions, "is negative; a count must be 0 or more")
        if self.impression_share.share <= 0.0:
            rule = "is not an impression share: it must be above 0; a campaign without impressions has none"
            raise FieldError("impression_share", self.impression_share.share, rule)

    @property
    def eligible_impressions(self) -> float:
        """Impressions that could have been won; where the share is censored from below, at least this many."""
        return self.impressions / self.impression_share.share
