"""Weights files: the header, then float32 parameters layer by layer.

Source: darknet's ``parser.c`` (load_weights_upto, save_weights_upto).
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import WeightsError
from .files import check_regular, describe_oserror, resolve, write_atomically
from .layers import Array, Layer
from .network import Network

Parameters = list[dict[str, Array]]


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
    """A weights file's content.

    Attributes
    ----------
    header : Header
    parameters : list of dict
        For each layer of the network, its arrays by name, float32, read-only and mapped from the file.
    """

    header: Header
    parameters: Parameters
    file: str
    path: Path
    stamp: tuple[int, int]

    def check_unchanged(self) -> None:
        """Raise WeightsError where the file has changed since it was opened."""
        try:
            same = _stamp(self.path) == self.stamp
        except OSError:
            same = False
        if not same:
            raise WeightsError("changed while it was read; load it again", file=self.file)


def load_weights(path: str | os.PathLike[str], network: Network) -> Weights:
    """Map the weights file at `path`, or the packaged one of that name, onto the layers of `network`.

    Raises
    ------
    WeightsError
        Where the file cannot be read, its size is not what the layers take with either header, or a
        value is NaN, infinite, or a negative variance.
    """
    file = os.fspath(path)
    found = resolve(path)
    size = check_regular(found, WeightsError, file)
    expected = 4 * network.parameter_count
    try:
        stamp = _stamp(found)
        with found.open("rb") as stream:
            start = stream.read(64)
    except OSError as reason:
        raise WeightsError(describe_oserror(reason), file=file) from None
    if size - expected not in (16, 20):
        raise WeightsError(_explain_size(start, size, expected, network), file=file)
    header = _parse_header(start, size - expected)
    try:
        values = np.memmap(found, np.dtype("<f4"), "r", header.size) if expected else np.empty(0, np.float32)
    except (OSError, ValueError) as reason:
        raise WeightsError(describe_oserror(reason), file=file) from None
    weights = Weights(header, _slice(values.view(np.ndarray), network.layers, header), file, found, stamp)
    _check_values(weights, network.layers)
    return weights


def save_weights(
    path: str | os.PathLike[str],
    network: Network,
    parameters: Sequence[Mapping[str, Array]],
    seen: int = 0,
) -> None:
    """Write `parameters` as a weights file, format 0.2 (20-byte header); nothing or all of it.

    Raises
    ------
    WeightsError
        Where an array's shape is not its layer's, or the file cannot be written.
    """
    file = os.fspath(path)
    arrays = []
    for layer, given in zip(network.layers, parameters, strict=True):
        for name, shape in layer.parameters.items():
            array = np.asarray(given[name], "<f4")
            if array.shape != shape:
                reason = f"shape {array.shape}; {shape} is expected"
                raise WeightsError(reason, file=file, option=_label(layer, name))
            arrays.append(array)
    header = struct.pack("<iiiq", 0, 2, 0, seen)
    write_atomically(path, [header, *(np.ascontiguousarray(array).data for array in arrays)], WeightsError)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _parse_header(start: bytes, size: int) -> Header:
    major, minor, revision, seen = struct.unpack_from("<iiiq" if size == 20 else "<iiiI", start)
    return Header(major, minor, revision, seen, size)


def _explain_size(start: bytes, size: int, expected: int, network: Network) -> str:
    """Why a file of `size` bytes cannot hold `expected` bytes of parameters."""
    text = start.lstrip().lower()
    if size == 0:
        return "an empty file"
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "an HTML page, not weights; the download went wrong"
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not weights; run `git lfs pull`"
    if size < 16:
        return f"{size} bytes, shorter than a header"
    kind = "cut short" if size < expected else "longer"
    return (
        f"{size} bytes, {kind}: {network.file} takes {expected + 16} or {expected + 20};"
        " are they the weights of this network?"
    )


def _slice(values: Array, layers: Sequence[Layer], header: Header) -> Parameters:
    parameters, offset = [], 0
    for layer in layers:
        arrays = {}
        for name, shape in layer.parameters.items():
            flat = values[offset : offset + math.prod(shape)]
            offset += flat.size
            transposed = layer.kind == "connected" and name == "matrix" and header.transposed
            arrays[name] = flat.reshape(shape[::-1]).T if transposed else flat.reshape(shape)
        parameters.append(arrays)
    return parameters


def _check_values(weights: Weights, layers: Sequence[Layer]) -> None:
    for layer, arrays in zip(layers, weights.parameters, strict=True):
        for name, array in arrays.items():
            # One pass settles nearly every file: a sum is finite only if all its terms are.
            with np.errstate(over="ignore", invalid="ignore"):
                finite = np.isfinite(array.sum()) or np.isfinite(array).all()
            if not finite:
                reason = "NaN or infinity; the file is damaged or training diverged"
                raise WeightsError(reason, file=weights.file, option=_label(layer, name))
            if name == "variances" and array.min() < 0:
                reason = f"{array.min():g}, a negative variance; the file is damaged or not this network's"
                raise WeightsError(reason, file=weights.file, option=_label(layer, name))


def _label(layer: Layer, name: str) -> str:
    return f"layer {layer.index} [{layer.section.name}] {name}"
