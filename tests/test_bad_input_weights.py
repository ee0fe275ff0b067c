"""Wrong and odd weights files, and what the program answers."""

from __future__ import annotations

import os
import signal
import struct
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from support_bad_input import (
    BAD,
    CLASSIFY,
    NET,
    NO_FILE,
    PAGE,
    PLAIN,
    VALUES,
    WEIGHTS,
    Content,
    Program,
    Row,
    answer_plainly,
    check_accepted,
    check_refused,
    make,
    needs_posix,
    rows,
)
from support_cli import environment, finish, start

pytestmark = needs_posix


@pytest.fixture
def darknet(tmp_path, cache):
    return Program(tmp_path, cache)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, cache):
    return answer_plainly(tmp_path_factory.mktemp("plain"), cache)


def with_value(weights: bytes, position: int, value: float) -> bytes:
    """`weights` with its header of 20 bytes and another value at `position`, counted from 0."""
    return weights[: 20 + 4 * position] + struct.pack("<f", value) + weights[24 + 4 * position :]


SHAPES = (ROOT / "data" / "shapes.weights").read_bytes()
CLASSIFY_SHAPES = "classify shapes.data shapes.cfg x.weights star.png --engine reference"
NARROW = struct.pack("<iiiI", 0, 1, 0, 320)
TAKES = "x.cfg takes 464 or 468; are they the weights of this network?"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 468\n"


def weights(fault: str, content: Content, says: str = "", command: str = CLASSIFY) -> Row:
    """A row for the plain network with other weights."""
    return Row(fault, {"x.weights": content}, says and f"x.weights: {says}", command)


@rows(
    weights("missing", lambda path: None, "no such file"),
    weights("a folder", Path.mkdir, "is a folder; a file is expected"),
    weights("a FIFO", os.mkfifo, NO_FILE),
    weights("empty", b"", "an empty file"),
    weights("shorter than a header", WEIGHTS[:15], "15 bytes, shorter than a header"),
    weights("nothing but a header", WEIGHTS[:20], f"20 bytes, cut short: {TAKES}"),
    weights("one byte short", WEIGHTS[:-1], f"467 bytes, cut short: {TAKES}"),
    weights("four bytes short", WEIGHTS[:-4], "cut short by 4 bytes: its header is of 20 bytes, its size asks for"),
    weights("eight bytes short", WEIGHTS[:-8], f"460 bytes, cut short: {TAKES}"),
    weights("half", WEIGHTS[:234], f"234 bytes, cut short: {TAKES}"),
    weights("one byte more", WEIGHTS + b"\0", f"469 bytes, longer: {TAKES}"),
    weights("four bytes more", WEIGHTS + bytes(4), f"472 bytes, longer: {TAKES}"),
    weights("four more after 32 bits", NARROW + VALUES + bytes(4), "4 bytes too long: its header is of 16 bytes"),
    weights("HTML page", PAGE, "an HTML page, not weights; the download went wrong"),
    weights("HTML page after a mark", b"\xef\xbb\xbf" + PAGE * 99, "an HTML page, not weights; the download"),
    weights("Git LFS pointer", POINTER, "a Git LFS pointer, not weights; run `git lfs pull`"),
    weights("NaN", with_value(WEIGHTS, 0, np.nan), "layer 0 [convolutional] biases: NaN or infinity; the file"),
    weights("infinity", with_value(WEIGHTS, 111, -np.inf), "layer 0 [convolutional] weights: NaN or infinity; the"),
    weights(
        "negative variance", with_value(SHAPES, 50, -1), "layer 0 [convolutional] variances: -1, a", CLASSIFY_SHAPES
    ),
    weights("another network's", SHAPES, f"{len(SHAPES)} bytes, longer: {TAKES}"),
    weights("a smaller network's", WEIGHTS, "468 bytes, cut short: shapes.cfg takes 291320 or 291324", CLASSIFY_SHAPES),
)
def test_refused(tmp_path, darknet, row):
    make(tmp_path, {**PLAIN, **row.files})
    check_refused(darknet(row.command), row.says, row.code)


