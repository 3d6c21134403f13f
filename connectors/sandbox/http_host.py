"""A loopback HTTP server for the platforms that speak JSON, with every scripted fault played out on the wire."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from connectors.sandbox.faults import CallKind, Fault, FaultInjector, FaultKind

__all__ = ["HttpHost", "HttpPlatform", "WireRequest", "WireResponse", "make_json"]

_MAX_BODY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One HTTP request.

    Attributes:
        method: upper case.
        path: without query.
        parameters: of the query and, where the body is a form, of the body.
        headers: lower-case names.
        body: as sent.
        fault: one that the platform itself must play (rows, pages, partial failure).
    """

    method: str
    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    fault: Fault | None = None

    def read_json(self) -> Any:
        """The body; empty mapping where there is none."""
        return json.loads(self.body) if self.body else {}

    def meets(self, kind: FaultKind) -> bool:
        """Whether the call is to play this fault."""
        return self.fault is not None and self.fault.kind is kind


@dataclass(frozen=True, slots=True)
class WireResponse:
    """One HTTP answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def make_json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> WireResponse:
    """An answer whose body is JSON."""
    body = json.dumps(content).encode()
    return WireResponse(status, body, {"Content-Type": "application/json", **(headers or {})})


class HttpPlatform(Protocol):
    """What a platform's server is made of."""

    platform: str

    def classify(self, request: WireRequest) -> CallKind:
        """What the call does."""
        ...

    def answer(self, request: WireRequest) -> WireResponse:
        """Does it."""
        ...

    def refuse(self, request: WireRequest, fault: Fault) -> WireResponse:
        """The platform's own throttling, server error or expired token."""
        ...


class HttpHost:
    """Serves one platform on a port of its own, in a thread of its own.

    Attributes:
        url: where, such as ``http://127.0.0.1:40123``.
    """

    def __init__(self, platform: HttpPlatform, injector: FaultInjector, port: int = 0) -> None:
        self._platform = platform
        self._injector = injector
        self._port = port
        self._held: list[WireRequest] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"sandbox-{platform.platform}", daemon=True)
        self.url = ""

    def start(self) -> None:
        """Listens; returns once it does.

        Raises:
            OSError: the port is taken.
        """
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Closes every connection."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = web.AppRunner(self._make_app(), shutdown_timeout=0.1, access_log=None)
        try:
            self._loop.run_until_complete(self._listen(runner))
        except OSError as error:
            self._failure = error
            self._ready.set()
            return
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    def _make_app(self) -> web.Application:
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._serve)
        return app

    async def _listen(self, runner: web.AppRunner) -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        wire = await _read_request(request)
        fault = self._injector.decide(self._platform.platform, self._platform.classify(wire))
        kind = fault.kind if fault else None
        if fault is None or kind not in _ON_THE_WIRE:
            return _make_response(self._answer(_with_fault(wire, fault)))
        if kind in {FaultKind.THROTTLE, FaultKind.SERVER_ERROR, FaultKind.AUTH_EXPIRED}:
            return _make_response(self._platform.refuse(wire, fault))
        if kind is FaultKind.GARBAGE:
            return web.Response(body=b"<html>Please sign in to the guest network.</html>", content_type="text/html")
        if kind is FaultKind.DUPLICATE:
            self._answer(wire)
            return _make_response(self._answer(wire))
        if kind is FaultKind.BREAK:
            return await _send_half(request, self._answer(wire))
        if kind is FaultKind.REORDER:
            self._held.append(wire)
        elif kind is FaultKind.TIMEOUT_AFTER:
            self._answer(wire)
        await asyncio.sleep(fault.stall_s)
        return _cut(request)

    def _answer(self, wire: WireRequest) -> WireResponse:
        """Answers, then lets in the writes that were held back for this one."""
        response = self._platform.answer(wire)
        if self._held and self._platform.classify(wire) is CallKind.WRITE:
            held, self._held = self._held, []
            for late in held:
                self._platform.answer(late)
        return response


_ON_THE_WIRE = frozenset(
    {
        FaultKind.THROTTLE,
        FaultKind.SERVER_ERROR,
        FaultKind.AUTH_EXPIRED,
        FaultKind.GARBAGE,
        FaultKind.DUPLICATE,
        FaultKind.BREAK,
        FaultKind.REORDER,
        FaultKind.TIMEOUT_BEFORE,
        FaultKind.TIMEOUT_AFTER,
    }
)


def _with_fault(wire: WireRequest, fault: Fault | None) -> WireRequest:
    return WireRequest(wire.method, wire.path, wire.parameters, wire.headers, wire.body, fault)


async def _read_request(request: web.Request) -> WireRequest:
    body = await request.read()
    parameters = dict(parse_qsl(urlsplit(request.path_qs).query, keep_blank_values=True))
    if request.content_type == "application/x-www-form-urlencoded":
        parameters |= dict(parse_qsl(body.decode(), keep_blank_values=True))
    elif request.content_type == "multipart/form-data":
        parameters |= await _read_multipart(request, body)
    headers = {name.lower(): text for name, text in request.headers.items()}
    return WireRequest(request.method, request.path, parameters, headers, body)


async def _read_multipart(request: web.Request, body: bytes) -> dict[str, str]:
    import email.parser
    import email.policy

    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    return {
        str(part.get_param("name", header="content-disposition")): part.get_content() for part in message.iter_parts()
    }


def _make_response(response: WireResponse) -> web.Response:
    return web.Response(status=response.status, body=response.body, headers=dict(response.headers))


async def _send_half(request: web.Request, response: WireResponse) -> web.StreamResponse:
    stream = web.StreamResponse(status=response.status, headers=dict(response.headers))
    stream.content_length = len(response.body) + 1
    await stream.prepare(request)
    await stream.write(response.body[: len(response.body) // 2])
    return _cut(request, stream)


def _cut(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    """Ends the connection without another byte."""
    if request.transport is not None:
        request.transport.abort()
    return response or web.Response(status=500)
