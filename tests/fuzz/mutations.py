"""Damage done to files, by seeds: the same seeds do the same damage."""

from __future__ import annotations

import math
import random
import re
import struct
from collections.abc import Callable, Sequence

Damage = Callable[[bytes, random.Random, Sequence[bytes]], bytes]

LARGEST = 4 << 20  # bytes to which damage lets a file grow
NUMBERS = [
    b"0", b"1", b"-1", b"2", b"3", b"7", b"16", b"-0", b"+5", b"4.9", b"0.5", b".5", b"5.", b"1e5", b"1e-45", b"1e400",
    b"-1e39", b"nan", b"inf", b"-inf", b"0x10", b"1_0", b"1,2", b"100000", b"46341", b"65536", b"2147483647",
    b"2147483648", b"4294967297", b"9223372036854775808", b"999999999999999999", b"1" * 30, b"9" * 5000,
    "٣".encode(), "²".encode(), "\uff11".encode(), b"", b" ", b"true", b"null",
]  # fmt: skip
ODD = [
    b"\0", b"\r", b"\r\n", b"\n", b"\n\n", b"\t", b"\f", b"\v", b"\x1b[31m", b"\x7f", b"\x85", b"\xc2\x85", b"\xff",
    b"\xfe\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3", b"\xe9", b"\xed\xa0\x80", "\u2028".encode(), "\u202e".encode(),
    "\u00a0".encode(), "é".encode(), "e\u0301".encode(), "日本".encode(), "\U0001f600".encode(), b"=", b"==", b"#",
    b";", b"[", b"]", b"[]", b"{", b"}", b'"', b"'", b"\\", b"/", b"//", b"..", b"~", b",", b":", b"%s", b"%n", b"$",
    b"\x1a", b"-",
]  # fmt: skip
FIELDS = [0, 1, -1, 2, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 20_000, 65_500, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
FLOATS = [struct.pack("<f", value) for value in (math.nan, math.inf, -math.inf, 1, -1, 3e38, 1e-45)]
_TOKEN = re.compile(rb"[^\s=,:\[\]{}\"#]+")
_NUMBER = re.compile(rb"\d[\d.e+-]*")


def damage(
    content: bytes,
    seeds: Sequence[int],
    kinds: Sequence[tuple[int, Damage]],
    words: Sequence[bytes],
) -> bytes:
    """Damage `content` once for each of `seeds`, in one of the `kinds`, which have weights; some insert `words`."""
    rng = random.Random()
    weights, damages = zip(*kinds, strict=True)
    for seed in seeds:
        rng.seed(seed)
        content = rng.choices(damages, weights)[0](content, rng, words)
    return content


def _range(content: bytes, rng: random.Random) -> tuple[int, int]:
    """The start and the end of a random piece; most are short."""
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + rng.randrange(1, 2 << rng.randrange(10)))


def _flip(content: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    if not content:
        return content
    changed = bytearray(content)
    changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwrite(content: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    start, end = _range(content, rng)
    value = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80", b"0", None))
    return content[:start] + (rng.randbytes(end - start) if value is None else value * (end - start)) + content[end:]


def _cut(content: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _cut_a_little(content: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    return content[: max(0, len(content) - rng.choice((1, 2, 3, 4, 8, 16)))]


def _drop(content: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    start, end = _range(content, rng)
    return content[:start] + content[end:]


def _insert(content: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    start = rng.choice((0, len(content), rng.randrange(len(content) + 1), rng.randrange(len(content) + 1)))
    return content[:start] + rng.choice(ODD) + content[start:]


def _splice(content: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    """Copy a piece elsewhere, between other bytes or in place of them."""
    start, end = _range(content, rng)
    at = rng.randrange(len(content) + 1)
    return content[:at] + content[start:end] + content[at + (end - start) * rng.randrange(2) :]


def _repeat(content: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    start, end = _range(content, rng)
    times = min(1 << rng.randrange(13), LARGEST // (len(content) + 1))
    return content[:end] + content[start:end] * times + content[end:]


def _word(content: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    return _replace(_TOKEN, content, rng, words)


def _number(content: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    return _replace(_NUMBER, content, rng, NUMBERS)


def _replace(what: re.Pattern[bytes], content: bytes, rng: random.Random, values: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(content) + 1)
    found = what.search(content, at) or what.search(content)
    if found is None:
        return content + rng.choice(values)
    return content[: found.start()] + rng.choice(values) + content[found.end() :]


def _misspell(content: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    found = _TOKEN.search(content, rng.randrange(len(content) + 1))
    if found is None:
        return content
    at = rng.randrange(found.start(), found.end())
    return content[:at] + rng.choice((b"", content[at : at + 1] * 2, b"x")) + content[at + 1 :]


def _lines(content: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    """Drop, double, move or swap a line, join it to the next, or insert a new one."""
    lines = content.split(b"\n")
    here, there = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(6)
    if kind == 0:
        del lines[here]
    elif kind == 1:
        lines.insert(there, lines[here])
    elif kind == 2:
        lines.insert(there, lines.pop(here))
    elif kind == 3:
        lines[here], lines[there] = lines[there], lines[here]
    elif kind == 4:
        lines[here : here + 2] = [b"".join(lines[here : here + 2])]
    else:
        lines.insert(
            here, rng.choice((b"%s=%s", b"[%s]%.0s", b"%s %s", b"# %s %s")) % (rng.choice(words), rng.choice(words))
        )
    return b"\n".join(lines)


def _many(content: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    """Repeat a line up to 65,536 times, as it is or numbered; or a word, within its line."""
    lines = content.split(b"\n")
    at = rng.randrange(len(lines))
    line = lines[at][:200]
    times = min(1 << rng.randrange(17), LARGEST // (len(line) + 8))
    kind = rng.randrange(3)
    if kind == 0:
        many = b"\n".join([line] * times)
    elif kind == 1:
        many = b"\n".join(b"%b%d%b" % (line[:4], number, line[4:]) for number in range(times))
    else:
        many = line * times
    lines[at] = many if len(content) < LARGEST else line
    return b"\n".join(lines)


def _field(content: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    """Replace a number of 1, 2, 4 or 8 bytes by an odd value, most often near the beginning, where headers are."""
    size = rng.choice((1, 2, 4, 4, 8))
    at = rng.randrange(min(len(content), rng.choice((32, 64, 256, 1 << 30))) + 1)
    value = rng.choice(FIELDS) % (1 << 8 * size)
    return content[:at] + value.to_bytes(size, rng.choice(("little", "big"))) + content[at + size :]


def _float(content: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(content) // 4 + 1) * 4
    return content[:at] + rng.choice(FLOATS) + content[at + 4 :]


def _append(content: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    return content + rng.choice((bytes(1), bytes(4), bytes(8), b"\n", rng.randbytes(rng.randrange(100))))


TEXT: list[tuple[int, Damage]] = [
    (60, _flip), (10, _overwrite), (20, _cut), (30, _drop), (60, _insert), (40, _splice), (100, _word), (100, _number),
    (50, _misspell), (80, _lines), (2, _many),
]  # fmt: skip
BINARY: list[tuple[int, Damage]] = [
    (60, _flip), (30, _overwrite), (20, _cut), (20, _cut_a_little), (20, _drop), (20, _insert), (20, _splice),
    (3, _repeat), (60, _field), (30, _float), (20, _append),
]  # fmt: skip
