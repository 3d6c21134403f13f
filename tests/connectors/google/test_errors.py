"""Google's errors, from wherever its SDK leaves them, become ours by the table."""

from __future__ import annotations

from datetime import timedelta

import google.auth.exceptions
import grpc
import pytest
from google.ads.googleads.v26.errors.types.errors import GoogleAdsFailure
from google.api_core import exceptions

from connectors.google.errors import map_error, map_operation_error
from gaelp_rl.errors import AuthError, RateLimitedError, RefusedError, TransientError, UnknownOutcomeError

KEY = "google.ads.googleads.v26.errors.googleadsfailure-bin"


class Call:
    """What gRPC leaves on an exception."""

    def __init__(self, code, trailers=()):
        self._code, self._trailers = code, trailers

    def code(self):
        return self._code

    def trailing_metadata(self):
        return self._trailers


def make_failure(kind, name, delay_s=0.0):
    error = GoogleAdsFailure.pb()().errors.add()
    field = error.error_code.DESCRIPTOR.fields_by_name[kind]
    setattr(error.error_code, kind, field.enum_type.values_by_name[name].number)
    error.message = "said why"
    if delay_s:
        error.details.quota_error_details.retry_delay = timedelta(seconds=delay_s)
    failure = GoogleAdsFailure.pb()()
    failure.errors.append(error)
    return failure


def raise_as_sdk(kind, name, exception, delay_s=0.0):
    """Statuses INTERNAL and RESOURCE_EXHAUSTED reach the caller as api_core's exceptions, details in the trailers."""
    failure = make_failure(kind, name, delay_s)
    trailers = ((KEY, failure.SerializeToString()), ("request-id", "r-1"))
    return exception("boom", errors=(Call(exception.grpc_status_code, trailers),))


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("quota_error", "RESOURCE_EXHAUSTED", RateLimitedError),
        ("quota_error", "RESOURCE_TEMPORARILY_EXHAUSTED", RateLimitedError),
        ("internal_error", "TRANSIENT_ERROR", TransientError),
        ("database_error", "CONCURRENT_MODIFICATION", TransientError),
        ("authentication_error", "OAUTH_TOKEN_EXPIRED", AuthError),
        ("authorization_error", "USER_PERMISSION_DENIED", AuthError),
        ("campaign_budget_error", "NON_MULTIPLE_OF_MINIMUM_CURRENCY_UNIT", RefusedError),
        ("query_error", "UNRECOGNIZED_FIELD", RefusedError),
    ],
)
def test_operation_errors__go_by_the_table(kind, name, expected):
    error = GoogleAdsFailure.deserialize(make_failure(kind, name).SerializeToString()).errors[0]
    mapped = map_operation_error(error, "r-1", str)
    assert type(mapped) is expected
    assert mapped.code == f"{kind}.{name}"
    assert (mapped.request_id, "said why" in str(mapped)) == ("r-1", True)


@pytest.mark.parametrize("delay_s", [7.0, 0.0])
def test_throttling__waits_as_long_as_google_says(delay_s):
    raised = raise_as_sdk("quota_error", "RESOURCE_TEMPORARILY_EXHAUSTED", exceptions.ResourceExhausted, delay_s)
    mapped = map_error(raised, str, writes=True)
    assert isinstance(mapped, RateLimitedError)
    assert mapped.wait_s == (delay_s or 30.0)
    assert mapped.request_id == "r-1"


@pytest.mark.parametrize(("writes", "expected"), [(False, TransientError), (True, UnknownOutcomeError)])
def test_internal_error_of_a_whole_write__may_have_come_after_it(writes, expected):
    raised = raise_as_sdk("internal_error", "INTERNAL_ERROR", exceptions.InternalServerError)
    assert type(map_error(raised, str, writes=writes)) is expected


@pytest.mark.parametrize("exception", [exceptions.ServiceUnavailable, exceptions.DeadlineExceeded, exceptions.Aborted])
@pytest.mark.parametrize(("writes", "expected"), [(False, TransientError), (True, UnknownOutcomeError)])
def test_lost_calls__are_unknown_only_when_they_wrote(exception, writes, expected):
    assert type(map_error(exception("boom"), str, writes=writes)) is expected


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (google.auth.exceptions.RefreshError("invalid_grant"), AuthError),
        (google.auth.exceptions.TransportError("no route"), TransientError),
        (exceptions.Unauthenticated("expired"), AuthError),
        (exceptions.PermissionDenied("no"), AuthError),
        (exceptions.InvalidArgument("bad"), RefusedError),
        (ValueError("a field that is none"), RefusedError),
        (Call(grpc.StatusCode.UNAVAILABLE), TransientError),
    ],
    ids=lambda raised: type(raised).__name__,
)
def test_other_exceptions__go_by_their_status(raised, expected):
    assert type(map_error(raised, str, writes=False)) is expected


def test_messages__are_cleaned():
    mapped = map_error(exceptions.InvalidArgument("token=hush"), lambda text: text.replace("hush", "***"), writes=False)
    assert "hush" not in str(mapped)
