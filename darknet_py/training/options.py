"""How a network is trained: what the [net] section of a cfg says.

Source: darknet's ``parser.c`` (parse_net_options), of 2018 and of AlexeyAB's fork.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from ..cfg import MAX_INTEGER, Option, Section, choice, flag, integer, integers, number, numbers, text
from ..errors import CfgError, UsageError
from ..images.augment import Augmentation
from ..network import NET_OPTIONS, TRAINING_OPTIONS, Network
from .mixing import Way
from .schedule import Schedule, find_fault

POLICIES = ("constant", "step", "steps", "exp", "poly", "random", "sigmoid", "sgdr", "cosine")
WAYS: tuple[Way, ...] = ("mixup", "cutmix", "mosaic")
OPTIONS: dict[str, Option] = {
    "batch": integer(1, least=1),
    "subdivisions": integer(1, least=1),
    "learning_rate": number(0.001, least=0),
    "momentum": number(0.9, least=0),
    "decay": number(0.0001, least=0),
    "max_batches": integer(0, least=0),
    "policy": choice(POLICIES, "constant"),
    "burn_in": integer(0, least=0),
    "power": number(4),
    "step": integer(1, least=0),
    "scale": number(1, least=0),
    "steps": integers(),
    "scales": numbers(),
    "gamma": number(1),
    "learning_rate_min": number(0.00001, least=0),
    "sgdr_cycle": integer(0, least=0),
    "sgdr_mult": number(2, least=1),
    "adam": flag(),
    "B1": number(0.9, least=0),
    "B2": number(0.999, least=0),
    "eps": number(1e-7, least=0),
    "clip": number(0, least=0),
    "max_crop": integer(0, least=0),
    "min_crop": integer(0, least=0),
    "max_ratio": number(0, least=0),
    "min_ratio": number(0, least=0),
    "angle": number(0, least=0),
    "aspect": number(1, least=0),
    "saturation": number(1, least=0),
    "exposure": number(1, least=0),
    "hue": number(0, least=0),
    "flip": flag(True),
    "label_smooth_eps": number(0, least=0),
    **{key: integer(0, least=0, most=1) for key in WAYS},
}
AUGMENTING = (
    "min_ratio", "max_ratio", "min_crop", "max_crop", "angle", "aspect", "saturation", "exposure", "hue", "flip",
)  # fmt: skip
# Keys that would change training, in ways that are not supported; with these values they are off.
UNSUPPORTED = {
    **{key: flag() for key in ("random", "letter_box", "contrastive", "unsupervised", "notruth", "track")},
    **{key: flag() for key in ("dynamic_minibatch", "sequential_subdivisions", "equidistant_point", "attention")},
    **{key: number(0) for key in ("blur", "gaussian_noise", "ema_alpha", "weights_reject_freq", "adversarial_lr")},
    **{key: number(0) for key in ("badlabels_rejection_percentage", "num_sigmas_reject_badlabels")},
    "time_steps": integer(1),
    "loss_scale": number(1),
    "seq_scales": text(),
}
# The keys that a policy requires.
NEEDED = {
    "step": ("step", "scale"),
    "steps": ("steps", "scales"),
    "exp": ("gamma",),
    "sigmoid": ("gamma", "step"),
    "poly": ("max_batches",),
    "cosine": ("max_batches",),
}
BELOW_ONE = ("momentum", "B1", "B2", "label_smooth_eps")


@dataclass(frozen=True)
class TrainingOptions(Schedule):
    """How a network is trained; the attributes are the keys of ``[net]``, in lower case.

    Attributes
    ----------
    batch : int
        Images of an iteration, after which the weights are updated.
    subdivisions : int
        Passes of an iteration, each over batch / subdivisions images.
    momentum, decay : float
        Of the updates; their rate follows the attributes of `Schedule`.
    adam, b1, b2, eps
        Whether updates are Adam's, and its constants.
    clip : float
        The largest magnitude that a weight may have; 0: any.
    augmentation : Augmentation
        How pictures are changed.
    label_smooth_eps : float
        How much of an image's truth the other classes share.
    mixing : tuple of str
        In what ways pictures are mixed: any of ``mixup``, ``cutmix``, ``mosaic``.
    """

    batch: int
    subdivisions: int
    momentum: float
    decay: float
    adam: bool
    b1: float
    b2: float
    eps: float
    clip: float
    augmentation: Augmentation
    label_smooth_eps: float
    mixing: tuple[Way, ...]

    @classmethod
    def of(cls, network: Network, **changes: Any) -> TrainingOptions:
        """The options of a network's cfg, for its present size; `changes`, by keys of its ``[net]``, override them.

        Raises
        ------
        CfgError
            Where a value is wrong, or does not go with the others, or a key would change training in a way that is not
            supported.
        UsageError
            Where `changes` has an unknown key.
        """
        net = network.sections[0]
        options = cls(**_read(net, network.input_shape.width, changes))
        fault = find_fault(options)
        if fault is not None:
            key, reason = fault
            raise _error(net, changes, reason, key)
        return options

    @property
    def pass_size(self) -> int:
        """The images of one pass."""
        return self.batch // self.subdivisions

    def describe(self) -> dict[str, str]:
        """The options as words, for a checkpoint: two runs in which all of these are equal train alike."""
        return {key: str(value) for key, value in asdict(self).items()}


def _read(net: Section, width: int, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of `TrainingOptions` that a ``[net]`` section and `changes` give for pictures of that width."""
    for key in changes:
        if key not in OPTIONS:
            raise UsageError(f"{key}: unknown option of training; known are {', '.join(OPTIONS)}")
    others = [key for key in TRAINING_OPTIONS if key not in OPTIONS and key not in UNSUPPORTED]
    net.check_training(OPTIONS, (*NET_OPTIONS, *others), UNSUPPORTED)
    values = net.read_quietly(OPTIONS)
    values |= {key: _parse(net, key, value) for key, value in changes.items()}
    _check(net, values, changes)
    for key in ("steps", "scales"):
        values[key] = tuple(values[key] or ())
    values["augmentation"] = _augmentation(net, values, width, changes)
    values["mixing"] = tuple(way for way in WAYS if values[way])
    for key in (*AUGMENTING, *WAYS):
        del values[key]
    return {key.lower(): value for key, value in values.items()}


