"""Microsoft's faults, partial errors and statuses become ours by the table."""

from __future__ import annotations

import zipfile

import pytest
import requests
import urllib3

from connectors.microsoft.errors import map_answer, map_error, map_item
from gaelp_rl.errors import AuthError, RateLimitedError, RefusedError, TransientError, UnknownOutcomeError


def make_fault(code, where="Errors"):
    return {"TrackingId": "m-1", where: [{"Code": code, "ErrorCode": "Name", "Message": "said why"}]}


@pytest.mark.parametrize("where", ["Errors", "OperationErrors", "BatchErrors"])
@pytest.mark.parametrize(
    ("code", "writes", "expected"),
    [
        (117, True, RateLimitedError),
        (207, False, RateLimitedError),
        (4204, True, RateLimitedError),
        (105, True, AuthError),
        (109, True, AuthError),
        (0, True, UnknownOutcomeError),
        (0, False, TransientError),
        (1100, True, RefusedError),
        (2053, False, RefusedError),
    ],
)
def test_faults__go_by_the_table_wherever_they_stand(code, writes, expected, where):
    mapped = map_answer(500, make_fault(code, where), {}, str, writes=writes)
    assert type(mapped) is expected
    assert mapped.code == f"{code} Name"
    assert (mapped.request_id, "said why" in str(mapped)) == ("m-1", True)


@pytest.mark.parametrize(
    ("status", "writes", "expected"),
    [
        (503, True, UnknownOutcomeError),
        (503, False, TransientError),
        (401, True, AuthError),
        (429, True, RateLimitedError),
        (400, True, RefusedError),
    ],
)
def test_statuses_without_a_fault__speak_for_themselves(status, writes, expected):
    assert type(map_answer(status, {}, {}, str, writes=writes)) is expected


@pytest.mark.parametrize(("header", "wait_s"), [("7", 7.0), ("soon", 60.0), ("-3", 0.0)])
def test_throttling__waits_as_the_header_says(header, wait_s):
    assert map_answer(429, {}, {"retry-after": header}, str, writes=True).wait_s == wait_s


def test_throttling__without_a_header_waits_out_the_sliding_minute():
    assert map_item({"Code": 117}, "", str, writes=True).wait_s == 60.0


@pytest.mark.parametrize(
    ("error", "writes", "expected"),
    [
        (urllib3.exceptions.ReadTimeoutError(None, "/x", "timed out"), True, UnknownOutcomeError),
        (requests.ConnectionError("NewConnectionError: refused"), True, TransientError),
        (zipfile.BadZipFile("half a file"), False, TransientError),
        (ValueError("no JSON"), True, UnknownOutcomeError),
    ],
    ids=repr,
)
def test_lost_answers__are_unknown_when_something_was_sent(error, writes, expected):
    assert type(map_error(error, str, writes=writes)) is expected
