"""Layers and options of AlexeyAB's fork and of older darknets, drawn at random to fit the shapes so far."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import strategies as st

from darknet_py.layers.activations import ACTIVATIONS

MOST_SIDE = 10  # the largest side to which pictures are enlarged

OTHER_FORK_LAYERS = (
    ("shortcut", {"from": "0,-1"}),
    ("shortcut", {"from": "0,-1", "weights_type": "per_feature", "weights_normalization": "softmax"}),
    ("shortcut", {"from": 0, "weights_type": "per_channel", "weights_normalization": "relu"}),
    ("convolutional", {"filters": 19, "size": 3, "pad": 1, "dilation": 2}),
    ("convolutional", {"filters": 19, "size": 3, "stride_x": 2, "batch_normalize": 1}),
    ("convolutional", {"filters": 19, "size": 3, "pad": 1, "antialiasing": 1, "stride": 2}),
    ("maxpool", {"size": 2, "stride_y": 2}),
    ("maxpool", {"size": 3, "stride": 2, "antialiasing": 2}),
    ("maxpool", {"maxpool_depth": 1}),
    ("local_avgpool", {"size": 3, "stride": 2}),
    ("local", {"filters": 3, "size": 3}),
    ("normalization", {}),
    ("logistic", {}),
    ("upsample", {"stride": 2, "scale": 0.5}),
    ("reorg", {"stride": 1}),
    ("reorg3d", {"stride": 1}),
    ("sam", {"from": 0}),
    ("empty", {}),
)
TREES = tempfile.TemporaryDirectory(prefix="trees-")  # as long as the tests run
switches = st.integers(0, 1)
# stair would make a large difference of a small one.
activations = st.sampled_from([name for name in ACTIVATIONS if name != "stair"])
slopes = st.sampled_from(["linear", "leaky", "relu", "relie"])


class Shapes(list):
    """The shapes of the input and of all layers, some of which no later layer may name."""

    def __init__(self, source):
        super().__init__([source])
        self.unnamed = set()

    def named(self):
        """The indices of the layers that may be named, and their shapes."""
        return [(i, shape) for i, shape in enumerate(self[1:]) if i not in self.unnamed]


def _divisors(number, most=4):
    return [n for n in range(1, most + 1) if number % n == 0]


def _sides(shape):
    """The numbers by which both sides can be divided."""
    return [n for n in (1, 2, 3) if shape.height % n == shape.width % n == 0]


@st.composite
def convolution_extras(draw, shapes, size, padding, stride):
    """Options of a convolution that kernels do not support; mostly none."""
    extras = draw(
        st.sampled_from(
            [{}] * 12
            + [{"stride_x": 2}, {"stride_y": 3}, {"stride_x": 4, "stride_y": 3}]
            + [{"dilation": 2}, {"dilation": 3, "stride_x": 2}]
            + [{"cbn": 1}, {"xnor": 1}]
        )
    )
    if "dilation" in extras and 2 * padding != size - 1:
        return {}
    if "xnor" in extras and len(shapes) > 1:  # not after another layer, where rounding may flip a sign
        return {}
    return {} if any(extras.get(key, stride) < stride for key in ("stride_x", "stride_y")) else extras


@st.composite
def maxpool_extras(draw, shapes):
    """Options of a maxpool that kernels do not support; mostly none."""
    depth = st.fixed_dictionaries(
        {"maxpool_depth": st.just(1), "out_channels": st.integers(1, min(6, shapes[-1].channels))}
    )
    return draw(st.one_of(st.just({}), st.just({}), st.just({"stride_x": 3}), st.just({"stride_y": 3}), depth))


@st.composite
def local_avgpool(draw, shapes):
    """Windows that fit."""
    size, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    least = max(0, size - min(shapes[-1][1:]) - stride + 1)
    strides = draw(st.sampled_from([{}, {}, {"stride_x": stride + 1}, {"stride_x": 4, "stride_y": 3}]))
    padding = draw(st.integers(min(least, 2 * size - 2), 2 * size - 2))
    return {"size": size, "stride": stride, "padding": padding, **strides}


@st.composite
def local(draw, shapes):
    """Few filters, whose weights are many."""
    size = draw(st.sampled_from([n for n in (1, 2, 3) if n <= min(shapes[-1][1:])]))
    pad = draw(st.sampled_from([0, 1])) if size == 3 else 0
    options = {"filters": draw(st.integers(1, 5)), "size": size, "pad": pad, "stride": draw(st.integers(1, 2))}
    return {**options, "activation": draw(activations)}


@st.composite
def normalization(draw, shapes):
    """Sums that stay above 0."""
    numbers = {"alpha": draw(st.sampled_from([1e-4, 0.01])), "beta": draw(st.sampled_from([0.75, 0.5]))}
    return {**numbers, "kappa": draw(st.sampled_from([1, 2])), "size": draw(st.integers(1, 6))}


@st.composite
def tree(draw, size):
    """A hierarchy of `size` classes, in a file."""
    groups = draw(st.lists(st.integers(1, 5), min_size=1, max_size=size))
    lines: list[str] = []
    for members in [*groups, size]:
        parent = draw(st.integers(-1, len(lines) - 1))
        lines += [f"n{len(lines) + i} {parent}" for i in range(min(members, size - len(lines)))]
    text = "\n".join(lines) + "\n"
    path = Path(TREES.name) / f"{abs(hash(text))}.tree"
    path.write_text(text)
    return {"tree": str(path)}


@st.composite
def upsample(draw, shapes):
    """Larger as long as pictures stay small, or smaller."""
    sides = [-n for n in _sides(shapes[-1])] + [1, 2] * (max(shapes[-1][1:]) < MOST_SIDE)
    return {"stride": draw(st.sampled_from(sides)), "scale": draw(st.sampled_from([1, 0.5]))}


@st.composite
def reorg(draw, shapes):
    """Either way, where both can be."""
    shape = shapes[-1]
    there = [n for n in _sides(shape) if shape.channels % n**2 == 0]
    back = [n for n in there if n == 1 or max(shape[1:]) < MOST_SIDE]
    reverse = draw(switches)
    return {"stride": draw(st.sampled_from(back if reverse else there)), "reverse": reverse}


@st.composite
def route_parts(draw, layers, shapes):
    """A part of each of `layers`."""
    common = [n for n in (1, 1, 1, 2, 3, 4) if all(shapes[i + 1].channels % n == 0 for i in layers)]
    groups = draw(st.sampled_from(common))
    return {} if groups == 1 else {"groups": groups, "group_id": draw(st.integers(0, groups - 1))}


@st.composite
def several(draw, shapes):
    """A sum of several outputs, with weights or without; None where there are none of the same size."""
    alike = [i for i, shape in shapes.named() if shape[1:] == shapes[-1][1:]]
    if not alike:
        return None
    layers = draw(st.lists(st.sampled_from(alike), min_size=1, max_size=3))
    kinds = {"weights_type": st.sampled_from(["per_feature", "per_layer", "per_channel"])}
    kinds["weights_normalization"] = st.sampled_from(["relu", "avg_relu", "softmax"])
    weights = draw(st.one_of(st.just({}), st.fixed_dictionaries(kinds)))
    return {"from": ",".join(map(str, layers)), "activation": draw(activations), **weights}


@st.composite
def scaled(draw, shapes):
    """Layers that scale a picture's channels by factors from the whole picture, or its cells by others."""
    if len(shapes) - 2 in shapes.unnamed:
        return []
    if draw(switches):
        cells = {"from": -2, "scale_wh": 1, "activation": draw(activations)}
        return [("convolutional", {"activation": "logistic"}), ("scale_channels", cells)]
    channels = shapes[-1].channels
    depthwise = {"filters": channels, "groups": channels, "size": 3, "pad": 1, "activation": draw(activations)}
    factors = ("convolutional", {"filters": channels, "activation": "logistic"})
    again = [("avgpool", {}), ("convolutional", {"filters": 8, "size": 3, "pad": 1}), ("route", {"layers": -3})]
    scaling = [("avgpool", {}), factors, ("scale_channels", {"from": -3, "activation": draw(activations)})]
    return [("convolutional", depthwise)] * draw(switches) + again * draw(switches) + scaling


