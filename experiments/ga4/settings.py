"""Settings of a generated GA4 export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from gaelp_rl.config.loading import load_config
from gaelp_rl.config.strict import StrictModel

__all__ = ["SMALL", "DirtRates", "ExportFormat", "ExportSettings", "make_settings"]

ExportFormat = Literal["parquet", "jsonl", "mixed"]
"""``mixed``: Parquet, but every third day as gzipped JSON lines."""


class DirtRates(StrictModel):
    """How often what goes wrong in a real export goes wrong here. Shares are of events unless said."""

    no_user: float = Field(0.003, ge=0, le=1, description="events without user_pseudo_id")
    no_session: float = Field(0.003, ge=0, le=1, description="events without ga_session_id")
    duplicate: float = Field(0.005, ge=0, le=1, description="events that the table holds twice, equal in every field")
    repeated_purchase: float = Field(0.03, ge=0, le=1, description="purchases sent again with the same transaction id")
    late: float = Field(0.01, ge=0, le=1, description="events that arrive up to 72 hours later")
    malformed: float = Field(0.001, ge=0, le=1, description="damaged copies of events, beside the good one")
    consent_denied: float = Field(0.04, ge=0, le=1, description="people whose events carry no id at all")
    bots: float = Field(0.002, ge=0, le=1, description="crawlers' sessions per background session")
    not_landed: float = Field(0.08, ge=0, le=1, description="paid clicks without a purchase that never reach the page")


class ExportSettings(StrictModel):
    """One export: a market, the account in it, and the property that watched the landings."""

    family: str = Field("campaign", description="a family of worlds, or a market TOML")
    seed: int = Field(0, ge=0, description="of the world, of how bids move, and of everybody on the site")
    days: int = Field(28, ge=1, le=28, description="of the account, from Monday 2026-01-05")
    daily_budget: float = Field(500.0, gt=0, description="currency units, split evenly over channels")
    events: int = Field(1_000_000, ge=1, description="about how many; what the paid clicks leave is other traffic")
    format: ExportFormat = "parquet"
    property_time_zone: str = Field("America/New_York", description="of event_date; the account's is UTC")
    older_days: int = Field(2, ge=0, description="first tables without the two newer traffic columns")
    restated_days: int = Field(3, ge=0, description="newest daily tables that are also kept as exported first")
    reports: Literal["csv", "parquet"] = Field("csv", description="format of reports and plans")
    dirt: DirtRates = DirtRates()

    @field_validator("property_time_zone")
    @classmethod
    def _check_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError):
            msg = "is not an IANA time zone such as America/New_York"
            raise ValueError(msg) from None
        return name


SMALL = (
    "days=4",
    "daily_budget=200.0",
    "events=4000",
    'format="mixed"',
    "older_days=1",
    "restated_days=1",
    'reports="parquet"',
    "dirt.malformed=0.003",
    "dirt.repeated_purchase=0.1",
)
"""What ``--small`` changes, as overrides: a few days in both formats, dirty enough for a test."""


def make_settings(overrides: Sequence[str] = (), small: bool = False) -> ExportSettings:
    """Settings from the defaults, or from `SMALL`, and overrides.

    Args:
        overrides: ``key=value``, as `load_config` takes them; they win over ``small``.
        small: whether to begin with the export that the repository ships.

    Raises:
        ConfigError: a key is unknown, or a value breaks its rule.
    """
    return load_config(ExportSettings, None, [*(SMALL if small else ()), *overrides])
