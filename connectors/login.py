"""Signing in: consent in a browser, an answer to this machine, tokens in the store.

OAuth 2.0 for native apps (RFC 8252: loopback redirect) with a proof key (RFC 7636) where the
platform takes one.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import requests
from pydantic import SecretStr

from connectors.callback import CallbackServer
from connectors.credentials import Credentials
from connectors.redaction import Redactor
from connectors.settings import check_endpoint
from connectors.token_store import TokenStore
from gaelp_rl.errors import AuthError, ConfigError, TransientError, suggest

__all__ = ["LOGINS", "LoginFlow", "run_login"]

_EXCHANGE_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class LoginFlow:
    """How one platform hands out tokens.

    Attributes:
        authorize: consent page.
        token: where a code becomes tokens.
        app_field: credential that names the app: also its parameter.
        secret_field: credential of the app.
        code_parameter: what the answer calls the code.
        kept: the token to keep: ``refresh_token``, or a long-lived ``access_token``.
        proof_key: whether RFC 7636 is spoken.
        needs_secret: whether the app must have one.
        parameters: of the consent page, besides.
        is_json: whether the token endpoint takes JSON and wraps its answer (TikTok).
    """

    authorize: str
    token: str
    app_field: str
    secret_field: str
    kept: str
    code_parameter: str = "code"
    proof_key: bool = False
    needs_secret: bool = True
    parameters: Mapping[str, str] = field(default_factory=dict)
    is_json: bool = False


def _make_google(scope: str) -> LoginFlow:
    return LoginFlow(
        authorize="https://accounts.google.com/o/oauth2/v2/auth",
        token="https://oauth2.googleapis.com/token",  # noqa: S106 - an address
        app_field="client_id",
        secret_field="client_secret",  # noqa: S106 - a name
        kept="refresh_token",
        proof_key=True,
        parameters={"scope": scope, "access_type": "offline", "prompt": "consent"},
    )


LOGINS: Mapping[str, LoginFlow] = {
    "google": _make_google("https://www.googleapis.com/auth/adwords"),
    "ga4": _make_google("https://www.googleapis.com/auth/analytics.readonly"),
    "meta": LoginFlow(
        authorize="https://www.facebook.com/v26.0/dialog/oauth",
        token="https://graph.facebook.com/v26.0/oauth/access_token",  # noqa: S106 - an address
        app_field="app_id",
        secret_field="app_secret",  # noqa: S106 - a name
        kept="access_token",
        parameters={"scope": "ads_read,ads_management"},
    ),
    "tiktok": LoginFlow(
        authorize="https://business-api.tiktok.com/portal/auth",
        token="https://business-api.tiktok.com/open_api/v1.3/oauth2/access_token/",  # noqa: S106 - an address
        app_field="app_id",
        secret_field="app_secret",  # noqa: S106 - a name
        kept="access_token",
        code_parameter="auth_code",
        is_json=True,
    ),
    "microsoft": LoginFlow(
        authorize="https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
        token="https://login.microsoftonline.com/common/oauth2/v2.0/token",  # noqa: S106 - an address
        app_field="client_id",
        secret_field="client_secret",  # noqa: S106 - a name
        kept="refresh_token",
        proof_key=True,
        needs_secret=False,
        parameters={"scope": "https://ads.microsoft.com/msads.manage offline_access"},
    ),
}
"""By platform. Meta and Microsoft send ``client_id`` on the wire whatever the credential is called."""


def run_login(
    platform: str,
    credentials: Credentials,
    store: TokenStore,
    *,
    open_page: Callable[[str], object],
    endpoint: str = "",
    port: int = 0,
    timeout_s: float = 300.0,
) -> Path:
    """Walks through consent and stores what it gives.

    Args:
        platform: its name.
        credentials: of the app; its secret where it has one.
        store: where app and tokens go.
        open_page: shows the consent page to the user.
        endpoint: a loopback address in place of the platform's; empty for the platform.
        port: that the platform answers to; 0 takes a free one.
        timeout_s: longest wait for the user.

    Returns:
        The file of tokens.

    Raises:
        ConfigError: an unknown platform, an endpoint that is not loopback, or no app.
        AuthError: consent was denied, did not come in time, or its code was refused.
        TransientError: the token endpoint did not answer.
    """
    flow = _find_flow(platform)
    try:
        check_endpoint(endpoint)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    credentials.require(*([flow.app_field, flow.secret_field] if flow.needs_secret else [flow.app_field]))
    redactor = Redactor(credentials.list_secrets())
    verifier, state = secrets.token_urlsafe(64), secrets.token_urlsafe(32)
    for secret in (verifier, state):
        redactor.add(SecretStr(secret))
    with CallbackServer(port) as server:
        open_page(_make_page(flow, credentials, server.url, state, verifier, endpoint))
        answer = server.wait(timeout_s)
    code = _check_answer(platform, flow, answer, state, redactor)
    redactor.add(SecretStr(code))
    token = _exchange(platform, flow, credentials, code, verifier, server.url, endpoint, redactor)
    kept = {flow.kept: token}
    for name in (flow.app_field, flow.secret_field):
        secret = getattr(credentials, name)
        if secret is not None:
            kept[name] = secret.get_secret_value()
    return store.save(platform, {**store.load(platform), **kept})


def _find_flow(platform: str) -> LoginFlow:
    if platform not in LOGINS:
        msg = f"no platform {platform!r}.{suggest(platform, LOGINS)}"
        raise ConfigError(msg)
    return LOGINS[platform]


def _make_page(
    flow: LoginFlow, credentials: Credentials, redirect: str, state: str, verifier: str, endpoint: str
) -> str:
    app = getattr(credentials, flow.app_field).get_secret_value()
    parameters = {"redirect_uri": redirect, "state": state, **flow.parameters}
    parameters |= {"app_id": app} if flow.is_json else {"client_id": app, "response_type": "code"}
    if flow.proof_key:
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        parameters |= {"code_challenge": digest, "code_challenge_method": "S256"}
    return f"{_redirect_host(flow.authorize, endpoint)}?{urlencode(parameters)}"


def _check_answer(
    platform: str, flow: LoginFlow, answer: Mapping[str, str] | None, state: str, redactor: Redactor
) -> str:
    """The code that came back.

    Raises:
        AuthError: none came, or not from the page that was opened.
    """
    if answer is None:
        raise AuthError(platform, "login", f"nobody consented in time: run `gaelp login {platform}` again")
    if not secrets.compare_digest(answer.get("state", ""), state):
        raise AuthError(platform, "login", "the answer did not come from the page that was opened: log in again")
    if "error" in answer:
        reason = redactor.redact(answer.get("error_description") or answer["error"])
        raise AuthError(platform, "login", f"consent was denied: {reason}")
    code = answer.get(flow.code_parameter, "")
    if not code:
        raise AuthError(platform, "login", f"the answer holds no {flow.code_parameter}: log in again")
    return code


def _exchange(
    platform: str,
    flow: LoginFlow,
    credentials: Credentials,
    code: str,
    verifier: str,
    redirect: str,
    endpoint: str,
    redactor: Redactor,
) -> str:
    """Trades the code for the token to keep; Meta's short-lived token once more for a long-lived one."""
    app = getattr(credentials, flow.app_field).get_secret_value()
    secret = getattr(credentials, flow.secret_field)
    plain = secret.get_secret_value() if secret is not None else ""
    url = _redirect_host(flow.token, endpoint)
    if flow.is_json:
        form = {"app_id": app, "secret": plain, "auth_code": code}
        return _ask(platform, flow, url, form, redactor)
    form = {"grant_type": "authorization_code", "client_id": app, "code": code, "redirect_uri": redirect}
    form |= {"client_secret": plain} if plain else {}
    form |= {"code_verifier": verifier} if flow.proof_key else {}
    token = _ask(platform, flow, url, form, redactor)
    if platform == "meta":
        redactor.add(SecretStr(token))
        form = {"grant_type": "fb_exchange_token", "client_id": app, "client_secret": plain, "fb_exchange_token": token}
        token = _ask(platform, flow, url, form, redactor)
    return token


