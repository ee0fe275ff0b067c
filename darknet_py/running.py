"""A network with its weights on an engine: batches of numbers in, its layers' outputs out."""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .cfg import load_cfg
from .engines import memory_needed, open_engine
from .engines.base import Engine, Interpolate, Plan
from .engines.passes import Program, compile_steps
from .errors import CfgError, UsageError, WeightsError
from .forks import renew_after_fork
from .layers import Array, Layer
from .layers.counts import count_forward
from .limits import memory_limits, tell_size
from .network import Network
from .parameters import Parameters
from .weights import Weights, choose_dialect, load_weights

if TYPE_CHECKING:
    import numpy.typing as npt
    from typing_extensions import Self

LOG = logging.getLogger(__name__)
MAX_SIZES = 4  # sizes of picture whose layers and plans are kept
FORKED = 4  # times the network's own input: the largest for which forks run at the same time
MAX_CUTS = 2  # layers, besides the output's, for which an engine is kept


class Settings(NamedTuple):
    """How a network runs: the arguments of `load_network`."""

    engine: str = "auto"
    threads: int | None = None
    gpu: int | None = None
    precision: str = "float32"
    dialect: str | None = None


class Opened:
    """The first layers of a network on an engine, whose answer is the last layer's output; its plans are kept."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Drop all plans and make a new lock, a reentrant one: a signal's handler may interrupt what it guards."""
        self._plans: OrderedDict[tuple[int, int], Plan] = OrderedDict()
        self._lock = threading.RLock()

    def plan(self, height: int, width: int, layers: Callable[[], Sequence[Layer]]) -> Plan:
        """The plan for pictures of `height` x `width`; `layers` shapes them for it."""
        key = height, width
        with self._lock:
            plan = self._plans.pop(key, None)
            if plan is None:
                LOG.debug("a plan for pictures of %d x %d", width, height)
                plan = self.engine.plan(layers())
            self._plans[key] = plan
            while len(self._plans) > MAX_SIZES:
                self._plans.popitem(last=False)
        return plan


