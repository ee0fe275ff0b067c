"""Memory between pages that must not be accessed."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from conftest import ROOT

BEFORE = """
import ctypes
import mmap

import numpy as np

page = mmap.PAGESIZE
memory = mmap.mmap(-1, 3 * page)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
for closed in (address, address + 2 * page):
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(closed), ctypes.c_size_t(page), 0) == 0
between = np.frombuffer(memory, np.uint8, page, page)
between[:] = np.arange(page) % 251
"""


def run_between_closed_pages(script: str) -> None:
    """Run a script in which `between` is an array of one page; fail where it fails, or reads a byte outside that."""
    program = f"{BEFORE}{textwrap.dedent(script)}\nprint('done')"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
