"""Clients of a service, which take little CPU time; serve.py runs them beside it.

    python serve_clients.py PORT CLIENTS COUNT PICTURE...

CLIENTS connections to 127.0.0.1, kept alive, send one request after another until COUNT are answered; the requests are
made beforehand, and the answers parsed after the last has come. Prints JSON: the wall seconds, the CPU seconds that the
clients took, and for each request the number of its picture, its answer's status, and the first guess's index and
probability.
"""

from __future__ import annotations

import json
import re
import resource
import selectors
import socket
import sys
import time
from pathlib import Path

HEAD = "POST /v1/classify?top=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n"


class Client:
    """A connection, with what is left to send of its request and what has come of its answer."""

    def __init__(self, port: int) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port))
        self.connection.setblocking(False)
        self.picture, self.left, self.answer = 0, memoryview(b""), b""

    def ask(self, picture: int, request: bytes) -> None:
        """Begin a request, which `send` sends."""
        self.picture, self.left, self.answer = picture, memoryview(request), b""

    def send(self) -> bool:
        """Send what can be sent now; return whether all is sent."""
        try:
            while self.left:
                self.left = self.left[self.connection.send(self.left) :]
        except BlockingIOError:
            return False
        return True

    def receive(self) -> bool:
        """Receive what has come of the answer; return whether all of it is there."""
        part = self.connection.recv(1 << 16)
        if not part:
            sys.exit(f"the connection was closed amid an answer: {self.answer!r}")
        self.answer += part
        head, blank, body = self.answer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        return bool(blank and length and len(body) >= int(length[1]))


def main() -> None:
    """Send and measure."""
    port, clients, count = map(int, sys.argv[1:4])
    contents = [Path(name).read_bytes() for name in sys.argv[4:]]
    requests = [HEAD.format(len(content)).encode() + content for content in contents]
    connected = [Client(port) for _ in range(min(clients, count))]
    answers: list[tuple[int, bytes]] = []
    sent = 0
    with selectors.DefaultSelector() as selector:
        start, usage = time.perf_counter(), cpu_seconds()
        for client in connected:
            client.ask(sent % len(requests), requests[sent % len(requests)])
            selector.register(client.connection, selectors.EVENT_WRITE, client)
            sent += 1
        while len(answers) < count:
            for key, event in selector.select():
                client = key.data
                if event & selectors.EVENT_WRITE:
                    if client.send():
                        selector.modify(client.connection, selectors.EVENT_READ, client)
                elif client.receive():
                    answers.append((client.picture, client.answer))
                    if sent < count:
                        client.ask(sent % len(requests), requests[sent % len(requests)])
                        sent += 1
                        if not client.send():
                            selector.modify(client.connection, selectors.EVENT_WRITE, client)
                    else:
                        selector.unregister(client.connection)
        seconds, usage = time.perf_counter() - start, cpu_seconds() - usage
    told = []
    for picture, answer in answers:
        head, _, body = answer.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        guess = json.loads(body)["results"][0]["predictions"][0] if status == 200 else {"index": -1, "probability": 0}
        told.append((picture, status, guess["index"], guess["probability"]))
    print(json.dumps({"seconds": seconds, "cpu": usage, "answers": told}))


def cpu_seconds() -> float:
    """The CPU seconds that this process has taken."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
