"""A network that is served: it takes pictures' contents, and gives guesses, and pictures of what it sees."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..alike import run_alike
from ..errors import ImageSizeError
from ..images import Picture
from ..images.decode import decode_image, encode_png
from ..images.draw import heat, shrink
from ..images.fit import RESIZING_MODES, Fitted
from ..layers.connected import Connected
from ..limits import core_count
from ..per_thread import Forks
from .batcher import Batcher, Pace
from .limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..classifier import Classifier
    from ..heatmap import Heatmap
    from ..layers import Array

EACH = 4  # pictures that a thread answers by itself: with more, one that is slow to decode holds up the others
# Most parameters of connected layers with which batches may be small, as they are read for each batch: alexnet, with
# its 58 million, answered a tenth fewer pictures so.
CONNECTED = 1 << 20
LOOKED = 800  # pixels, at most, of the longer side of a picture that is sent to be looked at


class Served:
    """A network with its name, a thread that runs it, and some that decode pictures and fit them.

    Parameters
    ----------
    name : str
    network : Classifier
    limits : Limits
    watch : function
        Called with the size of each batch.
    """

    def __init__(self, name: str, network: Classifier, limits: Limits, watch: Callable[[int], None]) -> None:
        self.name, self.network, self._limits, self._watch = name, network, limits, watch
        cores = core_count()
        in_turns = network.engine != "cuda" and (network.settings.threads or cores) >= cores
        each = min(EACH, limits.batch // cores)  # so that no more inputs are held than a batch has
        connected = sum(layer.parameter_count for layer in network.layers if isinstance(layer, Connected))
        light = connected <= CONNECTED and network.count_forks(cores) == cores
        apart = each if in_turns and light and cores > 1 < each else 0
        pace = Pace(limits.batch, limits.wait, limits.gather, cores, in_turns, apart)
        forks = Forks(network, 1)
        self._batcher = Batcher(self._fit, partial(self._run, network), partial(self._run, forks), pace)
        self._pool = ThreadPoolExecutor(cores, f"look {name}")

    def classify(self, content: bytes, name: str, mode: str | None) -> Future[tuple[Fitted, Array]]:
        """A future of a picture's input and its probabilities; `name` is what messages call it."""
        return self._batcher.submit((content, name, mode))

    def look(self, content: bytes, name: str, mode: str | None) -> Future[bytes]:
        """A future of the PNG of a picture as the network gets it."""
        return self._pool.submit(self._draw, content, name, mode)

    def close(self) -> None:
        """Answer what was accepted, and end the threads."""
        self._pool.shutdown()
        self._batcher.close()

    def fit(self, content: bytes, name: str, mode: str | None) -> tuple[Picture, Fitted]:
        """A picture and its input; ImageSizeError where that would be too many times as large as the network's own."""
        picture = decode_image(content, name)
        mode = self.network.mode_for(picture, mode, name)
        own = self.network.input_shape
        sizes = RESIZING_MODES[mode](picture.shape[1], picture.shape[0], own.width) if mode in RESIZING_MODES else []
        for width, height in sizes:
            if width * height > self._limits.stretch * own.width * own.height:
                most = f"{self._limits.stretch} times {own.width} x {own.height}"
                reason = f"{mode} makes {width} x {height} pixels of it, at most {most} are taken: preprocess=letterbox"
                raise ImageSizeError(reason, file=name)
        (view,) = self.network.prepare(picture, mode)
        return picture, Fitted(view, mode)

    def heatmap(
        self, content: bytes, name: str, mode: str | None, index: int | None, layer: int | None
    ) -> tuple[Picture, Heatmap]:
        """A picture, and its heatmap for a class. Slow."""
        picture, fitted = self.fit(content, name, mode)
        return picture, self.network.heatmap(picture, layer, index, fitted.mode)

    def draw_heat(self, content: bytes, name: str, mode: str | None, index: int | None, layer: int | None) -> bytes:
        """The PNG of a picture under its heatmap, reduced to `LOOKED`. Slow."""
        picture, heatmap = self.heatmap(content, name, mode, index, layer)
        shown = shrink(picture, LOOKED)
        return encode_png(heat(shown, heatmap.spread(shown.shape[1], shown.shape[0])))

    def _fit(self, sent: tuple[bytes, str, str | None]) -> Fitted:
        return self.fit(*sent)[1]

    def _draw(self, content: bytes, name: str, mode: str | None) -> bytes:
        view = self.fit(content, name, mode)[1].view
        pixels = (view.transpose(1, 2, 0) * 255).round().clip(0, 255).astype(np.uint8)
        return encode_png(shrink(np.repeat(pixels, 3, axis=2) if len(view) == 1 else pixels[..., :3], LOOKED))

    def _run(self, network: Classifier | Forks, batch: Sequence[Fitted]) -> Sequence[Array]:
        self._watch(len(batch))
        return run_alike([fitted.view for fitted in batch], lambda views: network.probabilities(np.stack(views)))
