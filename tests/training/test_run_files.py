"""The files of a run: existing files in their way are kept, at whatever instant a process is killed."""

from __future__ import annotations

import errno
import os
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from darknet_py.errors import CheckpointError, UsageError
from darknet_py.training import run_files as module
from darknet_py.training.run_files import TrainingFiles, check_folder


class Killed(BaseException):
    """An exception that no part of the program catches."""


@pytest.fixture
def files(tmp_path):
    return TrainingFiles(tmp_path, "net")


def texts_of(files, run, validated=True):
    return {path: f"{run} {kind}".encode() for kind, path in files.model.items() if validated or kind != "valid.list"}


def start(files, run, validated=True, resumed=False):
    return files.begin(texts_of(files, run, validated), resumed)


def learned_of(files):
    return [files.checkpoint, files.best, files.last]


def learn(files, run):
    for path in learned_of(files):
        path.write_text(run)


def behind(path, number):
    return Path(f"{path}.~{number}~") if number else path


def runs(files, number=0):
    """Which runs the files with a number are of, 0 for those without: those of the model, and the learned ones."""
    return tuple(
        {behind(path, number).read_text().split()[0] for path in paths if behind(path, number).exists()}
        for paths in (files.model.values(), learned_of(files))
    )


def contents(files):
    """The contents of the files in the folder, whatever their names."""
    return Counter(path.read_bytes() for path in files.folder.iterdir())


def test_of_each_earlier_run_all_is_kept_with_one_number(files):
    assert start(files, "a") == {}
    learn(files, "a")
    paths = [*files.model.values(), *learned_of(files)]
    assert start(files, "b", validated=False) == {path: behind(path, 1) for path in paths}
    files.last.write_text("b")
    assert start(files, "c")[files.last] == behind(files.last, 2)
    assert runs(files, 1) == ({"a"}, {"a"})
    assert runs(files, 2) == ({"b"}, {"b"})
    assert runs(files) == ({"c"}, set())


def test_what_another_call_has_put_aside_gets_no_learned_files_of_a_run_beside_it(files):
    """Nor what a user has left of it, who has removed files of some number."""
    start(files, "a")
    start(files, "b")  # a has learned nothing
    learn(files, "b")
    files.begin({})  # a run on lists, which writes no model
    assert runs(files, 1) == ({"a"}, set())
    assert runs(files, 2) == (set(), {"b"})
    learn(files, "c")
    behind(files.last, 2).unlink()
    for path in files.model.values():
        behind(path, 1).unlink()
    start(files, "d")
    assert runs(files, 3) == ({"b"}, {"c"})  # as they lay here
    assert runs(files, 4) == (set(), set())


def kill_at(monkeypatch, step):
    """Let the process be killed before its change number `step` of the folder."""
    left = [step]

    def counted(change):
        def wrapped(*given, **more):
            if not left[0]:
                raise Killed
            left[0] -= 1
            return change(*given, **more)

        return wrapped

    for owner, name in ((os, "rename"), (os, "replace"), (os, "unlink"), (Path, "unlink")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))
    monkeypatch.setattr(module, "write_atomically", counted(lambda path, parts, error: path.write_bytes(parts[0])))


CHANGES = 7 + 4  # of the folder, that a start makes: what is here comes behind, what is new is written


def check_whole(files):
    """Assert that learned files of run `a` were put aside under one number at most, and that no number mixes runs."""
    numbers = {int(found[1]) for path in files.folder.iterdir() if (found := re.search(r"\.~(\d+)~$", path.name))}
    for number in (0, *numbers):
        model, learned = runs(files, number)
        assert len(learned) <= 1
        assert not learned or model <= learned
    assert sum("a" in runs(files, number)[1] for number in numbers) <= 1


@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("again", range(0, CHANGES, 3))
def test_starts_killed_at_any_instant_lose_nothing_and_mix_no_runs(files, validated, again):
    for step in range(CHANGES):
        for path in files.folder.iterdir():
            path.unlink()
        for run in ("z", "a"):
            start(files, run)
            learn(files, run)
        for run, killed in (("b", step), ("c", again)):
            before = contents(files)
            with pytest.MonkeyPatch.context() as monkeypatch, suppress(Killed):
                kill_at(monkeypatch, killed)
                start(files, run, validated)
            assert before <= contents(files)
            check_whole(files)
        start(files, "a")  # whose model is as that of the run before
        assert runs(files) == ({"a"}, set())
        assert runs(files, 1) == ({"z"}, {"z"})
        assert runs(files, 2) == ({"a"}, {"a"})
        assert len([path for path in files.folder.iterdir() if path.name.endswith(".~2~")]) == 7


@pytest.mark.parametrize("resumed", [False, True])
def test_no_file_of_a_users_own_is_ever_lost(files, resumed):
    own = [*files.model.values(), *([] if resumed else learned_of(files))]
    own += [Path(f"{path}{mark}") for path in own for mark in ("~", ".~1~", ".~3~")]
    for path in own:
        path.write_text(f"mine {path.name}")
    before = contents(files)
    for run in "abc":
        start(files, run, resumed=resumed)
        learn(files, run)
        assert before <= contents(files)


def test_of_what_has_learned_nothing_that_comes_behind_which_differs(files):
    cfg = files.model["cfg"]
    cfg.write_text("mine")
    assert start(files, "a") == {cfg: behind(cfg, 1)}
    assert start(files, "a") == {}
    assert start(files, "b") == {path: behind(path, 2) for path in files.model.values()}


def test_a_run_that_goes_on_keeps_what_it_has_learned(files):
    start(files, "a")
    learn(files, "a")
    files.model["names"].write_text("mine")
    names = files.model["names"]
    assert start(files, "a", resumed=True) == {names: behind(names, 1)}
    assert runs(files) == ({"a"}, {"a"})


def test_of_a_run_on_lists_what_is_learned_comes_behind_alone(files):
    start(files, "a")
    learn(files, "a")
    assert list(files.begin({})) == learned_of(files)
    assert runs(files) == ({"a"}, set())


def test_what_is_there_already_is_not_written_again(files):
    start(files, "a")
    before = {path: path.stat().st_mtime_ns for path in files.folder.iterdir()}
    start(files, "a")
    assert {path: path.stat().st_mtime_ns for path in files.folder.iterdir()} == before


def test_a_folder_is_in_nobodys_way(files):
    files.last.write_text("a")
    for taken in (behind(files.last, 1), files.best):
        (taken / "below").mkdir(parents=True)
    assert files.begin({}) == {path: behind(path, 2) for path in (files.best, files.last)}
    assert (behind(files.best, 2) / "below").is_dir()


def test_what_cannot_be_put_aside_is_named(files, monkeypatch):
    files.last.write_text("a")

    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(CheckpointError, match=r"net_last\.weights: cannot be renamed: operation not permitted$"):
        files.begin({})


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
