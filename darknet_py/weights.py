"""Weights files: the header, then float32 parameters layer by layer.

Source: darknet's ``parser.c`` (load_weights_upto, save_weights_upto).
"""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from itertools import accumulate
from operator import index
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .errors import DarknetWarning, UsageError, WeightsError
from .files import check_regular, describe_oserror, resolve, write_atomically
from .forks import cached_property
from .layers import ALEXEYAB, DARKNET, Array, Dialect, Layer, find_dialect
from .network import Network
from .parameters import Parameters, find_entries

MAX_SEEN = 1 << 48  # images; no training sees so many, and a float in the place of the upper half reads as more


class Header(NamedTuple):
    """The first 16 or 20 bytes.

    Attributes
    ----------
    major, minor, revision : int
        Version of the format. Files from before late 2015 have none: in its place they have the float32 learning
        rate, momentum and decay, whose bits exceed 1000 as integers.
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
    def fits_version(self) -> bool:
        """Whether it has the size of its version: from 0.2 on, darknet reads 64 bits of `seen`."""
        return (self.size == 20) == (not self.transposed and 10 * self.major + self.minor >= 2)

    @property
    def transposed(self) -> bool:
        """Whether matrices of connected layers are stored as inputs x outputs."""
        return self.major > 1000 or self.minor > 1000


@dataclass(frozen=True)
class Weights:
    """A weights file, laid over the layers of a network.

    Attributes
    ----------
    header : Header
    layers : sequence of Layer
        The layers whose parameters it holds: the network's, or its first ones.
    mapped : array
        The file's values: float32, read-only, so that they take no memory until they are looked at.
    file : str
        The file's name, for messages.
    path : Path
    stamp : tuple of int
        Size, time of the last change, and inode number of the file that was opened.
    complete : bool
        Whether it holds optional parameters, too.
    """

    header: Header
    layers: Sequence[Layer]
    mapped: Array
    file: str
    path: Path
    stamp: tuple[int, ...]
    complete: bool = True

    @cached_property
    def parameters(self) -> Parameters:
        """The parameters, read-only: as mapped, or a copy where weights are stored transposed or some are missing."""
        flipped = any(parameter.flipped for layer in self.layers for parameter in layer.parameters.values())
        if self.complete and not self.header.transposed and not flipped:
            return Parameters(self.layers, self.mapped)
        ends = np.cumsum([_count(layer, self.complete) for layer in self.layers])
        parts = zip(np.split(self.mapped, ends[:-1]), self.layers, strict=True)
        upright = Parameters.gather(self.layers, (self._name(part, layer) for part, layer in parts))
        upright.values.flags.writeable = False
        return Parameters(self.layers, upright.values)

    def read(self) -> Iterator[dict[str, Array]]:
        """The layers' parameters, one layer after another, each read into memory of its own and checked.

        Reading is safe where access to mapped parameters is not: a file that another program cuts short, or
        a disk fails to read, kills a process that has it mapped.

        Raises
        ------
        WeightsError
            Where the file ends early, or a value is NaN, infinite, or a negative variance.
        """
        try:
            with self.path.open("rb", buffering=0) as stream:
                stream.seek(self.header.size)
                for layer in self.layers:
                    values = np.empty(_count(layer, self.complete), "<f4")
                    if not _fill(stream, values):
                        raise WeightsError(_CHANGED, file=self.file)
                    arrays = self._name(values, layer)
                    _check_values(arrays, layer, self.file)
                    yield arrays
                    del arrays, values  # before the next ones are read
        except OSError as reason:
            raise WeightsError(describe_oserror(reason), file=self.file) from None

    def read_all(self) -> Parameters:
        """All parameters as `read` yields them, in one, writable; WeightsError where the file changes meanwhile."""
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

    def _name(self, values: Array, layer: Layer) -> dict[str, Array]:
        """A layer's arrays, by name, from its `values` in the file."""
        arrays, start = {}, 0
        for name, parameter in layer.parameters.items():
            shape = parameter.shape
            if parameter.optional and not self.complete:
                arrays[name] = np.zeros(shape, np.float32)
                continue
            flat = values[start : start + parameter.size]
            start += parameter.size
            if parameter.flipped:
                arrays[name] = flat.reshape(-1, shape[0]).T.reshape(shape)
                continue
            transposed = self.header.transposed and len(shape) == 2
            arrays[name] = flat.reshape(shape[::-1]).T if transposed else flat.reshape(shape)
        return arrays


