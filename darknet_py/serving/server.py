"""Running a service on a socket until it is stopped."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import Any

import h11
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..errors import UsageError
from ..files import describe_oserror
from .app import CLOSE, Service, refuse
from .refusal import RefusedError

BACKLOG = 2048  # connections that wait to be accepted
POLL = 0.1  # seconds within which a stop is noticed
IDLE = 5  # seconds for which a connection may be open without a request
LAST = 0.5  # seconds for which the rest of a refused request is read while the service stops


class _Joined:
    """A transport that sends as one what is written in one turn of the loop: an answer's head and its body.

    Sent separately, they wake a client twice; and a single client, whose requests take several packets, got 18 answers
    of tiny a second, not 90: between two of them some 40 ms passed, for which systems delay acknowledgements.
    """

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, lingers: Callable[[], bool]
    ) -> None:
        """`lingers`: whether, when the transport is to be closed, the other side still sends and is to be read."""
        self._transport, self._loop, self._lingers, self._parts = transport, loop, lingers, list[bytes]()

    def write(self, part: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(part)

    def close(self) -> None:
        self._send()
        if self._lingers():
            self._transport.write_eof()
        else:
            self._transport.close()

    def _send(self) -> None:
        parts, self._parts = self._parts, []
        if parts:
            self._transport.write(b"".join(parts))

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


class _Protocol(H11Protocol):
    """uvicorn's protocol, but it closes a connection on which no whole head of a request comes in time, even the first.

    An answer does not wait for the end of its request: the rest of that is read after the answer, and ignored. If the
    connection were closed meanwhile, the sender would be reset, and not see the answer. A client that has ended its
    sending still gets the answers to requests that it has sent whole.
    """

    _closing: asyncio.TimerHandle | None = None
    _is_over = False

    def __init__(self, *arguments: Any, seconds: float, **options: Any) -> None:
        """`seconds`: how long a request may take, and how long the rest of an answered one is read."""
        super().__init__(*arguments, **options)
        self._linger = self._seconds = seconds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Joined(transport, self.loop, self._lingers))  # type: ignore[arg-type]
        self._expect(None, self.timeout_keep_alive)

    def data_received(self, data: bytes) -> None:
        if self.conn.our_state is not h11.CLOSED:
            super().data_received(data)
            return
        self.conn.receive_data(data)
        with suppress(h11.RemoteProtocolError):
            while isinstance(self.conn.next_event(), h11.Data):
                pass
        self.transport.close()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Close the connection, now or after the answers; the result tells asyncio to leave it open."""
        self._is_over = True
        self._close_ended()
        return True

    def on_response_complete(self) -> None:
        answered = self.cycle
        super().on_response_complete()
        if self._is_over:
            self._close_ended()
        else:
            self._expect(answered, self._linger if self._lingers() else self.timeout_keep_alive)

    def send_400_response(self, msg: str) -> None:
        """Answer what is not a valid request, unless an answer has begun."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = refuse(RefusedError(400, "not a request of HTTP/1.1 that can be read"))
            headers = [*answer.raw_headers, CLOSE]
            head = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def shutdown(self) -> None:
        """As uvicorn's, when the service stops; but no client delays that for longer than a request may take."""
        self._linger = LAST
        super().shutdown()
        if self._lingers():
            self._expect(self.cycle, LAST)
        self.loop.call_later(self._seconds + LAST, self.transport.abort)  # if the client does not read its answer

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._cancel_closing()

    def _lingers(self) -> bool:
        """Whether the rest of an answered request is still coming, and is waited for."""
        answered = self.cycle is not None and self.cycle.response_complete
        return answered and self.conn.their_state is h11.SEND_BODY and not self._is_over

    def _close_ended(self) -> None:
        """Close the connection, on which nothing more comes, unless a whole request still awaits its answer."""
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            self.transport.close()

    def _expect(self, last: object, seconds: float) -> None:
        """Close the connection unless a request follows the `last` one within `seconds`."""
        self._cancel_closing()
        self._closing = self.loop.call_later(seconds, self._close_unused, last)

    def _cancel_closing(self) -> None:
        """Cancel the timer, which would keep a request and its answer in memory."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    def _close_unused(self, last: object) -> None:
        if self.cycle is last:
            self._is_over = True
            self.transport.close()


def known_hosts(listener: socket.socket, host: str) -> frozenset[str] | None:
    """The host names, besides addresses, that requests to a service at `host` may be sent to; None for any.

    A service that only this machine can reach is kept from pages whose own name leads to it. One that others can reach
    is open to them anyway.
    """
    if not ip_address(listener.getsockname()[0]).is_loopback:
        return None
    return frozenset({"localhost", host.lower()})


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at `host` and `port`; UsageError where none can."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as reason:
        said = describe_oserror(reason) if isinstance(reason, OSError) else "not the name of a machine"
        said = said.partition(" (")[0]  # Python's own words, which repeat the address
        raise UsageError(f"nothing can listen there: {said}", option=f"--host {host} --port {port}") from None


def tell_address(listener: socket.socket) -> str:
    """The URL of the service for a browser."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"


def serve(service: Service, listener: socket.socket, stopped: Callable[[], bool]) -> None:
    """Answer requests until `stopped` returns true, then those already accepted; then close the service."""
    config = Config(
        service.app(),
        loop="asyncio",
        http=partial(_Protocol, seconds=service.limits.seconds),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # a client's mistakes are reported to it alone
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=math.ceil(service.limits.seconds) + IDLE,  # all connections are closed by then
    )
    server = Server(config)
    with ThreadPoolExecutor(1) as runner:  # uvicorn leaves signals alone outside the main thread
        running = runner.submit(server.run, sockets=[listener])
        try:
            while not running.done() and not stopped():
                wait([running], POLL)
        finally:  # else an exception would wait for a server that goes on
            service.stopping = server.should_exit = True
        running.result()
    service.close()
