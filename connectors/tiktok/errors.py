"""From TikTok's answers, and what its SDK raises, to our errors, by the tables of ``schema``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import urllib3
from business_api_client.rest import ApiException

from connectors.tiktok.schema import AUTH_CODES, RATE_WAIT_S, is_transient, is_unknown
from gaelp_rl.errors import (
    AuthError,
    ConnectorError,
    RateLimitedError,
    RefusedError,
    TransientError,
    UnknownOutcomeError,
)

__all__ = ["SDK_ERRORS", "map_code", "map_error"]

SDK_ERRORS = (ApiException, urllib3.exceptions.HTTPError, ValueError, TypeError, KeyError, AttributeError)
"""Everything but its own refusals that a call through the SDK may raise; the last four where an answer is
not what it expects."""

_PLATFORM = "tiktok"


def map_error(error: BaseException, clean: Callable[[str], str], *, writes: bool) -> ConnectorError:
    """Turns an exception of a call without a usable answer into ours.

    Args:
        error: what the SDK raised.
        clean: takes secrets out of a text.
        writes: whether the call would have changed something.

    Returns:
        The error to raise instead.
    """
    kind = UnknownOutcomeError if writes else TransientError
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        kind = TransientError
    if isinstance(error, ApiException) and error.status in {401, 403}:
        return AuthError(_PLATFORM, f"HTTP {error.status}", clean(str(error.reason)))
    if isinstance(error, ApiException) and error.status == 429:
        return RateLimitedError(_PLATFORM, "HTTP 429", clean(str(error.reason)), RATE_WAIT_S[40100])
    name = f"HTTP {error.status}" if isinstance(error, ApiException) else type(error).__name__
    return kind(_PLATFORM, name, clean(str(error)).split("\n")[0][:300])


def map_code(body: Mapping[str, Any], clean: Callable[[str], str], *, writes: bool) -> ConnectorError:
    """Turns an answer with a code that is not 0 into ours: HTTP says 200 to everything.

    Args:
        body: of the answer.
        clean: takes secrets out of a text.
        writes: whether the call would have changed something.
    """
    code, message = int(body.get("code", -1)), clean(str(body.get("message", "")))
    request_id = str(body.get("request_id", ""))
    if code in RATE_WAIT_S:
        return RateLimitedError(_PLATFORM, str(code), message, RATE_WAIT_S[code], request_id)
    if code in AUTH_CODES:
        return AuthError(_PLATFORM, str(code), message, request_id)
    if is_transient(code):
        return TransientError(_PLATFORM, str(code), message, request_id)
    if is_unknown(code):
        kind = UnknownOutcomeError if writes else TransientError
        return kind(_PLATFORM, str(code), message, request_id)
    return RefusedError(_PLATFORM, str(code), message, request_id)