def _parse(net: Section, key: str, value: Any) -> Any:
    """Parse a caller's value for a key as if it stood in the cfg, where several numbers are joined by commas."""
    several = key in ("steps", "scales") and isinstance(value, Iterable) and not isinstance(value, str)
    parts = value if several else [value]
    text = ",".join(str(int(part) if isinstance(part, (bool, np.bool_)) else part) for part in parts)
    try:
        return OPTIONS[key].parse(text)
    except ValueError as reason:
        raise CfgError(str(reason), file=net.file, option=f"{key}={value}") from None


def _error(net: Section, changes: Mapping[str, Any], reason: str, key: str | None) -> CfgError:
    """The error for a key of the cfg, or for the value that a caller has given in its place."""
    if key is not None and key in changes:
        return CfgError(reason, file=net.file, option=f"{key}={changes[key]}")
    return net.error(reason, key)


def _check(net: Section, values: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Refuse values that do not go together."""
    given, error = {*net.entries, *changes}, partial(_error, net, changes)
    if values["batch"] % values["subdivisions"]:
        reason = f"does not divide batch={values['batch']}; darknet would train on fewer images"
        raise error(reason, "subdivisions")
    for key in BELOW_ONE:
        if values[key] >= 1:
            raise error("less than 1 is expected", key)
    policy = values["policy"]
    missing = [key for key in NEEDED.get(policy, ()) if key not in given or values[key] in (0, [])]
    if policy == "sgdr" and not values["sgdr_cycle"]:
        missing = ["sgdr_cycle"] if not values["max_batches"] else []
    if missing:
        key = missing[0]
        state = "is 0 or empty" if key in given else "is missing"
        raise error(f"{key}= {state}; policy={policy} needs one", "policy")
    if policy == "steps":
        steps, scales = values["steps"], values["scales"]
        if len(steps) != len(scales):
            reason = f"{_count(scales, 'number')}, but {len(steps)} in steps=; one for each of them is expected"
            raise error(reason, "scales")
        if sorted(steps) != steps or steps[0] < 0:
            raise error("numbers that grow are expected", "steps")


def _count(values: Sequence[float], unit: str) -> str:
    return f"{len(values)} {unit}{'s' * (len(values) != 1)}"


def _augmentation(net: Section, values: Mapping[str, Any], width: int, changes: Mapping[str, Any]) -> Augmentation:
    """How pictures are changed; the limits of their shorter sides are those of darknet's classifier."""

    def side(ratio: float, crop: int, usual: int) -> int:
        with np.errstate(over="ignore"):
            scaled = min(float(np.float32(ratio) * np.float32(width)), MAX_INTEGER)
        return int(scaled) if ratio else crop or usual

    least = side(values["min_ratio"], values["min_crop"], width)
    most = side(values["max_ratio"], values["max_crop"], 2 * width)
    if not 1 <= least <= most:
        keys = ("min_ratio", "min_crop", "max_ratio", "max_crop")
        given = next((key for where in (changes, net.entries) for key in keys if key in where), None)
        reason = f"shorter sides from {least} to {most} pixels; a least that is not above the most is expected"
        raise _error(net, changes, reason, given)
    others = {key: values[key] for key in ("angle", "aspect", "saturation", "exposure", "hue", "flip")}
    return Augmentation(width, least, most, **others)
