"""What the command train works with."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..training.options import TrainingOptions
    from ..training.run_files import TrainingFiles
    from ..training.settings import TrainingSettings
    from ..training.source import Source


@dataclass(frozen=True)
class Setup:
    """What a run works with.

    Attributes
    ----------
    args : argparse.Namespace
    network : Classifier
    source : Source
    options : TrainingOptions
    settings : TrainingSettings
    files : TrainingFiles
    texts : mapping of Path to bytes
        The files made from a folder's classes, written once the run begins.
    """

    args: argparse.Namespace
    network: Classifier
    source: Source
    options: TrainingOptions
    settings: TrainingSettings
    files: TrainingFiles
    texts: Mapping[Path, bytes]

    @property
    def cfg(self) -> str:
        """The cfg that the weights belong to."""
        return str(self.files.model["cfg"]) if self.texts else self.network.file
