"""The memory of a long run stays flat."""

from __future__ import annotations

import sys
import time

import pytest
from support_cli import environment, finish, run, start
from support_valid import draw_pictures

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc"),
]

PICTURES, TIMES = 40, 150
EARLY = 1000  # images, after which nothing grows any more
GROWTH = 5 << 20  # bytes; 1.2 MB was the most of six runs


def resident(pid):
    """Bytes that a process has in memory; 0 where it has ended."""
    try:
        with open(f"/proc/{pid}/status") as status:
            sizes = [line.split()[1] for line in status if line.startswith("VmRSS:")]
    except ProcessLookupError:
        sizes = []
    return 1024 * int(sizes[0]) if sizes else 0


def test_memory_does_not_grow_with_the_images(tmp_path, cache):
    draw_pictures(tmp_path / "pics", PICTURES)
    listed = "".join(f"pics/{path.name}\n" for path in sorted((tmp_path / "pics").iterdir()))
    (tmp_path / "x.list").write_text(listed * TIMES)
    journal = tmp_path / "x.journal"
    words = ("classifier", "valid", "shapes", "x.list", "--format", "json", "--journal", journal)
    run("warmup", cwd=tmp_path, env=environment(cache))  # compiling takes memory of its own
    process = start(*words, cwd=tmp_path, env=environment(cache))
    early = most = done = 0
    while process.poll() is None:
        time.sleep(0.05)
        size = resident(process.pid)
        if not early:
            done = journal.read_bytes().count(b"\n") if journal.exists() else 0
            early = size if done > EARLY else 0
        most = max(most, size)
    assert finish(process).code == 0
    assert done < PICTURES * TIMES / 2
    assert early
    assert most - early < GROWTH
