"""From what Meta's SDK raises, and from its error bodies, to our errors, by the tables of ``schema``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import requests
from facebook_business.exceptions import FacebookError, FacebookRequestError

from connectors.meta.schema import AUTH_CODES, RATE_CODES, TOO_MUCH_DATA, TRANSIENT_CODES
from gaelp_rl.errors import (
    AuthError,
    ConnectorError,
    RateLimitedError,
    RefusedError,
    TransientError,
    UnknownOutcomeError,
)

__all__ = ["SDK_ERRORS", "map_error", "map_error_body"]

SDK_ERRORS = (FacebookError, requests.RequestException, ValueError, TypeError, KeyError, AttributeError)
"""Everything that a call through the SDK may raise; the last four where an answer is not what it expects."""

_PLATFORM = "meta"


def map_error(error: BaseException, clean: Callable[[str], str], *, writes: bool) -> ConnectorError:
    """Turns an exception of a whole call into ours.

    Args:
        error: what the SDK raised.
        clean: takes secrets out of a text.
        writes: whether the call would have changed something.

    Returns:
        The error to raise instead.
    """
    if isinstance(error, FacebookRequestError):
        body = error.body() if isinstance(error.body(), dict) else {}
        headers = {str(name).lower(): str(text) for name, text in (error.http_headers() or {}).items()}
        return map_error_body(body, int(error.http_status() or 0), headers, clean, writes=writes)
    kind = UnknownOutcomeError if writes else TransientError
    if isinstance(error, requests.ConnectionError) and "NewConnectionError" in str(error):
        kind = TransientError
    return kind(_PLATFORM, type(error).__name__, clean(str(error))[:300])


def map_error_body(
    body: Mapping[str, Any], status: int, headers: Mapping[str, str], clean: Callable[[str], str], *, writes: bool
) -> ConnectorError:
    """Turns the body of a failed call, or of one call of a batch, into ours.

    Args:
        body: with ``error``, if it is Meta's.
        status: of HTTP.
        headers: lower-case names; say how much of the limits is used.
        clean: takes secrets out of a text.
        writes: whether the call would have changed something.
    """
    error = body.get("error") or {}
    code, subcode = error.get("code"), error.get("error_subcode")
    name = f"{code}" + (f"/{subcode}" if subcode else "") if code is not None else f"HTTP {status}"
    message = clean(str(error.get("message", "no answer that says why")))
    request_id = str(error.get("fbtrace_id", headers.get("x-fb-trace-id", "")))
    if code in RATE_CODES or (code is None and status == 429):
        return RateLimitedError(_PLATFORM, name, message, _find_wait(headers), request_id)
    if code in AUTH_CODES or (code is None and status in {401, 403}):
        return AuthError(_PLATFORM, name, message, request_id)
    if code is None and status >= 500:
        kind = UnknownOutcomeError if writes else TransientError
        return kind(_PLATFORM, name, message, request_id)
    if name in TOO_MUCH_DATA:
        return RefusedError(_PLATFORM, name, message, request_id)
    if code in TRANSIENT_CODES or error.get("is_transient"):
        kind = UnknownOutcomeError if writes and status >= 500 else TransientError
        return kind(_PLATFORM, name, message, request_id)
    return RefusedError(_PLATFORM, name, message, request_id)


def _find_wait(headers: Mapping[str, str]) -> float:
    """``estimated_time_to_regain_access`` is in minutes; without it, a minute."""
    try:
        usage = json.loads(headers.get("x-business-use-case-usage", "{}"))
        waits = [float(use.get("estimated_time_to_regain_access", 0)) for uses in usage.values() for use in uses]
    except (ValueError, AttributeError, TypeError):
        waits = []
    return max(waits, default=0.0) * 60.0 or 60.0
