"""Connectors by name, each loaded with its SDK only when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any

from connectors.credentials import (
    Credentials,
    Ga4Credentials,
    GoogleCredentials,
    MetaCredentials,
    MicrosoftCredentials,
    SecretSource,
    TikTokCredentials,
    load_credentials,
)
from connectors.platform import PlatformConnector
from connectors.settings import ConnectorsConfig, PlatformSettings, WriteMode
from gaelp_rl.errors import ConfigError, ConnectorError, suggest

__all__ = ["PLATFORMS", "fetch_clock", "list_configured", "make_connector"]


@dataclass(frozen=True, slots=True)
class _Entry:
    module: str
    name: str
    credentials: type[Credentials]


PLATFORMS: Mapping[str, _Entry] = {
    "google": _Entry("connectors.google.client", "GoogleConnector", GoogleCredentials),
    "meta": _Entry("connectors.meta.client", "MetaConnector", MetaCredentials),
    "tiktok": _Entry("connectors.tiktok.client", "TikTokConnector", TikTokCredentials),
    "microsoft": _Entry("connectors.microsoft.client", "MicrosoftConnector", MicrosoftCredentials),
    "ga4": _Entry("connectors.ga4.client", "Ga4Connector", Ga4Credentials),
}
"""By the name that commands and tables of ``connectors.toml`` use, which is also that of the extra."""


def list_configured(config: ConnectorsConfig) -> list[str]:
    """The platforms that have an account."""
    return [name for name in PLATFORMS if getattr(config, name).account]


def make_connector(
    name: str,
    config: ConnectorsConfig,
    source: SecretSource,
    *,
    writes: WriteMode = WriteMode.DRY_RUN,
    **options: Any,
) -> PlatformConnector:
    """Makes a platform's connector.

    Args:
        name: of the platform.
        config: accounts and endpoints.
        source: where its secrets are.
        writes: what ``push`` may do.
        options: see ``PlatformConnector``.

    Returns:
        The connector; close it after use.

    Raises:
        ConfigError: an unknown name, an SDK that is not installed, or settings that are missing.
    """
    entry = PLATFORMS.get(name)
    if entry is None:
        msg = f"no platform {name!r}.{suggest(name, PLATFORMS)}"
        raise ConfigError(msg)
    settings: PlatformSettings = getattr(config, name)
    credentials = load_credentials(entry.credentials, source)
    try:
        make = getattr(import_module(entry.module), entry.name)
    except ModuleNotFoundError as error:
        msg = f"{name}: its SDK is not installed ({error.name} is missing): pip install 'gaelp-rl[{name}]'"
        raise ConfigError(msg) from None
    if config.clock:
        options.setdefault("clock", lambda: fetch_clock(config.clock, settings.timeout_s))
    if name == "microsoft":
        options.setdefault("store", source.store)
    connector: PlatformConnector = make(settings, credentials, writes=writes, **options)
    return connector


def fetch_clock(url: str, timeout_s: float) -> datetime:
    """The time of a sandbox, aware UTC.

    Raises:
        ConnectorError: it does not answer.
    """
    import requests

    try:
        return datetime.fromisoformat(requests.get(f"{url}/clock", timeout=timeout_s).json()["now"])
    except (requests.RequestException, ValueError, KeyError) as error:
        raise ConnectorError("sandbox", "clock", f"no answer from {url}: is `gaelp sandbox` running?") from error
