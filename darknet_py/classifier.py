"""A network with its weights on an engine: pictures in, probabilities out."""

from __future__ import annotations

import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .cfg import load_cfg
from .datasets.data_file import DEFAULT, Dataset, load_dataset
from .engines import memory_needed, open_engine
from .engines.base import Engine, Plan
from .engines.passes import compile_steps
from .engines.reference import ReferenceEngine
from .errors import CfgError, DarknetWarning, UsageError, WeightsError
from .forks import renew_after_fork
from .images import Picture
from .images.decode import to_picture
from .images.fit import PREDICT_MODES, RESIZING_MODES, interpolate, preprocess, shorter_size, to_grey
from .layers import Array, Layer
from .limits import memory_limits, tell_size
from .network import Network
from .parameters import Parameters
from .weights import Weights, choose_dialect, load_weights

if TYPE_CHECKING:
    from .images.decode import Source

MAX_PLANS = 4  # sizes of picture whose plans are kept
# Beyond this, `shorter` is not taken unless asked for: a strip of 1 x 65,000 pixels would become 224 x 14 million.
MAX_SHORTER_PIXELS = 1 << 24


@dataclass(frozen=True)
class Prediction:
    """One guess.

    Attributes
    ----------
    index : int
        Of the class.
    wnid : str
        Its label: for ImageNet the WordNet id.
    label : str
        Its name.
    probability : float
    parent : str, optional
        In a hierarchy the name of what it is a kind of; empty where it is a kind of nothing.
    """

    index: int
    wnid: str
    label: str
    probability: float
    parent: str | None = None


