"""Binary PGM and PPM of any depth; Pillow reads all depths but 8 bits sample by sample in Python."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from ...errors import ImageError
from .limits import check_size

if TYPE_CHECKING:
    import numpy.typing as npt

_HEADER = re.compile(rb"P([56])" + rb"(?:\s|#[^\r\n]*[\r\n])+(\d{1,10})" * 3 + rb"\s")


def decode(data: bytes, file: str) -> npt.NDArray[np.uint8] | None:
    """The pixels of a file that starts like binary PGM or PPM, uint8 (height, width, 3); None for others."""
    header = _HEADER.match(data)
    if not header:
        return None
    channels = 1 if header[1] == b"5" else 3
    width, height, most = int(header[2]), int(header[3]), int(header[4])
    check_size((width, height), file)
    if not 0 < most < 1 << 16:
        raise ImageError(f"a damaged picture: {most} as the largest value; 1 to 65535 are expected", file=file)
    kind = np.dtype(">u2" if most > 255 else np.uint8)
    if len(data) - header.end() < width * height * channels * kind.itemsize:
        raise ImageError("a damaged picture: image file is truncated", file=file)
    values = np.frombuffer(data, kind, width * height * channels, header.end()).reshape(height, width, channels)
    # The upper 8 of 16 bits, once values are scaled to fill these.
    full = 255 if most < 256 else 65535
    scaled = np.minimum(np.round(np.arange(full + 1) / most * full), full).astype(np.uint16)
    table = (scaled >> 8 * (kind.itemsize - 1)).astype(np.uint8)
    return np.repeat(table[values], 3 // channels, axis=2)
