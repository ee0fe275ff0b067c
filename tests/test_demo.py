"""`classifier demo`: videos, cameras that are slower or faster than the network, and what may be missing."""

from __future__ import annotations

import builtins
import os
import signal
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from support_camera import import_opencv

from darknet_py import load_network, video
from darknet_py.errors import ImageError

cv2 = import_opencv()
STAR = np.asarray(Image.open(ROOT / "data" / "star.png").convert("RGB").resize((120, 90)))
FRAMES = 6


@pytest.fixture
def darknet(tmp_path, monkeypatch, darknet):
    """Run ``darknet classifier demo shapes`` in a folder with a video; return exit code, lines, the last on stderr."""
    monkeypatch.chdir(tmp_path)
    writer = video.Writer("v.avi", 10)
    for _ in range(FRAMES):
        writer.add(STAR)
    writer.close()

    def demo(*arguments):
        code, out, err = darknet("classifier", "demo", "shapes", *arguments, "--engine", "reference")
        return code, out.splitlines(), err.splitlines()[-1]

    return demo


def read(path):
    capture = cv2.VideoCapture(str(path))
    return [frame.picture for frame in video.enumerate_frames(capture)], capture.get(cv2.CAP_PROP_FPS)


def test_every_frame_of_a_file_is_told_as_darknet_does(darknet):
    code, out, _ = darknet("v.avi", "--no-window", "-t", "2")
    assert code == 0
    assert [line.partition(":")[0] for line in out[1::4]] == ["FPS"] * FRAMES
    assert out[:2] == ["", "FPS:0"]
    assert len(out) == 4 * FRAMES
    guesses = load_network("shapes", engine="reference").classify(read("v.avi")[0][0], 2, "letterbox")
    assert out[2:4] == [f"{100 * guess.probability:.1f}%: {guess.label}" for guess in guesses]
    assert guesses[0].label == "star"


def test_the_video_is_written_with_all_frames_and_guesses(darknet, tmp_path):
    code, out, err = darknet("v.avi", "--no-window", "--every", "4", "--out", "o.avi")
    assert (code, err) == (0, "darknet: o.avi: 6 frames")
    assert sum(line.startswith("FPS") for line in out) == 2
    frames, rate = read("o.avi")
    assert (len(frames), rate) == (FRAMES, 10)
    assert (np.abs(frames[0][:60].astype(int) - [72, 132, 196]).max(axis=2) < 40).any()  # a bar
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.avi", "v.avi"]


def test_what_stands_before_a_colon_is_no_protocol(darknet, tmp_path):
    for name, made in (("v.avi", "b:v.mp4"), ("b:v.mp4", "c:v.mp4")):
        assert darknet(name, "--no-window", "--out", made)[::2] == (0, f"darknet: {made}: 6 frames")
        assert len(read(tmp_path / made)[0]) == FRAMES


def test_one_frame_is_one_frame(darknet):
    writer = video.Writer("one.avi", 10)
    writer.add(STAR)
    writer.close()
    assert darknet("one.avi", "--no-window", "--out", "o.avi")[::2] == (0, "darknet: o.avi: 1 frame")


