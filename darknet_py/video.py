"""Frames from cameras, video files and streams, and windows and video files to put them in, by OpenCV."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import EngineError, ImageError
from .files import describe_oserror
from .images import Picture
from .images.decoders.jpeg import decode_frame
from .opencv import load_opencv

USUAL_RATE = 25.0  # frames a second, where a source does not say
MOST_RATE = 240.0  # frames a second; for some streams OpenCV returns the ticks of their clock, 90,000
MOST_MISSING = 0.05  # of the frames that a file says it has
PATIENCE = 30  # seconds for a window to open
POLL = 0.1  # seconds within which a stop is noticed
GRACE = 0.5  # seconds for the frame that is being read when nobody wants more
MOST_DAMAGED = 100  # frames of a camera, one after another
PROBE = "import cv2; cv2.namedWindow('darknet'); cv2.waitKey(1)"
CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}  # those that every OpenCV has
TITLE = "Classifier Demo"
ESCAPE = 27
JPEGS = tuple(int.from_bytes(code, "little") for code in (b"MJPG", b"JPEG"))
OTHER = "name another one (-c N), or a video"
ADVICE = {
    errno.EACCES: "may this user read cameras (group video)?",
    errno.EBUSY: "close the program that uses it",
    errno.ENOENT: f"is it plugged in? {OTHER}",
    errno.ENODEV: f"is it plugged in? {OTHER}",
}


@dataclass(frozen=True)
class Frame:
    """A frame of a source.

    Attributes
    ----------
    number : int
        Counted from 0; frames that were dropped count, too.
    picture : array
        uint8 (height, width, 3), RGB.
    """

    number: int
    picture: Picture


class Source:
    """A camera, by its number, or what a path or an address names.

    Attributes
    ----------
    name : str
        For messages.
    live : bool
        Whether it goes on by itself: from a live source the newest frame is taken, and those before it are dropped.
    rate : float
        Frames a second.
    count : int
        How many frames it says it has; 0 where it does not.

    Raises
    ------
    ImageError
        Where it cannot be opened.
    """

    def __init__(self, source: int | str) -> None:
        cv2 = load_opencv()
        self.name = f"camera {source}" if isinstance(source, int) else source
        is_address = isinstance(source, str) and "://" in source
        is_file = isinstance(source, str) and not is_address
        if is_file and not os.path.exists(source):
            raise ImageError("no such file", file=self.name)
        if is_file and os.path.isdir(source):
            raise ImageError("is a folder; a video is expected", file=self.name)
        path = f"/dev/video{source}" if isinstance(source, int) else source
        self._device = path if isinstance(source, int) or Path(path).is_char_device() else ""
        self._reader: threading.Thread | None = None
        self._has_ended = False
        # OpenCV's FFmpeg would take what precedes a colon in a relative path for a protocol.
        self._capture: Any = cv2.VideoCapture(os.path.abspath(path) if is_file else source)
        if not self._capture.isOpened():
            raise ImageError(_explain_closed(self._device, is_address), file=self.name)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate <= MOST_RATE else USUAL_RATE
        self.count = count_frames(self._capture)
        self.live = not (is_file and os.path.isfile(source)) and self.count == 0

    def frames(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[Frame]:
        """Its frames, as far as they can be read, until `stopped` says so.

        A thread reads them, so that a stream that stalls holds nobody up.
        """
        cv2 = load_opencv()
        changed = threading.Condition()
        waiting: list[Frame | Exception | None] = []  # at most one frame; then the error that ended them, or None
        over = False

        def read() -> None:
            end: Exception | None = None
            try:
                for frame in self._read():
                    with changed:
                        changed.wait_for(lambda: self.live or over or not waiting)
                        waiting[:] = [frame]
                        changed.notify()
                    if over:
                        return
            except Exception as reason:  # raised where frames are waited for
                end = reason
                if isinstance(reason, cv2.error):
                    end = ImageError(f"OpenCV cannot read on: {str(reason).strip()}", file=self.name)
            with changed:
                waiting.append(end)
                changed.notify()

        self._reader = threading.Thread(target=read, daemon=True)
        self._reader.start()
        try:
            while not stopped():
                with changed:
                    if not changed.wait_for(lambda: waiting, POLL):
                        continue
                    frame = waiting.pop(0)
                    changed.notify()
                if frame is None:
                    self._has_ended = True
                    return
                if isinstance(frame, Exception):
                    raise frame
                yield frame
        finally:
            with changed:
                over = True
                changed.notify()
            self._reader.join(GRACE)

    def _read(self) -> Iterator[Frame]:
        """The frames; a camera's JPEGs are not decoded by OpenCV, which reports any damage on standard error."""
        cv2 = load_opencv()
        is_v4l2 = bool(self._device) and self._capture.getBackendName() == "V4L2"
        if is_v4l2 and self._capture.get(cv2.CAP_PROP_FOURCC) in JPEGS:
            self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
            return _decode_frames(self._capture, self.name)
        return enumerate_frames(self._capture)

    def missing(self, frames: int) -> str:
        """Why `frames` are fewer than there should be, and what to do; empty where they are not, or reading stopped."""
        if not self._has_ended:
            return ""
        if self._device:
            if frames:
                return "no more frames come; is it still plugged in?"
            return f"no frame comes; is it in use by another program? plug it in anew, or {OTHER}"
        if not frames:
            return "no frame can be read"
        return "" if is_most(frames, self.count) else f"{frames} of {self.count} frames can be read; is it cut short?"

    def close(self) -> None:
        """Release it; while a frame is still being read, that is left to the end of the program."""
        if self._reader is None or not self._reader.is_alive():
            self._capture.release()


