"""What tests of the service need: the libraries, a network, drawn pictures, and the service on a socket."""

from __future__ import annotations

import importlib.util
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image

LIBRARIES = ("starlette", "uvicorn", "python_multipart", "prometheus_client", "httpx2")


def missing() -> str:
    """Which of the libraries are not installed."""
    names = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    return f"no {' and '.join(names)} (pip install '.[dev]')" if names else ""


def draw(seed: int = 0, width: int = 80, height: int = 64) -> bytes:
    """A PNG of a noisy picture."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(np.kron(pixels, np.ones((8, 8, 1), np.uint8))).save(stream, "PNG")
    return stream.getvalue()


@contextmanager
def running(service) -> Iterator[tuple[str, threading.Event]]:
    """The service on the loopback address until the block ends or the event is set: its URL, the event."""
    from darknet_py.serving.server import listen, serve, tell_address

    stop = threading.Event()
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=serve, args=(service, listener, stop.is_set))
        thread.start()
        try:
            yield tell_address(listener), stop
        finally:
            stop.set()
            thread.join()
