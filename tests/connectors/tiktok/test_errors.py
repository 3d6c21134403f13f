"""TikTok says everything with HTTP 200 and a code; the codes become our errors by the table."""

from __future__ import annotations

import pytest
import urllib3
from business_api_client.rest import ApiException

from connectors.tiktok.errors import map_code, map_error
from gaelp_rl.errors import AuthError, RateLimitedError, RefusedError, TransientError, UnknownOutcomeError


@pytest.mark.parametrize(
    ("code", "writes", "expected"),
    [
        (40100, True, RateLimitedError),
        (61000, False, RateLimitedError),
        (40105, True, AuthError),
        (40001, True, AuthError),
        (40202, True, TransientError),
        (50000, True, UnknownOutcomeError),
        (50000, False, TransientError),
        (51010, True, UnknownOutcomeError),
        (40006, True, RefusedError),
        (40118, True, RefusedError),
    ],
)
def test_codes__go_by_the_table(code, writes, expected):
    mapped = map_code({"code": code, "message": "said why", "request_id": "t-1"}, str, writes=writes)
    assert type(mapped) is expected
    assert (mapped.code, mapped.request_id) == (str(code), "t-1")
    assert "said why" in str(mapped)


@pytest.mark.parametrize(
    ("error", "writes", "expected"),
    [
        (ApiException(status=502, reason="Bad Gateway"), True, UnknownOutcomeError),
        (ApiException(status=502, reason="Bad Gateway"), False, TransientError),
        (ApiException(status=429, reason="slow"), True, RateLimitedError),
        (ApiException(status=401, reason="no"), True, AuthError),
        (urllib3.exceptions.ReadTimeoutError(None, "/x", "timed out"), True, UnknownOutcomeError),
        (TypeError("no JSON"), True, UnknownOutcomeError),
        (AttributeError("getheaders"), False, TransientError),
    ],
    ids=repr,
)
def test_answers_without_a_code__are_unknown_when_something_was_sent(error, writes, expected):
    assert type(map_error(error, str, writes=writes)) is expected
