"""From Microsoft's answers, and what its SDK raises, to our errors, by the tables of ``schema``."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pydantic
import requests
import urllib3
from openapi_client.exceptions import OpenApiException

from connectors.microsoft.schema import AUTH_CODES, RATE_WAIT_S, UNKNOWN_CODES
from gaelp_rl.errors import (
    AuthError,
    ConnectorError,
    RateLimitedError,
    RefusedError,
    TransientError,
    UnknownOutcomeError,
)

__all__ = ["SDK_ERRORS", "map_answer", "map_error", "map_item"]

SDK_ERRORS = (
    OpenApiException,
    urllib3.exceptions.HTTPError,
    requests.RequestException,
    zipfile.BadZipFile,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
)
"""Everything that a call through the SDK may raise; the last four where an answer is not what it expects."""

_PLATFORM = "microsoft"


def map_error(error: BaseException, clean: Callable[[str], str], *, writes: bool) -> ConnectorError:
    """Turns an exception of a call without a usable answer into ours.

    Args:
        error: what the SDK raised.
        clean: takes secrets out of a text.
        writes: whether the call would have changed something.

    Returns:
        The error to raise instead.
    """
    message = clean(str(error)).split("\n")[0][:300]
    if isinstance(error, pydantic.ValidationError):
        return RefusedError(_PLATFORM, "invalid request", message)
    kind = UnknownOutcomeError if writes else TransientError
    if "NewConnectionError" in f"{type(error).__name__} {error}":
        kind = TransientError
    return kind(_PLATFORM, type(error).__name__, message)


def map_answer(
    status: int, body: Mapping[str, Any], headers: Mapping[str, str], clean: Callable[[str], str], *, writes: bool
) -> ConnectorError:
    """Turns an answer whose HTTP status is not 2xx into ours.

    Args:
        status: of HTTP.
        body: a fault, or empty where it is none of Microsoft's.
        headers: lower-case names.
        clean: takes secrets out of a text.
        writes: whether the call would have changed something.
    """
    request_id = str(body.get("TrackingId", headers.get("trackingid", "")))
    errors = [map_item(item, request_id, clean, writes=writes) for item in _list_errors(body)]
    if errors:
        return next((error for error in errors if not isinstance(error, RefusedError)), errors[0])
    name, message = f"HTTP {status}", "the answer holds no fault detail"
    if status in {401, 403}:
        return AuthError(_PLATFORM, name, message, request_id)
    if status == 429:
        return RateLimitedError(_PLATFORM, name, message, _read_wait(headers), request_id)
    if status >= 500:
        kind = UnknownOutcomeError if writes else TransientError
        return kind(_PLATFORM, name, message, request_id)
    return RefusedError(_PLATFORM, name, message, request_id)


def map_item(item: Mapping[str, Any], request_id: str, clean: Callable[[str], str], *, writes: bool) -> ConnectorError:
    """Turns one error of a fault, or of the partial errors of an answer, into ours."""
    code = int(item.get("Code") or 0)
    name = f"{code} {item.get('ErrorCode') or ''}".strip()
    message = clean(str(item.get("Message") or ""))
    if code in RATE_WAIT_S:
        return RateLimitedError(
            _PLATFORM, name, message, float(item.get("RetryAfter") or RATE_WAIT_S[code]), request_id
        )
    if code in AUTH_CODES:
        return AuthError(_PLATFORM, name, message, request_id)
    if code in UNKNOWN_CODES:
        kind = UnknownOutcomeError if writes else TransientError
        return kind(_PLATFORM, name, message, request_id)
    return RefusedError(_PLATFORM, name, message, request_id)


def _list_errors(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in ("Errors", "OperationErrors", "BatchErrors"):
        yield from (item for item in body.get(name) or () if isinstance(item, Mapping))


def _read_wait(headers: Mapping[str, str]) -> float:
    try:
        return max(float(headers.get("retry-after", "60")), 0.0)
    except ValueError:
        return 60.0
