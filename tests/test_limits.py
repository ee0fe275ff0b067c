"""How much memory and how many cores there are, read from made-up /proc and /sys, and from those of this machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT
from support_cli import environment, run, run_shell

from darknet_py import limits
from darknet_py.engines import memory_needed
from darknet_py.limits import Limit, core_count, core_quota, find_cores, memory_limits, processor_count, tell_size
from darknet_py.network import load_structure

V2 = "0::{path}\n"
V1 = "4:memory:{path}\n3:cpu,cpuacct:{path}\n1:name=systemd:{path}\n"
MOUNT_V2 = "30 20 0:26 {top} {mount} rw,nosuid - cgroup2 cgroup rw\n"
MOUNT_V1 = (
    "31 20 0:27 {top} {mount}/memory rw - cgroup cgroup rw,memory\n"
    "32 20 0:28 {top} {mount}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
)
GIB = 1 << 30


def machine(root, path="/", top="/", mount="/sys/fs/cgroup", version=2, files=()):
    """A made-up machine whose process is in the cgroup `path`, of which `top` is mounted; 50 pages are in memory."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/statm").write_text("1000 50 20 1 0 300 0\n")
    (root / "proc/self/cgroup").write_text((V2 if version == 2 else V1).format(path=path))
    mounts = MOUNT_V2 if version == 2 else MOUNT_V1
    (root / "proc/self/mountinfo").write_text(mounts.format(top=top, mount=mount.replace(" ", "\\040")))
    for name, text in dict(files).items():
        file = root / mount.lstrip("/") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def container(root):
    """The size of the container's limit, if it has one."""
    found = [limit.size for limit in memory_limits(root) if limit.whose == "this container's"]
    assert len(found) <= 1
    return found[0] if found else None