def test_numbers_that_overflow_are_no_answer(tmp_path, darknet):
    make(tmp_path, {**PLAIN, "x.weights": with_value(WEIGHTS, 30, 3e38)})
    answer = darknet(CLASSIFY)
    assert (answer.code, answer.out) == (BAD, "")
    reason = "gives NaN or infinity; its weights do not belong to it, or training diverged"
    assert answer.complaints == [f"star.png: x.cfg: layer 1 [avgpool] {reason}"]


@rows(
    weights("count of 32 bits", NARROW + VALUES),
    weights("count of 64 bits in version 0.1", struct.pack("<iiiq", 0, 1, 0, 320) + VALUES),
    weights("count of 32 bits in version 0.2", struct.pack("<iiiI", 0, 2, 0, 320) + VALUES),
    weights("no version", struct.pack("<fffI", 0.01, 0.9, 0.0005, 320) + VALUES),
)
def test_accepted(tmp_path, darknet, row, plain):
    make(tmp_path, {**PLAIN, **row.files})
    check_accepted(darknet(row.command), row, plain)


def test_transposed_matrices_are_turned(tmp_path, darknet):
    biases, matrix = np.split(np.random.default_rng(8).uniform(-1, 1, 4 + 4 * 192).astype("<f4"), [4])
    turned = np.ascontiguousarray(matrix.reshape(4, 192).T)
    make(tmp_path, {**PLAIN, "x.cfg": NET + "[connected]\noutput=4\nactivation=linear\n[softmax]\n"})
    make(tmp_path, {"x.weights": struct.pack("<iiiq", 0, 2, 0, 0) + biases.tobytes() + matrix.tobytes()})
    new = darknet(CLASSIFY)
    make(tmp_path, {"x.weights": struct.pack("<fffI", 0.01, 0.9, 0.0005, 0) + biases.tobytes() + turned.tobytes()})
    old = darknet(CLASSIFY)
    assert new.code == old.code == 0
    assert new.untimed == old.untimed


@pytest.mark.skipif(not Path("/proc/self/fdinfo").is_dir(), reason="no /proc to see how far the program has read")
@pytest.mark.parametrize("change", [lambda path: os.truncate(path, 1000), Path.touch], ids=["cut short", "rewritten"])
def test_weights_that_change_while_they_are_read_are_refused(tmp_path, cache, change):
    """The program is stopped once it has seen the file's size, while it reads or right after."""
    inputs, outputs = 3 * 600 * 600, 60
    make(tmp_path, {"x.data": "classes=60\nnames=x.names", "x.names": "a\n" * outputs})
    make(tmp_path, {"x.cfg": f"[net]\nheight=600\nwidth=600\nchannels=3\n[connected]\noutput={outputs}\n"})
    path = tmp_path / "x.weights"
    path.touch()
    os.truncate(path, 20 + 4 * (outputs + inputs * outputs))  # 247 MiB of nothing
    for _ in range(50):
        process = start(*CLASSIFY.split(), cwd=tmp_path, env=environment(cache))
        while process.poll() is None and not reading(process.pid, path):
            pass
        if process.poll() is None:
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            if process.poll() is None and reading(process.pid, path):
                break
        process.kill()  # it has finished, too fast for the test
        finish(process)
    else:
        pytest.fail("it was always too fast to be stopped while it read")
    change(path)
    process.send_signal(signal.SIGCONT)
    check_refused(finish(process), "x.weights: changed while it was read; load it again")


def reading(pid: int, path: Path) -> bool:
    """Whether the process has `path` open as weights, its header or more read; finding its kind takes one block."""
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            if os.readlink(f"/proc/{pid}/fd/{number}") == str(path):
                position = Path(f"/proc/{pid}/fdinfo/{number}").read_text().split()[1]
                return 20 <= int(position) <= 64 or int(position) > 1 << 20
        except FileNotFoundError:
            pass
    return False