class Classifier(Network):
    """A network that can run; made by `load_network`.

    Attributes
    ----------
    precision : str
        In which it runs.
    """

    def __init__(
        self,
        cfg: str | os.PathLike[str],
        weights: str | os.PathLike[str] | None,
        engine: str,
        threads: int | None,
        gpu: int | None,
        precision: str,
        dialect: str | None,
    ) -> None:
        super().__init__(load_cfg(cfg), os.fspath(cfg), choose_dialect(dialect, weights))
        self.precision = precision
        self._engine: Engine | None = None
        self._weights: Weights | None = None
        self.renew()
        renew_after_fork(self)
        self._program = compile_steps(self.layers)
        self._dataset: Dataset | None = None
        if threads is not None and threads < 1:
            raise UsageError(f"threads={threads}: at least 1 is expected")
        if weights is not None:
            self._check_memory(self.layers, lambda: memory_needed(engine, self.layers, gpu, precision))
            loaded = load_weights(weights, self)
            self._weights = loaded
            self._engine = open_engine(engine, self.layers, loaded.read(), threads, gpu, precision)
            loaded.check_unchanged()

    def renew(self) -> None:
        """Have no plans, and a lock that nobody holds."""
        self._plans: OrderedDict[tuple[int, int], Plan] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def weights_file(self) -> Path:
        """Where the weights lie; UsageError without any."""
        if self._weights is None:
            raise UsageError("no weights were loaded", file=self.file)
        return self._weights.path

    @property
    def parameters(self) -> Parameters:
        """Those of the weights file, read-only; of no layer without weights."""
        return Parameters.zeros(()) if self._weights is None else self._weights.parameters

    @property
    def engine(self) -> str:
        """The engine's name; empty without weights."""
        return "" if self._engine is None else self._engine.name

    @property
    def dataset(self) -> Dataset:
        """Names of the classes: ImageNet's 1000, or else class numbers; assign another to change them."""
        if self._dataset is None:
            imagenet = load_dataset(DEFAULT)
            numbers = [str(index) for index in range(self.outputs)]
            same = self.outputs == imagenet.classes
            self._dataset = imagenet if same else Dataset(self.file, self.outputs, numbers, numbers, 1)
        return self._dataset

    @dataset.setter
    def dataset(self, dataset: Dataset) -> None:
        dataset.check_outputs(self.outputs, self.file)
        self._dataset = dataset

    def predict(self, batch: npt.ArrayLike) -> Array:
        """Run the network.

        Parameters
        ----------
        batch : array
            (n, channels, height, width), finite, usually in 0..1. Height and width may differ from the network's
            where it can be resized; the network itself stays as it is.

        Returns
        -------
        array
            float32 (n, outputs).

        Raises
        ------
        UsageError
            Where there are no weights, or the batch is not one that the network takes.
        CfgError
            Where a layer cannot run at that height and width, or memory does not suffice.
        WeightsError
            Where an output is NaN or infinite.
        """
        if self._engine is None:
            raise UsageError("no weights were loaded, so it cannot run", file=self.file)
        array = self._check_batch(batch)
        plan = self._plan(*array.shape[2:])
        if not len(array):
            return np.empty((0, self.outputs), np.float32)
        with np.errstate(all="ignore"):  # what comes of it is found below
            outputs = plan.run(array)
            damaged = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
            if damaged.size:
                outputs[damaged] = self._define(array[damaged])
        return outputs

    def _check_batch(self, batch: npt.ArrayLike) -> Array:
        """The batch as an array; UsageError where it is not one that the network takes."""
        array = np.ascontiguousarray(batch, np.float32)
        channels = self.input_shape.channels
        if array.ndim != 4 or array.shape[1] != channels:
            reason = f"a batch of shape {array.shape}; (n, {channels}, height, width) is expected"
            raise UsageError(reason, file=self.file)
        if not np.isfinite(array).all():
            raise UsageError("NaN or infinity in the batch; finite numbers are expected", file=self.file)
        return array

    def _define(self, batch: Array) -> Array:
        """The outputs by the layers' definitions, for where an engine's own arithmetic went beyond its numbers.

        Raises
        ------
        WeightsError
            Where these give NaN or infinity, too.
        """
        first = ""
        for layer, output in self._define_layers(batch):
            if not first and not np.isfinite(output).all():
                first = f"layer {layer.index} [{layer.section.name}]"
        if not np.isfinite(output).all():
            reason = "gives NaN or infinity; its weights do not belong to it, or training diverged"
            raise WeightsError(f"{first} {reason}", file=self.file)
        return output.reshape(len(batch), -1)

    def probabilities(self, batch: npt.ArrayLike, only_leaves: bool = True) -> Array:
        """The probability of each class: what `predict` gives, in a hierarchy times that of all its parents.

        With `only_leaves` there it is 0 for all classes of which others are a kind.
        """
        outputs = self.predict(batch)
        hierarchy = self.output_layer.hierarchy
        return outputs if hierarchy is None else hierarchy.multiply(outputs, only_leaves)

    def _define_layers(self, batch: Array) -> Generator[tuple[Layer, Array], None, None]:
        """Each layer that answers, and what it gives for `batch` by its definition."""
        if self._weights is None:
            raise UsageError("no weights were loaded, so it cannot run", file=self.file)
        layers = self._layers_for(*batch.shape[2:])
        yield from ReferenceEngine(layers, self._weights.read()).plan(layers).outputs(batch)
        self._weights.check_unchanged()

    def layer_output(self, batch: npt.ArrayLike, index: int) -> Array:
        """What layer `index` gives for `batch`: float32 (n, channels, height, width), by its definition.

        Other engines join layers, and have no such output. Values that are not finite stay. Errors are those of
        `predict`, and UsageError where there is no such layer.
        """
        array = self._check_batch(batch)
        if not 0 <= index < len(self.layers):
            raise UsageError(f"layer {index}: it has {len(self.layers)} layers, from 0", file=self.file)
        with np.errstate(all="ignore"), closing(self._define_layers(array)) as outputs:
            for layer, output in outputs:
                if layer.index == index:
                    return output.reshape(len(array), *layer.shape)
        raise self.layers[index].section.error(f"layer {index} has no output: it is for training alone")

    def classify(self, image: Source, top: int = 5, preprocess: str | None = None) -> list[Prediction]:
        """The `top` most probable classes of a picture, most probable first, of equals the lower index.

        Parameters
        ----------
        image : path, bytes, PIL image or array
            A picture's file, its content, or its pixels: uint8 (height, width, 3), RGB.
        top : int
            How many guesses.
        preprocess : str, optional
            How the picture is fitted: one of `images.fit.PREDICT_MODES`; where absent, `shorter` if the network
            can be resized, else `letterbox`.

        Raises
        ------
        ImageError
            Where the picture cannot be decoded.
        UsageError
            Where `preprocess` is unknown or the network cannot follow it.
        """
        picture = to_picture(image)
        file = os.fspath(image) if isinstance(image, (str, os.PathLike)) else "image"
        (view,) = self.prepare(picture, self.mode_for(picture, preprocess, file))
        probabilities = self.probabilities(view[None])[0]
        return self.rank(probabilities, top)

    def rank(self, probabilities: Array, top: int) -> list[Prediction]:
        """The `top` best of `probabilities` (outputs,)."""
        order = np.argsort(-probabilities, kind="stable")[:top]
        dataset, hierarchy = self.dataset, self.output_layer.hierarchy
        parents: dict[int, str | None] = {}
        if hierarchy is not None:
            of = {int(i): hierarchy.parents[i] for i in order}
            parents = {i: dataset.names[parent] if parent >= 0 else "" for i, parent in of.items()}
        return [
            Prediction(int(i), dataset.wnids[i], dataset.names[i], float(probabilities[i]), parents.get(int(i)))
            for i in order
        ]

    def mode_for(self, picture: Picture, mode: str | None = None, file: str = "image") -> str:
        """The preprocessing that predict applies to `picture`, where `mode` is asked for; `file` names it."""
        mode = mode or self.dataset.preprocess
        if not mode:
            if not self.resizable:
                return "letterbox"
            height, width = picture.shape[:2]
            pixels = np.prod(shorter_size(width, height, self.input_shape.width), dtype=np.int64)
            if pixels <= MAX_SHORTER_PIXELS:
                return "shorter"
            reason = f"{file}: {width} x {height} pixels, too long a strip for shorter; letterbox is used"
            warnings.warn(DarknetWarning(reason), stacklevel=2)
            return "letterbox"
        if mode not in PREDICT_MODES:
            raise UsageError(f"preprocess={mode}: one of {', '.join(PREDICT_MODES)} is expected")
        return mode

    def prepare(self, picture: Picture, mode: str) -> list[Array]:
        """The network's inputs (channels, height, width) that `mode`, one of `images.fit.MODES`, makes of `picture`.

        Raises
        ------
        UsageError
            Where the network does not take pictures, or not at that size.
        """
        self.check_pictures()
        channels, height, width = self.input_shape
        if mode in RESIZING_MODES:
            # Refused before the picture is blown up, not after.
            for new_width, new_height in RESIZING_MODES[mode](picture.shape[1], picture.shape[0], width):
                self._layers_for(new_height, new_width)
        fast = None if self._engine is None else self._engine.interpolate
        views = preprocess(to_grey(picture) if channels == 1 else picture, mode, width, height, fast or interpolate)
        return [view[:channels] for view in views]

    def fork(self, threads: int) -> Classifier:
        """The same network with `threads` threads of its own, to be run beside this one by another thread."""
        if self._engine is None:
            raise UsageError("no weights were loaded, so it cannot run", file=self.file)
        classifier = copy(self)
        classifier._engine = self._engine.fork(threads)
        classifier.renew()
        renew_after_fork(classifier)
        return classifier

    def _layers_for(self, height: int, width: int) -> Sequence[Layer]:
        if (height, width) == self.input_shape[1:]:
            return self.layers
        self.check_resizable(height, width)
        layers = self.layers_at(height, width)
        self._check_memory(layers)
        return layers

    def _plan(self, height: int, width: int) -> Plan:
        assert self._engine is not None
        key = height, width
        with self._lock:
            plan = self._plans.pop(key, None) or self._engine.plan(self._layers_for(height, width))
            self._plans[key] = plan
            while len(self._plans) > MAX_PLANS:
                self._plans.popitem(last=False)
        return plan

    def _check_memory(self, layers: Sequence[Layer], for_parameters: Callable[[], int] | None = None) -> None:
        """Refuse what does not fit into this process's memory, before anything is allocated.

        `for_parameters` tells what holding them takes, where they are not held yet.
        """
        limits = memory_limits()  # before an engine is loaded, whose own memory counts as needed
        # Workspaces take as much as the buffers that layers share; resizing a picture takes three times the result.
        values = 2 * sum(self._program.slot_sizes(layers)) + 3 * layers[0].input_shapes[0].size
        needed = 4 * values + (for_parameters() if for_parameters else 0)
        for limit in limits:
            if limit.used + needed > limit.size:
                size = "{2} x {1}".format(*layers[0].input_shapes[0])
                amount, most = tell_size(limit.used + needed), tell_size(limit.size)
                raise CfgError(f"{amount} to run at {size}, more than {limit.whose} {most}", file=self.file)


