"""The layers, one file each, and the registry that finds them by a section's name."""

from __future__ import annotations

from .activation import Activation
from .avgpool import AvgPool
from .base import Array, Arrays, Drawn, Gradients, Layer, Parameter, Role, Saved, Shape
from .batchnorm import BatchNorm
from .connected import Connected
from .convolutional import Convolutional
from .cost import Cost
from .crop import Crop
from .dialect import ALEXEYAB, DARKNET, DIALECTS, Dialect, find_dialect
from .dropout import Dropout
from .empty import Empty
from .local import Local
from .local_avgpool import LocalAvgPool
from .logistic import Logistic
from .maxpool import MaxPool
from .normalization import Normalization
from .reorg import Reorg, Reorg3d
from .route import Route
from .sam import Sam
from .scale_channels import ScaleChannels
from .shortcut import Shortcut
from .softmax import Softmax
from .upsample import Upsample

LAYERS: tuple[type[Layer], ...] = (
    Activation,
    AvgPool,
    BatchNorm,
    Connected,
    Convolutional,
    Cost,
    Crop,
    Dropout,
    Empty,
    Local,
    LocalAvgPool,
    Logistic,
    MaxPool,
    Normalization,
    Reorg,
    Reorg3d,
    Route,
    Sam,
    ScaleChannels,
    Shortcut,
    Softmax,
    Upsample,
)

REGISTRY: dict[str, type[Layer]] = {name: layer for layer in LAYERS for name in (layer.kind, *layer.aliases)}

__all__ = [
    "ALEXEYAB",
    "DARKNET",
    "DIALECTS",
    "LAYERS",
    "REGISTRY",
    "Array",
    "Arrays",
    "Dialect",
    "Drawn",
    "Gradients",
    "Layer",
    "Parameter",
    "Role",
    "Saved",
    "Shape",
    "find_dialect",
]
