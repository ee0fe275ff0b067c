"""The prompt that asks for pictures, at a terminal and through a pipe."""

from __future__ import annotations

import os
import shutil
import sys
import time

import pytest
from conftest import ROOT
from support_cli import Terminal, environment, run

from darknet_py.commands.prompt import find_typed

PROMPT = "Enter Image Path: "
COMMAND = ("classify", "shapes", "--engine", "reference")
UP = "\x1b[A"


@pytest.fixture
def folder(tmp_path):
    """A folder with pictures to name."""
    shutil.copy(ROOT / "data" / "star.png", tmp_path / "my star.png")
    shutil.copy(ROOT / "data" / "heart.png", tmp_path / "heart.png")
    return tmp_path


needs_terminal = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")


@pytest.fixture
def terminal(folder, cache):
    """The program, waiting at its prompt."""
    with Terminal(*COMMAND, cwd=folder, env=environment(cache)) as terminal:
        assert "Loading weights from data/shapes.weights...Done!\n" in terminal.read_until(PROMPT)
        yield terminal


@needs_terminal
def test_pictures_are_asked_for_until_the_input_ends_and_the_network_is_loaded_once(terminal):
    heart, star = ("heart.png", "64 87", "heart"), ("my star.png", "85 64", "star")
    for name, fitted, best in (heart, star, heart):
        terminal.type(f"{name}\n")
        shown = terminal.read_until(PROMPT)
        size, time, first = shown.split("\n")[1:4]
        assert (size, first.split(":")[0]) == (fitted, best)
        assert time.startswith(f"{name}: Predicted in ")
        assert "Loading" not in shown
    terminal.type("\x04")
    answer = terminal.finish()
    assert (answer.code, answer.out) == (0, "\n")
    assert terminal.echoes


@needs_terminal
@pytest.mark.parametrize("format", ["text", "jsonl"])
def test_control_d_leaves_a_line_of_its_own_where_the_answers_go_to_a_file(folder, cache, format):
    with (
        (folder / "out").open("wb") as out,
        Terminal(*COMMAND, "--format", format, cwd=folder, env=environment(cache), stdout=out) as terminal,
    ):
        terminal.read_until(PROMPT if format == "jsonl" else "Done!\n")
        terminal.type("\x04")
        answer = terminal.finish()
    assert (answer.code, answer.out) == (0, "\n")
    assert (folder / "out").read_text() == (PROMPT if format == "text" else "")


@needs_terminal
def test_a_picture_that_is_missing_is_named_and_the_next_asked_for(terminal):
    terminal.type("no such.png\n")
    assert terminal.read_until(PROMPT).endswith("\ndarknet: no such.png: no such file\n" + PROMPT)
    terminal.type("heart.png\n")
    assert "\nheart: 0." in terminal.read_until(PROMPT)
    terminal.type("\x04")
    assert terminal.finish().code == 0


@needs_terminal
@pytest.mark.parametrize("line", ["", "  \t"], ids=["empty", "blank"])
def test_an_empty_line_asks_again(terminal, line):
    terminal.type(f"{line}\n")
    assert "darknet:" not in terminal.read_until(PROMPT)
    assert terminal.process.poll() is None


@needs_terminal
@pytest.mark.parametrize("typed", ["", "heart.p"], ids=["at once", "within a line"])
def test_control_c_leaves(terminal, typed):
    terminal.type(typed)
    if typed:
        terminal.read_until(typed)
    terminal.type("\x03")
    answer = terminal.finish()
    assert (answer.code, answer.out.removeprefix("^C")) == (130, "\n")
    assert terminal.echoes


@needs_terminal
@pytest.mark.parametrize(
    ("typed", "whole"),
    [("my\t", "my star.png"), ("my st\t", "my star.png"), ("./hea\t", "./heart.png")],
    ids=["up to a blank", "past a blank", "in a folder"],
)
def test_tab_completes_names(terminal, typed, whole):
    terminal.type(f"{typed}\n")
    assert f"{whole}: Predicted in " in terminal.read_until(PROMPT)


