"""What Google's gRPC interfaces share: sign-in, loopback channels, status codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import google.auth.exceptions
import google.auth.transport.requests
import grpc
from google.api_core import exceptions
from google.auth.transport.grpc import AuthMetadataPlugin
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials as OAuthCredentials
from pydantic import SecretStr

from connectors.credentials import Ga4Credentials, GoogleCredentials
from connectors.settings import Ga4Settings, GoogleSettings
from gaelp_rl.errors import (
    AuthError,
    ConnectorError,
    RateLimitedError,
    RefusedError,
    TransientError,
    UnknownOutcomeError,
)

__all__ = [
    "RPC_ERRORS",
    "find_status",
    "list_calls",
    "make_loopback_channel",
    "make_oauth",
    "map_status",
    "renew_oauth",
]

RPC_ERRORS = (
    exceptions.GoogleAPIError,
    google.auth.exceptions.GoogleAuthError,
    grpc.RpcError,
    OSError,
    ValueError,
)
"""Everything that a call may raise besides what its own SDK adds."""

_TOKEN_ENDPOINT = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_MAX_MESSAGE = 64 * 1024 * 1024
_PASSING = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
    }
)


def make_oauth(credentials: GoogleCredentials | Ga4Credentials, scope: str, token_endpoint: str) -> Any:
    """Google's credentials from a key file, or from an OAuth client and its refresh token.

    Raises:
        ConfigError: neither is given.
    """
    if credentials.json_key_file_path is not None:
        email = credentials.impersonated_email if isinstance(credentials, GoogleCredentials) else None
        path = credentials.json_key_file_path.get_secret_value()
        return service_account.Credentials.from_service_account_file(path, scopes=[scope], subject=_reveal(email))
    credentials.require("client_id", "client_secret", "refresh_token")
    return OAuthCredentials(
        None,
        refresh_token=_reveal(credentials.refresh_token),
        client_id=_reveal(credentials.client_id),
        client_secret=_reveal(credentials.client_secret),
        token_uri=token_endpoint or _TOKEN_ENDPOINT,
        scopes=[scope],
    )


def renew_oauth(oauth: Any) -> None:
    """Fetches a new access token, whether or not the old one has run out by the clock."""
    if oauth is not None:
        oauth.refresh(google.auth.transport.requests.Request())


def make_loopback_channel(settings: GoogleSettings | Ga4Settings, oauth: Any) -> grpc.Channel:
    """A channel to an endpoint on this machine: plaintext, or TLS with its own certificate and real sign-in."""
    options = [("grpc.max_receive_message_length", _MAX_MESSAGE)]
    if settings.plaintext:
        return grpc.insecure_channel(settings.endpoint, options)
    roots = Path(settings.ca_certificate).read_bytes() if settings.ca_certificate else None
    plugin = AuthMetadataPlugin(oauth, google.auth.transport.requests.Request())
    pair = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(roots), grpc.metadata_call_credentials(plugin)
    )
    return grpc.secure_channel(settings.endpoint, pair, options)


def map_status(
    platform: str, error: BaseException, clean: Callable[[str], str], *, request_id: str = "", writes: bool = False
) -> ConnectorError:
    """Turns an exception without details of the interface's own into ours.

    Args:
        platform: for the error.
        error: what was raised.
        clean: takes secrets out of a text.
        request_id: of the call.
        writes: whether the call would have changed something.
    """
    message = clean(str(error)).split("\n")[0][:300]
    if isinstance(error, google.auth.exceptions.TransportError):
        return TransientError(platform, "token endpoint", message)
    if isinstance(error, google.auth.exceptions.GoogleAuthError):
        return AuthError(platform, "oauth", f"{message}; run `gaelp login {platform}`")
    status = find_status(error)
    code = status.name if status else type(error).__name__
    if status in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}:
        return AuthError(platform, code, message, request_id)
    if status is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return RateLimitedError(platform, code, message, 30.0, request_id)
    if status in _PASSING:
        kind = UnknownOutcomeError if writes else TransientError
        return kind(platform, code, message, request_id)
    return RefusedError(platform, code, message, request_id)


def list_calls(error: BaseException) -> Iterator[Any]:
    """The exception and the calls it wraps."""
    yield error
    yield from getattr(error, "errors", ())


def find_status(error: BaseException) -> grpc.StatusCode | None:
    """The gRPC status, from wherever the library left it."""
    for call in list_calls(error):
        code = getattr(call, "grpc_status_code", None) or getattr(call, "code", None)
        status = code() if callable(code) else code
        if isinstance(status, grpc.StatusCode):
            return status
    return None


def _reveal(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
