"""Sections -> Network: layers with their shapes, parameters and operations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import index

from .cfg import Section, integer, load_cfg
from .cfg_files import CfgFiles
from .errors import CfgError, UsageError, nearest
from .forks import cached_property
from .layers import DARKNET, REGISTRY, Dialect, Layer, Shape
from .layers.output import find_output

MAX_LAYERS = 10_000
MAX_VALUES = 2**31 - 1  # darknet counts in int
NET_OPTIONS = {
    "height": integer(0, least=1),
    "width": integer(0, least=1),
    "channels": integer(0, least=1),
    "inputs": integer(0, least=1),
}
# How the network was trained, and the batch, which the caller decides: known, and of no use here.
TRAINING_OPTIONS = (
    "batch", "subdivisions", "learning_rate", "momentum", "decay", "policy", "power", "gamma", "step", "steps",
    "scale", "scales", "max_batches", "burn_in", "max_crop", "min_crop", "max_ratio", "min_ratio", "center",
    "angle", "hue", "saturation", "exposure", "aspect", "adam", "B1", "B2", "eps", "time_steps", "random",
    "notruth", "clip", "flip", "mosaic", "mosaic_bound", "mixup", "cutmix", "blur", "gaussian_noise", "letter_box",
    "label_smooth_eps", "learning_rate_min", "sgdr_cycle", "sgdr_mult", "seq_scales", "max_chart_loss",
    "optimized_memory", "workspace_size_limit_MB", "track", "augment_speed", "sequential_subdivisions",
    "try_fix_nan", "weights_reject_freq", "equidistant_point", "badlabels_rejection_percentage",
    "num_sigmas_reject_badlabels", "ema_alpha", "use_cuda_graph", "loss_scale", "dynamic_minibatch", "contrastive",
    "contrastive_jit_flip", "contrastive_color", "unsupervised", "resize_step", "attention", "adversarial_lr",
    "show_receptive_field",
)  # fmt: skip
OTHER_LAYERS = (
    "deconvolutional", "deconv", "crnn", "gru", "lstm", "rnn", "detection", "region", "yolo", "Gaussian_yolo", "iseg",
    "l2norm", "xnor", "conv_lstm", "contrastive", "history", "implicit",
)  # fmt: skip


class Network:
    """The layers of a cfg.

    Attributes
    ----------
    file : str
        The cfg's name, for messages.
    sections : list of Section
        What the cfg says.
    input_shape : Shape
        Of one picture.
    flat : bool
        Whether the cfg says ``inputs=``: the network takes that many numbers, not pictures.
    layers : tuple of Layer
        In order, shaped for `input_shape`.
    dialect : Dialect
        Their arithmetic.
    """

    def __init__(self, sections: Sequence[Section], file: str, dialect: Dialect = DARKNET) -> None:
        self.file = file
        self.dialect = dialect
        self.sections = list(sections)
        net = self.sections[0]
        if net.name not in ("net", "network"):
            raise net.error("the first section must be [net]")
        if len(self.sections) == 1:
            raise net.error("no layer comes after it")
        if len(self.sections) - 1 > MAX_LAYERS:
            raise CfgError(f"{len(self.sections) - 1} layers; at most {MAX_LAYERS} are supported", file=file)
        self.input_shape, self.flat = _read_input(net)
        self.layers = self._shape_all(
            self.input_shape,
            (
                partial(_layer_type(section), section, index, dialect=dialect)
                for index, section in enumerate(self.sections[1:])
            ),
        )
        net.remarks.close()

    def layers_at(self, height: int, width: int) -> tuple[Layer, ...]:
        """The layers, shaped for pictures of `height` x `width`; CfgError where the network does not allow it."""
        source = Shape(self.input_shape.channels, height, width)
        layers = self._shape_all(source, (layer.shaped for layer in self.layers))
        for layer in layers:
            if self.layers[layer.index].resizable and not layer.resizable:  # planes agree at its own size by chance
                raise layer.section.error(f"fixes the input's size: cannot run at {width} x {height}")
        return layers

    def _shape_all(self, source: Shape, makers: Iterable[Callable[[Sequence[Shape]], Layer]]) -> tuple[Layer, ...]:
        """The layers that `makers` return, each for the shapes of the input and of all layers before."""
        shapes, layers = [source], list[Layer]()
        _check_size(self.sections[0], "input", source.size)
        for make in makers:
            layer = make(shapes)
            layer.check_earlier(layers)
            for name, parameter in layer.parameters.items():
                _check_size(layer.section, name, parameter.size)
            _check_size(layer.section, "output", layer.shape.size)
            layers.append(layer)
            shapes.append(layer.shape)
        return tuple(layers)

    @property
    def cfg_files(self) -> CfgFiles:
        """The cfg, and the files that its layers have read."""
        return self.sections[0].files

    @property
    def resizable(self) -> bool:
        """Whether the network can run, with as many outputs, at other heights and widths than the cfg's."""
        return not self._fixed

    def resize(self, height: int, width: int) -> None:
        """Shape the layers for pictures of `height` x `width`.

        Raises
        ------
        UsageError
            Where the network has layers that fix its input's size, or outputs that grow with it.
        CfgError
            Where a layer's input would be smaller than its window.
        TypeError
            Where the sides are not integers.
        """
        height, width = index(height), index(width)
        if (height, width) == self.input_shape[1:]:
            return
        self.check_resizable(height, width)
        self.layers = self.layers_at(height, width)
        self.input_shape = self.input_shape._replace(height=height, width=width)

    def check_resizable(self, height: int, width: int) -> None:
        """Raise UsageError unless the network can run at `height` x `width`."""
        if self._fixed and (height, width) != self.input_shape[1:]:
            own = f"{self.input_shape.width} x {self.input_shape.height}"
            raise UsageError(f"cannot run at {width} x {height} but only at {own}: {self._fixed}", file=self.file)
        if height < 1 or width < 1:
            raise UsageError(f"cannot run at {width} x {height}", file=self.file)

    def check_pictures(self) -> None:
        """Raise UsageError unless the network takes pictures, in colour or in grey."""
        channels = self.input_shape.channels
        if self.flat:
            reason = f"takes {channels} numbers, not pictures: its [net] says inputs= in the place of height and width"
            raise UsageError(reason, file=self.file)
        if channels not in (1, 3):
            raise UsageError(f"takes {channels} channels; pictures have 3, or 1 in grey", file=self.file)

    @cached_property
    def _fixed(self) -> str:
        """Why the input's size is fixed; empty where it is not."""
        fixed = next((layer for layer in self.layers if not layer.resizable), None)
        if fixed is not None:
            return f"layer {fixed.index} [{fixed.section.name}] fixes the input's size"
        for layer in self.layers:
            if self.growing[layer.index] is None:
                return f"layer {layer.index} [{layer.section.name}] joins what grows with the input and what does not"
        if self.growing[self.output_layer.index]:
            return "another input's size would give another number of outputs"
        return ""

    @cached_property
    def growing(self) -> Mapping[int, bool | None]:
        """By layer, whether its output grows with the input, which is -1; None where its inputs then do not fit."""
        growing: dict[int, bool | None] = {-1: True}
        for layer in self.layers:
            growing[layer.index] = layer.grows([bool(growing[source]) for source in layer.inputs])
        return growing

    @property
    def output_layer(self) -> Layer:
        """The layer whose output is the network's: the last that answers."""
        return find_output(self.layers)

    @property
    def outputs(self) -> int:
        """How many values the network returns for one picture."""
        return self.output_layer.shape.size

    @property
    def operations(self) -> int:
        """Floating-point operations for one picture, as darknet's ``ops`` counts them."""
        return sum(layer.operations for layer in self.layers)

    @property
    def parameter_count(self) -> int:
        """How many float32 values a weights file holds."""
        return sum(layer.parameter_count for layer in self.layers)

    def describe(self, style: str = "lines") -> str:
        """The listing of the layers: ``lines`` as the 2016 program prints it, ``table`` as that of 2018."""
        if style == "table":
            header = "layer     filters    size              input                output\n"
            return header + "".join(f"{layer.index:5d} {layer.table_row()}\n" for layer in self.layers)
        return "".join(f"{layer.index}: {layer.listing()}\n" for layer in self.layers)


