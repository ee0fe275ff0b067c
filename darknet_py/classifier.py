"""A network with its weights on an engine: pictures in, classes out."""

from __future__ import annotations

import operator
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from .alike import check_alike, run_alike
from .datasets.data_file import Dataset, load_dataset
from .errors import DarknetWarning, UsageError
from .files import lasting
from .images import Picture
from .images.decode import name_source, split_sources, to_picture
from .images.fit import PREDICT_MODES, RESIZING_MODES, find_area, interpolate, preprocess, shorter_size, to_grey
from .layers import Array
from .layers.counts import count_backward, count_forward
from .networks import find_cfg
from .packaged import find_packaged
from .prediction import Prediction, Predictions
from .running import RunningNetwork, Settings

if TYPE_CHECKING:
    from .heatmap import Area, Heatmap
    from .images.decode import Source

BATCH = 16  # pictures that run together
# Beyond this, `shorter` is not used unless asked for: a strip of 1 x 65,000 pixels would become 224 x 14 million.
MAX_SHORTER_PIXELS = 1 << 24


class Classifier(RunningNetwork):
    """A network that can be run on pictures; made by `load_network`.

    Threads may share it, and it still works in forked processes. Copies and pickled instances are loaded anew, from
    the same files and with the same settings.
    """

    _dataset: Dataset | None = None

    def __reduce__(self) -> tuple[Callable[..., Classifier], tuple[Any, ...]]:
        weights = None if self._weights is None else os.path.abspath(self.weights_file)
        how = self.settings, self._dataset, self.input_shape[1:], self.cfg_files.paths
        return restore, (lasting(self.file), weights, *how)

    def __repr__(self) -> str:
        size = "{2} x {1} x {0}".format(*self.input_shape)
        how = self.engine or "without weights"
        return f"<Classifier {self.file}: {len(self.layers)} layers, {size} -> {self.outputs}, {how}>"

    @property
    def dataset(self) -> Dataset:
        """Names of the classes: ImageNet's where there are 1000, else class numbers; assign another to change them."""
        if self._dataset is None:
            imagenet, numbers = load_dataset(), [str(index) for index in range(self.outputs)]
            same = self.outputs == imagenet.classes
            self._dataset = imagenet if same else Dataset(self.file, self.outputs, numbers, numbers, 1)
        return self._dataset

    @dataset.setter
    def dataset(self, dataset: Dataset) -> None:
        dataset.check_outputs(self.outputs, self.file)
        self._dataset = dataset

    @overload
    def classify(  # type: ignore[overload-overlap]
        self, image: Source, top: int = 5, preprocess: str | None = None
    ) -> Predictions: ...

    @overload
    def classify(self, image: Iterable[Source], top: int = 5, preprocess: str | None = None) -> list[Predictions]: ...

    def classify(
        self, image: Source | Iterable[Source], top: int = 5, preprocess: str | None = None
    ) -> Predictions | list[Predictions]:
        """The `top` most probable classes of a picture, most probable first; ties go to the lower index.

        Parameters
        ----------
        image : path, bytes, file object, PIL image or array, or several of them
            A picture's file, its content, or its pixels: uint8 (height, width, 3), RGB. Several are given as a list or
            another iterable, an array (n, height, width, 3), or the path of a folder, whose pictures are taken in the
            order of their paths; those fitted to one size run together.
        top : int
            How many guesses.
        preprocess : str, optional
            How the picture is fitted: one of `images.fit.PREDICT_MODES`; where absent, the dataset's `preprocess`,
            else `shorter` if the network can be resized and the picture is no extreme strip, else `letterbox`.

        Returns
        -------
        Predictions, or a list of them
            A list where several pictures are given.

        Raises
        ------
        ImageError
            Where a picture cannot be decoded.
        UsageError
            Where `preprocess` is unknown or the network cannot follow it, or `top` is below 0.
        CfgError, WeightsError
            As `predict` does.
        """
        sources, several = split_sources(image)
        found = [self.rank(row, top) for row in self._run(sources, preprocess, self.probabilities)]
        return found if several else found[0]

    def features(
        self,
        images: Source | Iterable[Source],
        layer: int,
        *,
        pool: bool = True,
        preprocess: str | None = None,
    ) -> Array:
        """The output of a layer for pictures.

        Parameters
        ----------
        images
            As `classify` takes them.
        layer : int
            Its index, as the listing counts; a negative one counts from the end.
        pool : bool
            Take the mean over each channel's plane.
        preprocess : str, optional
            As `classify` takes it.

        Returns
        -------
        array
            float32 (channels,), or, without `pool`, (channels, height, width); for several pictures, (n, ...).

        Raises
        ------
        UsageError
            Where there is no such layer, or, without `pool`, the pictures' planes differ in size.
        ImageError, CfgError
            As `classify` and `predict` do.
        """
        sources, several = split_sources(images)
        rows = self._run(sources, preprocess, self.layer_run(layer, pool))
        if not several:
            return rows[0]
        for row in rows:
            check_alike(row.shape, rows[0].shape)
        shape = self.layer_at(layer).shape
        return np.stack(rows) if rows else np.empty((0, *shape[: 1 if pool else 3]), np.float32)

    def heatmap(
        self, image: Source, layer: int | None = None, index: int | None = None, preprocess: str | None = None
    ) -> Heatmap:
        """Which parts of a picture speak for a class (Grad-CAM), by the layers' definitions: slow.

        Parameters
        ----------
        image, preprocess
            As `classify` takes them.
        layer : int, optional
            Index of the layer whose plane is looked at, as in `features`; where absent, the last convolution that has
            a plane.
        index : int, optional
            Index of the class; where absent, the first guess.

        Returns
        -------
        Heatmap
            Its `spread` lays it over the picture.

        Raises
        ------
        UsageError, CfgError
            Where there is no such layer or class, no gradient of the class reaches the layer, or memory does not
            suffice.
        WeightsError
            Where the map's values are beyond float32.
        ImageError
            As `classify` does.
        """
        from .heatmap import Heatmap, find_layer, weigh_cells

        picture, file = to_picture(image), name_source(image, 0)
        mode = self.mode_for(picture, preprocess, file)
        (view,) = self.prepare(picture, mode)
        probabilities = self.probabilities(view[None], only_leaves=index is None)[0]
        if index is None:
            index = self.rank(probabilities, 1)[0].index
        index = operator.index(index)
        if not 0 <= index < self.outputs:
            raise UsageError(f"class {index}: there are {self.outputs}, from 0", file=self.file)
        layers = self.layers_for(*view.shape[1:])[: self.output_layer.index + 1]
        looked = find_layer(layers, None if layer is None else self.layer_at(layer).index)
        before, behind = layers[: looked.index + 1], layers[looked.index + 1 :]
        values = max(count_forward(before), looked.shape.size + count_backward(behind))
        self._check_memory(values + sum(layer.parameter_count for layer in behind), layers)
        with np.errstate(all="ignore"):
            cells = weigh_cells(layers, self.read_parameters(), view, looked.index, index)
        height, width = picture.shape[:2]
        area = find_area(mode, width, height, view.shape[2], view.shape[1])
        for shown in before:
            area = _part(area, shown.shown)
        return Heatmap(self._describe(index, probabilities), looked.index, cells, area, width, height)

    def check_heatmap(self, layer: int | None = None, preprocess: str | None = None) -> None:
        """Raise the UsageError or CfgError that `heatmap` would raise about `layer` for every picture."""
        from .heatmap import find_layer

        mode = preprocess or self.dataset.preprocess or "shorter"
        sizes = self.resizable and mode in RESIZING_MODES
        growing = [index for index, grows in self.growing.items() if grows] if sizes else []
        number = None if layer is None else self.layer_at(layer).index
        find_layer(self.layers[: self.output_layer.index + 1], number, growing)

    def layer_run(self, layer: int, pool: bool) -> Callable[[Array], Array]:
        """A function that takes a batch of inputs and returns the outputs of `layer`, as `features` does."""
        index = self.layer_at(layer).index

        def run(batch: Array) -> Array:
            outputs = self.predict(batch, index)
            return outputs.mean(axis=(2, 3)) if pool else outputs

        return run

    def fit(self, image: Source, preprocess: str | None = None, file: str = "image") -> Array:
        """The network's input (channels, height, width) that `classify` makes of a picture named `file` in messages."""
        picture = to_picture(image, file)
        (view,) = self.prepare(picture, self.mode_for(picture, preprocess, file))
        return view

    def _run(self, images: Iterable[Source], preprocess: str | None, run: Callable[[Array], Array]) -> list[Array]:
        """The result of `run` for each of several pictures."""
        left = enumerate(images)
        outputs: list[Array] = []
        while chunk := list(islice(left, BATCH)):
            views = [self.fit(image, preprocess, name_source(image, number)) for number, image in chunk]
            outputs += run_alike(views, lambda alike: run(np.stack(alike)))
        return outputs

    def rank(self, probabilities: Array, top: int) -> Predictions:
        """The `top` best of `probabilities` (outputs,); UsageError where `top` is below 0."""
        if top < 0:
            raise UsageError(f"top={top}: at least 0 is expected")
        order = np.argsort(-probabilities, kind="stable")[:top]
        return Predictions(self._describe(int(index), probabilities) for index in order)

    def _describe(self, index: int, probabilities: Array) -> Prediction:
        dataset, hierarchy = self.dataset, self.output_layer.hierarchy
        above = None
        if hierarchy is not None:
            parent = hierarchy.parents[index]
            above = dataset.names[parent] if parent >= 0 else ""
        return Prediction(index, dataset.wnids[index], dataset.names[index], float(probabilities[index]), above)

    def mode_for(self, picture: Picture, mode: str | None = None, file: str = "image") -> str:
        """The preprocessing of `picture`: `mode`, else the dataset's, else the usual one; `file` is its name."""
        mode = mode or self.dataset.preprocess
        if not mode:
            return self.usual_mode(picture, file)
        if mode not in PREDICT_MODES:
            raise UsageError(f"preprocess={mode}: one of {', '.join(PREDICT_MODES)} is expected")
        return mode

    def usual_mode(self, picture: Picture, file: str = "image") -> str:
        """`shorter`, but `letterbox` where the network cannot be resized or `picture` would become too long."""
        if not self.resizable:
            return "letterbox"
        height, width = picture.shape[:2]
        pixels = np.prod(shorter_size(width, height, self.input_shape.width), dtype=np.int64)
        if pixels <= MAX_SHORTER_PIXELS:
            return "shorter"
        reason = f"{file}: {width} x {height} pixels, too long a strip for shorter; letterbox is used"
        warnings.warn(DarknetWarning(reason), stacklevel=2)
        return "letterbox"

    def prepare(self, picture: Picture, mode: str) -> list[Array]:
        """The network's inputs (channels, height, width) that `mode`, one of `images.fit.MODES`, makes of `picture`.

        Raises
        ------
        UsageError
            Where the network does not take pictures, or not of that size.
        """
        self.check_pictures()
        channels, height, width = self.input_shape
        if mode in RESIZING_MODES:
            # Refused before the picture is blown up, not after.
            for new_width, new_height in RESIZING_MODES[mode](picture.shape[1], picture.shape[0], width):
                self.layers_for(new_height, new_width)
        fast = self.interpolate or interpolate
        views = preprocess(to_grey(picture) if channels == 1 else picture, mode, width, height, fast)
        return [view[:channels] for view in views]