_CHANGED = "changed while it was read; load it again"


def choose_dialect(name: str | None, weights: str | os.PathLike[str] | None) -> Dialect:
    """The dialect `name`, or that of the program that wrote the file `weights`.

    Version 0.2.5 is that of AlexeyAB's program; files of all other versions are taken for darknet's own, as those of
    AlexeyAB's older versions cannot be told from them. A warning says so where the name contradicts the version.

    Raises
    ------
    UsageError
        Where there is no dialect of that name.
    """
    told = DARKNET if weights is None or _read_version(weights) != ALEXEYAB.version else ALEXEYAB
    chosen = told if name is None else find_dialect(name)
    if told is ALEXEYAB and chosen.version != told.version:
        version = ".".join(map(str, told.version))
        reason = f"version {version}, which {told.program} writes; dialect={told.name} gives its answers"
        warnings.warn(DarknetWarning(f"{os.fspath(weights or '')}: dialect={name}: {reason}"), stacklevel=3)
    return chosen


def _read_version(path: str | os.PathLike[str]) -> tuple[int, ...] | None:
    """The first three numbers of a file's header; None where it cannot be read, which its reader will report."""
    found = resolve(path)
    try:
        if not found.is_file():
            return None
        with found.open("rb") as stream:
            return struct.unpack("<iii", stream.read(12))
    except (OSError, ValueError, struct.error):
        return None


def load_weights(path: str | os.PathLike[str], network: Network) -> Weights:
    """Open the weights file at `path`, or the packaged one of that name, for the layers of `network`.

    Raises
    ------
    WeightsError
        Where the file cannot be opened, its size is not what the layers take with either header, or it changes
        meanwhile.
    """
    return _load(path, network, [len(network.layers)])


def load_prefix(path: str | os.PathLike[str], network: Network) -> Weights:
    """Open a weights file for as many of the first layers of `network` as it fills: the result's `layers`.

    Such files are written by ``darknet partial``. Layers without parameters count as filled if those before them are.

    Raises
    ------
    WeightsError
        As `load_weights` does; the file may end after any layer, but not before the first parameters.
    """
    return _load(path, network, range(len(network.layers), 0, -1))


def _load(path: str | os.PathLike[str], network: Network, counts: Iterable[int]) -> Weights:
    """Open a file for the first layers of `network`: as many as the first of `counts` that its size fits."""
    file = os.fspath(path)
    found = resolve(path)
    check_regular(found, WeightsError, file)
    try:
        with found.open("rb", buffering=0) as stream:
            status = os.fstat(stream.fileno())
            start = stream.read(64)
            if len(start) != min(status.st_size, 64):
                raise WeightsError(_CHANGED, file=file)
            header, layers, complete = _find_fit(start, status.st_size, network, counts, file)
            count = sum(_count(layer, complete) for layer in layers)
            mapped = _map(stream, header.size, count, file)
    except OSError as reason:
        raise WeightsError(describe_oserror(reason), file=file) from None
    return Weights(header, layers, mapped, file, found, _stamp(status), complete)


def _find_fit(
    start: bytes, size: int, network: Network, counts: Iterable[int], file: str
) -> tuple[Header, Sequence[Layer], bool]:
    """The header and the layers of a file of `size` bytes that begins with `start`; whether it has optional parameters.

    Of several that fit, the first that the header does not contradict, preferably with its version's header size.
    """
    # Bytes of the first layers, by their count, with optional parameters and without.
    sizes = {c: [0, *accumulate(4 * _count(layer, c) for layer in network.layers)] for c in (True, False)}
    counts = [count for count in counts if sizes[True][count] or not sizes[True][-1]]
    choices = ((count, length, complete) for count in counts for length in (20, 16) for complete in sizes)
    fitting = [
        (_parse_header(start, length), network.layers[:count], complete)
        for count, length, complete in choices
        if size == length + sizes[complete][count]
    ]
    if not fitting:
        expected = {sizes[True][count] for count in counts}
        ends = ((n, size - end) for held in sizes.values() for n, end in enumerate(held) if end)
        part = next((n for n, rest in ends if rest in (16, 20)), 0)
        raise WeightsError(_explain_size(start, size, expected, part, network), file=file)
    best = min(fitting, key=lambda fit: (bool(_contradict(fit[0], start)), not fit[0].fits_version))
    if wrong := _contradict(best[0], start):
        raise WeightsError(wrong, file=file)
    return best


