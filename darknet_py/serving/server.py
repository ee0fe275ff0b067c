"""A service on a socket, until it is stopped."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from ipaddress import ip_address

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..errors import UsageError
from ..files import describe_oserror
from .app import Service

BACKLOG = 2048  # connections that wait to be accepted
POLL = 0.1  # seconds in which a stop is noticed
IDLE = 5  # seconds for which a connection may be open without a request


class _Joined:
    """A transport that sends at once what is written in one turn of the loop: an answer's head and its body.

    Sent one after the other they wake a client twice, and one alone, whose requests take several packets, had 18
    answers a second of tiny for 90: some 40 ms, for which systems put off acknowledgements, went by between two.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop, self._parts = transport, loop, list[bytes]()

    def write(self, part: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(part)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _send(self) -> None:
        parts, self._parts = self._parts, []
        if parts:
            self._transport.write(b"".join(parts))

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


class _Protocol(H11Protocol):
    """uvicorn's, which closes a connection on which no request comes, be it the first: bytes of a head are none yet."""

    _closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Joined(transport, self.loop))  # type: ignore[arg-type]
        self._expect(None)

    def on_response_complete(self) -> None:
        answered = self.cycle
        super().on_response_complete()
        self._expect(answered)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._cancel_closing()

    def _expect(self, last: object) -> None:
        """Close the connection unless a request comes after the `last` one, in time."""
        self._cancel_closing()
        self._closing = self.loop.call_later(self.timeout_keep_alive, self._close_unused, last)

    def _cancel_closing(self) -> None:
        """No timer is left behind that keeps a request and its answer."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    def _close_unused(self, last: object) -> None:
        if self.cycle is last and not self.transport.is_closing():
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
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=int(service.limits.seconds) + 1,
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
