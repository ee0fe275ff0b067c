"""Weights files: the header, then float32 parameters layer by layer.

Source: darknet's ``parser.c`` (load_weights_upto, save_weights_upto).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import FileIO
from itertools import accumulate
from pathlib import Path

import numpy as np

from .errors import WeightsError
from .files import check_regular, describe_oserror, resolve, write_atomically
from .layers import Array, Layer
from .network import Network
from .parameters import Parameters, find_entries

MAX_SEEN = 1 << 48  # images; no training sees so many, and a float in the place of the upper half says more


@dataclass(frozen=True)
class Header:
    """The first 16 or 20 bytes.

    Attributes
    ----------
    major, minor, revision : int
        Version of the format. Files from before late 2015 have none: the float32 learning rate, momentum
        and decay lie in its place, whose bits exceed 1000 as integers.
    seen : int
        Images seen in training.
    size : int
        Bytes: 16 where `seen` has 32 bits, 20 where it has 64.
    """

    major: int
    minor: int
    revision: int
    seen: int
    size: int

    @property
    def transposed(self) -> bool:
        """Whether connected matrices lie inputs x outputs."""
        return self.major > 1000 or self.minor > 1000


@dataclass(frozen=True)
class Weights:
    """A weights file, laid over the layers of a network.

    Attributes
    ----------
    header : Header
    layers : sequence of Layer
        Whose parameters it holds: those of the network, or its first ones.
    mapped : array
        The file's values: float32, read-only, so that they take no memory until they are looked at.
    file : str
        The file's name, for messages.
    path : Path
    stamp : tuple of int
        Size, time of the last change, and number of the file that was opened.
    """

    header: Header
    layers: Sequence[Layer]
    mapped: Array
    file: str
    path: Path
    stamp: tuple[int, ...]

    @cached_property
    def parameters(self) -> Parameters:
        """Read-only: what is mapped, or, where connected matrices lie transposed in it, a copy."""
        if not self.header.transposed:
            return Parameters(self.layers, self.mapped)
        ends = np.cumsum([layer.parameter_count for layer in self.layers])
        parts = zip(np.split(self.mapped, ends[:-1]), self.layers, strict=True)
        upright = Parameters.gather(self.layers, (_name(part, layer, self.header) for part, layer in parts))
        upright.values.flags.writeable = False
        return Parameters(self.layers, upright.values)

    def read(self) -> Iterator[dict[str, Array]]:
        """The layers' parameters, one layer after another, each read into memory of its own and looked through.

        Reading is safe where a look at mapped parameters is not: a file that another program cuts short, or
        a disk fails to give, kills a process that has it mapped.

        Raises
        ------
        WeightsError
            Where the file ends early, or a value is NaN, infinite, or a negative variance.
        """
        try:
            with self.path.open("rb", buffering=0) as stream:
                stream.seek(self.header.size)
                for layer in self.layers:
                    values = np.empty(layer.parameter_count, "<f4")
                    if not _fill(stream, values):
                        raise WeightsError(_CHANGED, file=self.file)
                    arrays = _name(values, layer, self.header)
                    _check_values(arrays, layer, self.file)
                    yield arrays
                    del arrays, values  # before the next ones are read
        except OSError as reason:
            raise WeightsError(describe_oserror(reason), file=self.file) from None

    def read_all(self) -> Parameters:
        """All parameters as `read` gives them, together and writable; WeightsError where the file changes meanwhile."""
        parameters = Parameters.gather(self.layers, self.read())
        self.check_unchanged()
        return parameters

    def check_unchanged(self) -> None:
        """Raise WeightsError where the file has changed since it was opened."""
        try:
            same = _stamp(self.path.stat()) == self.stamp
        except OSError:
            same = False
        if not same:
            raise WeightsError(_CHANGED, file=self.file)


_CHANGED = "changed while it was read; load it again"


def load_weights(path: str | os.PathLike[str], network: Network) -> Weights:
    """Lay the weights file at `path`, or the packaged one of that name, over the layers of `network`.

    Raises
    ------
    WeightsError
        Where the file cannot be opened, its size is not what the layers take with either header, or it changes
        meanwhile.
    """
    return _load(path, network, [len(network.layers)])


def load_prefix(path: str | os.PathLike[str], network: Network) -> Weights:
    """Lay a weights file over as many of the first layers of `network` as it fills: `layers` of what comes back.

    That is how ``darknet partial`` writes them. Layers without parameters are filled by what fills those before.

    Raises
    ------
    WeightsError
        As `load_weights` does; any layer's end is taken, but not before the first parameters.
    """
    return _load(path, network, range(len(network.layers), 0, -1))


def _load(path: str | os.PathLike[str], network: Network, counts: Iterable[int]) -> Weights:
    """Lay a file over the first layers of `network`: the first of `counts` that its size fits."""
    file = os.fspath(path)
    found = resolve(path)
    check_regular(found, WeightsError, file)
    sizes = [0, *accumulate(4 * layer.parameter_count for layer in network.layers)]  # of so many layers
    counts = [count for count in counts if sizes[count] or not sizes[-1]]
    try:
        with found.open("rb", buffering=0) as stream:
            status = os.fstat(stream.fileno())
            size = status.st_size
            start = stream.read(64)
            if len(start) != min(size, 64):
                raise WeightsError(_CHANGED, file=file)
            fitting = [count for count in counts if size - sizes[count] in (16, 20)]
            if not fitting:
                raise WeightsError(_explain_size(start, size, {sizes[count] for count in counts}, network), file=file)
            held = sizes[fitting[0]]
            header = _parse_header(start, size - held, file)
            mapped = _map(stream, header.size, held // 4, file)
    except OSError as reason:
        raise WeightsError(describe_oserror(reason), file=file) from None
    return Weights(header, network.layers[: fitting[0]], mapped, file, found, _stamp(status))


def save_weights(path: str | os.PathLike[str], parameters: Parameters, seen: int = 0) -> None:
    """Write `parameters` as a weights file, format 0.2 (20-byte header); nothing or all of it.

    Raises
    ------
    WeightsError
        Where the file cannot be written.
    """
    header = struct.pack("<iiiq", 0, 2, 0, seen)
    write_atomically(path, [header, np.ascontiguousarray(parameters.values, "<f4").data], WeightsError)


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ino


def _map(stream: FileIO, offset: int, count: int, file: str) -> Array:
    """The `count` values of an open file from byte `offset` on, mapped."""
    if not count:
        return np.empty(0, np.float32)
    try:
        return np.memmap(stream, "<f4", "r", offset, (count,)).view(np.ndarray)
    except ValueError:  # it has become shorter than that
        raise WeightsError(_CHANGED, file=file) from None


def _fill(stream: FileIO, values: Array) -> bool:
    """Read as many bytes as `values` holds into it; False where the file ends before."""
    room = values.view(np.uint8).data
    while room:
        count = stream.readinto(room)
        if not count:
            return False
        room = room[count:]
    return True


def _parse_header(start: bytes, size: int, file: str) -> Header:
    """The header of `size` bytes, which the file's size asks for; WeightsError where the bytes speak against it."""
    major, minor, revision, seen = struct.unpack_from("<iiiq" if size == 20 else "<iiiI", start)
    header = Header(major, minor, revision, seen, size)
    if size == 20 and not 0 <= seen < MAX_SEEN:
        raise WeightsError("4 bytes too long: its header is of 16 bytes, its size asks for one of 20", file=file)
    # What follows 16 bytes is the first bias, a float, or else the upper half of a 64-bit count, next to nothing.
    upper = int.from_bytes(start[16:20], "little")
    if size == 16 and not header.transposed and 10 * major + minor >= 2 and upper < MAX_SEEN >> 32:
        raise WeightsError("cut short by 4 bytes: its header is of 20 bytes, its size asks for one of 16", file=file)
    return header


