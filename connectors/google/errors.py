"""From what Google's SDK raises to our errors, by the tables of ``schema``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import google.auth.exceptions
import grpc
from google.ads.googleads.errors import GoogleAdsException
from google.ads.googleads.v26.errors.types.errors import GoogleAdsError, GoogleAdsFailure
from google.api_core import exceptions

from connectors.google.schema import AUTH_ERRORS, RATE_ERRORS, TRANSIENT_ERRORS, VERSION
from gaelp_rl.errors import (
    AuthError,
    ConnectorError,
    RateLimitedError,
    RefusedError,
    TransientError,
    UnknownOutcomeError,
)

__all__ = ["SDK_ERRORS", "map_error", "map_operation_error"]

SDK_ERRORS = (
    GoogleAdsException,
    exceptions.GoogleAPIError,
    google.auth.exceptions.GoogleAuthError,
    grpc.RpcError,
    ValueError,
)
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
    if isinstance(error, google.auth.exceptions.TransportError):
        return TransientError(_PLATFORM, "token endpoint", clean(str(error)))
    if isinstance(error, google.auth.exceptions.GoogleAuthError):
        return AuthError(_PLATFORM, "oauth", f"{clean(str(error))}; run `gaelp login google`")
    failure, request_id = _find_failure(error)
    if failure is not None and failure.errors:
        return _map_failure(failure, request_id, clean, writes=writes and _is_internal(error))
    return _map_status(error, clean, request_id, writes=writes)


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


def _map_status(error: BaseException, clean: Callable[[str], str], request_id: str, *, writes: bool) -> ConnectorError:
    status = _find_status(error)
    code = status.name if status else type(error).__name__
    message = clean(str(error)).split("\n")[0][:300]
    if status in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}:
        return AuthError(_PLATFORM, code, message, request_id)
    if status is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return RateLimitedError(_PLATFORM, code, message, 30.0, request_id)
    if status in {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
    }:
        kind = UnknownOutcomeError if writes else TransientError
        return kind(_PLATFORM, code, message, request_id)
    return RefusedError(_PLATFORM, code, message, request_id)


def _find_failure(error: BaseException) -> tuple[GoogleAdsFailure | None, str]:
    """Google's own error and the request's id, from wherever the SDK left them."""
    if isinstance(error, GoogleAdsException):
        return GoogleAdsFailure.deserialize(_serialize(error.failure)), error.request_id or ""
    trailers: dict[str, Any] = {}
    for call in _list_calls(error):
        metadata = getattr(call, "trailing_metadata", None)
        trailers |= {str(key): content for key, content in (metadata() or ())} if callable(metadata) else {}
    raw = trailers.get(_FAILURE_KEY)
    return GoogleAdsFailure.deserialize(raw) if raw else None, str(trailers.get("request-id", ""))


def _serialize(failure: Any) -> bytes:
    plain = failure if hasattr(failure, "SerializeToString") else type(failure).pb(failure)
    return bytes(plain.SerializeToString())


def _list_calls(error: BaseException) -> Iterator[Any]:
    yield error
    yield from getattr(error, "errors", ())


def _find_status(error: BaseException) -> grpc.StatusCode | None:
    for call in _list_calls(error):
        code = getattr(call, "grpc_status_code", None) or getattr(call, "code", None)
        status = code() if callable(code) else code
        if isinstance(status, grpc.StatusCode):
            return status
    return None


def _is_internal(error: BaseException) -> bool:
    inner = error.error if isinstance(error, GoogleAdsException) else error
    return _find_status(inner) in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN}


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
