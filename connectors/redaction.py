"""Secrets stay out of everything that is shown: messages, URLs, log lines."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from urllib.parse import quote

from pydantic import SecretStr

from gaelp_rl.config.redaction import redact

__all__ = ["Redactor"]

_PARAMETERS = (
    "access_token|appsecret_proof|client_secret|code|developer_token|"
    "fb_exchange_token|input_token|refresh_token|secret|sig"
)
_ASSIGNED = re.compile(rf"(?P<before>[?&\s'\"](?:{_PARAMETERS})['\"]?\s?[=:]\s?['\"]?)(?P<secret>[^&\s'\",}}]+)")
_BEARER = re.compile(r"(?P<before>\bBearer\s+)(?P<secret>[^\s'\",]+)", re.IGNORECASE)
_MASK = "***"


class Redactor(logging.Filter):
    """Replaces known secrets, and whatever stands where secrets travel, by ``***``.

    As a logging filter it does so to every record that passes.
    """

    def __init__(self, secrets: Iterable[SecretStr | None] = ()) -> None:
        super().__init__()
        self._secrets: list[str] = []
        for secret in secrets:
            self.add(secret)

    def add(self, secret: SecretStr | None) -> None:
        """Hides one more secret from now on."""
        plain = secret.get_secret_value() if secret else ""
        if len(plain) >= 6:
            self._secrets += sorted({plain, quote(plain, safe="")} - set(self._secrets), key=len, reverse=True)

    def redact(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        text = _ASSIGNED.sub(rf"\g<before>{_MASK}", text)
        return redact(_BEARER.sub(rf"\g<before>{_MASK}", text))

    def filter(self, record: logging.LogRecord) -> bool:
        """Cleans a record's message; lets all pass."""
        record.msg, record.args = self.redact(record.getMessage()), None
        if record.exc_info:
            record.exc_text = self.redact(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True

    def guard_loggers(self, *names: str) -> None:
        """Cleans what these loggers say; a logger's filter sees its own records only, so name each.

        Loggers are the process's: they are cleaned of the secrets of all who ever guarded them. Where
        nobody listens they say nothing: an SDK's failed call becomes an error of ours.
        """
        _OF_PROCESS._secrets += [secret for secret in self._secrets if secret not in _OF_PROCESS._secrets]
        for name in names:
            logger = logging.getLogger(name)
            logger.addFilter(_OF_PROCESS)
            if not logger.handlers:
                logger.addHandler(logging.NullHandler())


_OF_PROCESS = Redactor()