@st.composite
def shared(draw, first):
    """The convolution `first`, and one with its parameters, perhaps behind an activation."""
    kept = {key: first[key] for key in ("filters", "size", "pad", "groups", "batch_normalize")}
    between = [("activation", {"activation": draw(slopes)})] * draw(switches)
    own = {"share_index": -1 - len(between), "activation": draw(activations), "stride": draw(st.integers(1, 2))}
    return [("convolutional", first), *between, ("convolutional", {**kept, **own})]


@st.composite
def blurred(draw, shapes):
    """A convolution or a maxpool whose output is blurred."""
    kind = draw(st.sampled_from(["convolutional", "maxpool"]))
    options = {"size": draw(st.sampled_from([1, 3])), "antialiasing": 1, "stride": draw(st.integers(1, 3))}
    if min(shapes[-1][1:]) > 1:
        options["antialiasing"] = draw(st.sampled_from([1, 2]))
    if draw(switches):
        options["stride_x"] = draw(st.integers(1, 3))
    if kind == "maxpool":
        return [(kind, options)]
    rest = {"filters": draw(st.integers(1, 20)), "pad": 1, "batch_normalize": draw(switches)}
    return [(kind, {**options, **rest, "activation": draw(activations)})]


def sam(shapes):
    """Another output of the same shape; None where there is none."""
    alike = [i for i, shape in shapes.named() if shape == shapes[-1]]
    return st.fixed_dictionaries({"from": st.sampled_from(alike), "activation": activations}) if alike else st.none()


FORK_OPTIONS = {
    "local_avgpool": local_avgpool,
    "local": local,
    "normalization": normalization,
    "logistic": lambda shapes: st.just({}),
    "upsample": upsample,
    "reorg": reorg,
    "reorg3d": reorg,
    "empty": lambda shapes: st.just({}),
}
