"""Headers of weights files: of 64 bits of images seen, of 32, and of before there were versions."""

from __future__ import annotations

import struct

WIDE = struct.pack("<iiiq", 0, 2, 0, 2**40)
NARROW = struct.pack("<iiiI", 0, 1, 0, 2**32 - 1)
VERSIONLESS = struct.pack("<fffI", 0.001, 0.9, 0.0005, 77)