class RunningNetwork(Network):
    """A network that can run, where it has weights.

    Attributes
    ----------
    settings : Settings
        How it runs.
    """

    def __init__(
        self,
        cfg: str | os.PathLike[str] | Network,
        weights: str | os.PathLike[str] | None,
        settings: Settings,
        until: int | None = None,
        located: Mapping[str, str] | None = None,
    ) -> None:
        """Load a cfg, or take a network that was read from one, whose file may have changed since.

        With `until`, a layer's index, no engine is opened for the layers after it before they are asked for. `located`
        is as in `CfgFiles`.
        """
        if settings.threads is not None and settings.threads < 1:
            raise UsageError(f"threads={settings.threads}: at least 1 is expected")
        read = (cfg.sections, cfg.file) if isinstance(cfg, Network) else (load_cfg(cfg, located), os.fspath(cfg))
        super().__init__(*read, choose_dialect(settings.dialect, weights))
        self.settings = settings
        self._weights: Weights | None = None
        self._opened: OrderedDict[int, Opened] = OrderedDict()  # by the last layer
        self.renew()
        renew_after_fork(self)
        self._program = compile_steps(self.layers)
        self._first = self.output_layer.index if until is None else self.layer_at(until).index
        if weights is not None:
            layers = self.layers[: self._first + 1]
            needed = (settings.engine, layers, settings.gpu, settings.precision)
            self._check_memory(_count_running(self._program, self.layers), self.layers, lambda: memory_needed(*needed))
            self._weights = load_weights(weights, self)
            LOG.debug("weights of %s, dialect %s", self._weights.path, self.dialect.name)
            self._find_opened(self._first)

    def renew(self) -> None:
        """Drop the layers of other sizes, and make new locks."""
        self._shaped: OrderedDict[tuple[int, int], tuple[Sequence[Layer], int]] = OrderedDict()  # and their values
        self._shaping = threading.RLock()
        self._lock = threading.RLock()

    @property
    def precision(self) -> str:
        """The precision in which it runs."""
        return self.settings.precision

    @property
    def weights_file(self) -> Path:
        """The path of the weights file; UsageError without any."""
        return self._loaded().path

    @property
    def parameters(self) -> Parameters:
        """The parameters in the weights file, read-only; those of no layers without weights."""
        return Parameters.zeros(()) if self._weights is None else self._weights.parameters

    @property
    def interpolate(self) -> Interpolate | None:
        """The engine's own way to resize pictures, where it has one."""
        return None if self._weights is None else self._find_opened(self._first).engine.interpolate

    @property
    def engine(self) -> str:
        """The engine's name; empty without weights."""
        return "" if self._weights is None else self._find_opened(self._first).engine.name

    def predict(self, batch: npt.ArrayLike, layer: int | None = None) -> Array:
        """Run the network, or its first layers.

        Parameters
        ----------
        batch : array
            (n, channels, height, width), finite, usually in 0..1. Height and width may differ from the network's
            where it can be resized; the network itself stays as it is.
        layer : int, optional
            The last layer to run, as the listing counts; a negative one counts from the end. The engine is made ready
            for a layer when that is first asked for, and stays ready for the last few of them.

        Returns
        -------
        array
            float32 (n, outputs), or, for a `layer`, (n, channels, height, width).

        Raises
        ------
        UsageError
            Where there are no weights, no such layer, or the batch is not one that the network takes.
        CfgError
            Where a layer cannot run at that height and width, it is for training alone, or memory does not suffice.
        WeightsError
            Where an output is NaN or infinite.
        """
        self._loaded()
        array = self._check_batch(batch)
        last = self.output_layer if layer is None else self.layer_at(layer)
        height, width = array.shape[2:]

        def shape_layers() -> Sequence[Layer]:
            return self.layers_for(height, width)[: last.index + 1]

        plan = self._find_opened(last.index).plan(height, width, shape_layers)
        if not len(array):
            outputs = np.empty((0, shape_layers()[-1].shape.size), np.float32)
        else:
            with np.errstate(all="ignore"):  # what overflows is found below
                outputs = plan.run(array)
                for damaged in np.flatnonzero(~np.isfinite(outputs).all(axis=1)):
                    outputs[damaged] = self._define(array[damaged : damaged + 1], last.index)
        return outputs if layer is None else outputs.reshape(len(array), *shape_layers()[-1].shape)

    def layer_at(self, index: int) -> Layer:
        """The layer at `index`, as the listing counts; a negative one counts from the end.

        Raises
        ------
        UsageError
            Where there is none.
        CfgError
            Where it has no output.
        """
        count = len(self.layers)
        if not -count <= index < count:
            raise UsageError(f"layer {index}: it has {count} layers, from 0", file=self.file)
        layer = self.layers[index]
        if not layer.answers and layer.index == count - 1 and layer.index:
            raise layer.section.error(f"layer {layer.index} has no output: it is for training alone")
        return layer

    def probabilities(self, batch: npt.ArrayLike, only_leaves: bool = True) -> Array:
        """The probability of each class: the output of `predict`, in a hierarchy times that of all its parents.

        With `only_leaves`, it is 0 there for all classes that are parents of others.
        """
        outputs = self.predict(batch)
        hierarchy = self.output_layer.hierarchy
        return outputs if hierarchy is None else hierarchy.multiply(outputs, only_leaves)

    def layer_output(self, batch: npt.ArrayLike, index: int) -> Array:
        """The output of layer `index` for `batch`: float32 (n, channels, height, width), by the layers' definitions.

        Values that are not finite are kept. Other errors are those of `predict`.
        """
        array, last = self._check_batch(batch), self.layer_at(index)
        with np.errstate(all="ignore"), closing(self._define_layers(array, last.index)) as outputs:
            layer, output = next(found for found in outputs if found[0].index == last.index)
        return output.reshape(len(array), *layer.shape)

    def fork(self, threads: int) -> Self:
        """The same network with `threads` threads of its own, to be run by another thread at the same time."""
        self._loaded()
        forked = object.__new__(type(self))
        forked.__dict__.update(self.__dict__)
        forked.settings = self.settings._replace(threads=threads)
        forked._opened = OrderedDict((i, Opened(o.engine.fork(threads))) for i, o in list(self._opened.items()))
        forked.renew()
        renew_after_fork(forked)
        return forked

    def count_forks(self, most: int) -> int:
        """How many of `most` forks memory has room for at the same time, if no input `exceeds_fork`; at least 1."""
        needed = 4 * FORKED * _count_running(self._program, self.layers)
        return max(1, min([most, *((limit.size - limit.used) // needed for limit in memory_limits())]))

    def exceeds_fork(self, batch: Array) -> bool:
        """Whether inputs (n, channels, height, width) are larger than `count_forks` assumes."""
        return batch[0].size > FORKED * self.input_shape.size

    def _loaded(self) -> Weights:
        if self._weights is None:
            raise UsageError("no weights were loaded, so it cannot run", file=self.file)
        return self._weights

    def _find_opened(self, index: int) -> Opened:
        """The layers up to `index`, on the engine."""
        opened = self._opened.get(index)
        if opened is None:
            with self._lock:
                opened = self._opened.get(index)
                if opened is None:
                    opened = self._opened[index] = Opened(self._open_engine(self.layers[: index + 1]))
                    cuts = [cut for cut in self._opened if cut not in (index, self._first)]
                    for cut in cuts[: max(len(cuts) + 1 - MAX_CUTS, 0)]:
                        del self._opened[cut]
        return opened

    def _open_engine(self, layers: Sequence[Layer]) -> Engine:
        how = self.settings
        if self._opened:  # the first one's memory was checked before the weights were mapped
            needed = (how.engine, layers, how.gpu, how.precision)
            values = _count_running(compile_steps(layers), layers)
            self._check_memory(values, layers, lambda: memory_needed(*needed))
        arrays = islice(self.read_parameters(), len(layers))
        engine = open_engine(how.engine, layers, arrays, how.threads, how.gpu, how.precision)
        self.check_unchanged()
        return engine

    def _check_batch(self, batch: npt.ArrayLike) -> Array:
        """The batch as an array; UsageError where it is not one that the network takes."""
        try:
            given = np.asarray(batch)
        except ValueError as ragged:
            raise UsageError(f"a batch that is no array: {ragged}", file=self.file) from None
        if given.dtype.kind in "iu" and not self.flat and given.max(initial=0) > 1:
            reason = f"a batch of {given.dtype} up to {given.max()}; 0..1 is expected, as fit makes it of a picture"
            raise UsageError(reason, file=self.file)
        try:
            if given.dtype.kind in "cmMSU":  # which NumPy would turn into numbers
                raise TypeError
            with np.errstate(over="ignore"):  # what becomes infinite is refused
                array = np.ascontiguousarray(given, np.float32)
        except (TypeError, ValueError):
            raise UsageError(f"a batch of {given.dtype}; real numbers are expected", file=self.file) from None
        channels = self.input_shape.channels
        if array.ndim != 4 or array.shape[1] != channels:
            reason = f"a batch of shape {array.shape}; (n, {channels}, height, width) is expected"
            raise UsageError(reason, file=self.file)
        if not np.isfinite(array).all():
            raise UsageError("NaN or infinity in the batch; finite numbers are expected", file=self.file)
        return array

    def _define(self, batch: Array, index: int) -> Array:
        """The output of layer `index` by the layers' definitions, for where an engine's own arithmetic overflowed.

        Raises
        ------
        WeightsError
            Where it is NaN or infinite, too.
        """
        first = ""
        with closing(self._define_layers(batch, index)) as outputs:
            for layer, output in outputs:
                if not first and not np.isfinite(output).all():
                    first = f"layer {layer.index} [{layer.section.name}]"
                if layer.index == index:
                    break
        if not np.isfinite(output).all():
            reason = "gives NaN or infinity; its weights do not belong to it, or training diverged"
            raise WeightsError(f"{first} {reason}", file=self.file)
        return output.reshape(len(batch), -1)

    def _define_layers(self, batch: Array, last: int) -> Generator[tuple[Layer, Array], None, None]:
        """Each layer that answers, and its output for `batch` by its definition; to be consumed up to `last`."""
        layers = self.layers_for(*batch.shape[2:])
        values = len(batch) * count_forward(layers[: last + 1]) + sum(layer.parameter_count for layer in layers)
        self._check_memory(values, layers)
        from .engines.reference import ReferenceEngine

        yield from ReferenceEngine(layers, self.read_parameters()).plan(layers).outputs(batch)

    def read_parameters(self) -> Iterator[dict[str, Array]]:
        """Each layer's own parameters, read from the file; WeightsError where it has changed."""
        yield from self._loaded().read()
        self.check_unchanged()

    def check_unchanged(self) -> None:
        """Raise WeightsError where the weights file has changed since it was loaded; UsageError without any."""
        self._loaded().check_unchanged()

    def layers_for(self, height: int, width: int) -> Sequence[Layer]:
        """The layers, shaped for that size; UsageError or CfgError where the network, or memory, does not allow it."""
        if (height, width) == self.input_shape[1:]:
            return self.layers
        self.check_resizable(height, width)
        with self._shaping:
            found = self._shaped.pop((height, width), None)
            if found is None:  # shaping 23 layers takes 0.4 ms, which each picture would cost
                shaped = self.layers_at(height, width)
                found = shaped, _count_running(self._program, shaped)
            self._shaped[height, width] = found
            while len(self._shaped) > MAX_SIZES:
                self._shaped.popitem(last=False)
        layers, values = found
        self._check_memory(values, layers)
        return layers

    def _check_memory(
        self, values: int, layers: Sequence[Layer], for_parameters: Callable[[], int] | None = None
    ) -> None:
        """Refuse what does not fit into this process's memory, before anything is allocated.

        `values` is how many float32 values it takes. `for_parameters` returns how many bytes the parameters take, where
        they are not loaded yet.
        """
        limits = memory_limits()  # before an engine is loaded, whose own memory is part of what is needed
        needed = 4 * values + (for_parameters() if for_parameters else 0)
        for limit in limits:
            if limit.used + needed > limit.size:
                size = "{2} x {1}".format(*layers[0].input_shapes[0])
                amount, most = tell_size(limit.used + needed), tell_size(limit.size)
                raise CfgError(f"{amount} to run at {size}, more than {limit.whose} {most}", file=self.file)


def _count_running(program: Program, layers: Sequence[Layer]) -> int:
    """How many float32 values an engine needs for a picture.

    Workspaces take as much as the buffers that layers share; resizing a picture takes three times the result.
    """
    return 2 * sum(program.slot_sizes(layers)) + 3 * layers[0].input_shapes[0].size