def save_weights(path: str | os.PathLike[str], parameters: Parameters, seen: int = 0) -> None:
    """Write `parameters` as a weights file, in the version of their layers' dialect; nothing or all of it.

    Optional parameters are left out if all are 0, so that darknet's own program can read the file.

    Parameters
    ----------
    path : path
    parameters : Parameters
        Those of a network with weights, or of a training's progress.
    seen : int
        How many images they have seen.

    Raises
    ------
    UsageError
        Where `parameters` have no layers, like those of a network without weights, or no training sees `seen` images.
    WeightsError
        Where the file cannot be written.
    """
    if not parameters.layers:
        raise UsageError("parameters of no layer; those of a network with weights, or of a training, are expected")
    if not 0 <= index(seen) < MAX_SEEN:
        raise UsageError(f"seen={seen}: a count of images is expected")
    header = struct.pack("<iiiq", *parameters.layers[0].dialect.version, seen)
    values, optional = _flip(parameters), [entry for entry in parameters.entries if entry.parameter.optional]
    if optional and not any(entry.find(values).any() for entry in optional):
        values = np.delete(values, np.concatenate([np.r_[entry.part] for entry in optional]))
    write_atomically(path, [header, np.ascontiguousarray(values, "<f4").data], WeightsError)


def _flip(parameters: Parameters) -> Array:
    """The values in the file's order."""
    flipped = [entry for entry in parameters.entries if entry.parameter.flipped]
    values = parameters.values.copy() if flipped else parameters.values
    for entry in flipped:
        values[entry.part] = entry.find(parameters.values).reshape(entry.parameter.shape[0], -1).T.ravel()
    return values


def _count(layer: Layer, complete: bool) -> int:
    """How many values a file holds of `layer`."""
    return sum(p.size for p in layer.parameters.values() if complete or not p.optional)


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
    """Read as many bytes as `values` holds into it; False where the file ends too early."""
    room = values.view(np.uint8).data
    while room:
        count = stream.readinto(room)
        if not count:
            return False
        room = room[count:]
    return True


def _parse_header(start: bytes, size: int) -> Header:
    """The header of `size` bytes with which a file starts."""
    major, minor, revision, seen = struct.unpack_from("<iiiq" if size == 20 else "<iiiI", start)
    return Header(major, minor, revision, seen, size)


def _contradict(header: Header, start: bytes) -> str:
    """Why the bytes at the start of a file contradict the header that its size asks for; empty where they do not."""
    if header.size == 20:
        if not 0 <= header.seen < MAX_SEEN:
            return "4 bytes too long: its header is of 16 bytes, its size asks for one of 20"
        return ""
    # After 16 bytes comes the first bias, a float, or else the upper half of a 64-bit count, which is almost 0.
    upper = int.from_bytes(start[16:20], "little")
    if not header.fits_version and upper < MAX_SEEN >> 32:
        return "cut short by 4 bytes: its header is of 20 bytes, its size asks for one of 16"
    return ""


def _explain_size(start: bytes, size: int, expected: Collection[int], part: int, network: Network) -> str:
    """Why a file of `size` bytes fits none of `expected`, the possible sizes of its parameters in bytes.

    `part` is how many of the first layers it would fill, or 0.
    """
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
        hint = "are they the weights of this network?"
        if part:
            hint += f" Its first {part} layers take as many: as --pretrained classifier train takes them"
        return f"{size} bytes, {kind}: {network.file} takes {most + 16} or {most + 20}; {hint}"
    near = sorted(sorted(expected, key=lambda held: abs(size - held))[:2])
    takes = " or ".join(f"{held + 16} or {held + 20}" for held in near)
    return f"{size} bytes, which end within a layer of {network.file}: its first layers take {takes}"


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
