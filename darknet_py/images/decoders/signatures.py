"""How formats of pictures are told apart: by the first bytes of their files."""

from __future__ import annotations

PNG = b"\x89PNG\r\n\x1a\n"
JPEG2000, CODESTREAM = b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"  # such a file has one; it may also stand alone
RADIANCE, RGBE = b"#?RADIANCE\n", b"#?RGBE\n"
OPENEXR = b"\x76\x2f\x31\x01"
# Formats by their first bytes; TGA has no signature and is recognized by a header that makes sense.
SIGNATURES = {
    b"\xff\xd8": "JPEG",
    b"BM": "BMP",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    PNG: "PNG",
    **dict.fromkeys([b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"], "TIFF"),  # the last two have addresses of 64 bits
    **{b"P%d" % kind: "PPM" for kind in range(1, 7)},
    b"Pf": "PPM",
    **dict.fromkeys([JPEG2000, CODESTREAM], "JPEG2000"),
    **dict.fromkeys([RADIANCE, RGBE], "HDR"),
    OPENEXR: "EXR",
}
TGA_TYPES = {(0, 2), (0, 3), (0, 10), (0, 11), (1, 1), (1, 9)}  # has a palette, coding
UNKNOWN = "not a picture in any format known here"
