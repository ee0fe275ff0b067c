"""How much a service takes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .refusal import RefusedError


@dataclass(frozen=True)
class Limits:
    """Limits for one request, and for all together.

    Attributes
    ----------
    body : int
        Bytes of a request.
    held : int
        Bytes of all requests that are read or answered at a time.
    pictures : int
        In a request.
    queue : int
        Pictures that are being answered or are waiting.
    heatmaps : int
        Heat maps that are being made or are waiting.
    seconds : float
        From a request to its answer.
    batch : int
        Pictures that run together.
    wait : float
        Seconds for which the first of them waits for others to be sent.
    gather : float
        Seconds for which it waits for those that were sent and are still being decoded.
    stretch : int
        How many times the network's own pixels an input may have where it keeps the picture's proportions.
    """

    body: int = 32 << 20
    held: int = 512 << 20
    pictures: int = 64
    queue: int = 256
    heatmaps: int = 8
    seconds: float = 30.0
    batch: int = 16
    wait: float = 0.003
    gather: float = 0.05
    stretch: int = 16


class Allowance:
    """A limited amount of something, of which requests take parts; for use by one thread.

    Attributes
    ----------
    taken : int
    """

    def __init__(self, size: int, what: str) -> None:
        self.size, self.what, self.taken = size, what, 0

    @contextmanager
    def take(self, amount: int) -> Iterator[None]:
        """Take `amount` of it for the duration of the block; RefusedError, with 429, where less is left."""
        if self.taken + amount > self.size:
            raise RefusedError(429, f"busy: {self.taken} of {self.size} {self.what} are taken; try again")
        self.taken += amount
        try:
            yield
        finally:
            self.taken -= amount
