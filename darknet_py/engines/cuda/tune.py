"""The fastest implementation of each convolution: measured once, remembered on disk for this GPU and its software."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf
from pathlib import Path

from tqdm import tqdm

from ...cache import read_private, write_private
from ...errors import EngineError
from .algorithms import Implementation, Machine, choose, find
from .convolution import Convolution
from .cudnn import Cudnn, GraphLaunch, UnsupportedError
from .device import Queue
from .kept import cache_folder
from .kernels import FOLDER, Launch

LOG = logging.getLogger(__name__)
MEASURED = 16  # implementations, those that the model rates best, besides all that have no model
# What takes more than so many times the least alone is not run in a row. For 105 of 1,384 convolutions on an H200,
# the one that was the fastest in a row had taken more than 1.3 times the least when it ran alone, once.
LIKELY = 2
REPEATED, TIMES = 10, 3  # runs in a row, so that the start does not count, and how often that is measured


class Tuner:
    """What was measured on a GPU.

    Parameters
    ----------
    gpu : str
        Its name, and the versions of its software.
    cudnn : Cudnn, optional
        The library whose plans are measured, too.

    Attributes
    ----------
    lock : Lock
        To be held from asking what is known to the end of measuring, which others, of any network, would disturb.
    """

    lock = threading.Lock()

    def __init__(self, gpu: str, cudnn: Cudnn | None = None) -> None:
        self.cudnn = cudnn
        software = gpu if cudnn is None else f"{gpu}, {cudnn.version}"
        made_of = software.encode() + b"".join(path.read_bytes() for path in sorted(FOLDER.iterdir()))
        self.path: Path = cache_folder() / f"choices-{hashlib.sha256(made_of).hexdigest()[:16]}.json"
        self._known = self._load()
        self._changed = False

    def consider(self, problem: Convolution, machine: Machine) -> list[Implementation]:
        """What was measured to be the fastest for `problem`; where nothing was, all that are to be measured."""
        name = self.known(problem)
        found = None if name is None else find(name, problem, machine)
        if found is not None:
            return [found]
        choices = choose(problem, machine)
        able = [(choice.cycles, choice.implementation) for choice in choices if choice.implementation is not None]
        modelled = [implementation for cycles, implementation in able if cycles < inf]
        return modelled[:MEASURED] + [implementation for cycles, implementation in able if cycles == inf]

    def choose(
        self,
        queue: Queue,
        considered: Mapping[Convolution, Sequence[Implementation]],
        lower: Callable[[Convolution, Implementation], Sequence[Launch | GraphLaunch]],
    ) -> dict[Convolution, Implementation]:
        """The fastest of those that are considered for each problem, measured in `queue` and remembered."""
        hidden = None if LOG.isEnabledFor(logging.INFO) else True  # None: where standard error is no terminal
        tell = partial(tqdm, unit="", leave=False, delay=1, disable=hidden)
        chosen = {}
        pairs = [(problem, choice) for problem, choices in considered.items() for choice in choices]
        try:
            own = [launch for problem, choice in pairs if choice.certain for launch in lower(problem, choice)]
            queue.compile(own, partial(tell, desc="compiling kernels, once"))
            if self.cudnn is not None:
                plans = [(problem, choice.name) for problem, choice in pairs if not choice.certain]
                self.cudnn.compile_beside(plans, partial(tell, desc="compiling cuDNN's plans, once"))
            for problem, choices in tell(considered.items(), desc="measuring convolutions, once"):
                launches = {}
                for choice in choices:
                    with contextlib.suppress(UnsupportedError):
                        launches[choice] = lower(problem, choice)
                chosen[problem] = best = _find_fastest(queue, launches)
                self.remember(problem, best.name)
                if self.cudnn is not None:
                    self.cudnn.settle(problem, [choice.name for choice in choices if choice is not best])
        finally:  # what is known when the user stops it stays known
            self.save()
        return chosen

    def known(self, convolution: Convolution) -> str | None:
        """The name of what was measured to be the fastest for `convolution`."""
        return self._known.get(repr(convolution))

    def remember(self, convolution: Convolution, name: str) -> None:
        """Note that what has this `name` was measured to be the fastest."""
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


def _find_fastest(queue: Queue, launches: Mapping[Implementation, Sequence[Launch | GraphLaunch]]) -> Implementation:
    """The implementation whose launches take least; any where none can be launched."""
    alone = {choice: _measure(queue, work) for choice, work in launches.items()}
    most = LIKELY * min(alone.values())
    likely = {choice: work for choice, work in launches.items() if alone[choice] <= most}
    seconds = {choice: _measure(queue, [*work] * REPEATED) for choice, work in likely.items()}
    return min(seconds, key=seconds.__getitem__)


def _measure(queue: Queue, launches: Sequence[Launch | GraphLaunch]) -> float:
    """Seconds that `launches` take, the least of `TIMES` times; infinite where they cannot be made."""
    try:
        recording = queue.record(launches)
    except UnsupportedError:
        return inf
    return queue.measure(recording, TIMES)
