"""Meta's error bodies and its SDK's exceptions become ours by the table."""

from __future__ import annotations

import json

import pytest
import requests
from facebook_business.exceptions import FacebookRequestError

from connectors.meta.errors import map_error, map_error_body
from gaelp_rl.errors import AuthError, RateLimitedError, RefusedError, TransientError, UnknownOutcomeError


def make_body(code, **more):
    return {"error": {"code": code, "message": "said why", "fbtrace_id": "f-1", **more}}


def make_usage(minutes):
    return {"x-business-use-case-usage": json.dumps({"1": [{"estimated_time_to_regain_access": minutes}]})}


@pytest.mark.parametrize(
    ("body", "status", "writes", "expected"),
    [
        (make_body(17, error_subcode=2446079), 400, True, RateLimitedError),
        (make_body(613), 400, False, RateLimitedError),
        (make_body(80004), 400, False, RateLimitedError),
        (make_body(190), 401, True, AuthError),
        (make_body(10), 403, True, AuthError),
        (make_body(294), 403, True, AuthError),
        (make_body(100), 400, True, RefusedError),
        (make_body(2), 400, True, TransientError),
        (make_body(2), 500, True, UnknownOutcomeError),
        (make_body(2), 500, False, TransientError),
        (make_body(99, is_transient=True), 400, True, TransientError),
        ({}, 502, True, UnknownOutcomeError),
        ({}, 502, False, TransientError),
        ({}, 429, True, RateLimitedError),
        ({}, 403, True, AuthError),
        ({}, 404, True, RefusedError),
    ],
)
def test_bodies__go_by_the_table(body, status, writes, expected):
    assert type(map_error_body(body, status, {}, str, writes=writes)) is expected


def test_error__keeps_code_subcode_trace_and_message():
    mapped = map_error_body(make_body(100, error_subcode=33), 400, {}, str, writes=True)
    assert (mapped.code, mapped.request_id) == ("100/33", "f-1")
    assert "said why" in str(mapped)


@pytest.mark.parametrize(
    ("headers", "wait_s"), [(make_usage(5), 300.0), ({}, 60.0), ({"x-business-use-case-usage": "["}, 60.0)]
)
def test_throttling__waits_the_minutes_of_the_usage_header(headers, wait_s):
    assert map_error_body(make_body(17), 400, headers, str, writes=True).wait_s == wait_s


@pytest.mark.parametrize(
    ("error", "writes", "expected"),
    [
        (requests.ReadTimeout("read timed out"), True, UnknownOutcomeError),
        (requests.ReadTimeout("read timed out"), False, TransientError),
        (requests.ConnectionError("NewConnectionError: refused"), True, TransientError),
        (requests.exceptions.ChunkedEncodingError("broken"), True, UnknownOutcomeError),
        (json.JSONDecodeError("no", "", 0), True, UnknownOutcomeError),
    ],
    ids=repr,
)
def test_lost_answers__are_unknown_when_something_was_sent(error, writes, expected):
    assert type(map_error(error, str, writes=writes)) is expected


def test_sdk_error__is_read_by_body_and_headers():
    """The SDK's own text holds the request's parameters; ours holds what the platform said."""
    context = {"method": "POST", "path": "/x", "params": {"access_token": "hush"}}
    error = FacebookRequestError("failed", context, 400, make_usage(2), json.dumps(make_body(17)))
    mapped = map_error(error, str, writes=True)
    assert isinstance(mapped, RateLimitedError)
    assert mapped.wait_s == 120.0
    assert "hush" not in str(mapped)