def load_network(
    cfg: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    engine: str = "auto",
    threads: int | None = None,
    *,
    gpu: int | None = None,
    precision: str = "float32",
    dialect: str | None = None,
) -> Classifier:
    """A network from its cfg file and, to run it, its weights file.

    Parameters
    ----------
    cfg : path
        The cfg file, or the packaged one of that name.
    weights : path, optional
        The weights file; without it the network can be looked at and not run.
    engine : str
        ``auto`` (cuda where there is one, else cpu), ``cpu``, ``cuda`` or ``reference``.
    threads : int, optional
        On the CPU; one for each core where absent.
    gpu : int, optional
        Which GPU, from 0.
    precision : str
        ``float32``, or ``bfloat16``: on a CPU with instructions for it faster, and good to about two digits.
    dialect : str, optional
        Whose arithmetic: ``darknet``, pjreddie's, ``alexeyab``, or ``alexeyab-2020``, as it was on a CPU from February
        to April of that year; where absent, that of the program that wrote the weights where their header says so
        (version 0.2.5: ``alexeyab``), else ``darknet``.

    Raises
    ------
    CfgError, WeightsError, EngineError
        Where a file is missing or wrong, the two do not belong together, or the engine cannot be had.
    """
    return Classifier(cfg, weights, engine, threads, gpu, precision, dialect)
