"""Streams from a server that sends faster than frames are looked at, stalls, or closes."""

from __future__ import annotations

import itertools
import socket
import threading
from contextlib import closing, contextmanager, suppress

import numpy as np
import pytest
from support_camera import import_opencv
from support_cli import PATIENCE

from darknet_py import video
from darknet_py.errors import ImageError

cv2 = import_opencv()
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
NOISE = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
BUFFERED = 16 << 20  # more bytes than a system keeps of a connection


def encode(number):
    """A JPEG that is hard to compress, with a grey field that says which one it is."""
    picture = NOISE.copy()
    picture[:120] = number % 256
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


class Stream:
    """What a server sends to whoever asks: the head, `frames`, and nothing more until `over`, then the end.

    Attributes
    ----------
    sent : int
        Bytes of frames so far.
    """

    def __init__(self, frames, over):
        self.frames, self.over, self.sent = frames, over, 0
        self.grown = threading.Condition()

    def answer(self, connection):
        with suppress(OSError), connection:
            connection.recv(1 << 16)
            connection.sendall(HEAD)
            for frame in self.frames:
                head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(frame)
                connection.sendall(head + frame + b"\r\n")
                with self.grown:
                    self.sent += len(frame)
                    self.grown.notify()
            self.over.wait(PATIENCE)

    def wait_for(self, size):
        with self.grown:
            assert self.grown.wait_for(lambda: self.sent > size, PATIENCE)


@contextmanager
def streaming(frames, closes=False):
    """Run a server of one stream; yield its address."""
    over = threading.Event()
    if closes:
        over.set()
    stream = Stream(frames, over)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept():
            with suppress(OSError):
                stream.answer(listener.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/x.mjpg", stream
        finally:
            over.set()


def test_of_a_stream_that_is_faster_the_newest_frame_is_taken():
    jpegs = [encode(number) for number in range(256)]
    with streaming(itertools.cycle(jpegs)) as (address, stream), closing(video.Source(address)) as source:
        assert source.live
        with closing(source.frames()) as frames:
            first = next(frames)
            stream.wait_for(stream.sent + BUFFERED)
            newest = next(frames)
    assert newest.number - first.number > 10
    assert abs(int(newest.picture[60, 160, 0]) - newest.number % 256) <= 2


def test_a_stream_that_closes_ends_after_its_last_frame():
    with streaming([encode(7)] * 40, closes=True) as (address, _), closing(video.Source(address)) as source:
        numbers = [frame.number for frame in source.frames()]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 39


def test_a_stream_without_frames_is_refused():
    with streaming([], closes=True) as (address, _), pytest.raises(ImageError, match="no stream comes from there"):
        video.Source(address)


def test_a_stream_that_stalls_is_not_waited_for_once_it_is_left():
    last = 39
    numbers = []
    with streaming([encode(7)] * (last + 1)) as (address, _), closing(video.Source(address)) as source:
        numbers += (frame.number for frame in source.frames(lambda: last in numbers))
        assert source._reader.is_alive()


def test_a_video_may_be_called_by_its_ending_alone(tmp_path):
    path = tmp_path / ".AVI"
    with closing(video.Writer(str(path), 25)) as writer:
        writer.add(np.zeros((48, 64, 3), np.uint8))
    with closing(video.Source(str(path))) as source:
        assert [frame.picture.shape for frame in source.frames()] == [(48, 64, 3)]


def write_video(path):
    with closing(video.Writer(str(path), 25)) as writer:
        for _ in range(3):
            writer.add(NOISE)


def test_a_video_takes_the_place_of_what_a_link_leads_to_with_its_permissions(tmp_path):
    real, link = tmp_path / "real.avi", tmp_path / "link.avi"
    real.write_bytes(b"old")
    real.chmod(0o600)
    link.symlink_to(real)
    write_video(link)
    assert link.is_symlink()
    assert real.stat().st_size > 1000
    assert real.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"real.avi", "link.avi"}


def test_where_opencv_has_no_codec_another_name_is_advised(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2.VideoWriter, "isOpened", lambda self: False)
    with pytest.raises(ImageError, match=r"this OpenCV cannot write such a video; try a name that ends in \.avi$"):
        write_video(tmp_path / "x.mp4")
    assert list(tmp_path.iterdir()) == []
