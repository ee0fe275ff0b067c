"""The files of a run: what an earlier one has left comes behind them, whatever instant a process is killed at."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

import pytest

from darknet_py.errors import CheckpointError, UsageError
from darknet_py.training import run_files as module
from darknet_py.training.run_files import TrainingFiles, check_folder


class Killed(BaseException):
    """What no part of the program catches."""


@pytest.fixture
def files(tmp_path):
    return TrainingFiles(tmp_path, "net")


def texts_of(files, run, validated=True):
    return {path: f"{run} {kind}".encode() for kind, path in files.model.items() if validated or kind != "valid.list"}


def start(files, run, validated=True):
    texts = texts_of(files, run, validated)
    aside = files.put_aside(texts)
    files.write(texts)
    return aside


def learn(files, run):
    for path in (files.last, files.best, files.checkpoint):
        path.write_text(run)


def runs(files, mark):
    """Of which runs the files lie at their names with `mark` behind: of the model, of what was learned."""
    learned = files.checkpoint, files.best, files.last
    return tuple(
        {path.read_text().split()[0] for path in (Path(f"{path}{mark}") for path in paths) if path.exists()}
        for paths in (files.model.values(), learned)
    )


def test_all_of_an_earlier_run_comes_behind_and_of_one_before_nothing_stays(files):
    assert start(files, "a") == []
    learn(files, "a")
    assert len(start(files, "b", validated=False)) == 7
    files.last.write_text("b")
    assert runs(files, "~") == ({"a"}, {"a"})
    assert files.last in start(files, "c")
    assert runs(files, "~") == ({"b"}, {"b"})
    assert runs(files, "") == ({"c"}, set())


def kill_at(monkeypatch, step):
    """Have the process killed before its change number `step` of the folder."""
    left = [step]

    def counted(change):
        def wrapped(*given, **more):
            if not left[0]:
                raise Killed
            left[0] -= 1
            return change(*given, **more)

        return wrapped

    monkeypatch.setattr(os, "replace", counted(os.replace))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))
    monkeypatch.setattr(module, "write_atomically", counted(lambda path, parts, error: path.write_bytes(parts[0])))


CHANGES = 7 + 7 + 4  # of the folder, that a start makes: what was behind goes, what is here comes behind, what is new


def check_whole(files):
    """Assert that the run `a` lies in the folder, whole, and learned files beside no other run's model."""
    for mark in ("", "~"):
        model, learned = runs(files, mark)
        assert len(learned) <= 1
        assert not learned or model <= learned
    both = [[Path(f"{path}{mark}") for mark in ("", "~")] for path in (*files.model.values(), files.best, files.last)]
    assert all(any(path.exists() and path.read_text().startswith("a") for path in pair) for pair in both)


@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("again", range(0, CHANGES, 3))
def test_starts_killed_at_any_instant_lose_no_run_and_mix_none(files, validated, again):
    for step in range(CHANGES):
        for path in files.folder.iterdir():
            path.unlink()
        for run in ("z", "a"):
            start(files, run)
            learn(files, run)
        for run, killed in (("b", step), ("a", again)):
            with pytest.MonkeyPatch.context() as monkeypatch, suppress(Killed):
                kill_at(monkeypatch, killed)
                start(files, run, validated)
            check_whole(files)
        start(files, "a")  # whose model is as that of the run before
        assert runs(files, "~") == ({"a"}, {"a"})
        assert len([path for path in files.folder.iterdir() if path.name.endswith("~")]) == 7
        assert runs(files, "") == ({"a"}, set())


def test_files_of_a_users_own_come_behind_once(files):
    cfg = files.model["cfg"]
    cfg.write_text("mine")
    assert start(files, "a") == [cfg]
    assert start(files, "a") == []
    assert start(files, "b") == [files.model[kind] for kind in ("data", "names", "valid.list")]
    assert Path(f"{cfg}~").read_text() == "mine"


def test_of_a_run_on_lists_what_is_learned_comes_behind_alone(files):
    start(files, "a")
    learn(files, "a")
    assert files.put_aside({}) == [files.checkpoint, files.best, files.last]
    assert runs(files, "") == ({"a"}, set())


def test_what_is_there_already_is_not_written_again(files):
    start(files, "a")
    before = {path: path.stat().st_mtime_ns for path in files.folder.iterdir()}
    files.write(texts_of(files, "a"))
    assert {path: path.stat().st_mtime_ns for path in files.folder.iterdir()} == before


def test_what_cannot_be_put_aside_is_named(files):
    files.last.write_text("a")
    os.makedirs(f"{files.last}~/below")
    with pytest.raises(CheckpointError, match=r"net_last\.weights~: "):
        files.put_aside({})
    assert files.last.read_text() == "a"


def test_a_folder_that_cannot_be_written_is_refused_and_none_is_made(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("file", "file/below"):
        message = f"{tmp_path / name}: .*; name another folder for weights with --backup"
        with pytest.raises(UsageError, match=message):
            check_folder(tmp_path / name)
    made = check_folder(tmp_path / "deep" / "made")
    assert re.fullmatch(r"\w+", made.name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    TrainingFiles(made, "net").lock().release()
    assert made.is_dir()


def test_a_folder_is_tried_without_a_name_that_others_have(tmp_path):
    (tmp_path / ".writable").write_text("somebody's")
    check_folder(tmp_path)
    assert (tmp_path / ".writable").read_text() == "somebody's"
