"""valid on a cluster: the same answers as from one process, whichever workers die on the way."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from support_cli import PATIENCE, environment, finish, run, start
from support_valid import draw_pictures

pytest.importorskip("distributed", reason="distributed is not installed (the extra [cluster])")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]

IMAGES = 240
RUN = ("classifier", "valid", "shapes", "pics", "--format", "json", "--save", "x.jsonl")
DEADLY = "0123"  # part of an image's name
# What a worker loads before anything else, to change what reading an image does.
PRELOADS = {
    "deadly": f"""
import os, signal
from darknet_py.evaluation import evaluator
def load_image(path, load=evaluator.load_image):
    if "{DEADLY}" in str(path):
        os.kill(os.getpid(), signal.SIGKILL)
    return load(path)
evaluator.load_image = load_image
""",
    "slow": """
import time
from darknet_py.evaluation import evaluator
def load_image(path, load=evaluator.load_image):
    time.sleep(0.01)
    return load(path)
evaluator.load_image = load_image
""",
    "slow start": """
import time
from darknet_py.evaluation import evaluator
def load_image(path, load=evaluator.load_image):
    if "0001" in str(path):
        time.sleep(20)
    return load(path)
evaluator.load_image = load_image
""",
    "other version": """
import darknet_py
darknet_py.__version__ = "0.0.9"
""",
    "other files": """
from darknet_py.evaluation import worker
worker.digest_file = lambda path, error: "another"
""",
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Pictures, one of them unreadable."""
    folder = draw_pictures(tmp_path_factory.mktemp("drawn") / "pics", IMAGES - 1, seed=5)
    (folder / "0200.heart.text.png").write_text("no picture")
    return folder


