"""A loopback gRPC server for the platforms that speak it, with every scripted fault played out on the wire."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import grpc

from connectors.sandbox.certificate import Certificate
from connectors.sandbox.faults import CallKind, Fault, FaultInjector, FaultKind
from gaelp_rl.errors import WireError

__all__ = ["GrpcHost", "GrpcMethod", "GrpcPlatform"]


@dataclass(frozen=True, slots=True)
class GrpcMethod:
    """One method of a service.

    Attributes:
        call: what it does.
        request: message class, protobuf or proto-plus.
        response: likewise.
        answer: request, headers and a fault that the platform must play itself -> response, or an
            iterator of them.
        is_stream: whether it answers with a stream.
    """

    call: CallKind
    request: Any
    response: Any
    answer: Callable[[Any, Mapping[str, str], Fault | None], Any]
    is_stream: bool = False


class GrpcPlatform(Protocol):
    """What a platform's server is made of."""

    platform: str

    def make_methods(self) -> Mapping[str, GrpcMethod]:
        """By full name, such as ``/package.Service/Method``."""
        ...

    def refuse(self, fault: Fault) -> WireError:
        """The platform's own throttling, server error or expired token."""
        ...


class GrpcHost:
    """Serves one platform on a port of its own.

    Attributes:
        address: ``localhost:port``.
    """

    def __init__(
        self, platform: GrpcPlatform, injector: FaultInjector, certificate: Certificate | None = None, port: int = 0
    ) -> None:
        self._platform = platform
        self._injector = injector
        self._closing = threading.Event()
        self._held: list[Callable[[], Any]] = []
        self._workers = ThreadPoolExecutor(16, thread_name_prefix=f"sandbox-{platform.platform}")
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 * 1024 * 1024)]
        self._server = grpc.server(self._workers, options=options)
        self._server.add_generic_rpc_handlers((_Handler(self, platform.make_methods()),))
        if certificate is None:
            port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        else:
            pair = grpc.ssl_server_credentials([(certificate.private_key, certificate.certificate)])
            port = self._server.add_secure_port(f"127.0.0.1:{port}", pair)
        self.address = f"localhost:{port}"

    def start(self) -> None:
        """Listens."""
        self._server.start()

    def stop(self) -> None:
        """Ends every call."""
        self._closing.set()
        self._server.stop(grace=0).wait(timeout=5)
        self._workers.shutdown(wait=False, cancel_futures=True)

    def serve(self, method: GrpcMethod, message: Any, context: grpc.ServicerContext) -> Any:
        """One call with one answer."""
        fault = self._injector.decide(self._platform.platform, method.call)
        headers = {str(name): str(text) for name, text in context.invocation_metadata()}
        try:
            return self._play(method, message, headers, fault)
        except WireError as error:
            _end(context, error)

    def serve_stream(self, method: GrpcMethod, message: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """One call with a stream of answers."""
        fault = self._injector.decide(self._platform.platform, method.call)
        headers = {str(name): str(text) for name, text in context.invocation_metadata()}
        try:
            if fault is not None and fault.kind is FaultKind.BREAK:
                answers = list(method.answer(message, headers, None))
                yield from answers[: max(len(answers) // 2, 1)]
                raise WireError(grpc.StatusCode.UNAVAILABLE, "the connection was reset")
            yield from self._play(method, message, headers, fault)
        except WireError as error:
            _end(context, error)

    def _play(self, method: GrpcMethod, message: Any, headers: Mapping[str, str], fault: Fault | None) -> Any:
        kind = fault.kind if fault else None
        if fault is None:
            return self._answer(method, message, headers, None)
        if kind in {FaultKind.THROTTLE, FaultKind.SERVER_ERROR, FaultKind.AUTH_EXPIRED}:
            raise self._platform.refuse(fault)
        if kind is FaultKind.GARBAGE:
            raise WireError(grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2")
        if kind is FaultKind.DUPLICATE:
            self._answer(method, message, headers, None)
            return self._answer(method, message, headers, None)
        if kind is FaultKind.TIMEOUT_AFTER:
            self._answer(method, message, headers, None)
        elif kind is FaultKind.REORDER:
            self._held.append(lambda: method.answer(message, headers, None))
        elif kind not in {FaultKind.TIMEOUT_BEFORE, FaultKind.BREAK}:
            return self._answer(method, message, headers, fault)
        self._stall(fault.stall_s)
        raise WireError(grpc.StatusCode.UNAVAILABLE, "the connection was reset")

    def _answer(self, method: GrpcMethod, message: Any, headers: Mapping[str, str], fault: Fault | None) -> Any:
        """Answers, then lets in the writes that were held back for this one."""
        answer = method.answer(message, headers, fault)
        if self._held and method.call is CallKind.WRITE:
            held, self._held = self._held, []
            for late in held:
                try:
                    late()
                except WireError:
                    continue
        return answer

    def _stall(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._closing.is_set():
            self._closing.wait(0.05)


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, host: GrpcHost, methods: Mapping[str, GrpcMethod]) -> None:
        self._host = host
        self._methods = methods

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        method = self._methods.get(handler_call_details.method)
        if method is None:
            return None
        make = grpc.unary_stream_rpc_method_handler if method.is_stream else grpc.unary_unary_rpc_method_handler
        serve = self._host.serve_stream if method.is_stream else self._host.serve
        return make(
            lambda message, context: serve(method, message, context),
            request_deserializer=_find_deserializer(method.request),
            response_serializer=_find_serializer(method.response),
        )


def _find_deserializer(message: Any) -> Any:
    return getattr(message, "deserialize", None) or message.FromString


def _find_serializer(message: Any) -> Any:
    return getattr(message, "serialize", None) or message.SerializeToString


def _end(context: grpc.ServicerContext, error: WireError) -> NoReturn:
    context.set_trailing_metadata(error.detail or ())
    context.abort(error.code, str(error))
    raise AssertionError
