"""How much memory and how many cores this process may have: the machine's, its container's, its own limits.

Sources: cgroups(7), proc(5), the kernel's ``cgroup-v1/memory.rst`` and ``cgroup-v2.rst``.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

if sys.platform != "win32":
    import resource

ROOT = Path("/")
UNLIMITED = 1 << 60  # bytes; cgroups of version 1 say a little less than 2^63 where there is no limit


class Limit(NamedTuple):
    """A limit of memory.

    Attributes
    ----------
    whose : str
        What it applies to, in words.
    size : int
        Bytes.
    used : int
        Bytes of them that this process already uses.
    """

    whose: str
    size: int
    used: int


def memory_limits(root: Path = ROOT) -> list[Limit]:
    """All limits of memory that the system reports; `root` is the folder that contains /proc and /sys."""
    address_space, resident, data = _used_memory(root)
    limits = []
    try:
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        limits.append(Limit("this machine's", size, resident))
    except (AttributeError, ValueError, OSError):
        pass
    container = _container_memory(root)
    if container is not None:
        limits.append(Limit("this container's", container, resident))
    if sys.platform != "win32":
        for kind, name, used in (
            (resource.RLIMIT_AS, "ulimit -v", address_space),
            (resource.RLIMIT_DATA, "ulimit -d", data),
        ):
            size = resource.getrlimit(kind)[0]
            if size != resource.RLIM_INFINITY:
                limits.append(Limit(f"this process's ({name})", size, used))
    return limits


def has_memory(size: int) -> bool:
    """Whether `size` bytes more are within all limits."""
    return all(limit.used + size <= limit.size for limit in memory_limits())


def tell_size(size: int) -> str:
    """A number of bytes, in MiB or GiB."""
    return f"{size / 2**30:.1f} GiB" if size >= 1 << 30 else f"{size / 2**20:.0f} MiB"


def core_count() -> int:
    """How many cores this process may use, by its affinity and by its container's share of their time.

    Where the system does not say which processors are hardware threads of one core, all count.
    """
    return _within_quota(len(find_cores()))


def processor_count() -> int:
    """How many processors this process may use: a core has one for each of its hardware threads."""
    return _within_quota(sum(map(len, find_cores())))


def find_cores(root: Path = ROOT) -> list[set[int]]:
    """The processors of each core that this process may use; empty where the system does not say."""
    try:
        processors = os.sched_getaffinity(0)
    except (AttributeError, OSError):  # some systems lack it, some sandboxes forbid it
        return []
    cores: dict[str, set[int]] = {}
    for processor in processors:
        cores.setdefault(_find_siblings(root, processor), set()).add(processor)
    return list(cores.values())


def _within_quota(count: int) -> int:
    count = count or os.cpu_count() or 1
    return min(count, core_quota() or count)


@cache
def _find_siblings(root: Path, processor: int) -> str:
    """The processors of this one's core, as the system lists them; its own number where it does not."""
    topology = root / f"sys/devices/system/cpu/cpu{processor}/topology"
    return _read(topology / "thread_siblings_list") or str(processor)


@cache
def core_quota(root: Path = ROOT) -> int | None:
    """How many cores' time this process's container may use, rounded up; None where there is no limit."""
    quotas = [quota for quota in _cgroup_cores(root) if quota > 0]
    return max(1, math.ceil(min(quotas))) if quotas else None


def _used_memory(root: Path) -> tuple[int, int, int]:
    """Bytes of address space, of memory and of data that this process has; 0 where the system does not say."""
    try:
        pages = [int(word) for word in (root / "proc/self/statm").read_text().split()]
        size = os.sysconf("SC_PAGE_SIZE")
        return pages[0] * size, pages[1] * size, pages[5] * size
    except (OSError, ValueError, IndexError, AttributeError):
        return 0, 0, 0


@cache
def _container_memory(root: Path) -> int | None:
    """The least of the limits, in bytes, of this process's cgroup and of those above it."""
    sizes = []
    for version, folder in _cgroups(root, "memory"):
        text = _read(folder / ("memory.max" if version == 2 else "memory.limit_in_bytes"))
        if text.isdecimal():  # else "max", or nothing
            sizes.append(int(text))
    least = min(sizes, default=UNLIMITED)
    return least if least < UNLIMITED else None


def _cgroup_cores(root: Path) -> Iterator[float]:
    """How many cores' time this process's cgroup and those above it may use; not positive: no limit."""
    for version, folder in _cgroups(root, "cpu"):
        if version == 2:
            words = _read(folder / "cpu.max").split()
        else:
            words = [_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")]
        try:
            quota, period = map(int, words)
        except ValueError:  # "max", or nothing
            continue
        if period > 0:
            yield quota / period


def _cgroups(root: Path, controller: str) -> Iterator[tuple[int, Path]]:
    """This process's cgroup and those above it, each with its version, as far as they are visible from here."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        version = 2 if number == "0" and not controllers else 1
        if version == 1 and controller not in controllers.split(","):
            continue
        for mount, top in _mounts(root, version, controller):
            # A container may still see the path outside it: then its cgroup is the mount itself.
            inside = PurePosixPath(path)
            below = inside.relative_to(top) if inside.is_relative_to(top) else PurePosixPath()
            if ".." in below.parts:
                below = PurePosixPath()
            folder = root / mount.lstrip("/") / below
            for _ in range(1 + len(below.parts)):
                yield version, folder
                folder = folder.parent


def _mounts(root: Path, version: int, controller: str) -> Iterator[tuple[str, str]]:
    """Where cgroups of a version are mounted, and which cgroup's folder that is."""
    for line in _read(root / "proc/self/mountinfo").splitlines():
        words, _, rest = line.partition(" - ")
        fields, kind = words.split(" "), rest.split(" ")
        if len(fields) < 5 or kind[0] != ("cgroup2" if version == 2 else "cgroup"):
            continue
        if version == 1 and controller not in kind[-1].split(","):
            continue
        yield _unescape(fields[4]), _unescape(fields[3])


def _unescape(path: str) -> str:
    """A path of mountinfo, in which blanks are written as octal numbers."""
    for code in (" ", "\t", "\n", "\\"):
        path = path.replace(f"\\{ord(code):03o}", code)
    return path


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