def _ask(platform: str, flow: LoginFlow, url: str, form: Mapping[str, str], redactor: Redactor) -> str:
    sent = {"json": form} if flow.is_json else {"data": form}
    try:
        response = requests.post(url, timeout=_EXCHANGE_TIMEOUT_S, allow_redirects=False, **sent)  # type: ignore[arg-type]
        body: Any = response.json()
        granted = body.get("data", {}) if flow.is_json else body
        token = granted.get(flow.kept)
    except (requests.RequestException, ValueError, AttributeError) as error:
        raise TransientError(platform, "token endpoint", redactor.redact(str(error))) from None
    if not token:
        told = redactor.redact(_find_reason(body) or f"HTTP {response.status_code} without a token")
        raise AuthError(platform, "login", f"the code was refused: {told}; log in again")
    return str(token)


def _find_reason(body: Mapping[str, Any]) -> str:
    """Wherever the platform says why."""
    inner = body.get("error")
    nested = inner.get("message") if isinstance(inner, dict) else inner
    return str(body.get("message") or body.get("error_description") or nested or "")


def _redirect_host(address: str, endpoint: str) -> str:
    """The same path on a loopback host, where one is given."""
    if not endpoint:
        return address
    host = urlsplit(endpoint)
    return urlunsplit((host.scheme, host.netloc, urlsplit(address).path, "", ""))
