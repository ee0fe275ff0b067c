"""What a run is told besides the cfg."""

from __future__ import annotations

import os
from dataclasses import dataclass
from operator import index
from typing import SupportsIndex

from ..errors import UsageError
from .sampler import SAMPLINGS


@dataclass(frozen=True)
class TrainingSettings:
    """What a run is told besides the options of its cfg.

    Attributes
    ----------
    seed : int
        From which all that is drawn at random follows.
    engine : str
        ``cpu`` or ``reference``.
    threads : int, optional
        Of the CPU; one for each core where absent.
    weights : path, optional
        The weights file to begin from, all of it; its count of images goes on. Where absent, that of the network,
        if it has one and there is none for `pretrained`.
    clear : bool
        Count images from 0 all the same.
    pretrained : path, optional
        A weights file, perhaps of another network, for the first layers as far as they fit.
    freeze : int
        How many of the first layers stay as they are.
    sampling : str
        ``epochs``: each image once in an epoch; ``replacement``: any image any time, as darknet does; ``balanced``:
        each class equally often.
    validate_every : int
        After how many iterations the network is validated and saved; 0: after each epoch.
    """

    seed: int = 0
    engine: str = "cpu"
    threads: int | None = None
    weights: str | os.PathLike[str] | None = None
    clear: bool = False
    pretrained: str | os.PathLike[str] | None = None
    freeze: int = 0
    sampling: str = "epochs"
    validate_every: int = 0

    def __post_init__(self) -> None:
        for name in ("seed", "threads", "freeze", "validate_every"):
            value = getattr(self, name)
            if name == "threads" and value is None:
                continue
            if not isinstance(value, SupportsIndex):
                raise UsageError(f"{name}={value!r}: a whole number is expected")
            object.__setattr__(self, name, index(value))  # of NumPy's numbers Python's
        if not 0 <= self.seed < 1 << 63:
            raise UsageError(f"seed={self.seed}: 0 or a positive number of at most 63 bits is expected")
        if self.sampling not in SAMPLINGS:
            raise UsageError(f"sampling={self.sampling}: one of {', '.join(SAMPLINGS)} is expected")
        if self.weights is not None and self.pretrained is not None:
            raise UsageError("weights together with pretrained: the one fills all layers, the other the first ones")
        for name, least in (("freeze", 0), ("validate_every", 0), ("threads", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"{name}={value}: at least {least} is expected")
