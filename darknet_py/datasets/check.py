"""Which pictures cannot be read, told before a long run begins."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from ..errors import ImageError
from ..images.decode import check_image
from .samples import Sample

CHUNK = 64


def unreadable(
    samples: Iterable[Sample], threads: int, locate: Callable[[str], str | os.PathLike[str]] = str
) -> Iterator[tuple[str, str]]:
    """The files, each once, that cannot be read as pictures, and why; in the order of `samples`, as they are found.

    Of a JPEG that is there from its first byte to its last only the header is read; others are decoded.

    Parameters
    ----------
    samples : iterable of Sample
    threads : int
        That read at a time.
    locate : function
        Where a sample's file lies.
    """

    def check(files: list[str]) -> list[tuple[str, str]]:
        return [(file, reason) for file in files if (reason := _reason(locate(file)))]

    left = iter(dict.fromkeys(sample.file for sample in samples))
    window: deque[Future[list[tuple[str, str]]]] = deque()
    pool = ThreadPoolExecutor(threads, "check")
    try:
        while chunk := list(islice(left, CHUNK)):
            window.append(pool.submit(check, chunk))
            if len(window) == 2 * threads:
                yield from window.popleft().result()
        while window:
            yield from window.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _reason(path: str | os.PathLike[str]) -> str:
    try:
        check_image(path)
    except ImageError as error:
        return error.reason
    return ""
