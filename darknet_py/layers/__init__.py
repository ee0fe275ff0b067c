"""The layers, one file each, and the registry that finds them by a section's name."""

from __future__ import annotations

from .base import Array, Arrays, Drawn, Gradients, Layer, Saved, Shape
from .dialect import ALEXEYAB, DARKNET, DIALECTS, Dialect, find_dialect
from .parameter import Parameter, Role
from .registry import Registry

REGISTRY = Registry(
    {
        "activation": "activation.Activation",
        "avg": "avgpool.AvgPool",
        "avgpool": "avgpool.AvgPool",
        "batchnorm": "batchnorm.BatchNorm",
        "conn": "connected.Connected",
        "connected": "connected.Connected",
        "conv": "convolutional.Convolutional",
        "convolutional": "convolutional.Convolutional",
        "cost": "cost.Cost",
        "crop": "crop.Crop",
        "dropout": "dropout.Dropout",
        "empty": "empty.Empty",
        "local": "local.Local",
        "local_avg": "local_avgpool.LocalAvgPool",
        "local_avgpool": "local_avgpool.LocalAvgPool",
        "logistic": "logistic.Logistic",
        "lrn": "normalization.Normalization",
        "max": "maxpool.MaxPool",
        "maxpool": "maxpool.MaxPool",
        "normalization": "normalization.Normalization",
        "reorg": "reorg.Reorg",
        "reorg3d": "reorg.Reorg3d",
        "route": "route.Route",
        "sam": "sam.Sam",
        "scale_channels": "scale_channels.ScaleChannels",
        "shortcut": "shortcut.Shortcut",
        "silence": "empty.Empty",
        "soft": "softmax.Softmax",
        "softmax": "softmax.Softmax",
        "upsample": "upsample.Upsample",
    }
)

__all__ = [
    "ALEXEYAB",
    "DARKNET",
    "DIALECTS",
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
