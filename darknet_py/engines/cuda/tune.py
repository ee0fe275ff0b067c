"""The fastest implementation of each convolution: measured once, remembered on disk for this GPU and its software."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from pathlib import Path

from ...cache import read_private, write_private
from ...errors import EngineError
from .convolution import Convolution
from .cudnn import Cudnn
from .kept import cache_folder
from .kernels import FOLDER


class Tuner:
    """What was measured on a GPU.

    Parameters
    ----------
    gpu : str
        Its name, and the versions of what it runs with.
    cudnn : Cudnn, optional
        Whose plans are measured too.

    Attributes
    ----------
    lock : Lock
        To be held from asking what is known to the end of measuring, which others would disturb.
    """

    def __init__(self, gpu: str, cudnn: Cudnn | None = None) -> None:
        self.cudnn = cudnn
        software = gpu if cudnn is None else f"{gpu}, {cudnn.version}"
        made_of = software.encode() + b"".join(path.read_bytes() for path in sorted(FOLDER.iterdir()))
        self.path: Path = cache_folder() / f"choices-{hashlib.sha256(made_of).hexdigest()[:16]}.json"
        self.lock = threading.Lock()
        self._known = self._load()
        self._changed = False

    def known(self, convolution: Convolution) -> str | None:
        """The name of what was measured to be the fastest for `convolution`."""
        return self._known.get(repr(convolution))

    def remember(self, convolution: Convolution, name: str) -> None:
        """That what has this `name` was measured to be the fastest."""
        self._known[repr(convolution)] = name
        self._changed = True

    def save(self) -> None:
        """Write down what is new; where that fails it is measured again next time."""
        if not self._changed:
            return
        self._known = self._load() | self._known  # what other processes have found meanwhile
        self._changed = False
        text = json.dumps(self._known, indent=0, sort_keys=True)
        with contextlib.suppress(OSError, EngineError):
            write_private(self.path, [text.encode()])

    def _load(self) -> dict[str, str]:
        try:
            known = json.loads(read_private(self.path))
        except (OSError, ValueError):  # not there, or not written by this program
            return {}
        return known if isinstance(known, dict) else {}
