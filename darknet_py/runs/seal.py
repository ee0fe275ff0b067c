"""Lines of JSON with a digest that says whether they are as they were written."""

from __future__ import annotations

import hashlib

DIGEST = 8  # bytes
END = b',"check":"%s"}\n'
LENGTH = len(END % bytes(2 * DIGEST))


def seal(line: bytes, key: bytes) -> bytes:
    """Add to a line, which holds a JSON object, a last field ``check``: the BLAKE2b digest of the line, with `key`."""
    return line[: -len(b"}\n")] + END % hashlib.blake2b(line, digest_size=DIGEST, key=key).hexdigest().encode()


def unseal(sealed: bytes, key: bytes) -> bytes:
    """The line that `seal` was given; ValueError where a single bit, or the key, differs."""
    line = sealed[:-LENGTH] + b"}\n"
    if seal(line, key) != sealed:
        raise ValueError("not as it was written")
    return line