@pytest.fixture
def folder(tmp_path, drawn):
    """A working directory with the pictures in ``pics``."""
    (tmp_path / "pics").symlink_to(drawn)
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory, drawn, cache):
    """The results of one process."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "pics").symlink_to(drawn)
    answer = run(*RUN, cwd=folder, env=environment(cache))
    assert answer.code == 3
    return read_results(folder, answer)


def read_results(folder, answer):
    summary = json.loads(answer.out)
    for key in ("seconds", "images_per_second"):
        del summary[key]
    return summary, (folder / "x.jsonl").read_text()


def preload(folder, what):
    path = folder / f"{what.replace(' ', '_')}_preload.py"
    path.write_text(PRELOADS[what])
    return path


@contextlib.contextmanager
def running_cluster(folder, cache, *workers: str) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler, and workers, each with the preload of that name or none; the address, and their processes."""
    known = folder / "scheduler.json"
    quiet = {"env": environment(cache), "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    common = ("--scheduler-file", str(known), "--no-dashboard")

    def dask(program: str, *options: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", f"distributed.cli.dask_{program}", *common, *options], **quiet)

    processes = [dask("scheduler", "--port", "0", "--host", "127.0.0.1")]
    try:
        for name in workers:
            changed = ("--preload", str(preload(folder, name))) if name else ()
            processes.append(dask("worker", "--nthreads", "1", "--no-nanny", *changed))
        end = time.monotonic() + PATIENCE
        while not known.exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        address = json.loads(known.read_text())["address"]
        wait_for_workers(address, len(workers))
        yield address, processes
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def wait_for_workers(address, count):
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=PATIENCE)


def wait_until_gone(group):
    """Return when no process of a group is still running."""
    end = time.monotonic() + PATIENCE
    while any(state != "Z" and of_group == group for state, of_group in list_processes()):
        assert time.monotonic() < end
        time.sleep(0.05)


def list_processes():
    """State and group of every process."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            state, _, group = path.read_text().rpartition(")")[2].split()[:3]
            yield state, int(group)


def wait_until_begun(folder, process):
    """Return when the journal holds some outcomes and not all."""
    journal = folder / "x.journal"
    while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > 1):
        time.sleep(0.01)
    assert process.poll() is None, finish(process)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_started_here_find_what_one_process_finds(folder, cache, whole, workers):
    answer = run(*RUN, "--cluster", f"local:{workers}", cwd=folder, env=environment(cache))
    assert (answer.code, answer.complaints) == (3, ["pics/0200.heart.text.png: not a picture in any format known here"])
    assert read_results(folder, answer) == whole


def test_on_a_pipe_darknets_lines_come_in_the_lists_order(folder, cache):
    words = ("classifier", "valid", "shapes", "pics", "--limit", "150")
    here, there = (run(*words, *more, cwd=folder, env=environment(cache)) for more in ((), ("--cluster", "local:2")))
    assert there.out.split("\n")[:-2] == here.out.split("\n")[:-2]  # all but the time


def test_an_image_that_kills_workers_three_times_is_set_aside_and_named(folder, cache, whole):
    deadly = json.dumps([str(preload(folder, "deadly"))])
    env = environment(cache, DASK_DISTRIBUTED__WORKER__PRELOAD=deadly)
    answer = run(*RUN, "--cluster", "local:2", cwd=folder, env=env)
    (name,) = (name for name in os.listdir(folder / "pics") if DEADLY in name)
    assert f"pics/{name}: set aside: 3 workers died while they worked on it" in answer.complaints
    summary, saved = read_results(folder, answer)
    assert (answer.code, summary["counted"]) == (3, whole[0]["counted"] - 1)
    others = [[line for line in lines.splitlines() if name not in line] for lines in (saved, whole[1])]
    assert others[0] == others[1]


def test_a_worker_that_is_killed_in_mid_run_loses_nothing(folder, cache, whole):
    with running_cluster(folder, cache, "slow", "slow") as (address, processes):
        words = (*RUN, "--journal", "x.journal", "--cluster", address)
        process = start(*words, cwd=folder, env=environment(cache))
        wait_until_begun(folder, process)
        processes[1].kill()
        answer = finish(process)
    assert read_results(folder, answer) == whole


def test_a_run_whose_coordinator_was_killed_goes_on_with_another(folder, cache, whole):
    with running_cluster(folder, cache, "slow", "slow") as (address, _):
        words = (*RUN, "--journal", "x.journal", "--resume", "--cluster", address)
        process = start(*words, cwd=folder, env=environment(cache))
        wait_until_begun(folder, process)
        process.kill()
        process.communicate()
        answer = run(*words, cwd=folder, env=environment(cache))
    assert read_results(folder, answer) == whole


def test_a_scheduler_that_is_killed_ends_the_run_which_can_go_on(folder, cache, whole):
    with running_cluster(folder, cache, "slow", "slow") as (address, processes):
        words = (*RUN, "--journal", "x.journal", "--resume")
        process = start(*words, "--cluster", address, cwd=folder, env=environment(cache))
        wait_until_begun(folder, process)
        processes[0].kill()
        answer = finish(process)
    assert answer.code == 1
    assert "Traceback" not in answer.err
    assert answer.complaints[-1].startswith(f"{address}: ")
    assert read_results(folder, run(*words, cwd=folder, env=environment(cache))) == whole


def test_a_worker_that_lacks_the_networks_files_is_sent_them(folder, cache, whole):
    with running_cluster(folder, cache, "other files", "") as (address, _):
        answer = run(*RUN, "--cluster", address, cwd=folder, env=environment(cache))
    assert read_results(folder, answer) == whole


def test_workers_of_another_version_are_refused(folder, cache):
    with running_cluster(folder, cache, "other version") as (address, _):
        answer = run(*RUN, "--cluster", address, cwd=folder, env=environment(cache))
    (complaint,) = answer.complaints
    assert complaint.endswith(": its darknet_py is 0.0.9; 0.1.0 is expected on all workers")
    assert (answer.code, answer.out) == (1, "")


def test_an_address_where_nobody_answers_is_refused(folder, cache):
    answer = run(*RUN, "--cluster", "tcp://127.0.0.1:9", cwd=folder, env=environment(cache))
    (complaint,) = answer.complaints
    assert complaint.startswith("tcp://127.0.0.1:9: no scheduler of a cluster answers there")
    assert (answer.code, answer.out) == (1, "")


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_a_warning_is_told_once_and_by_the_coordinator(folder, cache, quiet):
    sections = (ROOT / "cfg" / "shapes.cfg").read_text()
    (folder / "x.cfg").write_text(sections.replace("[net]\n", "[net]\nzzz=1\n"))
    model = (str(ROOT / "data" / "shapes.data"), "x.cfg", str(ROOT / "data" / "shapes.weights"), "pics")
    answer = run("classifier", "valid", *model, *quiet, "--cluster", "local:2", cwd=folder, env=environment(cache))
    assert [line for line in answer.err.splitlines() if "arning" in line] == (
        ["darknet: warning: x.cfg:2: [net] zzz=1: unknown option, ignored"]
    )


OWN_LOG = """
import logging
import darknet_py
if __name__ == "__main__":
    logging.basicConfig(format="%(name)s: %(message)s")
    net = darknet_py.load_network("shapes")
    samples = darknet_py.load_samples("pics", net.dataset)[:8]
    for progress in darknet_py.evaluate(net, samples, workers=darknet_py.Cluster("local:1")):
        logging.getLogger("mine").warning("%d done", progress.done)
"""


def test_a_program_that_measures_on_a_cluster_keeps_its_own_log(folder, cache):
    (folder / "program.py").write_text(OWN_LOG)
    command = [sys.executable, "program.py"]
    ran = subprocess.run(command, cwd=folder, env=environment(cache), capture_output=True, text=True, timeout=PATIENCE)
    lines = set(ran.stderr.splitlines())
    assert "mine: 8 done" in lines
    assert lines <= {"mine: 0 done", "mine: 8 done"}


@pytest.mark.parametrize("address", ["local:", "local:0", "local:x", "nonsense"])
def test_an_address_that_is_none_is_refused(folder, cache, address):
    answer = run(*RUN, "--cluster", address, cwd=folder, env=environment(cache))
    (complaint,) = answer.complaints
    assert complaint.startswith(f"--cluster: {address}: ")
    assert (answer.code, answer.out) == (2, "")


def test_without_distributed_the_package_is_named(folder, cache):
    shadow = folder / "shadow"
    shadow.mkdir()
    (shadow / "distributed.py").write_text("raise ImportError(name='distributed')\n")
    env = environment(cache)
    env["PYTHONPATH"] = f"{shadow}{os.pathsep}{ROOT}"
    answer = run(*RUN, "--cluster", "local:1", cwd=folder, env=env)
    assert answer.complaints[-1] == "--cluster local:1: needs distributed: pip install distributed"
    assert answer.code == 1


@pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")
@pytest.mark.parametrize("seconds", [0.6, 1.2, 2.5])
def test_ctrl_c_ends_coordinator_and_workers_without_a_word_of_theirs(folder, cache, seconds):
    slow = json.dumps([str(preload(folder, "slow"))])
    env = environment(cache, DASK_DISTRIBUTED__WORKER__PRELOAD=slow)
    process = start(*RUN, "--cluster", "local:2", cwd=folder, env=env, start_new_session=True)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    answer = finish(process)
    assert answer.code == 130
    assert "Traceback" not in answer.err
    wait_until_gone(process.pid)


def test_what_was_done_beyond_a_slow_task_counts_when_the_run_is_stopped(folder, cache):
    with running_cluster(folder, cache, "slow start", "slow start") as (address, _):
        words = (*RUN, "--journal", "x.journal", "--cluster", address)
        process = start(*words, cwd=folder, env=environment(cache))
        wait_until_begun(folder, process)
        process.terminate()
        answer = finish(process)
    summary = json.loads(answer.out)
    done = {json.loads(line)["image"] for line in (folder / "x.journal").read_text().splitlines()[1:]}
    assert (answer.code, summary["complete"]) == (143, False)
    assert 0 not in done
    assert summary["counted"] + summary["excluded"]["unreadable"] == len(done)