CASES = {
    "none": (dict(files={"memory.max": "max\n", "cpu.max": "max 100000\n"}), None, None),
    "a container": (dict(files={"memory.max": f"{GIB}\n", "cpu.max": "150000 100000\n"}), GIB, 2),
    "less than a core": (dict(files={"cpu.max": "20000 100000\n"}), None, 1),
    "a service": (
        dict(path="/a/b", files={"a/b/memory.max": f"{GIB}", "a/b/cpu.max": "300000 100000"}),
        GIB,
        3,
    ),
    "above it": (
        dict(
            path="/a/b",
            files={"a/b/memory.max": "max", "a/memory.max": "5000", "a/b/cpu.max": "max 1000", "a/cpu.max": "10 10"},
        ),
        5000,
        1,
    ),
    "the least counts": (
        dict(path="/a/b", files={"a/b/memory.max": "7000", "a/memory.max": "5000", "memory.max": "6000"}),
        5000,
        None,
    ),
    "of another view": (dict(path="/../..", files={"memory.max": "5000"}), 5000, None),
    "a folder of its own is mounted": (dict(path="/docker/x/y", top="/docker/x", files={"y/memory.max": "9"}), 9, None),
    "its path is not to be seen": (dict(path="/docker/x", top="/other", files={"memory.max": "9"}), 9, None),
    "a blank": (dict(mount="/my cgroups", files={"memory.max": "9"}), 9, None),
    "version 1": (
        dict(
            version=1,
            path="/a",
            files={
                "memory/a/memory.limit_in_bytes": "9223372036854771712",
                "memory/memory.limit_in_bytes": f"{GIB}",
                "cpu,cpuacct/a/cpu.cfs_quota_us": "-1",
                "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
                "cpu,cpuacct/cpu.cfs_quota_us": "250000",
                "cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
        ),
        GIB,
        3,
    ),
    "version 1 without": (dict(version=1, files={"memory/memory.limit_in_bytes": "9223372036854771712"}), None, None),
    "version 1 of a container": (
        dict(version=1, path="/docker/x", top="/docker/x", files={"memory/memory.limit_in_bytes": "99"}),
        99,
        None,
    ),
    "nonsense": (dict(files={"memory.max": "much", "cpu.max": "1"}), None, None),
    "no period": (dict(files={"cpu.max": "1 0"}), None, None),
}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no cgroups")
@pytest.mark.parametrize("case", CASES)
def test_the_limits_of_a_container_are_seen(tmp_path, case):
    made, memory, cores = CASES[case]
    root = machine(tmp_path, **made)
    assert (container(root), core_quota(root)) == (memory, cores)


def test_without_proc_nothing_is_known_of_containers(tmp_path):
    assert (container(tmp_path), core_quota(tmp_path)) == (None, None)
    (tmp_path / "proc/self").mkdir(parents=True)
    for name in ("statm", "cgroup", "mountinfo"):
        (tmp_path / "proc/self" / name).write_bytes(b"\xff::\n - \n7\n")
    assert (container(tmp_path), core_quota.__wrapped__(tmp_path)) == (None, None)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_a_processs_own_limits_are_seen_with_what_it_has_used(tmp_path, monkeypatch):
    kinds = {limits.resource.RLIMIT_AS: 10**9, limits.resource.RLIMIT_DATA: 10**8}
    monkeypatch.setattr(limits.resource, "getrlimit", lambda kind: (kinds[kind], -1))
    page = limits.os.sysconf("SC_PAGE_SIZE")
    found = memory_limits(machine(tmp_path))
    assert found[0].used == 50 * page
    assert found[-2:] == [
        Limit("this process's (ulimit -v)", 10**9, 1000 * page),
        Limit("this process's (ulimit -d)", 10**8, 300 * page),
    ]


def test_no_more_cores_are_used_than_there_is_time_for(monkeypatch):
    monkeypatch.setattr(limits, "core_quota", lambda: 1)
    assert core_count() == 1
    monkeypatch.setattr(limits, "core_quota", lambda: 10**6)
    assert core_count() < 10**6


def processors(monkeypatch, root, siblings):
    """Processors that the process may use, by their numbers, each with what the system says about its core."""
    for number, text in siblings.items():
        file = root / f"sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list"
        if text:
            file.parent.mkdir(parents=True)
            file.write_text(f"{text}\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {*siblings}, raising=False)


@pytest.mark.parametrize(
    ("siblings", "cores"),
    [
        ({0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}, [{0, 2}, {1, 3}]),
        ({0: "0-1", 1: "0-1"}, [{0, 1}]),
        ({1: "0-1", 2: "2-3", 3: "2-3"}, [{1}, {2, 3}]),  # a part of a core
        ({0: "0", 1: "1"}, [{0}, {1}]),
        ({0: "", 1: "", 7: ""}, [{0}, {1}, {7}]),  # not told
    ],
)
def test_hardware_threads_of_a_core_are_one_core(tmp_path, monkeypatch, siblings, cores):
    processors(monkeypatch, tmp_path, siblings)
    assert find_cores(tmp_path) == cores
    monkeypatch.setattr(limits, "find_cores", lambda: cores)
    for quota, counts in ((None, (len(cores), len(siblings))), (1, (1, 1))):
        monkeypatch.setattr(limits, "core_quota", lambda quota=quota: quota)
        assert (core_count(), processor_count()) == counts


@pytest.mark.parametrize("change", ["denied", "missing"])
def test_where_the_system_does_not_tell_its_cores_the_machines_are_used(monkeypatch, change):
    def deny(*arguments):
        raise PermissionError

    monkeypatch.setattr(os, "sched_getaffinity", deny, raising=False)
    if change == "missing":
        monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(limits, "core_quota", lambda: None)
    assert core_count() == processor_count() == 3


def test_sizes_are_told_in_words():
    assert [tell_size(size) for size in (250 << 20, GIB, 3 * GIB // 2)] == ["250 MiB", "1.0 GiB", "1.5 GiB"]


MEASURE = """
import re, sys
from pathlib import Path
from darknet_py import load_network, running
check, told = running.RunningNetwork._check_memory, []
class Told(int):
    def __add__(self, more):
        told.append(int(self) + more)
        return told[-1]
limits = running.memory_limits
running.memory_limits = lambda: [type(l)(l.whose, l.size, Told(l.used)) for l in limits()[:1]]
network = load_network(sys.argv[1], sys.argv[2], "cpu")
if sys.argv[4] == "layer_output":
    network.layer_output(network.fit(sys.argv[3])[None], network.output_layer.index)
else:
    getattr(network, sys.argv[4])(sys.argv[3])
# Not what getrusage tells, which a process inherits from the one that started it.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(max(told), 1024 * int(peak[1]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="how much memory a process had is told in other units elsewhere")
@pytest.mark.parametrize(
    ("name", "work"),
    [
        ("darknet19", "classify"),
        ("resnet50", "classify"),
        ("resnet50", "heatmap"),
        ("darknet19", "layer_output"),
        ("vgg-16", "layer_output"),
    ],
)
def test_what_is_said_to_be_needed_is_what_is_taken(tmp_path, cache, name, work):
    """Within a sixth; a machine with more than two cores takes slightly more."""
    network = load_structure(f"cfg/{name}.cfg")
    run("warmup", cwd=tmp_path, env=environment(cache))  # compiling takes memory of its own
    with open(tmp_path / "x.weights", "wb") as weights:
        weights.write(bytes([0, 0, 0, 0, 2, *[0] * 15]))
        weights.truncate(20 + 4 * network.parameter_count)
    command = [sys.executable, "-c", MEASURE, f"cfg/{name}.cfg", str(tmp_path / "x.weights"), "data/star.png", work]
    done = subprocess.run(command, cwd=ROOT, env=environment(cache), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told, taken = map(int, done.stdout.split())
    assert taken * 5 / 6 < told < taken * 7 / 6


def test_what_a_network_needs_depends_on_its_engine_and_precision():
    layers = load_structure("cfg/extraction.cfg").layers
    needed = [
        memory_needed(engine, layers, None, precision) >> 20
        for engine, precision in (("reference", "float32"), ("cpu", "float32"), ("cpu", "bfloat16"))
    ]
    assert needed[0] == 178
    assert 250 < needed[1] < 400
    assert needed[2] < 0.8 * needed[1]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit a process's address space")
@pytest.mark.parametrize("kilobytes", [150_000, 250_000, 400_000])
def test_a_limited_process_ends_with_one_line(tmp_path, cache, kilobytes):
    """Whether the limit is found beforehand, or hit by loading a library, or by an allocation."""
    run("warmup", cwd=tmp_path, env=environment(cache))
    with open(tmp_path / "x.weights", "wb") as weights:
        weights.truncate(20 + 4 * load_structure("cfg/extraction.cfg").parameter_count)
    line = f"ulimit -v {kilobytes}; darknet classify extraction x.weights star.png -nogpu".replace(
        "extraction", "cfg/extraction.cfg"
    )
    answer = run_shell(line, tmp_path, environment(cache))
    assert answer.code == 1
    assert "Traceback" not in answer.err
    if kilobytes == 400_000:
        says = r"cfg/extraction\.cfg: \d+ MiB to run at 224 x 224, more than this process's \(ulimit -v\) 391 MiB"
        assert re.fullmatch(says, answer.complaints[-1])