@needs_terminal
def test_tab_completes_folders_step_by_step(folder, cache):
    (folder / "a folder").mkdir()
    (folder / "heart.png").rename(folder / "a folder" / "heart.png")
    with Terminal(*COMMAND, cwd=folder, env=environment(cache)) as terminal:
        terminal.read_until(PROMPT)
        terminal.type("a\t")
        terminal.read_until("a folder/")
        terminal.type("\t\n")
        assert "a folder/heart.png: Predicted in " in terminal.read_until(PROMPT)


@needs_terminal
def test_arrow_up_recalls_the_last_line(terminal):
    terminal.type("my star.png\n")
    terminal.read_until(PROMPT)
    terminal.type(f"{UP}\n")
    assert "my star.png: Predicted in " in terminal.read_until(PROMPT)


@needs_terminal
def test_a_line_can_be_edited(terminal):
    terminal.type("heartt\x7f.png\n")
    assert "heart.png: Predicted in " in terminal.read_until(PROMPT)


def test_through_a_pipe_the_prompt_is_part_of_the_output_as_in_the_original(folder, cache):
    answer = run(*COMMAND, "-t", "1", cwd=folder, env=environment(cache), stdin="heart.png\n\nmy star.png\n")
    heart, star = (
        run(*COMMAND, "-t", "1", name, cwd=folder, env=environment(cache)).untimed
        for name in ("heart.png", "my star.png")
    )
    assert (answer.code, answer.untimed) == (0, f"{PROMPT}{heart}{PROMPT}{PROMPT}{star}{PROMPT}")


def test_a_last_line_that_is_not_ended_counts(folder, cache):
    answer = run(*COMMAND, cwd=folder, env=environment(cache), stdin="heart.png")
    assert answer.out.count("Predicted in") == 1


def test_where_the_output_is_for_a_program_the_prompt_is_not_in_it(folder, cache):
    answer = run(*COMMAND, "--format", "jsonl", cwd=folder, env=environment(cache), stdin="heart.png\n")
    assert answer.out.startswith('{"file": "heart.png"')
    assert PROMPT not in answer.out
    assert answer.err.count(PROMPT) == 2


@pytest.mark.skipif(os.name == "nt", reason="names there are text")
def test_a_name_that_is_no_text_is_found(folder, cache):
    name = b"h\xff.png"
    (folder / "heart.png").rename(folder / os.fsdecode(name))
    answer = run(*COMMAND, cwd=folder, env=environment(cache, LC_ALL="C.UTF-8", PYTHONUTF8="0"), stdin=name + b"\n")
    assert f"{os.fsdecode(name)}: Predicted in " in answer.out


MEANT = [
    ("heart.png\r", "heart.png"),
    ("  heart.png\t ", "heart.png"),
    ("'my star.png' ", "my star.png"),
    ('"my star.png"\r', "my star.png"),
    ("my\\ star.png", "my star.png"),
    ("my star.png", "my star.png"),
    ("~/heart.png", "{}/heart.png"),
    ("~/my\\ star.png", "{}/my star.png"),
    ("none.png\r", "none.png"),
    ("it's.png", "it's.png"),
    ("''", "''"),
]


@pytest.mark.parametrize(("typed", "path"), MEANT)
def test_a_typed_path_is_what_a_shell_would_make_of_it(folder, monkeypatch, typed, path):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    assert find_typed(typed) == path.format(folder)


@pytest.mark.skipif(os.name == "nt", reason="names there are less free")
def test_a_typed_path_is_taken_literally_where_there_is_such_a_file(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for name in (" heart.png ", "'heart.png'", '"my star.png"', "my\\ star.png", "heart.png\r", "~", "a\\"):
        (folder / name).touch()
        assert find_typed(name) == name


@pytest.mark.parametrize(
    "typed", ["a\0b", "~a\0b", "'a\0b'", "~nobody-is-called-so/a.png", "x" * 5000, f"'{'x' * 10**6}'"]
)
def test_what_cannot_be_a_path_is_left_as_it_is(typed):
    start = time.monotonic()
    assert find_typed(typed) == typed
    assert time.monotonic() - start < 10


def test_a_file_with_carriage_returns_can_be_piped_into_the_prompt(folder, cache):
    answer = run(*COMMAND, cwd=folder, env=environment(cache), stdin="heart.png\r\n'my star.png'\r\n\r\n")
    assert answer.complaints == []
    assert answer.out.count("Predicted in") == 2
