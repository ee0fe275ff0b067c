"""Folders of pictures that a command writes, to be looked at."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from ..errors import DatasetError, UsageError
from ..files import describe_oserror, make_writable, write_atomically
from ..images.decode import encode_png
from ..images.draw import annotate, beside, heat, shrink

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..images import Picture
    from ..prediction import Prediction

MAX_NAME = 200  # bytes of a file's name; file systems take 255
HEAT_SIDE = 1600  # pixels at most of the longer side of a picture beside its heatmap


class Gallery:
    """A folder in which each picture ``NAME.*`` has its own ``NAME.KIND.png``; of equal names, later ones a number.

    Raises
    ------
    UsageError
        Where `folder`, the value of `option`, cannot be made or written.
    """

    def __init__(self, folder: str, option: str, kind: str) -> None:
        self.folder, self.kind = folder, kind
        self._taken: set[str] = set()
        try:
            make_writable(folder)
        except OSError as reason:
            what = f"{describe_oserror(reason)}; a folder that can be written is expected"
            raise UsageError(what, option=f"{option} {folder}") from None

    def add(self, file: str, picture: Picture) -> None:
        """Write what came of the picture `file`; DatasetError where that fails."""
        stem = os.fsdecode(os.fsencode(PurePath(file).stem or "picture")[:MAX_NAME])
        name, number = stem, 1
        while name.casefold() in self._taken:  # of which some file systems make one name
            number += 1
            name = f"{stem}-{number}"
        self._taken.add(name.casefold())
        write_atomically(Path(self.folder, f"{name}.{self.kind}.png"), [encode_png(picture)], DatasetError)


def draw_guesses(picture: Picture, guesses: Sequence[Prediction]) -> Picture:
    """The picture with its guesses on it."""
    return annotate(picture, [(guess.label, guess.probability) for guess in guesses])


def draw_heat(network: Classifier, picture: Picture, index: int, mode: str | None, layer: int | None) -> Picture:
    """Where in the picture lies what speaks for class `index`, beside the picture."""
    heatmap = network.heatmap(picture, layer, index, mode)
    small = shrink(picture, HEAT_SIDE)
    heated = heat(small, heatmap.spread(small.shape[1], small.shape[0]))
    return beside(small, annotate(heated, [(heatmap.prediction.label, heatmap.prediction.probability)]))
