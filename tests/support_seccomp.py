"""A sandbox that does not let a process ask for the cores it may use, nor choose them.

Sources: seccomp(2), prctl(2), the kernel's ``linux/filter.h`` and ``linux/seccomp.h``, and its tables of system calls.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

AFFINITY = {"x86_64": (203, 204), "aarch64": (122, 123)}  # sched_setaffinity, sched_getaffinity
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 0x0005_0000, 0x7FFF_0000
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # of BPF; what is loaded from 0 on is the call's number


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def deny_affinity() -> bool:
    """Refuse both calls from now on, also in processes that this one starts; return whether that was possible."""
    numbers = AFFINITY.get(platform.machine(), ())
    steps = [(LOAD, 0, 0, 0)]
    for number in numbers:
        steps += [(JUMP_IF_EQUAL, 0, 1, number), (RETURN, 0, 0, SECCOMP_RET_ERRNO | errno.EPERM)]
    steps.append((RETURN, 0, 0, SECCOMP_RET_ALLOW))
    program = _Program(len(steps), b"".join(struct.pack("HBBI", *step) for step in steps))
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None or prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)
    try:
        os.sched_getaffinity(0)
    except OSError:
        return True
    return False
