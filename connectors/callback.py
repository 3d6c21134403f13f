"""The loopback address that a consent page sends its answer to."""

from __future__ import annotations

import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

__all__ = ["CallbackServer"]

_PAGE = (
    "<!doctype html><html lang='en'><meta charset='utf-8'><title>gaelp</title>"
    "<body style='font-family:sans-serif;margin:4em auto;max-width:30em'>"
    "<h1>Thank you</h1><p>The answer has arrived. You can close this page and go back to the terminal.</p>"
    "</body></html>"
)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Keeps the first answer that carries anything; a browser also asks for an icon."""
        parts = urlsplit(self.path)
        if parts.path != "/" or not parts.query:
            self.send_error(404)
            return
        self.server.answer = dict(parse_qsl(parts.query, keep_blank_values=True))
        body = _PAGE.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing: the address holds the code."""


class _Server(HTTPServer):
    answer: Mapping[str, str] | None = None


class CallbackServer:
    """Listens on 127.0.0.1 while the context lasts.

    Attributes:
        url: to be redirected to.
    """

    def __init__(self, port: int = 0) -> None:
        self._server = _Server(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.server_close()

    def wait(self, timeout_s: float) -> Mapping[str, str] | None:
        """The parameters of the answer; None where none came in time."""
        end = time.monotonic() + timeout_s
        while self._server.answer is None:
            self._server.timeout = max(end - time.monotonic(), 0.0)
            if self._server.timeout == 0.0:
                return None
            self._server.handle_request()
        return self._server.answer