def _explain_size(start: bytes, size: int, expected: Collection[int], network: Network) -> str:
    """Why a file of `size` bytes holds none of `expected`, which are bytes of parameters."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if size == 0:
        return "an empty file"
    if text.startswith(b"<"):
        return "an HTML page, not weights; the download went wrong"
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not weights; run `git lfs pull`"
    if size < 16:
        return f"{size} bytes, shorter than a header"
    most = max(expected)
    kind = "cut short" if size < most + 20 else "longer"
    if kind == "longer" or len(expected) == 1:
        return (
            f"{size} bytes, {kind}: {network.file} takes {most + 16} or {most + 20};"
            " are they the weights of this network?"
        )
    near = sorted(sorted(expected, key=lambda held: abs(size - held))[:2])
    takes = " or ".join(f"{held + 16} or {held + 20}" for held in near)
    return f"{size} bytes, which end within a layer of {network.file}: its first layers take {takes}"


def _name(values: Array, layer: Layer, header: Header) -> dict[str, Array]:
    """A layer's arrays, by name, out of its `values` in a file."""
    arrays = {}
    for entry in find_entries([layer]):
        shape, flat = entry.parameter.shape, values[entry.place]
        transposed = header.transposed and len(shape) == 2
        arrays[entry.name] = flat.reshape(shape[::-1]).T if transposed else flat.reshape(shape)
    return arrays


def _check_values(arrays: Mapping[str, Array], layer: Layer, file: str) -> None:
    for entry in find_entries([layer]):
        array = arrays[entry.name]
        # One pass settles nearly every file: a sum is finite only if all its terms are.
        with np.errstate(over="ignore", invalid="ignore"):
            finite = np.isfinite(array.sum()) or np.isfinite(array).all()
        if not finite:
            reason = "NaN or infinity; the file is damaged or training diverged"
            raise WeightsError(reason, file=file, option=entry.label)
        if entry.parameter.positive and array.min() < 0:
            kind = entry.name.removesuffix("s")
            reason = f"{array.min():g}, a negative {kind}; the file is damaged or not this network's"
            raise WeightsError(reason, file=file, option=entry.label)
