"""The metrics of a service, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16)


class Metrics:
    """The metrics of one service, in Prometheus' text format."""

    def __init__(self, queued: Callable[[], float], held: Callable[[], float]) -> None:
        """`queued` returns how many pictures are answered or waiting, `held` how many bytes of requests are held."""
        self._registry = registry = CollectorRegistry()
        self.requests = Counter("darknet_requests", "Requests answered.", ("path", "status"), registry=registry)
        self.seconds = Histogram(
            "darknet_request_seconds", "From a request to its answer.", ("path",), buckets=SECONDS, registry=registry
        )
        self.pictures = Counter("darknet_pictures", "Pictures answered.", ("network", "status"), registry=registry)
        self.batches = Histogram(
            "darknet_batch_pictures", "Pictures that ran together.", ("network",), buckets=SIZES, registry=registry
        )
        pictures = Gauge("darknet_queued_pictures", "Pictures answered or waiting.", registry=registry)
        pictures.set_function(queued)
        Gauge("darknet_held_bytes", "Bytes of the requests at work.", registry=registry).set_function(held)

    def tell(self) -> bytes:
        """All metrics, as text."""
        return generate_latest(self._registry)
