"""The networks that come with the package, and what was published about them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from .errors import CfgError, nearest
from .files import resolve


class Accuracy(NamedTuple):
    """Accuracy of published weights on ImageNet's validation images, one crop each, in percent."""

    top_1: float
    top_5: float


class Figures(NamedTuple):
    """A network's dimensions; operations are for one picture, as darknet's ``ops`` counts them."""

    layers: int
    width: int
    height: int
    parameters: int
    operations: int


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

# By cfg. Rounded to two digits of MiB and of billions, they are as published, or as darknet's programs count them.
FIGURES = {
    "alexnet": Figures(15, 227, 227, 62_378_344, 2_270_512_192),
    "cifar": Figures(17, 28, 28, 7_687_050, 1_624_397_824),
    "csdarknet53": Figures(108, 256, 256, 27_677_512, 13_067_304_960),
    "csdarknet53-elastic": Figures(269, 256, 256, 19_117_000, 7_740_538_880),
    "csdarknet53-omega": Figures(108, 256, 256, 27_677_512, 13_067_304_960),
    "csmobilenet-v2": Figures(81, 224, 224, 2_568_448, 763_556_928),
    "csresnet50": Figures(84, 256, 256, 21_648_040, 8_967_372_800),
    "csresnet50-elastic": Figures(188, 256, 256, 29_900_200, 9_361_637_376),
    "csresnet50-omega": Figures(84, 256, 256, 21_648_040, 8_967_372_800),
    "csresnext50": Figures(84, 256, 256, 20_614_824, 7_929_233_408),
    "csresnext50-elastic": Figures(188, 256, 256, 16_973_736, 5_446_729_728),
    "csresnext50-omega": Figures(84, 256, 256, 20_614_824, 7_929_233_408),
    "darknet": Figures(17, 224, 224, 7_323_480, 805_142_528),
    "darknet19": Figures(27, 224, 224, 20_856_776, 5_581_979_648),
    "darknet19_448": Figures(27, 448, 448, 20_856_776, 22_327_918_592),
    "darknet53": Figures(78, 256, 256, 41_645_640, 18_570_231_808),
    "darknet53_448": Figures(78, 448, 448, 41_645_640, 56_867_110_912),
    "darknet9000": Figures(27, 448, 448, 29_485_226, 25_706_971_136),
    "densenet201": Figures(306, 256, 256, 17_206_440, 10_848_043_008),
    "efficientnet_b0": Figures(136, 224, 224, 4_890_040, 914_917_504),
    "extraction": Figures(28, 224, 224, 23_455_400, 8_518_680_576),
    "mobilenet-v2": Figures(66, 224, 224, 3_540_136, 858_223_872),
    "res2netlite72": Figures(183, 224, 224, 21_026_856, 5_183_778_816),
    "resnet10": Figures(17, 256, 256, 5_248_936, 2_272_239_616),
    "resnet101": Figures(138, 256, 256, 41_870_248, 19_696_451_584),
    "resnet152": Figures(206, 256, 256, 57_559_976, 29_393_682_432),
    "resnet18": Figures(29, 256, 256, 11_523_496, 4_688_158_720),
    "resnet34": Figures(53, 256, 256, 21_639_080, 9_519_996_928),
    "resnet50": Figures(70, 256, 256, 22_825_896, 9_741_172_736),
    "resnext101-32x4d": Figures(137, 256, 256, 41_639_208, 18_915_065_856),
    "resnext152-32x4d": Figures(205, 256, 256, 56_730_920, 28_202_303_488),
    "resnext50": Figures(69, 256, 256, 22_312_872, 10_110_271_488),
    "shapes": Figures(17, 64, 64, 72826, 22_059_008),
    "tiny": Figures(23, 224, 224, 1_046_488, 983_048_192),
    "vgg-16": Figures(26, 256, 256, 138_357_544, 30_940_528_640),
}
IMAGENET = "cfg/imagenet1k.data"  # the classes where no others are named
# Files that a cfg names, and that the user has to provide.
GIVEN = {"darknet9000": "data/9k.tree"}


def packaged_cfg(name: str) -> str | None:
    """``cfg/NAME.cfg`` of the packaged network of that bare name or alias; None where there is none."""
    stem = ALIASES.get(name, name)
    return f"cfg/{stem}.cfg" if stem in FIGURES else None


def find_cfg(name: str) -> str:
    """The cfg file that `name` means: that of a network that comes with the package, or `name` itself.

    Raises
    ------
    CfgError
        Where there is no such file, but a packaged network has a similar name.
    """
    return packaged_cfg(name) or check_spelling(name)


def check_spelling(cfg: str) -> str:
    """Return `cfg`, a file; raise CfgError as `find_cfg` does."""
    if not os.path.lexists(resolve(cfg)):
        path = Path(cfg)
        if close := nearest(path.stem, packaged_names(), 0.7):
            meant = str(path.with_stem(close))
            if packaged_cfg(meant) or resolve(meant).exists():
                raise CfgError(f"no such file; did you mean {meant}?", file=cfg)
    return cfg


def packaged_names() -> list[str]:
    """All names of networks that come with the package, in alphabetical order."""
    return sorted([*FIGURES, *ALIASES])
