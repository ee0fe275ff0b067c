"""The settings of a training run that its cfg does not have."""

from __future__ import annotations

import os
from dataclasses import dataclass
from operator import index
from typing import SupportsIndex

from ..errors import UsageError
from .sampler import SAMPLINGS


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of a run, besides the options of its cfg.

    Attributes
    ----------
    seed : int
        Determines all that is drawn at random.
    engine : str
        ``cpu`` or ``reference``.
    threads : int, optional
        Of the CPU; one for each core where absent.
    weights : path, optional
        The weights file to begin from, all of it; its count of images seen goes on. Where absent, the network's, if it
        has one and `pretrained` is absent, too.
    clear : bool
        Whether images seen are counted from 0 nevertheless.
    pretrained : path, optional
        A weights file, perhaps of another network, for the first layers as far as they fit.
    freeze : int
        How many of the first layers do not learn.
    sampling : str
        ``epochs``: each image once in an epoch; ``replacement``: any image any time, as darknet does; ``balanced``:
        each class equally often.
    validate_every : int
        The network is validated and saved after every so many iterations; 0: after each epoch.
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
            object.__setattr__(self, name, index(value))  # turns NumPy's integers into Python's
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
