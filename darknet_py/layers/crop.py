"""A part of the picture: the middle, or in training any part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cfg import flag, integer, number
from .base import Array, Arrays, Drawn, Gradients, Layer, Saved, Shape


class Crop(Layer):
    """`crop_height` x `crop_width` from the middle, mapped from 0..1 to -1..1 unless `noadjust`.

    In training it is from a random place, the same for a whole mini-batch, which with `flip` is first mirrored half of
    the time.
    """

    kind = "crop"
    resizable = False
    frees_inputs = True
    options = {"crop_height": integer(1, least=1), "crop_width": integer(1, least=1), "noadjust": flag()}
    training = {"flip": flag()}
    untrained = {"angle": number(0), "saturation": number(1), "exposure": number(1), "shift": number(0)}
    crop_height: int
    crop_width: int
    noadjust: bool
    flip: bool

    def _set_up(self, source: Shape) -> Shape:
        for key, room in (("crop_height", source.height), ("crop_width", source.width)):
            if getattr(self, key) > room:
                raise self.section.error(f"larger than its input, {source.width} x {source.height}", key)
        self.top = (source.height - self.crop_height) // 2
        self.left = (source.width - self.crop_width) // 2
        right, bottom = self.left + self.crop_width, self.top + self.crop_height
        self.shown = self.left / source.width, self.top / source.height, right / source.width, bottom / source.height
        return Shape(source.channels, self.crop_height, self.crop_width)

    def listing(self) -> str:
        (channels, height, width), out = self.input_shapes[0], self.shape
        return f"Crop Layer: {height} x {width} -> {out.height} x {out.width} x {channels} image"

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return self._crop(inputs[0], self.top, self.left)

    def draw(self, count: int, random: np.random.Generator) -> Drawn:
        """`flip` (0 or 1), `top` and `left`, as scalars."""
        _, height, width = self.input_shapes[0]
        flip = random.integers(2) if self.flip else 0
        top, left = random.integers(height - self.crop_height + 1), random.integers(width - self.crop_width + 1)
        return {"flip": np.float32(flip), "top": np.float32(top), "left": np.float32(left)}

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        x = inputs[0][..., ::-1] if drawn["flip"] else inputs[0]
        return self._crop(x, int(drawn["top"]), int(drawn["left"])), dict(drawn)

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        gradient = np.zeros((len(delta), *self.input_shapes[0]), delta.dtype)
        self._view(gradient, int(saved["top"]), int(saved["left"]))[...] = delta if self.noadjust else 2 * delta
        return Gradients((gradient[..., ::-1] if saved["flip"] else gradient,), {})

    def _crop(self, x: Array, top: int, left: int) -> Array:
        x = self._view(x, top, left)
        return x if self.noadjust else 2 * x - 1

    def _view(self, x: Array, top: int, left: int) -> Array:
        return x[:, :, top : top + self.crop_height, left : left + self.crop_width]
