"""OAuth as one sandbox platform does it: codes, access tokens that expire, refresh tokens that may rotate."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field

__all__ = ["TokenDesk", "TokenPair"]


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a login or refresh gives."""

    access: str
    refresh: str


@dataclass(slots=True)
class TokenDesk:
    """Issues and checks one platform's tokens.

    Attributes:
        platform: named in the tokens.
        rotates: whether every refresh replaces the refresh token.
        num_refreshes: how often tokens were renewed.
    """

    platform: str
    rotates: bool = False
    num_refreshes: int = 0
    _codes: set[str] = field(default_factory=set)
    _refresh: set[str] = field(default_factory=set)
    _access: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def issue_code(self) -> str:
        """What a consent page sends back; good once."""
        code = self._make("code")
        with self._lock:
            self._codes.add(code)
        return code

    def issue(self) -> TokenPair:
        """A fresh pair, without a code: for an account that is handed over ready."""
        with self._lock:
            return self._issue()

    def redeem(self, code: str) -> TokenPair | None:
        """Tokens for a code; None where it is unknown or used."""
        with self._lock:
            if code not in self._codes:
                return None
            self._codes.discard(code)
            return self._issue()

    def refresh(self, refresh: str) -> TokenPair | None:
        """A new access token; None where the refresh token is unknown."""
        with self._lock:
            if refresh not in self._refresh:
                return None
            self.num_refreshes += 1
            if self.rotates:
                self._refresh.discard(refresh)
                return self._issue()
            access = self._make("access")
            self._access.add(access)
            return TokenPair(access, refresh)

    def expire(self) -> None:
        """No access token given so far is good any longer."""
        with self._lock:
            self._access.clear()

    def revive(self, access: str) -> None:
        """Makes a long-lived token good again, as if its owner had renewed it."""
        with self._lock:
            self._access.add(access)

    def is_good(self, header: str) -> bool:
        """Whether an access token, or an ``Authorization`` header with one, is good."""
        return header.removeprefix("Bearer ") in self._access

    def _issue(self) -> TokenPair:
        pair = TokenPair(self._make("access"), self._make("refresh"))
        self._access.add(pair.access)
        self._refresh.add(pair.refresh)
        return pair

    def _make(self, kind: str) -> str:
        return f"sandbox-{self.platform}-{kind}-{secrets.token_urlsafe(24)}"
