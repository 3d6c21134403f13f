"""Which accounts, which campaigns, and where: everything about connectors that is no secret."""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from gaelp_rl.config.strict import StrictModel
from gaelp_rl.errors import ConfigError

__all__ = [
    "ConnectorsConfig",
    "Ga4Settings",
    "GoogleSettings",
    "GuardrailSettings",
    "MetaSettings",
    "MicrosoftSettings",
    "PlatformSettings",
    "TikTokSettings",
    "WriteMode",
    "check_endpoint",
    "check_write_mode",
]


class WriteMode(StrEnum):
    """What a push may do."""

    DRY_RUN = "dry-run"
    SANDBOX = "sandbox"
    LIVE = "live"


def check_endpoint(endpoint: str) -> str:
    """Accepts an endpoint override only where it cannot leave this machine.

    Args:
        endpoint: ``host:port`` or ``http(s)://host:port``; empty for the platform's own.

    Returns:
        The same.

    Raises:
        ValueError: the host is not loopback.
    """
    if not endpoint:
        return endpoint
    host = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").hostname or ""
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        msg = f"endpoint {endpoint!r} is not on this machine: credentials are sent to the platform or to loopback only"
        raise ValueError(msg)
    return endpoint


Endpoint = Annotated[str, AfterValidator(check_endpoint)]


class PlatformSettings(StrictModel):
    """What every platform needs.

    Attributes:
        account: id of the account; empty until it is set up.
        managed_campaigns: ids of the campaigns that plans may change; no other is ever written.
        endpoint: a loopback address that speaks the platform's protocol; empty for the platform.
        timeout_s: longest wait for an answer.
    """

    account: str = ""
    managed_campaigns: tuple[str, ...] = ()
    endpoint: Endpoint = ""
    timeout_s: float = Field(default=60.0, gt=0.0, le=900.0)


class GoogleSettings(PlatformSettings):
    """Google Ads.

    Attributes:
        account: customer id, ten digits.
        login_account: customer id of the manager account that reaches it; empty for none.
        token_endpoint: a loopback OAuth endpoint; empty for Google's.
        plaintext: without TLS, which only a loopback endpoint can.
        ca_certificate: PEM file that a loopback endpoint's TLS is checked by.
    """

    login_account: str = ""
    token_endpoint: Endpoint = ""
    plaintext: bool = False
    ca_certificate: str = ""


class MetaSettings(PlatformSettings):
    """Meta.

    Attributes:
        account: ad account id, with or without ``act_``.
    """


class TikTokSettings(PlatformSettings):
    """TikTok.

    Attributes:
        account: advertiser id.
    """


class MicrosoftSettings(PlatformSettings):
    """Microsoft Advertising.

    Attributes:
        account: account id (a number, not the account's name ``F...``).
        customer: customer id.
        token_endpoint: a loopback OAuth endpoint; empty for Microsoft's.
    """

    customer: str = ""
    token_endpoint: Endpoint = ""


class Ga4Settings(PlatformSettings):
    """Google Analytics 4.

    Attributes:
        account: property id.
        sources: which ``sessionSource`` values mean which channel; matched whole, without case.
        key_event: name of the key event that counts as a conversion; empty for all.
    """

    sources: dict[str, tuple[str, ...]] = Field(
        default_factory=lambda: {
            "google": ("google",),
            "meta": ("facebook", "instagram", "meta", "fb", "ig"),
            "tiktok": ("tiktok",),
            "microsoft": ("bing", "microsoft"),
        }
    )
    key_event: str = ""
    token_endpoint: Endpoint = ""
    plaintext: bool = False
    ca_certificate: str = ""


class GuardrailSettings(StrictModel):
    """What no plan may exceed, whoever made it.

    Attributes:
        currency: ISO 4217 code of the amounts.
        daily_budget: currency units, over all channels that a plan enables.
        max_bid: currency units per click, of any channel.
        max_device_modifier: highest factor on a bid.
    """

    currency: str = "USD"
    daily_budget: str | float | int = "500"
    max_bid: str | float | int = "20"
    max_device_modifier: float = Field(default=4.0, gt=0.0, le=10.0)


class ConnectorsConfig(StrictModel):
    """``connectors.toml``: a table per platform; those without an account are not used.

    Attributes:
        google: see ``GoogleSettings``.
        meta: see ``MetaSettings``.
        tiktok: see ``TikTokSettings``.
        microsoft: see ``MicrosoftSettings``.
        ga4: see ``Ga4Settings``.
        guardrails: see ``GuardrailSettings``.
        clock: URL of a sandbox's clock; empty for the real time.
    """

    google: GoogleSettings = GoogleSettings()
    meta: MetaSettings = MetaSettings()
    tiktok: TikTokSettings = TikTokSettings()
    microsoft: MicrosoftSettings = MicrosoftSettings()
    ga4: Ga4Settings = Ga4Settings()
    guardrails: GuardrailSettings = GuardrailSettings()
    clock: Endpoint = ""


def check_write_mode(platform: str, settings: PlatformSettings, mode: WriteMode) -> None:
    """Refuses writes that would not go where the user thinks.

    Raises:
        ConfigError: live writes while the endpoint is overridden, or sandbox writes while it is not.
    """
    if mode is WriteMode.LIVE and settings.endpoint:
        msg = f"{platform}: live writes were asked for, but its endpoint is {settings.endpoint!r}: remove the override"
        raise ConfigError(msg)
    if mode is WriteMode.SANDBOX and not settings.endpoint:
        msg = (
            f"{platform}: sandbox writes were asked for, but its endpoint is the platform's own: start `gaelp sandbox`"
        )
        raise ConfigError(msg)
