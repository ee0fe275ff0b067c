"""The middle of the picture."""

from __future__ import annotations

from collections.abc import Sequence

from ..cfg import flag, integer
from .base import Array, Layer, Parameters, Shape


class Crop(Layer):
    """`crop_height` x `crop_width` from the middle, mapped from 0..1 to -1..1 unless `noadjust`."""

    kind = "crop"
    resizable = False
    options = {"crop_height": integer(1, least=1), "crop_width": integer(1, least=1), "noadjust": flag()}
    ignored = ("flip", "angle", "saturation", "exposure", "shift")
    crop_height: int
    crop_width: int
    noadjust: bool

    def _set_up(self, source: Shape) -> Shape:
        for key, room in (("crop_height", source.height), ("crop_width", source.width)):
            if getattr(self, key) > room:
                raise self.section.error(f"larger than its input, {source.width} x {source.height}", key)
        self.top = (source.height - self.crop_height) // 2
        self.left = (source.width - self.crop_width) // 2
        return Shape(source.channels, self.crop_height, self.crop_width)

    def listing(self) -> str:
        (channels, height, width), out = self.input_shapes[0], self.shape
        return f"Crop Layer: {height} x {width} -> {out.height} x {out.width} x {channels} image"

    def table_row(self) -> str:
        return self.listing()

    def forward(self, inputs: Sequence[Array], parameters: Parameters) -> Array:
        rows = slice(self.top, self.top + self.crop_height)
        columns = slice(self.left, self.left + self.crop_width)
        x = inputs[0][:, :, rows, columns]
        return x if self.noadjust else 2 * x - 1
