"""All sandbox servers together, and the settings and secrets that point connectors at them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from connectors.credentials import SecretSource
from connectors.sandbox.certificate import make_certificate
from connectors.sandbox.control import ControlApi
from connectors.sandbox.faults import FaultInjector
from connectors.sandbox.grpc_host import GrpcHost
from connectors.sandbox.http_host import HttpHost
from connectors.sandbox.oauth import OAuthSandbox
from connectors.sandbox.tokens import TokenDesk
from connectors.sandbox.world import SandboxWorld
from connectors.settings import ConnectorsConfig
from connectors.token_store import TokenStore
from gaelp_rl.config.loading import dump_config
from gaelp_rl.domain.channels import Channel

__all__ = ["SandboxServers"]

_GRPC = ("google", "ga4")
_DEVELOPER_TOKEN = "sandbox-developer-token"  # noqa: S105 - good on loopback only
_APP_SECRET = "sandbox-app-secret"  # noqa: S105 - good on loopback only
_DAILY_BUDGET = 500
_CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105 - good on loopback only


@dataclass(slots=True)
class _Platform:
    """One platform's servers and tokens."""

    endpoint: str
    token_endpoint: str
    tokens: TokenDesk


class SandboxServers:
    """The five platforms and a handle, on loopback ports, while the context lasts.

    Attributes:
        world: the market behind all of them.
        injector: their faults.
        folder: holds the certificate, ``connectors.toml``, and secrets (0700).
        config: points connectors here.
        environment: the secrets that go with it, by variable.
    """

    def __init__(
        self,
        world: SandboxWorld,
        platforms: Sequence[str] = ("google", "meta", "tiktok", "microsoft", "ga4"),
        *,
        injector: FaultInjector | None = None,
        plaintext: bool = False,
        timeout_s: float = 20.0,
        folder: Path | None = None,
    ) -> None:
        """Prepares servers; the context starts them.

        Args:
            world: the market.
            platforms: which to serve.
            injector: faults; none if not given.
            plaintext: gRPC without TLS and sign-in.
            timeout_s: that connectors are told to wait for answers.
            folder: for files; a temporary one, removed at the end, if not given.
        """
        self.world = world
        self.injector = injector or FaultInjector()
        self._names = tuple(platforms)
        self._plaintext = plaintext
        self._timeout_s = timeout_s
        self._is_temporary = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="gaelp-sandbox-"))
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._hosts: list[HttpHost | GrpcHost] = []
        self._platforms: dict[str, _Platform] = {}
        self.config = ConnectorsConfig()
        self.environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stops every server."""
        for host in reversed(self._hosts):
            host.stop()
        self._hosts.clear()
        if self._is_temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def get_tokens(self, platform: str) -> TokenDesk:
        """What access tokens are good on a platform."""
        return self._platforms[platform].tokens

    def make_source(self) -> SecretSource:
        """The sandbox's own secrets, and a folder for tokens that rotate; nothing of the user's is read."""
        return SecretSource(self.environment, TokenStore(self.folder / "credentials"), self.folder)

    def write_files(self) -> Path:
        """Writes ``connectors.toml`` and ``secrets.env`` for other processes.

        Returns:
            The settings' path.
        """
        path = self.folder / "connectors.toml"
        path.write_text(dump_config(self.config), encoding="utf-8")
        secrets = self.folder / "secrets.env"
        secrets.touch(mode=0o600)
        lines = [f"export {name}='{text}'\n" for name, text in self.environment.items()]
        lines.append(f"export GAELP_CREDENTIALS='{(self.folder / 'credentials').resolve()}'\n")
        secrets.write_text("".join(lines), encoding="utf-8")
        return path

    def _start(self) -> None:
        certificate = None if self._plaintext else make_certificate()
        authority = self.folder / "certificate.pem"
        if certificate is not None:
            authority.write_bytes(certificate.certificate)
        for name in self._names:
            tokens = TokenDesk(name, rotates=name == "microsoft")
            platform = _make_platform(name, self.world, tokens, plaintext=self._plaintext)
            host: HttpHost | GrpcHost
            if name in _GRPC:
                host = GrpcHost(platform, self.injector, certificate)
                endpoint = host.address
                host.start()
            else:
                host = HttpHost(platform, self.injector)
                host.start()
                endpoint = host.url
            self._hosts.append(host)
            desk = self._start_http(OAuthSandbox(name, tokens))
            self._platforms[name] = _Platform(endpoint, desk, tokens)
        clock = self._start_http(ControlApi(self.world, self.injector))
        self.config = self._make_config(clock, str(authority.resolve()) if certificate else "")
        self.environment = self._make_environment()

    def _start_http(self, platform: Any) -> str:
        host = HttpHost(platform, self.injector)
        host.start()
        self._hosts.append(host)
        return host.url

    def _make_config(self, clock: str, authority: str) -> ConnectorsConfig:
        tables: dict[str, dict[str, object]] = {name: self._make_table(name) for name in self._names}
        for name in _GRPC:
            if name in tables:
                tables[name] |= {
                    "plaintext": self._plaintext,
                    "ca_certificate": authority,
                    "token_endpoint": f"{self._platforms[name].token_endpoint}/token",
                }
        if "microsoft" in tables:
            base = self._platforms["microsoft"].token_endpoint
            tables["microsoft"] |= {"customer": "1", "token_endpoint": f"{base}/common/oauth2/v2.0/token"}
        currency = next(iter(self.world.accounts.values())).currency
        most = max(len(account.campaigns) for account in self.world.accounts.values())
        guardrails = {"currency": currency, "daily_budget": _DAILY_BUDGET * most}
        return ConnectorsConfig.model_validate({**tables, "guardrails": guardrails, "clock": clock}, strict=False)

    def _make_table(self, name: str) -> dict[str, object]:
        table: dict[str, object] = {"endpoint": self._platforms[name].endpoint, "timeout_s": self._timeout_s}
        if name == "ga4":
            from connectors.sandbox.ga4 import PROPERTY

            return {**table, "account": PROPERTY}
        account = self.world.accounts[Channel(name)]
        return {**table, "account": account.id, "managed_campaigns": list(account.campaigns)}

    def _make_environment(self) -> dict[str, str]:
        environment: dict[str, str] = {}
        for name in self._names:
            pair = self._platforms[name].tokens.issue()
            environment |= _make_secrets(name, pair.access, pair.refresh)
        return environment


def _make_secrets(name: str, access: str, refresh: str) -> Mapping[str, str]:
    if name in {"google", "ga4"}:
        prefix = "GOOGLE_ADS" if name == "google" else "GA4"
        return {
            f"{prefix}_CLIENT_ID": "sandbox-client",
            f"{prefix}_CLIENT_SECRET": _CLIENT_SECRET,
            f"{prefix}_REFRESH_TOKEN": refresh,
        }
    if name == "microsoft":
        return {
            "MICROSOFT_ADS_CLIENT_ID": "sandbox-client",
            "MICROSOFT_ADS_CLIENT_SECRET": _CLIENT_SECRET,
            "MICROSOFT_ADS_DEVELOPER_TOKEN": _DEVELOPER_TOKEN,
            "MICROSOFT_ADS_REFRESH_TOKEN": refresh,
        }
    prefix = name.upper()
    return {f"{prefix}_APP_ID": "1234567", f"{prefix}_APP_SECRET": _APP_SECRET, f"{prefix}_ACCESS_TOKEN": access}


def _make_platform(name: str, world: SandboxWorld, tokens: TokenDesk, *, plaintext: bool) -> Any:
    """Loads a platform's server, and with it the messages of its SDK, only where it is served."""
    if name == "google":
        from connectors.sandbox.google import GoogleSandbox

        return GoogleSandbox(world, None if plaintext else tokens)
    if name == "ga4":
        from connectors.sandbox.ga4 import Ga4Sandbox

        return Ga4Sandbox(world, None if plaintext else tokens)
    if name == "meta":
        from connectors.sandbox.meta import MetaSandbox

        return MetaSandbox(world, tokens, _APP_SECRET)
    if name == "tiktok":
        from connectors.sandbox.tiktok import TikTokSandbox

        return TikTokSandbox(world, tokens)
    from connectors.sandbox.microsoft import MicrosoftSandbox

    return MicrosoftSandbox(world, tokens, _DEVELOPER_TOKEN)
