"""`classifier train` up to its first iteration: a run that is refused, or ended before, leaves all as it was."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest
from support_cli import environment
from support_trainer import write_cfg

REFERENCE = ("--engine", "reference")


@pytest.fixture
def folder(tmp_path, pictures):
    (tmp_path / "pics").symlink_to(pictures)
    write_cfg(tmp_path / "net.cfg", outputs=5, batch=8, subdivisions=2, max_batches=2, learning_rate=0.02)
    return tmp_path


# The program, ended by a signal when it would check the pictures.
ENDED = """
import os, signal, sys
from darknet_py.commands import train
train._check_pictures = lambda *_: os.kill(os.getpid(), signal.Signals[sys.argv[1]])
from darknet_py import cli
sys.argv[1:] = ["classifier", "train", *sys.argv[2:]]
raise SystemExit(cli.main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("signum", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_run_that_is_ended_before_it_begins_changes_nothing(train, folder, cache, signum):
    assert train("pics", "net.cfg", *REFERENCE).code == 0
    before = {path.name: path.read_bytes() for path in (folder / "backup").iterdir()}
    shutil.copytree(folder / "pics", folder / "others")
    (folder / "others" / "circle").rename(folder / "others" / "disc")
    for words in (["--backup", "backup"], ["--backup", "backup"], ["--backup", "new"]):
        command = [sys.executable, "-c", ENDED, signum, "others", "net.cfg", *REFERENCE, *words]
        done = subprocess.run(command, cwd=folder, env=environment(cache), capture_output=True, text=True)
        assert done.returncode != 0
        assert "disc 9" in done.stderr
    assert {path.name: path.read_bytes() for path in (folder / "backup").iterdir()} == before
    assert not (folder / "new").exists()


def test_a_cfg_that_is_named_is_not_written_over(train, folder):
    """It may be the only one of its kind; one that has as many outputs already stays as it is."""
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    answer = train("pics", "net.cfg", "--backup", ".", *REFERENCE)
    assert (answer.code, answer.out) == (2, "")
    reason = "one with as many outputs as there are classes would take its place; name another folder with --backup"
    assert answer.complaints[-1] == f"net.cfg: {reason}"
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    assert train("pics", "net.cfg", *REFERENCE).code == 0
    text = (folder / "backup" / "net.cfg").read_bytes()
    for _ in range(2):
        assert train("pics", "backup/net.cfg", *REFERENCE).code == 0
        assert (folder / "backup" / "net.cfg").read_bytes() == text


@pytest.mark.parametrize("option", ["--log", "--report"])
def test_a_list_that_the_data_file_names_is_not_written_over(train, folder, option):
    name = "list.csv" if option == "--log" else "list.html"
    listed = "".join(f"{path}\n" for path in sorted((folder / "pics").glob("*/0*.png")))
    (folder / name).write_text(listed)
    (folder / "x.names").write_text("".join(f"{path.name}\n" for path in sorted((folder / "pics").iterdir())))
    (folder / "x.data").write_text(f"names=x.names\ntrain={name}\n")
    answer = train("x.data", "net.cfg", option, name, *REFERENCE)
    assert answer.code == 2
    assert answer.complaints[-1].startswith(f"{option} {name}: would replace a file that this run reads")
    assert (folder / name).read_text() == listed


def test_files_of_a_users_own_are_kept_however_often_it_trains_beside_them(train, folder):
    write_cfg(folder / "net.cfg", outputs=3, batch=8, max_batches=2, learning_rate=0.02)
    for name in ("net.data", "net.names", "net_best.weights", "net_last.weights~", "net.names.~2~"):
        (folder / name).write_text(f"my {name}")
    (folder / "net_best.weights~").mkdir()
    own = {path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for _ in range(3):
        answer = train("pics", "net.cfg", "--backup", ".", *REFERENCE)
        assert answer.code == 0, answer.err
        assert own <= {path.read_bytes() for path in folder.iterdir() if path.is_file()}
        assert any(line.startswith("what was there is kept as net.cfg.~") for line in answer.complaints)
    assert (folder / "net_last.weights.~4~").exists()


MISTAKEN = {
    "an option": (
        lambda text: text.replace("width=", "burn_in=-5\nwidth="),
        (),
        r"net\.cfg:2: \[net\] burn_in=-5: at least 0",
    ),
    "one behind a line that is added": (
        lambda text: text.replace("filters=5\n", "") + "[dropout]\ndropblock=1\n",
        (),
        r"net\.cfg:45: \[dropout\] dropblock=1: not supported",
    ),
    "a rate": (
        lambda text: text.replace("width=", "policy=poly\npower=-1\nwidth="),
        (),
        r"net\.cfg:3: \[net\] power=-1: a learning rate of inf at iteration 2; a finite one of at least 0 is expected",
    ),
    "memory": (lambda text: text, ("--batch", "1000000000"), r"net\.cfg: [\d.]+ GiB to train on"),
    "epochs": (lambda text: text, ("--epochs", "1e9"), r"--epochs 1e\+09: 3375000000 iterations of 8 images; at most"),
}


@pytest.mark.parametrize("name", MISTAKEN)
def test_a_mistake_is_told_of_what_the_user_wrote_and_no_folder_is_left(train, folder, name):
    change, words, message = MISTAKEN[name]
    (folder / "net.cfg").write_text(change((folder / "net.cfg").read_text()))
    answer = train("pics", "net.cfg", *REFERENCE, *words)
    assert answer.code in (1, 2)
    assert re.match(message, answer.complaints[-1]), answer.complaints
    assert not (folder / "backup").exists()
