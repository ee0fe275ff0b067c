"""Folders to which a command writes pictures for people to look at."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from ..errors import DatasetError, UsageError
from ..files import describe_oserror, make_writable, write_atomically
from ..images.decode import encode_png, is_own_png
from ..images.draw import annotate, beside, heat, shrink

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..images import Picture
    from ..prediction import Prediction

MAX_NAME = 200  # bytes of a file's name; file systems take 255
HEAT_SIDE = 1600  # pixels, at most, of the longer side of a picture beside its heatmap


class Gallery:
    """A folder in which each picture ``NAME.*`` gets its own ``NAME.KIND.png``, or ``NAME-2.KIND.png`` and so on.

    Pictures of equal names get numbers, and so do those whose file would replace one that this program did not write.

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
        """Write `picture`, which was made from the picture `file`; DatasetError where that fails."""
        stem = os.fsdecode(os.fsencode(PurePath(file).stem or "picture")[:MAX_NAME])
        names = chain([stem], (f"{stem}-{number}" for number in count(2)))
        path = next(path for path in map(self._path, names) if self._is_free(path))
        self._taken.add(path.name.casefold())
        write_atomically(path, [encode_png(picture)], DatasetError)

    def _path(self, name: str) -> Path:
        return Path(self.folder, f"{name}.{self.kind}.png")

    def _is_free(self, path: Path) -> bool:
        taken = path.name.casefold() in self._taken  # some file systems do not tell upper from lower case
        return not taken and (not os.path.lexists(path) or is_own_png(path))


def draw_guesses(picture: Picture, guesses: Sequence[Prediction]) -> Picture:
    """Draw its guesses on a picture."""
    return annotate(picture, [(guess.label, guess.probability) for guess in guesses])


def draw_heat(network: Classifier, picture: Picture, index: int, mode: str | None, layer: int | None) -> Picture:
    """Draw the picture beside its heatmap for class `index`."""
    heatmap = network.heatmap(picture, layer, index, mode)
    small = shrink(picture, HEAT_SIDE)
    heated = heat(small, heatmap.spread(small.shape[1], small.shape[0]))
    return beside(small, annotate(heated, [(heatmap.prediction.label, heatmap.prediction.probability)]))
