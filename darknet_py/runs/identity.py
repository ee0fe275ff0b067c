"""Descriptions of runs, by which a later run can tell whether it may go on with what an earlier one has left."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

DIGITS = 16  # of a SHA-256, enough to tell inputs apart
MAX_SHOWN = 60  # characters of a value in a message


def digest_texts(texts: Iterable[str]) -> str:
    """A digest that tells `texts` from others."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()[:DIGITS]


def tell_differences(before: Mapping[str, object], now: Mapping[str, object]) -> str:
    """What two descriptions differ in, in words; empty where they are the same."""
    differing = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return "; ".join(f"{name} {_shown(before.get(name))}, now {_shown(now.get(name))}" for name in differing)


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
