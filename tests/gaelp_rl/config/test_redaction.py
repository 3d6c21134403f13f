"""No password of a URL reaches a screen, a log or a file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.config.redaction import has_password, redact

PASSWORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="'\""), min_size=1)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql+psycopg://user:pw@host/db", "postgresql+psycopg://user:***@host/db"),
        ("could not open postgresql://u:p%40w@h:5432/db: gone", "could not open postgresql://u:***@h:5432/db: gone"),
        (
            "postgresql://h/db?user=u&password=pw&sslmode=require",
            "postgresql://h/db?user=u&password=***&sslmode=require",
        ),
        ("https://:pw@host", "https://:***@host"),
    ],
)
def test_redact__keeps_what_helps(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert has_password(text)


@pytest.mark.parametrize(
    "text",
    ["", "sqlite:////data/mlflow.db", "http://localhost:5000", "postgresql://user@host:5432/db", "models:/x@champion"],
)
def test_redact__leaves_what_holds_none(text: str) -> None:
    assert redact(text) == text
    assert not has_password(text)


@given(password=PASSWORDS)
def test_redact__whatever_the_password(password: str) -> None:
    """Even one that should have been percent-encoded, such as ``a@b/c``."""
    secret = f"CANARY{password}CANARY"
    assert "CANARY" not in redact(f"cannot open postgresql://user:{secret}@host/db (timeout)")
