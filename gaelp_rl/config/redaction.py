"""Passwords in URLs: found, and kept out of whatever is printed, logged or stored."""

from __future__ import annotations

import re

__all__ = ["has_password", "redact"]

_USER_PART = re.compile(r"(?P<before>://[^\s/:@'\"]*:)(?P<password>[^\s'\"]+)(?=@)")
_PARAMETER = re.compile(
    r"(?P<before>[?&](?:password|passwd|sslpassword|token)=)(?P<password>[^\s&'\"#]+)", re.IGNORECASE
)


def redact(text: str) -> str:
    """Replaces the passwords of all URLs in a text by ``***``.

    Args:
        text: anything that is about to be shown: a URL, an error message, a setting.

    Returns:
        The text; user, host and path stay readable, as in ``postgresql+psycopg://user:***@host/db``. Where a URL is
        malformed, more than the password may be gone, never less.
    """
    return _PARAMETER.sub(r"\g<before>***", _USER_PART.sub(r"\g<before>***", text))


def has_password(url: str) -> bool:
    """Whether a URL carries a password that ``redact`` would remove."""
    return redact(url) != url