def load_structure(path: str | os.PathLike[str], dialect: Dialect = DARKNET) -> Network:
    """The network of the cfg file at `path`, or of the packaged file of that name; without weights."""
    return Network(load_cfg(path), os.fspath(path), dialect)


def _read_input(net: Section) -> tuple[Shape, bool]:
    """The input's shape, and whether it is just a count of numbers."""
    options = net.read(NET_OPTIONS, TRAINING_OPTIONS)
    shape = Shape(options["channels"], options["height"], options["width"])
    if options["inputs"] and not any(shape):
        return Shape(options["inputs"], 1, 1), True
    for key, value in shape._asdict().items():
        if not value:
            raise net.error(f"{key}= is missing")
    return shape, False


def _layer_type(section: Section) -> type[Layer]:
    if section.name in REGISTRY:
        return REGISTRY[section.name]
    if section.name in ("net", "network"):
        raise section.error("a second [net]; one network is expected in a cfg")
    if section.name in OTHER_LAYERS:
        raise section.error(f"not supported; this program runs classifiers made of {', '.join(sorted(REGISTRY))}")
    close = nearest(section.name, REGISTRY)
    hint = f"did you mean [{close}]?" if close else f"known are {', '.join(sorted(REGISTRY))}"
    raise section.error(f"unknown layer; {hint}")


def _check_size(section: Section, name: str, size: int) -> None:
    if size > MAX_VALUES:
        raise section.error(f"{name} of {size} values; at most {MAX_VALUES} are supported")
