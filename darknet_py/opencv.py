"""OpenCV, imported when it is used."""

from __future__ import annotations

import os
from types import ModuleType

from .errors import EngineError

# OpenCV, FFmpeg and Qt print much themselves unless told not to; OpenCV reads OpenEXR only when told to.
SETTINGS = {
    "OPENCV_LOG_LEVEL": "OFF",
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
    "QT_LOGGING_RULES": "*=false",
    "OPENCV_IO_ENABLE_OPENEXR": "1",
}


def load_opencv() -> ModuleType:
    """OpenCV; EngineError where it cannot be loaded."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import cv2
    except ImportError as reason:
        text = str(reason).splitlines()[0]
        if ".so" in text:
            text += "; apt install libgl1 libglib2.0-0, or, without windows, pip install opencv-python-headless"
        else:
            text += "; pip install opencv-python"
        raise EngineError(f"cannot be loaded: {text}", option="OpenCV") from None
    return cv2
