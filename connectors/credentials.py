"""Secrets from the environment, mounted files, a login, or the platform's own file, in this order.

For a secret with the environment variable ``NAME``: ``NAME`` itself; the file that ``NAME_FILE``
names (a mounted secret); what ``gaelp login`` stored; the platform's conventional file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import SecretStr

from connectors.token_store import TokenStore
from gaelp_rl.config.strict import StrictModel
from gaelp_rl.errors import ConfigError

__all__ = [
    "Credentials",
    "Ga4Credentials",
    "GoogleCredentials",
    "MetaCredentials",
    "MicrosoftCredentials",
    "SecretSource",
    "TikTokCredentials",
    "load_credentials",
]

_Credentials = TypeVar("_Credentials", bound="Credentials")


class Credentials(StrictModel):
    """One platform's secrets; every field is a ``SecretStr`` or None.

    Attributes:
        variables: environment variable of every field.
        platform: whose they are.
    """

    platform: ClassVar[str]
    variables: ClassVar[Mapping[str, str]]

    def list_secrets(self) -> Iterator[SecretStr]:
        """All that is set."""
        for name in type(self).model_fields:
            secret = getattr(self, name)
            if secret is not None:
                yield secret

    def require(self, *fields: str) -> None:
        """Checks that fields are set.

        Raises:
            ConfigError: naming what is missing and how to give it.
        """
        missing = [self.variables[field] for field in fields if getattr(self, field) is None]
        if missing:
            msg = (
                f"{self.platform}: no {', '.join(missing)}: run `gaelp login {self.platform}`, set the "
                f"variable{'s' if len(missing) > 1 else ''}, or name a file in {missing[0]}_FILE"
            )
            raise ConfigError(msg)


class GoogleCredentials(Credentials):
    """Google Ads: an OAuth client with its refresh token, or a service account's key file.

    The developer token is optional since 2026-09-09 (developers.google.com/google-ads/api/docs/api-policy).
    """

    platform: ClassVar[str] = "google"
    variables: ClassVar[Mapping[str, str]] = {
        "client_id": "GOOGLE_ADS_CLIENT_ID",
        "client_secret": "GOOGLE_ADS_CLIENT_SECRET",
        "refresh_token": "GOOGLE_ADS_REFRESH_TOKEN",
        "json_key_file_path": "GOOGLE_ADS_JSON_KEY_FILE_PATH",
        "impersonated_email": "GOOGLE_ADS_IMPERSONATED_EMAIL",
        "developer_token": "GOOGLE_ADS_DEVELOPER_TOKEN",
    }
    client_id: SecretStr | None = None
    client_secret: SecretStr | None = None
    refresh_token: SecretStr | None = None
    json_key_file_path: SecretStr | None = None
    impersonated_email: SecretStr | None = None
    developer_token: SecretStr | None = None


class MetaCredentials(Credentials):
    """Meta: an app with its secret, and a system user's or user's token."""

    platform: ClassVar[str] = "meta"
    variables: ClassVar[Mapping[str, str]] = {
        "app_id": "META_APP_ID",
        "app_secret": "META_APP_SECRET",
        "access_token": "META_ACCESS_TOKEN",
    }
    app_id: SecretStr | None = None
    app_secret: SecretStr | None = None
    access_token: SecretStr | None = None


class TikTokCredentials(Credentials):
    """TikTok: an app with its secret, and a long-term token."""

    platform: ClassVar[str] = "tiktok"
    variables: ClassVar[Mapping[str, str]] = {
        "app_id": "TIKTOK_APP_ID",
        "app_secret": "TIKTOK_APP_SECRET",
        "access_token": "TIKTOK_ACCESS_TOKEN",
    }
    app_id: SecretStr | None = None
    app_secret: SecretStr | None = None
    access_token: SecretStr | None = None


class MicrosoftCredentials(Credentials):
    """Microsoft Advertising: an app, a developer token, and a refresh token that each use replaces."""

    platform: ClassVar[str] = "microsoft"
    variables: ClassVar[Mapping[str, str]] = {
        "client_id": "MICROSOFT_ADS_CLIENT_ID",
        "client_secret": "MICROSOFT_ADS_CLIENT_SECRET",
        "developer_token": "MICROSOFT_ADS_DEVELOPER_TOKEN",
        "refresh_token": "MICROSOFT_ADS_REFRESH_TOKEN",
    }
    client_id: SecretStr | None = None
    client_secret: SecretStr | None = None
    developer_token: SecretStr | None = None
    refresh_token: SecretStr | None = None


class Ga4Credentials(Credentials):
    """GA4: a service account's key file, or an OAuth client with its refresh token."""

    platform: ClassVar[str] = "ga4"
    variables: ClassVar[Mapping[str, str]] = {
        "json_key_file_path": "GOOGLE_APPLICATION_CREDENTIALS",
        "client_id": "GA4_CLIENT_ID",
        "client_secret": "GA4_CLIENT_SECRET",
        "refresh_token": "GA4_REFRESH_TOKEN",
    }
    json_key_file_path: SecretStr | None = None
    client_id: SecretStr | None = None
    client_secret: SecretStr | None = None
    refresh_token: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where secrets are looked for.

    Attributes:
        environment: variables.
        store: what ``gaelp login`` wrote; None to look nowhere.
        home: for conventional files.
    """

    environment: Mapping[str, str]
    store: TokenStore | None
    home: Path

    @staticmethod
    def of_process() -> SecretSource:
        """This process's environment and user."""
        return SecretSource(os.environ, TokenStore.of_user(os.environ), Path.home())


def load_credentials(model: type[_Credentials], source: SecretSource) -> _Credentials:
    """Finds every secret of a platform, each in the first place that has it.

    Args:
        model: the platform's credentials.
        source: where to look.

    Returns:
        What was found; ``require`` says what is missing.

    Raises:
        ConfigError: a file that is named cannot be read.
    """
    stored = source.store.load(model.platform) if source.store else {}
    conventional = _load_google_yaml(source) if model is GoogleCredentials else {}
    found: dict[str, SecretStr] = {}
    for field, variable in model.variables.items():
        plain = (
            source.environment.get(variable)
            or _load_mounted(source.environment.get(f"{variable}_FILE"), variable)
            or stored.get(field)
            or conventional.get(field)
        )
        if plain:
            found[field] = SecretStr(plain)
    return model(**found)


def _load_mounted(path: str | None, variable: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{variable}_FILE names {path!r}, which cannot be read: {error.__class__.__name__}"
        raise ConfigError(msg) from None


def _load_google_yaml(source: SecretSource) -> Mapping[str, str]:
    """``google-ads.yaml``, as Google's own client library reads it."""
    named = source.environment.get("GOOGLE_ADS_CONFIGURATION_FILE_PATH")
    path = Path(named) if named else source.home / "google-ads.yaml"
    if not path.is_file():
        if named:
            msg = f"GOOGLE_ADS_CONFIGURATION_FILE_PATH names {named!r}, which is no file"
            raise ConfigError(msg)
        return {}
    import yaml  # only where there is such a file

    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        msg = f"{path} cannot be read as YAML: {error.__class__.__name__}"
        raise ConfigError(msg) from None
    if not isinstance(content, dict):
        msg = f"{path} holds no settings: expected `key: text` lines, as google-ads.yaml has them"
        raise ConfigError(msg)
    return {str(key): str(text) for key, text in content.items() if isinstance(text, str | int)}
