"""PNG, by Pillow, which gets the chunks that decide the pixels and no others.

Pillow does not check the end of a file, and reads texts, profiles and animations, which may be damaged, or large.
"""

from __future__ import annotations

import zlib

from ...errors import ImageError
from .signatures import PNG


def critical_chunks(data: bytes, file: str) -> bytes:
    """The PNG `data` without what decoders may ignore; raises ImageError where it is cut short or changed."""
    view = memoryview(data)
    parts: list[bytes | memoryview] = [PNG]
    start, kind = len(PNG), b""
    while kind != b"IEND":
        kind = data[start + 4 : start + 8]
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        if end > len(data):
            raise ImageError("a damaged picture: image file is truncated", file=file)
        if kind[:1].isupper():
            if zlib.crc32(view[start + 4 : end - 4]).to_bytes(4, "big") != data[end - 4 : end]:
                reason = f"a damaged picture: wrong checksum of its {kind.decode('latin-1')} chunk"
                raise ImageError(reason, file=file)
            parts.append(view[start:end])
        start = end
    return b"".join(parts)
