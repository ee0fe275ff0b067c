"""The fastest implementation of each convolution: measured once, remembered on disk for this GPU and its software."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from ...errors import EngineError
from ...files import write_atomically
from .convolution import Convolution, Implementation
from .kept import cache_folder
from .kernels import FOLDER


class Tuner:
    """What was measured on a GPU.

    Parameters
    ----------
    gpu : str
        Its name, and the versions of what it runs with.

    Attributes
    ----------
    lock : Lock
        To be held from asking what is known to the end of measuring, which others would disturb.
    """

    def __init__(self, gpu: str) -> None:
        made_of = gpu.encode() + b"".join(path.read_bytes() for path in sorted(FOLDER.iterdir()))
        self.path: Path = cache_folder() / f"choices-{hashlib.sha256(made_of).hexdigest()[:16]}.json"
        self.lock = threading.Lock()
        self._known = self._load()
        self._saved = len(self._known)

    def known(self, convolution: Convolution) -> str | None:
        """The name of what was measured to be the fastest for `convolution`."""
        return self._known.get(repr(convolution))

    def choose(
        self,
        convolution: Convolution,
        choices: Sequence[Implementation],
        measure: Callable[[Implementation], float],
    ) -> Implementation:
        """The fastest of `choices` by `measure`, which says how many seconds one takes; it is known from now on."""
        best = min(choices, key=measure)
        self._known[repr(convolution)] = best.name
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
