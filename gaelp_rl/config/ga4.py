"""How a GA4 export is read: time zones, key events, look-back window."""

from __future__ import annotations

from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from gaelp_rl.config.strict import StrictModel

__all__ = ["Attribution", "CountingMethod", "Ga4Config", "KeyEvent"]

CountingMethod = Literal["once_per_event", "once_per_session"]
"""GA4's ``countingMethod`` of a key event."""

Attribution = Literal["last_click", "first_click"]
"""Which of a user's paid clicks inside the look-back window gets a conversion."""


class KeyEvent(StrictModel):
    """An event that counts as a conversion; the export itself carries no such flag."""

    name: str = Field(min_length=1, description="event_name in the export, such as purchase")
    counting_method: CountingMethod = Field(
        default="once_per_event", description="as the property's key event says; a transaction id goes first"
    )
    default_value_micros: int = Field(
        default=0, ge=0, description="micros of a conversion that carries no amount of its own"
    )


class Ga4Config(StrictModel):
    """Settings of a GA4 export; what the export does not say itself."""

    property_time_zone: str = Field(default="UTC", description="IANA name; the zone of event_date")
    account_time_zone: str = Field(default="UTC", description="IANA name; the zone of the ad account's hours")
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$", description="ISO 4217 code of all amounts")
    key_events: tuple[KeyEvent, ...] = Field(
        default=(KeyEvent(name="purchase"),), min_length=1, description="events that count as conversions"
    )
    lookback_days: int = Field(default=30, ge=1, le=90, description="days after a click in which a conversion is its")
    attribution: Attribution = Field(default="last_click", description="which paid click gets the conversion")
    provisional_days: int = Field(
        default=4, ge=0, le=31, description="newest days of an export that GA4 may still restate"
    )

    @field_validator("property_time_zone", "account_time_zone")
    @classmethod
    def _check_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            msg = "is not an IANA time zone such as Europe/Berlin"
            raise ValueError(msg) from None
        return name

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [event.name for event in self.key_events]
        if len(set(names)) < len(names):
            msg = f"key_events names {names!r} repeat; give each event once"
            raise ValueError(msg)
        return self
