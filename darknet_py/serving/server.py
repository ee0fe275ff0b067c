"""A service on a socket, until it is stopped."""

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
POLL = 0.1  # seconds in which a stop is noticed
IDLE = 5  # seconds for which a connection may be open without a request
LAST = 0.5  # seconds for which the rest of a refused request is read while the service stops


class _Joined:
    """A transport that sends at once what is written in one turn of the loop: an answer's head and its body.

    Sent one after the other they wake a client twice, and one alone, whose requests take several packets, had 18
    answers a second of tiny for 90: some 40 ms, for which systems put off acknowledgements, went by between two.
    """

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, lingers: Callable[[], bool]
    ) -> None:
        """`lingers`: whether, when it is to be closed, the other side still sends and is heard."""
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
    """uvicorn's, which closes a connection on which no request comes, be it the first: bytes of a head are none yet.

    An answer does not wait for the end of its request: what of that still comes is read behind the answer, and passed
    over. A sender whose connection is closed amid it is reset, and does not see why. One who has ended is answered what
    it has sent whole.
    """

    _closing: asyncio.TimerHandle | None = None
    _is_over = False

    def __init__(self, *arguments: Any, seconds: float, **options: Any) -> None:
        """`seconds`: that a request may take, and for which the rest of one that is answered is read."""
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
        """Close the connection, now or behind the answers: asyncio is told to leave it open."""
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
        """An answer to what is no request, unless one has begun."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = refuse(RefusedError(400, "not a request of HTTP/1.1 that can be read"))
            headers = [*answer.raw_headers, CLOSE]
            head = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def shutdown(self) -> None:
        """uvicorn's, when the service stops: no client holds it up for longer than a request may take."""
        self._linger = LAST
        super().shutdown()
        if self._lingers():
            self._expect(self.cycle, LAST)
        self.loop.call_later(self._seconds + LAST, self.transport.abort)  # if it does not read its answer

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._cancel_closing()

    def _lingers(self) -> bool:
        """Whether the rest of an answered request still comes, and is waited for."""
        answered = self.cycle is not None and self.cycle.response_complete
        return answered and self.conn.their_state is h11.SEND_BODY and not self._is_over

    def _close_ended(self) -> None:
        """Close the connection, on which nothing more comes, unless a whole request is without its answer."""
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            self.transport.close()

    def _expect(self, last: object, seconds: float) -> None:
        """Close the connection unless a request comes after the `last` one, in time."""
        self._cancel_closing()
        self._closing = self.loop.call_later(seconds, self._close_unused, last)

    def _cancel_closing(self) -> None:
        """No timer is left behind that keeps a request and its answer."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    def _close_unused(self, last: object) -> None:
        if self.cycle is last:
            self._is_over = True
            self.transport.close()


def known_hosts(listener: socket.socket, host: str) -> frozenset[str] | None:
    """The names, besides addresses, by which a service that listens at `host` is asked; None for any.

    What listens to this machine alone is kept from pages whose own name leads to it; what others may ask, they can.
    """
    if not ip_address(listener.getsockname()[0]).is_loopback:
        return None
    return frozenset({"localhost", host.lower()})


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; UsageError where none can."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as reason:
        said = describe_oserror(reason) if isinstance(reason, OSError) else "not the name of a machine"
        said = said.partition(" (")[0]  # Python's own words, which repeat the address
        raise UsageError(f"nothing can listen there: {said}", option=f"--host {host} --port {port}") from None


def tell_address(listener: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"


def serve(service: Service, listener: socket.socket, stopped: Callable[[], bool]) -> None:
    """Answer requests until `stopped` says so, then those that were accepted; the service is closed then."""
    config = Config(
        service.app(),
        loop="asyncio",
        http=partial(_Protocol, seconds=service.limits.seconds),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # what a client does wrong is told to it alone
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=math.ceil(service.limits.seconds) + IDLE,  # when all connections have been closed
    )
    server = Server(config)
    with ThreadPoolExecutor(1) as runner:  # uvicorn leaves signals alone where it is not the main thread's
        running = runner.submit(server.run, sockets=[listener])
        try:
            while not running.done() and not stopped():
                wait([running], POLL)
        finally:  # else an exception would wait for a server that goes on
            service.stopping = server.should_exit = True
        running.result()
    service.close()
