"""What the command train works with."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..training.options import TrainingOptions
    from ..training.settings import TrainingSettings
    from ..training.source import Source
    from ..training.trainer import TrainingFiles


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
    """

    args: argparse.Namespace
    network: Classifier
    source: Source
    options: TrainingOptions
    settings: TrainingSettings
    files: TrainingFiles
