"""A stand-in for a camera: `camera.c`, compiled and preloaded into the program; OpenCV reads it as any other."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from darknet_py.errors import EngineError
from darknet_py.opencv import load_opencv

SOURCE = Path(__file__).parent / "camera.c"
Frame = npt.NDArray[np.uint8] | bytes  # YUYV, or a JPEG


def import_opencv() -> ModuleType:
    """Import OpenCV as the program does, as what it may log is set at its first import. Skips where it is missing."""
    try:
        return load_opencv()
    except EngineError as error:
        pytest.skip(str(error), allow_module_level=True)


def build_camera(folder: Path) -> Path:
    """Build the library that is preloaded; skips where that fails."""
    if sys.platform != "linux":
        pytest.skip("cameras are V4L2's, of Linux")
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no cc, which compiles a camera")
    library = folder / "camera.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return library


def to_yuyv(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """A picture as cameras give it: (height, width, 2), luma from 16 to 235, and a chroma of every second pixel."""
    luma, *chroma = np.moveaxis(np.asarray(picture.convert("YCbCr"), np.float32), 2, 0)
    frame = np.empty((*luma.shape, 2), np.float32)
    frame[..., 0] = 16 + luma * 219 / 255
    for parity in (0, 1):
        frame[:, parity::2, 1] = 128 + (chroma[parity][:, ::2] - 128) * 224 / 255
    return frame.round().astype(np.uint8)


class Camera:
    """A camera, as the environment describes it to `library`.

    Parameters
    ----------
    library : path
        From `build_camera`.
    folder : path
        Where its pictures are kept.
    frames : list
        Its pictures; the last one is repeated.
    size : tuple
        Width and height of each.
    more : str or int
        Further settings of `camera.c`, such as ``rate=30`` or ``fault="DQBUF ENODEV 20"``, with an error's name.
    """

    def __init__(
        self, library: Path, folder: Path, frames: Iterable[Frame], size: tuple[int, int], **more: str | int
    ) -> None:
        contents = [frame if isinstance(frame, bytes) else frame.tobytes() for frame in frames]
        file = folder / "frames"
        file.write_bytes(b"".join(len(content).to_bytes(4, sys.byteorder) + content for content in contents))
        if "fault" in more:
            call, name, after = str(more["fault"]).split()
            more["fault"] = f"{call} {getattr(errno, name)} {after}"
        jpeg = contents[0].startswith(b"\xff\xd8")
        words = {"file": file, "format": "MJPG" if jpeg else "YUYV", "size": f"{size[0]}x{size[1]}", **more}
        self.environment = {"LD_PRELOAD": str(library), **{f"CAMERA_{k.upper()}": str(v) for k, v in words.items()}}
