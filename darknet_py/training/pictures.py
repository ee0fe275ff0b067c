"""Decoded pictures, as many of them kept in memory as may be."""

from __future__ import annotations

import os
import threading

from ..images import Picture
from ..images.decode import decode_image, load_image


class Pictures:
    """Decodes pictures for any number of threads, and keeps the first ones that it decodes.

    None makes room for another: where each epoch has an order of its own, what is kept is as good as what is not. Of
    pictures of 32 x 32 decoding is two thirds of the work, and 50,000 of them take 200 MB.

    Parameters
    ----------
    most : int
        Bytes that are kept.
    """

    OVERHEAD = 400  # bytes that a picture takes besides its pixels

    def __init__(self, most: int) -> None:
        self._left = most
        self._kept: dict[str, Picture] = {}
        self._lock = threading.Lock()

    def load(self, path: str | os.PathLike[str], content: bytes | None = None) -> Picture:
        """The picture at `path`, which nobody may change; raises as `load_image`.

        With `content`, which was read from there, nothing is read.
        """
        file = os.fspath(path)
        picture = self._kept.get(file)
        if picture is None:
            picture = load_image(file) if content is None else decode_image(content, file)
            size = picture.nbytes + self.OVERHEAD
            with self._lock:
                if size <= self._left and file not in self._kept:
                    self._left -= size
                    self._kept[file] = picture
        return picture