def count_frames(capture: Any) -> int:
    """How many frames an open cv2.VideoCapture says it has; 0 where it says nothing sensible."""
    count = capture.get(load_opencv().CAP_PROP_FRAME_COUNT)
    return int(count) if 0 < count < 1e9 else 0


def is_most(count: int, told: int) -> bool:
    """Whether `count` frames are about as many as a file says it has, `told`; some files only estimate them."""
    return count >= (1 - MOST_MISSING) * told


def enumerate_frames(capture: Any) -> Iterator[Frame]:
    """The frames of an open cv2.VideoCapture."""
    number = 0
    while True:
        read, frame = capture.read()
        if not read or frame is None:
            return
        yield Frame(number, np.ascontiguousarray(frame[..., ::-1]))
        number += 1


def _decode_frames(capture: Any, name: str) -> Iterator[Frame]:
    """The frames of a camera that delivers JPEGs; one that has lost pixels is left out."""
    number, damaged = 0, 0
    while capture.grab():
        _, data = capture.retrieve()
        try:
            picture = decode_frame(b"" if data is None else data.tobytes(), name)
        except (ValueError, ImageError):
            damaged += 1
        else:
            damaged = 0
            yield Frame(number, picture)
        if damaged == MOST_DAMAGED:
            reason = f"{damaged} frames, one after another, are damaged JPEGs; plug it in anew, or {OTHER}"
            raise ImageError(reason, file=name)
        number += 1


class Window:
    """A window that shows frames; EngineError where none can be opened.

    That is tried in another process: without a display, libraries for windows end the process they run in.
    """

    def __init__(self) -> None:
        self._cv2: Any = load_opencv()
        try:
            command = [sys.executable, "-c", PROBE]
            opened = subprocess.run(command, capture_output=True, timeout=PATIENCE).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            opened = False
        if not opened:
            reason = "cannot be opened: no display, or a headless OpenCV (pip install opencv-python); take --no-window"
            raise EngineError(reason, option="a window")
        self._cv2.namedWindow(TITLE, self._cv2.WINDOW_NORMAL)
        self._has_shown = False

    def show(self, picture: Picture) -> None:
        """Show a picture, at the next call of `is_left`."""
        self._cv2.imshow(TITLE, picture[..., ::-1])
        self._has_shown = True

    def is_left(self) -> bool:
        """Whether somebody has closed the window, or pressed Escape or q; call it often: only this draws the window."""
        if self._cv2.waitKey(1) & 0xFF in (ESCAPE, ord("q")):
            return True
        return self._has_shown and self._cv2.getWindowProperty(TITLE, self._cv2.WND_PROP_VISIBLE) < 1

    def close(self) -> None:
        """Close the window."""
        self._cv2.destroyAllWindows()


class Writer:
    """A video file at `path`, which appears when it is closed; an existing one keeps its permissions, and links stay.

    Raises
    ------
    ImageError
        Where it cannot be written.
    """

    def __init__(self, path: str, rate: float) -> None:
        self.path, self.rate, self.written = path, rate, 0
        self._suffix = next(suffix for suffix in CODECS if path.lower().endswith(suffix))
        self._target = os.path.realpath(path)
        folder = os.path.dirname(self._target)
        self._partial = os.path.join(folder, f".{os.urandom(8).hex()}{self._suffix}")
        self._writer: Any = None
        self._size = (0, 0)

    def add(self, picture: Picture) -> None:
        """Write the next frame; all get the size of the first."""
        cv2 = load_opencv()
        height, width = picture.shape[0] & ~1 or 2, picture.shape[1] & ~1 or 2  # codecs need even numbers
        if self._writer is None:
            codec = cv2.VideoWriter.fourcc(*CODECS[self._suffix])
            self._size = width, height
            writer = cv2.VideoWriter(self._partial, codec, self.rate, self._size)
            if not writer.isOpened():
                writer.release()
                self._remove_partial()
                raise ImageError("this OpenCV cannot write such a video; try a name that ends in .avi", file=self.path)
            self._writer = writer
        frame = picture[:height, :width, ::-1]
        if (width, height) != self._size:
            frame = cv2.resize(np.ascontiguousarray(frame), self._size)
        self._writer.write(np.ascontiguousarray(frame))
        self.written += 1

    def _is_whole(self) -> bool:
        """Whether the file has about as many frames as were written, and the last one: OpenCV reports no errors."""
        cv2 = load_opencv()
        capture = cv2.VideoCapture(self._partial)
        count = count_frames(capture)
        capture.set(cv2.CAP_PROP_POS_FRAMES, count - 1)
        read, _ = capture.read()
        capture.release()
        return bool(read) and is_most(count, self.written)

    def close(self) -> None:
        """Finish the file, where it has frames."""
        if self._writer is None:
            return
        self._writer.release()
        try:
            if not self._is_whole():
                raise ImageError("cannot be written whole; is the disk full?", file=self.path)
            with suppress(FileNotFoundError):
                shutil.copymode(self._target, self._partial)
            os.replace(self._partial, self._target)
        except OSError as reason:
            raise ImageError(str(reason.strerror), file=self.path) from None
        finally:
            self._remove_partial()

    def _remove_partial(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self._partial)


def _explain_closed(device: str, is_address: bool) -> str:
    if is_address:
        return "no stream comes from there; is the address right, and the server up?"
    if not device:
        return "not a video that OpenCV can read; is it damaged, or its codec unknown?"
    if sys.platform == "linux":
        try:
            os.close(os.open(device, os.O_RDWR | os.O_NONBLOCK))
        except OSError as reason:
            return f"{device}: {describe_oserror(reason)}; {ADVICE.get(reason.errno or 0, OTHER)}"
    return f"gives OpenCV no pictures; is it in use by another program, or no camera? {OTHER}"
