"""How large a picture may be to be decoded."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ...errors import ImageError, ImageSizeError, UsageError

# 67 million; Pillow warns of more than 89 million. What decoding takes per pixel, up to 12 bytes, keeps it below 1 GB.
MAX_PIXELS = 1 << 26
VARIABLE = "DARKNET_PY_MAX_PIXELS"


def max_pixels() -> int:
    """The most pixels that are decoded: `MAX_PIXELS`, or what the environment variable DARKNET_PY_MAX_PIXELS says.

    Raises
    ------
    UsageError
        Where that is not a whole number above 0.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return MAX_PIXELS
    # No picture's number of pixels has more digits, and Python refuses to convert thousands.
    if not (text.isascii() and text.isdigit() and int(text[:20])):
        raise UsageError(f"{VARIABLE}={text}: a whole number of pixels above 0 is expected")
    return int(text[:20])


def check_size(size: Iterable[int], file: str, what: str = "") -> None:
    """Raise ImageError where `what`, by default the whole picture, of a `size` (width, height), may not be decoded."""
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(f"{what}{width} x {height} pixels; a picture has at least one", file=file)
    most = max_pixels()
    if width * height > most:
        reason = (
            f"{what}{width} x {height} pixels; at most {most} are decoded ({VARIABLE}={width * height} allows these)"
        )
        raise ImageSizeError(reason, file=file)
