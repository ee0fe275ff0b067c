"""A network's parameters: one flat array in the order of a weights file, and named views of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from .errors import UsageError
from .layers import Array, Layer, Parameter


class Entry(NamedTuple):
    """A parameter of a layer, and where it is stored.

    Attributes
    ----------
    layer : Layer
    name : str
    parameter : Parameter
        Its shape and its role.
    part : slice
        Its part of the flat array.
    """

    layer: Layer
    name: str
    parameter: Parameter
    part: slice

    def find(self, values: Array) -> Array:
        """Its part of the flat array, shaped."""
        return values[self.part].reshape(self.parameter.shape)

    @property
    def label(self) -> str:
        """Its name in messages."""
        return f"layer {self.layer.index} [{self.layer.section.name}] {self.name}"


def find_entries(layers: Iterable[Layer]) -> Iterator[Entry]:
    """The parameters of `layers` in the order of a weights file, the first one at position 0."""
    start = 0
    for layer in layers:
        for name, parameter in layer.parameters.items():
            yield Entry(layer, name, parameter, slice(start, start + parameter.size))
            start += parameter.size


def share(layers: Iterable[Layer], arrays: Iterable[Mapping[str, Array]]) -> Iterator[Mapping[str, Array]]:
    """The parameters that each of `layers` uses: its own, the next of `arrays`, or another layer's that it shares."""
    layers, source = tuple(layers), iter(arrays)
    owners = {layer.shares for layer in layers}
    kept: dict[int, Mapping[str, Array]] = {}
    for layer in layers:
        own = next(source, {})
        taken = own if layer.shares is None else kept[layer.shares]
        if layer.index in owners:
            kept[layer.index] = taken
        del own
        yield taken
        del taken  # before the next ones are read


class Views(Mapping[str, Array]):
    """A layer's parameters by name. Assigning to a name writes into its array, which stays where it is."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = dict(arrays)

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __setitem__(self, name: str, values: Array | float) -> None:
        self._arrays[name][...] = values

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


class Parameters:
    """A network's parameters; iterating yields each layer's in turn.

    Parameters
    ----------
    layers : sequence of Layer
        The network's, or its first ones.
    values : array
        float32, flat, as many as the layers have.

    Attributes
    ----------
    layers : tuple of Layer
    values : array
        All of them, in the order of a weights file.
    views : tuple of Views
        For each layer, the arrays that it uses, by name and shaped: parts of `values`, some of which layers may share.
    entries : tuple of Entry
        Which part of `values` is what.

    Raises
    ------
    UsageError
        Where `values` are not contiguous floating-point numbers, or not as many as the layers have.
    """

    def __init__(self, layers: Sequence[Layer], values: Array) -> None:
        self.layers, self.values = tuple(layers), values
        self.entries = tuple(find_entries(self.layers))
        count = self.entries[-1].part.stop if self.entries else 0
        if values.dtype.kind != "f" or not values.flags.c_contiguous:  # then parts would be copies
            raise UsageError(
                f"parameters of {values.dtype}, strides {values.strides}; float32, beside one another, is expected"
            )
        if values.shape != (count,):
            raise UsageError(f"parameters of shape {values.shape}; ({count},) is expected")
        left = iter(self.entries)
        own = (
            {entry.name: entry.find(values) for entry in islice(left, len(layer.parameters))} for layer in self.layers
        )
        self.views = tuple(map(Views, share(self.layers, own)))

    @classmethod
    def zeros(cls, layers: Sequence[Layer]) -> Parameters:
        """As many zeros as `layers` have parameters."""
        return cls(layers, np.zeros(sum(layer.parameter_count for layer in layers), np.float32))

    @classmethod
    def gather(cls, layers: Sequence[Layer], arrays: Iterable[Mapping[str, Array]]) -> Parameters:
        """A copy of `arrays`: for each of `layers` in turn, its own by name.

        Raises
        ------
        UsageError
            Where an array is missing, has another shape than its layer's or no real numbers, or there are arrays of
            more layers.
        """
        gathered, source = cls.zeros(layers), iter(arrays)
        for layer, views in zip(gathered.layers, gathered.views, strict=True):
            _copy(layer, views, next(source, {}))  # zip would hold a layer's arrays while the next one's are read
        if next(source, None) is not None:
            raise UsageError(f"arrays of more layers than {len(gathered.layers)}")
        return gathered

    def copy(self) -> Parameters:
        """A copy in memory of its own, which can be written to."""
        return Parameters(self.layers, np.array(self.values, np.float32))

    def first(self, count: int) -> Parameters:
        """The parameters of the first `count` layers, in the same memory."""
        layers = self.layers[:count]
        return Parameters(layers, self.values[: sum(layer.parameter_count for layer in layers)])

    def __iter__(self) -> Iterator[Views]:
        return iter(self.views)


def _copy(layer: Layer, views: Views, arrays: Mapping[str, Array]) -> None:
    for entry in find_entries([layer]):
        given = np.asarray(arrays[entry.name]) if entry.name in arrays else None
        if given is None or given.shape != entry.parameter.shape:
            has = "missing" if given is None else f"shape {given.shape}"
            raise UsageError(f"{has}; {entry.parameter.shape} is expected", option=entry.label)
        if given.dtype.kind not in "biuf":
            raise UsageError(f"an array of {given.dtype}; real numbers are expected", option=entry.label)
        views[entry.name] = given
