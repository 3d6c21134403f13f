"""From what Google's SDK raises to our errors, by the tables of ``schema``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from google.ads.googleads.errors import GoogleAdsException
from google.ads.googleads.v26.errors.types.errors import GoogleAdsError, GoogleAdsFailure

from connectors.google.schema import AUTH_ERRORS, RATE_ERRORS, TRANSIENT_ERRORS, VERSION
from connectors.google_rpc import RPC_ERRORS, find_status, list_calls, map_status
from gaelp_rl.errors import (
    AuthError,
    ConnectorError,
    RateLimitedError,
    RefusedError,
    TransientError,
    UnknownOutcomeError,
)

__all__ = ["SDK_ERRORS", "map_error", "map_operation_error"]

SDK_ERRORS = (GoogleAdsException, *RPC_ERRORS)
"""Everything that a call through the SDK may raise."""

_PLATFORM = "google"
_FAILURE_KEY = f"google.ads.googleads.{VERSION}.errors.googleadsfailure-bin"


def map_error(error: BaseException, clean: Callable[[str], str], *, writes: bool) -> ConnectorError:
    """Turns an exception of a whole call into ours.

    Args:
        error: what the SDK raised.
        clean: takes secrets out of a text.
        writes: whether the call would have changed something.

    Returns:
        The error to raise instead.
    """
    failure, request_id = _find_failure(error)
    if failure is not None and failure.errors:
        return _map_failure(failure, request_id, clean, writes=writes and _is_internal(error))
    return map_status(_PLATFORM, error, clean, request_id=request_id, writes=writes)


def map_operation_error(error: GoogleAdsError, request_id: str, clean: Callable[[str], str]) -> ConnectorError:
    """Turns one error of a partial failure into ours: that operation was not applied."""
    kind, name = _find_code(error)
    code = f"{kind}.{name}"
    message = clean(error.message)
    if (kind, name) in RATE_ERRORS:
        return RateLimitedError(_PLATFORM, code, message, _find_wait(error, kind, name), request_id)
    if (kind, name) in TRANSIENT_ERRORS:
        return TransientError(_PLATFORM, code, message, request_id)
    if kind in AUTH_ERRORS:
        return AuthError(_PLATFORM, code, message, request_id)
    return RefusedError(_PLATFORM, code, message, request_id)


def _map_failure(
    failure: GoogleAdsFailure, request_id: str, clean: Callable[[str], str], *, writes: bool
) -> ConnectorError:
    mapped = [map_operation_error(error, request_id, clean) for error in failure.errors]
    first = next((error for error in mapped if isinstance(error, RefusedError | AuthError)), mapped[0])
    if writes and isinstance(first, TransientError):
        return UnknownOutcomeError(_PLATFORM, first.code, "an internal error may have come after applying", request_id)
    return first


def _find_failure(error: BaseException) -> tuple[GoogleAdsFailure | None, str]:
    """Google's own error and the request's id, from wherever the SDK left them."""
    if isinstance(error, GoogleAdsException):
        return GoogleAdsFailure.deserialize(_serialize(error.failure)), error.request_id or ""
    trailers: dict[str, Any] = {}
    for call in list_calls(error):
        metadata = getattr(call, "trailing_metadata", None)
        trailers |= {str(key): content for key, content in (metadata() or ())} if callable(metadata) else {}
    raw = trailers.get(_FAILURE_KEY)
    return GoogleAdsFailure.deserialize(raw) if raw else None, str(trailers.get("request-id", ""))


def _serialize(failure: Any) -> bytes:
    plain = failure if hasattr(failure, "SerializeToString") else type(failure).pb(failure)
    return bytes(plain.SerializeToString())


def _is_internal(error: BaseException) -> bool:
    inner = error.error if isinstance(error, GoogleAdsException) else error
    return find_status(inner) in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN}


def _find_code(error: GoogleAdsError) -> tuple[str, str]:
    """Such as (``quota_error``, ``RESOURCE_EXHAUSTED``)."""
    plain = GoogleAdsError.pb(error).error_code
    kind = plain.WhichOneof("error_code") or "unknown_error"
    number = getattr(plain, kind, 0)
    enum = plain.DESCRIPTOR.fields_by_name[kind].enum_type if kind != "unknown_error" else None
    known = enum.values_by_number.get(number) if enum else None
    return kind, known.name if known else str(number)


def _find_wait(error: GoogleAdsError, kind: str, name: str) -> float:
    details = GoogleAdsError.pb(error).details
    if details.HasField("quota_error_details"):
        seconds = details.quota_error_details.retry_delay.ToTimedelta().total_seconds()
        if seconds > 0:
            return float(seconds)
    return RATE_ERRORS[kind, name]
