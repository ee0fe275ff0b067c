"""`classifier demo` on a camera, as OpenCV reads it: its pictures, its faults, and how it is left."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from support_camera import Camera, build_camera, import_opencv, to_yuyv
from support_cli import PATIENCE, environment, finish, run, start

cv2 = import_opencv()
SIZE = 320, 240
DEMO = ("classifier", "demo", "shapes", "-t", "1", "-q", "--engine", "reference")
FOREVER = str(PATIENCE)
UNPLUGGED = "camera 0: no more frames come; is it still plugged in?"
OTHER = "name another one (-c N), or a video"
NO_PICTURES = f"gives OpenCV no pictures; is it in use by another program, or no camera? {OTHER}"
NO_FRAME = f"no frame comes; is it in use by another program? plug it in anew, or {OTHER}"
DAMAGED = f"100 frames, one after another, are damaged JPEGs; plug it in anew, or {OTHER}"
RATE, LOOKS, BUFFERS, PICTURES = 100, 8, 4, 200
# Looks at each frame for as long as ten of them take, and prints how old it was, in frames; its luma says which it is.
SLOW = f"""
import time
from darknet_py.video import Source
source, first = Source(0), None
for look, frame in zip(range({LOOKS}), source.frames()):
    now, shown = time.monotonic(), round(int(frame.picture[0, 0, 1]) * 219 / 255)
    first = first or (now, shown)
    age = first[1] + int((now - first[0]) * {RATE}) - shown
    print((age + {PICTURES // 2}) % {PICTURES} - {PICTURES // 2})
    time.sleep(10 / {RATE})
"""


def picture(name):
    return Image.open(ROOT / "data" / f"{name}.png").convert("RGB").resize(SIZE)


def to_jpeg(image):
    stream = io.BytesIO()
    image.save(stream, "JPEG")
    return stream.getvalue()


def damaged(jpeg):
    """What a bad cable makes of a picture: half of it lost; bytes within it; bytes after it."""
    half = len(jpeg) // 2
    return [jpeg[:half], jpeg[:half] + jpeg[half + 40 :], jpeg[:-2] + b"left over\xff\xd9", b"", b"no JPEG"]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build_camera(tmp_path_factory.mktemp("camera"))


@pytest.fixture
def camera(library, tmp_path, cache):
    """The environment of a program with a camera, which shows a star unless told otherwise."""

    def camera(frames=None, size=SIZE, **more):
        frames = [to_yuyv(picture("star"))] if frames is None else frames
        return environment(cache, **Camera(library, tmp_path, frames, size, **{"rate": 100, **more}).environment)

    return camera


def labels(out):
    return [line.partition(": ")[2] for line in out.splitlines() if "%: " in line]


@pytest.mark.parametrize(("convert", "spoil"), [(to_yuyv, lambda frame: []), (to_jpeg, damaged)])
def test_its_pictures_are_classified_until_it_is_unplugged(camera, tmp_path, convert, spoil):
    star, heart = convert(picture("star")), convert(picture("heart"))
    env = camera([*[star] * 10, *spoil(star), heart], fault="DQBUF ENODEV 25")
    answer = run(*DEMO, "--no-window", cwd=tmp_path, env=env)
    assert (answer.code, answer.err) == (3, f"darknet: {UNPLUGGED}\n")
    found = labels(answer.out)
    assert found == sorted(found, reverse=True)
    assert (found[-1], {*found} - {"star"}) == ("heart", {"heart"})


def test_a_camera_is_found_by_its_path_too(camera, tmp_path):
    """A character device that every machine has stands in for it."""
    env = camera(device="/dev/full", fault="DQBUF ENODEV 9")
    answer = run(*DEMO, "--no-window", "/dev/full", cwd=tmp_path, env=env)
    assert (answer.code, answer.err) == (3, "darknet: /dev/full: no more frames come; is it still plugged in?\n")
    assert {*labels(answer.out)} == {"star"}


def test_frames_are_dropped_not_queued(camera, tmp_path):
    frames = [np.full((24, 32, 2), (16 + number, 128), np.uint8) for number in range(PICTURES)]
    env = camera(frames, size=(32, 24), rate=RATE, loop=1)
    done = subprocess.run([sys.executable, "-c", SLOW], cwd=tmp_path, env=env, capture_output=True, timeout=PATIENCE)
    ages = [int(line) for line in done.stdout.split()]
    assert len(ages) == LOOKS
    assert min(ages[BUFFERS:]) < 2 * BUFFERS  # read one after another, a driver's buffers would each be ten older


def test_its_video_is_as_long_as_it_was_watched(camera, tmp_path):
    env = camera(rate=30, fault="DQBUF ENODEV 12")
    answer = run(*DEMO, "--no-window", "--out", "o.mp4", cwd=tmp_path, env=env)
    assert (answer.code, answer.complaints) == (3, [UNPLUGGED])
    capture = cv2.VideoCapture(str(tmp_path / "o.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == 30
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) >= 9


@pytest.mark.parametrize("frozen", [{}, {"freezes": 3}])
def test_ctrl_c_ends_it_with_the_last_answer(camera, tmp_path, frozen):
    env = {**camera(**frozen), "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": FOREVER}
    process = start(*DEMO, "--no-window", "--out", "o.mp4", cwd=tmp_path, env=env)
    heard = "".join(process.stdout.readline() for _ in range(3))
    process.send_signal(signal.SIGINT)
    answer = finish(process)
    assert answer.code == 130
    assert answer.complaints == ["stopping, when the frame at work is done; once more leaves at once"]
    found = labels(heard + answer.out)
    assert {*found} == {"star"}
    assert (heard + answer.out).endswith("%: star\n")
    assert cv2.VideoCapture(str(tmp_path / "o.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) >= len(found)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"fault": "open EBUSY 0"}, "/dev/video0: device or resource busy; close the program that uses it"),
        ({"fault": "open EACCES 0"}, "/dev/video0: permission denied; may this user read cameras (group video)?"),
        ({"fault": "open ENODEV 0"}, f"/dev/video0: no such device; is it plugged in? {OTHER}"),
        ({"fault": "QUERYCAP ENOTTY 0"}, NO_PICTURES),
        ({"fault": "S_FMT EBUSY 0"}, NO_PICTURES),
        ({"format": "H264"}, NO_PICTURES),
        ({"fault": "STREAMON EBUSY 0"}, NO_FRAME),
        ({"format": "MJPG", "rate": 1000}, DAMAGED),
    ],
)  # fmt: skip
def test_a_camera_without_pictures_is_one_line(camera, tmp_path, more, says):
    env = {**camera(**more), "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "1"}
    answer = run(*DEMO, "--no-window", cwd=tmp_path, env=env)
    assert (answer.code, answer.out, answer.err) == (1, "", f"darknet: camera 0: {says}\n")


def test_a_camera_that_freezes_is_told_of(camera, tmp_path):
    env = {**camera(freezes=3), "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "1"}
    answer = run(*DEMO, "--no-window", cwd=tmp_path, env=env)
    assert (answer.code, answer.err) == (3, f"darknet: {UNPLUGGED}\n")
    assert {*labels(answer.out)} == {"star"}


def test_without_a_display_there_is_no_window(camera, tmp_path):
    env = {key: value for key, value in camera().items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    answer = run(*DEMO, cwd=tmp_path, env=env)
    says = "no display, or a headless OpenCV (pip install opencv-python); take --no-window"
    assert (answer.code, answer.out, answer.err) == (1, "", f"darknet: a window: cannot be opened: {says}\n")


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="no Xvfb, a display without a screen")
@pytest.mark.skipif(re.search(r"GUI: +NONE", cv2.getBuildInformation()) is not None, reason="a headless OpenCV")
def test_a_window_shows_it(camera, tmp_path):
    read, write = os.pipe()
    display = subprocess.Popen(["Xvfb", "-displayfd", str(write)], pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as told:
            env = {**camera(fault="DQBUF ENODEV 20"), "DISPLAY": f":{told.readline().strip()}"}
        answer = run(*DEMO, cwd=tmp_path, env=env)
    finally:
        display.terminate()
        display.wait()
    assert (answer.code, answer.err) == (3, f"darknet: {UNPLUGGED}\n")
    assert {*labels(answer.out)} == {"star"}
