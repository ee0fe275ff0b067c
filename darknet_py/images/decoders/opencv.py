"""Pictures by OpenCV: kinds that Pillow does not read, or does not read faithfully.

OpenCV does not report what it finds wrong, and accepts any size: the callers read the header first.
"""

from __future__ import annotations

import re
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...errors import EngineError, ImageError
from ...opencv import load_opencv

if TYPE_CHECKING:
    import numpy.typing as npt

Picture: TypeAlias = "npt.NDArray[np.uint8]"
BAND = 1 << 20  # values
GAMMA = np.float64(np.float32(1 / 2.2))


def decode(data: bytes, file: str) -> Picture:
    """The pixels of a file of integers; the upper 8 bits where there are more."""
    cv2 = load(file)
    pixels = _read(data, int(cv2.IMREAD_COLOR) | int(cv2.IMREAD_IGNORE_ORIENTATION), file)
    return np.ascontiguousarray(pixels[..., ::-1])


def decode_light(data: bytes, size: tuple[int, int], file: str) -> Picture:
    """The pixels of a file of floats, which are amounts of light: 255 for 1 and more, below by a screen's curve.

    The curve is that of stb_image, with which darknet reads such files: x^(1/2.2). NaN becomes 0.

    Source: ``stbi__hdr_to_ldr`` of ``stb_image.h``.
    """
    light = _read(data, int(load(file).IMREAD_UNCHANGED), file)
    if light.ndim == 2:
        light = light[..., None]
    if light.dtype != np.float32 or light.shape[1::-1] != size or light.shape[2] not in (1, 3, 4):
        raise ImageError("a damaged picture: its pixels are not what its header says", file=file)
    light = light[..., :3]
    picture = np.empty((*light.shape[:2], 3), np.uint8)
    rows = max(BAND // (3 * size[0]), 1)
    for top in range(0, len(light), rows):
        band = np.nan_to_num(light[top : top + rows, :, ::-1], nan=0.0).clip(0, 1)
        bright = (band.astype(np.float64) ** GAMMA).astype(np.float32)
        picture[top : top + rows] = bright * np.float32(255) + np.float32(0.5)
    return picture


def lacks(part: str, file: str) -> str:
    """OpenCV's version, where its build information says that it lacks `part`; empty where it has it."""
    cv2 = load(file)
    found = re.search(rf"^\s*{part}:\s*(\S+)", cv2.getBuildInformation(), re.MULTILINE)
    return "" if found and found[1] != "NO" else str(cv2.__version__)


def load(file: str) -> ModuleType:
    """OpenCV; ImageError where it cannot be loaded."""
    try:
        return load_opencv()
    except EngineError as error:
        raise ImageError(f"is read by OpenCV, which {error.reason}", file=file) from None


def _read(data: bytes, how: int, file: str) -> npt.NDArray[np.generic]:
    cv2 = load(file)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    except cv2.error:
        pixels = None
    if pixels is None:
        # Some kinds it only decodes from files, and writes one.
        raise ImageError("a damaged picture, or no room in /tmp: OpenCV cannot decode it", file=file)
    return np.asarray(pixels)
