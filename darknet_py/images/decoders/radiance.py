"""Radiance's HDR, by OpenCV, which gets a header with only the format and the size.

Source: the manual of ``pic(5)``; ``stbi__hdr_load`` of ``stb_image.h``, which ignores the same lines.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from ...errors import ImageError
from . import opencv
from .limits import check_size
from .signatures import RADIANCE

if TYPE_CHECKING:
    import numpy.typing as npt

FORMAT = b"32-bit_rle_rgbe"
_HEADER = re.compile(rb"#\?[^\n]*\n((?:[^\n]+\n)*)\n([^\n]*)\n")
_SIZE = re.compile(rb"-Y (\d{1,10}) \+X (\d{1,10})")
_FORMAT = re.compile(rb"^FORMAT=[ \t]*([^\n]*?)[ \t]*$", re.MULTILINE)


def decode(data: bytes, file: str) -> npt.NDArray[np.uint8]:
    """The pixels of the HDR `data`, regardless of its exposure, as darknet takes them."""
    header = _HEADER.match(data)
    if not header:
        raise ImageError("a damaged picture: image file is truncated", file=file)
    found = _FORMAT.search(header[1])
    if not found or found[1] != FORMAT:
        told = found[1].decode("latin-1") if found else "none"
        raise ImageError(f"a Radiance picture of the format {told}; {FORMAT.decode()} is read", file=file)
    lines = _SIZE.fullmatch(header[2])
    if not lines:
        told = header[2][:40].decode("latin-1")
        raise ImageError(f"a Radiance picture whose size is given as {told}; -Y N +X M is read", file=file)
    height, width = int(lines[1]), int(lines[2])
    check_size((width, height), file)
    plain = b"%s\nFORMAT=%s\n\n-Y %d +X %d\n" % (RADIANCE.strip(), FORMAT, height, width)
    return opencv.decode_light(b"".join([plain, memoryview(data)[header.end() :]]), (width, height), file)
