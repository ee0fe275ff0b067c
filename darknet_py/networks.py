"""The networks that come with the package, and what was published of them."""

from __future__ import annotations

from typing import NamedTuple

from .files import SHARE


class Accuracy(NamedTuple):
    """Of published weights on ImageNet's validation images, one crop each, in percent."""

    top_1: float
    top_5: float


# Other names of networks, for weights that were trained in another way.
ALIASES = {
    "csdarknet53-gamma": "csdarknet53",
    "csresnet50-gamma": "csresnet50",
    "csresnext50-gamma": "csresnext50",
    "enetb0": "efficientnet_b0",
}
# Sources: https://pjreddie.com/darknet/imagenet/; from efficientnet_b0 on WongKinYiu/CrossStagePartialNetworks, commit
# 8786894, README.md and imagenet/results.md.
ACCURACY = {
    "alexnet": Accuracy(57.0, 80.3),
    "darknet": Accuracy(61.1, 83.0),
    "vgg-16": Accuracy(70.5, 90.0),
    "extraction": Accuracy(72.5, 90.8),
    "darknet19": Accuracy(72.9, 91.2),
    "darknet19_448": Accuracy(76.4, 93.5),
    "resnet18": Accuracy(70.7, 89.9),
    "resnet34": Accuracy(72.4, 91.1),
    "resnet50": Accuracy(75.8, 92.9),
    "resnet101": Accuracy(77.1, 93.7),
    "resnet152": Accuracy(77.6, 93.8),
    "resnext50": Accuracy(77.8, 94.2),
    "resnext101-32x4d": Accuracy(77.7, 94.1),
    "resnext152-32x4d": Accuracy(77.6, 94.1),
    "densenet201": Accuracy(77.0, 93.7),
    "darknet53": Accuracy(77.2, 93.8),
    "darknet53_448": Accuracy(78.5, 94.7),
    "efficientnet_b0": Accuracy(71.3, 90.4),
    "enetb0": Accuracy(71.3, 90.4),
    "mobilenet-v2": Accuracy(67.0, 87.7),
    "csmobilenet-v2": Accuracy(67.7, 88.3),
    "resnet10": Accuracy(63.5, 85.0),
    "res2netlite72": Accuracy(74.7, 92.1),
    "csdarknet53": Accuracy(77.2, 93.6),
    "csdarknet53-gamma": Accuracy(77.8, 94.4),
    "csdarknet53-omega": Accuracy(78.7, 94.8),
    "csdarknet53-elastic": Accuracy(76.1, 93.3),
    "csresnet50": Accuracy(76.6, 93.3),
    "csresnet50-gamma": Accuracy(77.1, 94.1),
    "csresnet50-omega": Accuracy(78.1, 94.2),
    "csresnet50-elastic": Accuracy(76.8, 93.5),
    "csresnext50": Accuracy(77.9, 94.0),
    "csresnext50-gamma": Accuracy(78.5, 94.8),
    "csresnext50-omega": Accuracy(79.8, 95.2),
    "csresnext50-elastic": Accuracy(77.2, 93.8),
}


def packaged_cfg(name: str) -> str | None:
    """``cfg/NAME.cfg`` where the package has a network of that bare name, or of that other name."""
    stem = ALIASES.get(name, name)
    return f"cfg/{stem}.cfg" if stem in _stems() else None


def packaged_names() -> list[str]:
    """All names of networks that come with the package, in alphabetical order."""
    stems = _stems()
    return sorted([*stems, *(name for name, stem in ALIASES.items() if stem in stems)])


def _stems() -> list[str]:
    return [file.stem for file in (SHARE / "cfg").glob("*.cfg")]
