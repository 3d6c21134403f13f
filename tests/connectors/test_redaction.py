"""Planted secrets never survive."""

from __future__ import annotations

import logging
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from connectors.redaction import Redactor

CANARY = "EAAB/canary+token=="


@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        f"Bearer {CANARY}",
        f"https://graph.facebook.com/me?access_token={quote(CANARY, safe='')}&x=1",
        f'{{"refresh_token": "{CANARY}"}}',
        f"HTTPSConnectionPool(host='x'): Max retries exceeded with url: /v26.0/me?a=1&access_token={CANARY} (Caused)",
    ],
)
def test_redact__hides_known_secrets_in_any_clothes(text):
    redacted = Redactor([SecretStr(CANARY)]).redact(text)
    assert CANARY not in redacted
    assert quote(CANARY, safe="") not in redacted
    assert "***" in redacted


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("GET /me?access_token=abc123&limit=5", "limit=5"),
        ("/me?appsecret_proof=ff00aa", "/me?appsecret_proof"),
        ('{"client_secret": "abc123", "id": 7}', '"id": 7'),
        ("Authorization: Bearer abc123, next", "next"),
        ("https://blob/report.zip?se=2026&sig=abc123", "se=2026"),
        ("{'refresh_token': 'abc123'}", "refresh_token"),
    ],
)
def test_redact__hides_unknown_secrets_where_secrets_travel(text, kept):
    redacted = Redactor().redact(text)
    assert "abc123" not in redacted
    assert "ff00aa" not in redacted
    assert kept in redacted


@given(secret=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=6, max_size=40), around=st.text())
def test_redact__leaves_no_trace_of_a_secret_in_any_text(secret, around):
    redactor = Redactor([SecretStr(secret)])
    assert secret not in redactor.redact(f"{around}{secret}{around}").replace("***", "")


def test_short_secrets__are_not_replaced_everywhere():
    """A one-letter secret would make every message unreadable."""
    assert Redactor([SecretStr("1")]).redact("11 rows") == "11 rows"


def test_log_records__are_cleaned_with_arguments_and_traceback(caplog):
    redactor = Redactor([SecretStr(CANARY)])
    redactor.guard_loggers("tests.redaction")
    logger = logging.getLogger("tests.redaction")
    with caplog.at_level(logging.DEBUG):
        try:
            raise ValueError(CANARY)
        except ValueError:
            logger.exception("failed with %s", CANARY)
    record = caplog.records[0]
    assert CANARY not in record.getMessage()
    assert CANARY not in (record.exc_text or "")
    assert CANARY not in caplog.text
    assert "ValueError" in (record.exc_text or "")


def test_loggers__are_cleaned_of_every_connectors_secrets(caplog):
    """They are shared: the second connector of a process must not uncover the first one's."""
    Redactor([SecretStr("first-canary")]).guard_loggers("tests.shared")
    Redactor([SecretStr("second-canary")]).guard_loggers("tests.shared")
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("tests.shared").warning("first-canary and second-canary")
    assert "canary" not in caplog.text


def test_guarding_again__replaces_the_guard():
    """A connector that is made every hour must not leave a chain of filters behind."""
    for _ in range(3):
        Redactor().guard_loggers("tests.guarded")
    logger = logging.getLogger("tests.guarded")
    assert len([one for one in logger.filters if isinstance(one, Redactor)]) == 1
    assert len(logger.handlers) == 1
