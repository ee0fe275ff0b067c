"""Classify images with darknet's ImageNet networks, from their own .cfg and .weights files.

>>> import darknet_py
>>> net = darknet_py.load_network("shapes")
>>> net.classify("data/star.png")[0].label
'star'

The library prints nothing: its remarks are logged under ``darknet_py``, or issued as warnings (`DarknetWarning`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .classifier import Classifier, export, load_network
    from .datasets.data_file import Dataset, load_dataset
    from .datasets.samples import Sample, load_samples
    from .downloads import fetch
    from .evaluation.crews import Cluster
    from .evaluation.loop import EvaluationProgress, evaluate
    from .heatmap import Heatmap
    from .network import Network
    from .parameters import Parameters
    from .prediction import Prediction, Predictions
    from .training.options import TrainingOptions
    from .training.run_files import TrainingFiles
    from .training.settings import TrainingSettings
    from .training.trainer import TrainingProgress, train
    from .weights import save_weights

from .errors import (
    CfgError,
    CheckpointError,
    ClusterError,
    DarknetError,
    DarknetWarning,
    DatasetError,
    EngineError,
    ExportError,
    FetchError,
    ImageError,
    JournalError,
    TrainingError,
    UsageError,
    WeightsError,
)
from .version import __version__ as __version__

# Imported when they are first used, so that importing the package loads nothing heavy.
_LAZY = {
    "Classifier": "classifier",
    "Cluster": "evaluation.crews",
    "Dataset": "datasets.data_file",
    "EvaluationProgress": "evaluation.loop",
    "Heatmap": "heatmap",
    "Network": "network",
    "Parameters": "parameters",
    "Prediction": "prediction",
    "Predictions": "prediction",
    "Sample": "datasets.samples",
    "TrainingFiles": "training.run_files",
    "TrainingOptions": "training.options",
    "TrainingProgress": "training.trainer",
    "TrainingSettings": "training.settings",
    "evaluate": "evaluation.loop",
    "export": "classifier",
    "fetch": "downloads",
    "load_dataset": "datasets.data_file",
    "load_network": "classifier",
    "load_samples": "datasets.samples",
    "save_weights": "weights",
    "train": "training.trainer",
}

__all__ = [
    "CfgError",
    "CheckpointError",
    "Classifier",
    "Cluster",
    "ClusterError",
    "DarknetError",
    "DarknetWarning",
    "Dataset",
    "DatasetError",
    "EngineError",
    "EvaluationProgress",
    "ExportError",
    "FetchError",
    "Heatmap",
    "ImageError",
    "JournalError",
    "Network",
    "Parameters",
    "Prediction",
    "Predictions",
    "Sample",
    "TrainingError",
    "TrainingFiles",
    "TrainingOptions",
    "TrainingProgress",
    "TrainingSettings",
    "UsageError",
    "WeightsError",
    "evaluate",
    "export",
    "fetch",
    "load_dataset",
    "load_network",
    "load_samples",
    "save_weights",
    "train",
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
