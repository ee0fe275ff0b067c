"""The fastest choice for each product: measured once, and remembered on disk for this GPU, driver and kernels."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from ...cache import cache_dir
from ...errors import EngineError
from ...files import write_atomically
from .kernels import FOLDER
from .select import Choice, Product

MEASURED = 8  # candidates, those that the model thinks best


class Tuner:
    """What was measured on a GPU.

    Parameters
    ----------
    gpu : str
        Its name, and the versions of what it runs with.

    Attributes
    ----------
    lock : Lock
        To be held while choosing: measurements would disturb each other.
    """

    def __init__(self, gpu: str) -> None:
        made_of = gpu.encode() + b"".join(path.read_bytes() for path in sorted(FOLDER.iterdir()))
        self.path: Path = cache_dir() / "cuda" / f"choices-{hashlib.sha256(made_of).hexdigest()[:16]}.json"
        self.lock = threading.Lock()
        self._known = self._load()
        self._saved = len(self._known)

    def choose(
        self, product: Product, choices: Sequence[Choice], measure: Callable[[Product, Choice], float]
    ) -> Choice:
        """The fastest of the first few `choices` by `measure`, which says how many seconds one takes."""
        key = repr(product)
        known = [choice for choice in choices if choice.name == self._known.get(key)]
        if known:
            return known[0]
        best = min(choices[:MEASURED], key=lambda choice: measure(product, choice))
        self._known[key] = best.name
        return best

    def save(self) -> None:
        """Write down what is new; where that fails it is measured again next time."""
        if len(self._known) == self._saved:
            return
        self._known = self._load() | self._known  # what other processes have found meanwhile
        self._saved = len(self._known)
        text = json.dumps(self._known, indent=0, sort_keys=True)
        with contextlib.suppress(OSError, EngineError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, [text.encode()], EngineError)

    def _load(self) -> dict[str, str]:
        try:
            known = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # not there, or not written by this program
            return {}
        return known if isinstance(known, dict) else {}
