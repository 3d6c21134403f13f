"""What a sandbox account reports: one cell per campaign, device and hour, one share per campaign and day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime

from connectors.sandbox.account import SandboxCampaign
from gaelp_rl.domain.money import Micros

__all__ = ["CellReport", "DayShare"]


@dataclass(frozen=True, slots=True)
class CellReport:
    """What an account reports about one campaign, device and hour.

    Attributes:
        campaign: whose.
        device: index; None where the channel does not split.
        local: start of the hour by the report's wall clock.
        impressions: shown.
        clicks: among them.
        spend_micros: paid.
        conversions: reported by now.
    """

    campaign: SandboxCampaign
    device: int | None
    local: datetime
    impressions: int
    clicks: int
    spend_micros: Micros
    conversions: int

    def add(self, other: CellReport) -> CellReport:
        """Both passes of an hour that the clocks go through twice, as one row."""
        return replace(
            self,
            impressions=self.impressions + other.impressions,
            clicks=self.clicks + other.clicks,
            spend_micros=self.spend_micros + other.spend_micros,
            conversions=self.conversions + other.conversions,
        )

    def split(self, parts: int) -> list[CellReport]:
        """The cell as finer devices see it; the parts add up to it."""
        names = ("impressions", "clicks", "spend_micros", "conversions")
        cells = []
        for at in range(parts):
            counts = {name: (getattr(self, name) + at) // parts for name in names}
            cells.append(replace(self, **counts))
        return cells

    def halve(self) -> CellReport:
        """The cell as it looked while it was still being counted."""
        return replace(
            self,
            impressions=-(-self.impressions // 2),
            clicks=self.clicks // 2,
            spend_micros=self.spend_micros // 2,
            conversions=self.conversions // 2,
        )


@dataclass(frozen=True, slots=True)
class DayShare:
    """What an account reports about one campaign's impression share on one day; None where it has none."""

    campaign: SandboxCampaign
    day: date
    impressions: int
    share: float
    lost_to_budget: float
    lost_to_rank: float
