"""A web server on the loopback address that answers each request as the test says."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """One request: an answer calls `start` once and `send` as often as it likes."""

    server: Server

    def do_GET(self) -> None:
        range_header = self.headers.get("Range")
        self.server.requests.append((self.path, range_header))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.first = int(re.findall(r"bytes=(\d+)-$", range_header)[0]) if range_header else 0
        with suppress(ConnectionError):  # the client may hang up when it has seen enough
            answer(self)

    def start(self, status: int, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def send(self, data: bytes) -> None:
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


Answer = Callable[[Handler], None]


class Server(ThreadingHTTPServer):
    """The server; `answers` are used up in turn and the last is repeated.

    Attributes
    ----------
    requests : list of (str, str or None)
        Path and Range header of every request so far.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer] = []
        self.requests: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/files/"


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server in a thread until the block ends."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def file(body: bytes, stop_after: int | None = None, ranges: bool = True) -> Answer:
    """Serve `body` from the byte asked for; the connection breaks after `stop_after` bytes of it."""

    def answer(request: Handler) -> None:
        if ranges and request.first:
            if request.first >= len(body):
                request.start(416, 0, Content_Range=f"bytes */{len(body)}")
                return
            part = body[request.first :]
            request.start(206, len(part), Content_Range=f"bytes {request.first}-{len(body) - 1}/{len(body)}")
        else:
            part = body
            request.start(200, len(part))
        request.send(part[:stop_after])

    return answer


def status(code: int) -> Answer:
    """Answer with a status and nothing else."""
    return lambda request: request.start(code, 0)