@pytest.mark.skipif(os.name != "posix", reason="needs a limit of files' sizes")
@pytest.mark.parametrize("frames", [20, 200])  # so that the end of the file fits into it, or does not
@pytest.mark.parametrize("kind", ["mp4", "avi", "mkv"])
def test_a_video_that_cannot_be_written_whole_replaces_nothing(tmp_path, kind, frames):
    import resource

    path = tmp_path / f"o.{kind}"
    path.write_text("an earlier one")
    writer, noise = video.Writer(str(path), 25), np.random.default_rng(0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        for _ in range(frames):
            writer.add(noise.integers(0, 255, STAR.shape, np.uint8))
        with pytest.raises(ImageError, match="cannot be written whole; is the disk full"):
            writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "an earlier one"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize(("told", "rate"), [(90_000, 25), (1e12, 25), (float("nan"), 25), (-1, 25), (60, 60)])
def test_a_rate_that_no_camera_has_is_not_believed(monkeypatch, told, rate):
    monkeypatch.setattr(Camera, "get", lambda self, key: told if key == 5 else 0.0)
    fake = SimpleNamespace(VideoCapture=lambda source: Camera(1, 0), CAP_PROP_FPS=5, CAP_PROP_FRAME_COUNT=7)
    monkeypatch.setattr(video, "load_opencv", lambda: fake)
    assert video.Source(0).rate == rate


def test_a_file_that_is_cut_short_is_told_of(darknet, tmp_path):
    content = (tmp_path / "v.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) // 2])
    code, _, err = darknet("cut.avi", "--no-window")
    assert code == 3
    assert err.startswith("darknet: cut.avi: ")
    assert err.endswith("of 6 frames can be read; is it cut short?")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("no.mp4", "--no-window"), 1, "no.mp4: no such file"),
        ((".", "--no-window"), 1, ".: is a folder; a video is expected"),
        (("text.mp4", "--no-window"), 1, "text.mp4: not a video that OpenCV can read"),
        (("-c", "77", "--no-window"), 1, "camera 77: /dev/video77: no such file or directory; is it plugged in?"),
        (("v.avi", "-c", "0"), 2, "-c 0: together with v.avi: one of them is expected"),
        (("v.avi", "--out", "o.gif"), 2, "--out o.gif: a name that ends in .mp4 or .avi or .mkv is expected"),
        (("v.avi", "--out", "v.avi"), 2, "--out v.avi: would replace a file that this run reads"),
        (("v.avi", "--smooth", "1"), 2, "--smooth: 1: a number from 0 to below 1 is expected"),
        (("v.avi", "w.avi"), 2, "w.avi: one FILE or URL is expected"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_one_line(darknet, tmp_path, words, code, says):
    (tmp_path / "text.mp4").write_text("no video")
    found = darknet(*words)
    assert found[:2] == (code, [])
    assert found[2].startswith(f"darknet: {says}")


def test_without_a_display_it_says_what_to_do(darknet, monkeypatch):
    monkeypatch.setattr(video, "PROBE", "import os; os.abort()")
    assert darknet("v.avi")[::2] == (
        1,
        "darknet: a window: cannot be opened: no display, or a headless OpenCV (pip install opencv-python); "
        "take --no-window",
    )


@pytest.mark.parametrize(
    ("reason", "help"),
    [
        ("libGL.so.1: cannot open shared object file", "apt install libgl1 libglib2.0-0"),
        ("No module named 'cv2'", "pip install opencv-python"),
    ],
)
def test_without_opencv_it_says_what_to_install(darknet, monkeypatch, reason, help):
    real = builtins.__import__

    def fail(name, *rest):
        if name == "cv2":
            raise ImportError(reason)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", fail)
    code, _, err = darknet("v.avi", "--no-window")
    assert code == 1
    assert err.startswith(f"darknet: OpenCV: cannot be loaded: {reason}; {help}")


class Camera:
    """A cv2.VideoCapture whose frames come every `seconds`; the first pixel of a frame is its number."""

    def __init__(self, frames, seconds):
        self.left, self.seconds = iter(range(frames)), seconds

    def isOpened(self):  # noqa: N802
        return True

    def getBackendName(self):  # noqa: N802
        return "of a test"

    def get(self, key):
        return 0.0

    def release(self):
        pass

    def read(self):
        time.sleep(self.seconds)
        number = next(self.left, None)
        return (False, None) if number is None else (True, np.full((90, 120, 3), number, np.uint8))


def test_frames_of_a_camera_are_dropped_not_queued(monkeypatch):
    fake = SimpleNamespace(VideoCapture=lambda source: Camera(60, 0.005), CAP_PROP_FPS=5, CAP_PROP_FRAME_COUNT=7)
    monkeypatch.setattr(video, "load_opencv", lambda: fake)
    source = video.Source(0)
    assert source.live
    seen = []
    for frame in source.frames():
        seen.append(frame.number)
        assert frame.picture[0, 0, 0] == frame.number
        time.sleep(0.05)  # the network is slower
    assert seen == sorted(set(seen))
    assert len(seen) < 40
    assert max(seen) == 59


def test_a_camera_that_is_left_is_read_no_more(monkeypatch):
    fake = SimpleNamespace(VideoCapture=lambda source: Camera(10**6, 0.001), CAP_PROP_FPS=5, CAP_PROP_FRAME_COUNT=7)
    monkeypatch.setattr(video, "load_opencv", lambda: fake)
    frames = video.Source(0).frames()
    first = next(frames)
    assert next(frames).number > first.number
    frames.close()


class Closing(threading.Event):
    """A video.Window that the user closes once `left` frames have been shown, or a few moments later."""

    left, looks = 0, 3

    def show(self, picture):
        self.left -= 1

    def is_left(self):
        self.looks -= self.left <= 0
        return not self.looks

    def close(self):
        self.set()


@pytest.mark.parametrize("frames", [0, 3])
@pytest.mark.parametrize("way", ["Ctrl-C", "window"])
def test_it_can_be_left_though_no_frame_comes(darknet, monkeypatch, way, frames):
    go_on, came, window = threading.Event(), [], Closing()
    window.left = frames if way == "window" else 100

    class Stalled(Camera):
        def read(self):
            read, frame = super().read()
            if not read:
                if way == "Ctrl-C":
                    os.kill(os.getpid(), signal.SIGINT)
                came.append(go_on.wait(60))
            return read, frame

        def release(self):
            pytest.fail("it is released while it is read")

    fake = SimpleNamespace(VideoCapture=lambda source: Stalled(frames, 0.1), CAP_PROP_FPS=5, CAP_PROP_FRAME_COUNT=7)
    monkeypatch.setattr(video, "load_opencv", lambda: fake)
    monkeypatch.setattr(video, "Window", lambda: window)
    try:
        code, out, err = darknet("-t", "1")
        assert not came
    finally:
        go_on.set()
    assert code == (130 if way == "Ctrl-C" else 0)
    assert "camera" not in err
    assert len(out) <= 3 * frames
    assert window.is_set()


@pytest.mark.parametrize(
    ("reason", "error", "says"),
    [
        (MemoryError("no room"), MemoryError, "no room"),
        (cv2.error("empty\n"), ImageError, "camera 0: OpenCV cannot read on: empty$"),
    ],
)
def test_what_ends_the_reading_of_a_camera_ends_the_frames(monkeypatch, reason, error, says):
    class Broken(Camera):
        def read(self):
            raise reason

    words = {"CAP_PROP_FPS": 5, "CAP_PROP_FRAME_COUNT": 7, "error": cv2.error}
    fake = SimpleNamespace(VideoCapture=lambda source: Broken(1, 0), **words)
    monkeypatch.setattr(video, "load_opencv", lambda: fake)
    with pytest.raises(error, match=says):
        next(video.Source(0).frames())


def test_smoothing_keeps_a_share_of_the_answers_before(darknet, tmp_path):
    writer = video.Writer("two.avi", 10)
    for picture in (STAR, np.full_like(STAR, 90)):
        writer.add(picture)
    writer.close()
    _, plain, _ = darknet("two.avi", "--no-window", "-t", "10")
    _, smooth, _ = darknet("two.avi", "--no-window", "-t", "10", "--smooth", "0.9")

    def share(lines):
        return float(next(line for line in lines[12:] if line.endswith(": star")).partition("%")[0])

    first = float(next(line for line in plain[:12] if line.endswith(": star")).partition("%")[0])
    assert share(smooth) == pytest.approx(0.9 * first + 0.1 * share(plain), abs=0.2)
