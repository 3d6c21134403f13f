"""Renewal of tokens that each use replaces."""

from __future__ import annotations

import requests
from pydantic import SecretStr

from connectors.credentials import MicrosoftCredentials
from connectors.redaction import Redactor
from connectors.token_store import TokenStore
from gaelp_rl.errors import AuthError, TransientError

__all__ = ["renew_microsoft"]

_PLATFORM = "microsoft"


def renew_microsoft(
    credentials: MicrosoftCredentials, store: TokenStore | None, token_endpoint: str, timeout_s: float
) -> str:
    """Trades the refresh token for an access token and the next refresh token.

    Under the store's lock and from what it holds, since another process may have renewed meanwhile;
    the new refresh token is on disk before the access token is used. Where the stored one is dead,
    the one that was given is tried.

    Args:
        credentials: the app, and the refresh token to start from.
        store: where the newest refresh token is kept; None keeps it nowhere.
        token_endpoint: URL.
        timeout_s: longest wait.

    Returns:
        The access token.

    Raises:
        AuthError: the refresh token is no longer good.
        TransientError: no usable answer.
    """
    given = credentials.refresh_token.get_secret_value() if credentials.refresh_token else ""
    if store is None:
        return _renew(credentials, given, token_endpoint, timeout_s)["access_token"]
    with store.locked(_PLATFORM):
        stored = store.load(_PLATFORM)
        newest = stored.get("refresh_token") or given
        try:
            answer = _renew(credentials, newest, token_endpoint, timeout_s)
        except AuthError:
            if newest == given:
                raise
            answer = _renew(credentials, given, token_endpoint, timeout_s)
        if "refresh_token" in answer:
            store.save(_PLATFORM, {**stored, "refresh_token": answer["refresh_token"]})
        return answer["access_token"]


def _renew(
    credentials: MicrosoftCredentials, refresh_token: str, token_endpoint: str, timeout_s: float
) -> dict[str, str]:
    redactor = Redactor(credentials.list_secrets())
    redactor.add(SecretStr(refresh_token))
    clean = redactor.redact
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": credentials.client_id.get_secret_value() if credentials.client_id else "",
        "scope": "https://ads.microsoft.com/msads.manage offline_access",
    }
    if credentials.client_secret is not None:
        form["client_secret"] = credentials.client_secret.get_secret_value()
    try:
        response = requests.post(token_endpoint, data=form, timeout=timeout_s, allow_redirects=False)
        body = response.json()
    except (requests.RequestException, ValueError) as error:
        raise TransientError(_PLATFORM, "token endpoint", clean(str(error))) from None
    if response.status_code in {400, 401} or "access_token" not in body:
        reason = clean(str(body.get("error_description") or body.get("error") or response.status_code))
        raise AuthError(_PLATFORM, "oauth", f"{reason}; run `gaelp login microsoft`")
    return {name: str(body[name]) for name in ("access_token", "refresh_token") if name in body}
