"""Consent pages and token endpoints of the platforms, on the paths of the real services."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from connectors.sandbox.faults import CallKind, Fault, FaultKind
from connectors.sandbox.http_host import WireRequest, WireResponse, make_json
from connectors.sandbox.tokens import TokenDesk, TokenPair

__all__ = ["OAuthSandbox"]

_CONSENT = {
    "google": "/o/oauth2/v2/auth",
    "ga4": "/o/oauth2/v2/auth",
    "meta": "/v26.0/dialog/oauth",
    "tiktok": "/portal/auth",
    "microsoft": "/common/oauth2/v2.0/authorize",
}
_TOKEN = {
    "google": "/token",
    "ga4": "/token",
    "meta": "/v26.0/oauth/access_token",
    "tiktok": "/open_api/v1.3/oauth2/access_token/",
    "microsoft": "/common/oauth2/v2.0/token",
}


class OAuthSandbox:
    """See ``connectors.sandbox.http_host.HttpPlatform``: one platform's sign-in. Its consent page says yes at once."""

    def __init__(self, platform: str, desk: TokenDesk) -> None:
        """Serves the tokens of a platform.

        Args:
            platform: whose paths and bodies.
            desk: issues the tokens.
        """
        self.platform = platform
        self._desk = desk
        self._challenges: dict[str, str] = {}

    def classify(self, request: WireRequest) -> CallKind:
        """Everything here is about tokens."""
        del request
        return CallKind.AUTH

    def answer(self, request: WireRequest) -> WireResponse:
        """The consent page, or tokens."""
        if request.method == "GET" and request.path == _CONSENT[self.platform]:
            return self._consent(request.parameters)
        if request.path == _TOKEN[self.platform]:
            return self._answer_tiktok(request) if self.platform == "tiktok" else self._answer(request.parameters)
        return WireResponse(404, b"no such path")

    def refuse(self, request: WireRequest, fault: Fault) -> WireResponse:
        """Throttling, a server error, or a token that is no longer good."""
        del request
        if fault.kind is FaultKind.THROTTLE:
            return make_json({"error": "slow_down"}, 429)
        if fault.kind is FaultKind.AUTH_EXPIRED:
            return make_json({"error": "invalid_grant", "error_description": "Token has been expired or revoked."}, 400)
        return make_json({"error": "temporarily_unavailable"}, 503)

    def _consent(self, parameters: Mapping[str, str]) -> WireResponse:
        redirect = parameters.get("redirect_uri", "")
        if not redirect.startswith("http://127.0.0.1"):
            return make_json({"error": "redirect_uri_mismatch"}, 400)
        code = self._desk.issue_code()
        if "code_challenge" in parameters:
            self._challenges[code] = parameters["code_challenge"]
        name = "auth_code" if self.platform == "tiktok" else "code"
        query = urlencode({name: code, "state": parameters.get("state", "")})
        return WireResponse(302, b"", {"Location": f"{redirect}?{query}"})

    def _answer(self, parameters: Mapping[str, str]) -> WireResponse:
        """Every platform but TikTok takes a form and answers a flat object."""
        grant = parameters.get("grant_type", "authorization_code")
        if grant == "fb_exchange_token":
            token = parameters.get("fb_exchange_token", "")
            pair = self._desk.issue() if self._desk.is_good(token) else None
        elif grant == "refresh_token":
            pair = self._desk.refresh(parameters.get("refresh_token", ""))
        else:
            pair = self._redeem(parameters.get("code", ""), parameters.get("code_verifier", ""))
        if pair is None:
            return self._refuse_grant()
        body: dict[str, Any] = {"access_token": pair.access, "token_type": "Bearer", "expires_in": 3600}
        return make_json(body if self.platform == "meta" else {**body, "refresh_token": pair.refresh})

    def _refuse_grant(self) -> WireResponse:
        if self.platform == "meta":
            error = {"message": "This authorization code has been used.", "type": "OAuthException", "code": 100}
            return make_json({"error": error}, 400)
        return make_json({"error": "invalid_grant", "error_description": "Token has been expired or revoked."}, 400)

    def _answer_tiktok(self, request: WireRequest) -> WireResponse:
        try:
            code = str(request.read_json().get("auth_code", ""))
        except json.JSONDecodeError:
            code = ""
        pair = self._redeem(code, "")
        if pair is None:
            return make_json({"code": 40110, "message": "Auth code is expired or used.", "data": {}})
        return make_json({"code": 0, "message": "OK", "data": {"access_token": pair.access, "advertiser_ids": []}})

    def _redeem(self, code: str, verifier: str) -> TokenPair | None:
        """Tokens for a code whose proof key (RFC 7636) fits."""
        challenge = self._challenges.pop(code, None)
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if challenge is not None and challenge != digest:
            return None
        return self._desk.redeem(code)
