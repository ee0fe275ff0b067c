"""Which pictures cannot be read, found before a long run begins."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

from ..errors import ImageError
from ..images.decode import check_image
from ..runs.ahead import work_ahead
from .samples import Sample

CHUNK = 64


def unreadable(
    samples: Iterable[Sample], threads: int, locate: Callable[[str], str | os.PathLike[str]] = str
) -> Iterator[tuple[str, str]]:
    """The files, each once, that cannot be read as pictures, and why; in the order of `samples`, as they are found.

    For a JPEG that begins and ends like a complete file only the header is read; others are decoded.

    Parameters
    ----------
    samples : iterable of Sample
    threads : int
        How many read at a time.
    locate : function
        Returns the path of a sample's file.
    """

    def check(files: list[str]) -> list[tuple[str, str]]:
        return [(file, reason) for file in files if (reason := _reason(locate(file)))]

    with closing(work_ahead(check, dict.fromkeys(sample.file for sample in samples), CHUNK, threads)) as checked:
        for found in checked:
            yield from found


def _reason(path: str | os.PathLike[str]) -> str:
    try:
        check_image(path)
    except ImageError as error:
        return error.reason
    return ""