def _part(area: Area, shown: Area) -> Area:
    """The area of a picture that makes up the part `shown` of an `area` of it; each as in `Heatmap.area`."""
    left, top, right, bottom = area
    width, height = right - left, bottom - top
    return left + shown[0] * width, top + shown[1] * height, left + shown[2] * width, top + shown[3] * height


def restore(
    cfg: str,
    weights: str | None,
    settings: Settings,
    dataset: Dataset | None,
    size: tuple[int, int],
    located: Mapping[str, str],
) -> Classifier:
    """A classifier like one elsewhere, from the same files; `located` is as in `CfgFiles`."""
    network = Classifier(cfg, weights, settings, located=located)
    network._dataset = dataset
    network.resize(*size)
    return network


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
    """A network from its cfg file and, to run it, its weights file; or both by the network's name.

    Parameters
    ----------
    cfg : path
        The cfg file, or the packaged one of that name. Without `weights`, a name such as ``tiny`` means the
        network that comes with the package, with weights that are embedded or were fetched, and its classes' names.
    weights : path, optional
        The weights file; without it the network can be inspected but not run.
    engine : str
        ``auto`` (cuda where there is one, else cpu), ``cpu``, ``cuda`` or ``reference``.
    threads : int, optional
        Threads on the CPU; one for each core where absent.
    gpu : int, optional
        Which GPU, from 0.
    precision : str
        ``float32``, or ``bfloat16``, which is faster on a CPU with instructions for it, and accurate to about two
        digits. On a GPU also ``tf32`` and ``float16``.
    dialect : str, optional
        Whose arithmetic: ``darknet`` (pjreddie's), ``alexeyab``, or ``alexeyab-2020``, AlexeyAB's on a CPU from
        February to April of that year; where absent, that of the program that wrote the weights where their header
        says so (version 0.2.5: ``alexeyab``), else ``darknet``.

    Raises
    ------
    CfgError, WeightsError, EngineError
        Where a file is missing or wrong, the two do not belong together, or the engine is not available; where the
        weights of a named network have not been fetched.

    Examples
    --------
    >>> net = load_network("shapes")
    >>> [guess.label for guess in net.classify("data/star.png", top=2)]
    ['star', 'arrow']
    """
    settings = Settings(engine, threads, gpu, precision, dialect)
    packaged = find_packaged(cfg) if weights is None else None
    if packaged is None:
        return Classifier(find_cfg(cfg) if isinstance(cfg, str) else cfg, weights, settings)
    network = Classifier(packaged.cfg, packaged.weights, settings)
    network.dataset = load_dataset(packaged.data)
    return network


def export(network: Classifier, path: str | os.PathLike[str], fixed: bool = False) -> None:
    """Write a network with its weights as an ONNX file, for other runtimes; needs the package onnx.

    Parameters
    ----------
    network : Classifier
        As `load_network` returns it.
    path : path
        An existing file is replaced. The model takes ``images``, float32 (batch, channels, height, width) in 0..1,
        and returns ``output0``, (batch, outputs). Its metadata includes the classes' names.
    fixed : bool
        Whether it only takes pictures of the network's present size.

    Raises
    ------
    ExportError
        Where onnx is missing, the network has something that ONNX cannot express, or the file cannot be written.
    UsageError
        Where the network has no weights.
    """
    from .onnx_export import make_model, save_onnx

    dataset = network.dataset
    save_onnx(path, make_model(network, network.read_parameters(), dataset.names, dataset.preprocess, fixed))
