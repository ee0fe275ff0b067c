"""Wrong and odd words on the command line and at the prompt, and what the program answers."""

from __future__ import annotations

import os

import pytest
from conftest import ROOT
from support_bad_input import (
    ASK,
    CLASSIFY,
    PLAIN,
    SOME,
    USAGE,
    Program,
    Row,
    answer_plainly,
    check_refused,
    make,
    needs_posix,
    rows,
)
from support_cli import environment, run

pytestmark = needs_posix


@pytest.fixture
def darknet(tmp_path, cache):
    return Program(tmp_path, cache)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, cache):
    return answer_plainly(tmp_path_factory.mktemp("plain"), cache)


def line(fault: str, command: str, says: str, code: int = USAGE) -> Row:
    """A row for another command."""
    return Row(fault, PLAIN, says, command, code)


@rows(
    line("command misspelt", "clasify x.cfg", "clasify: unknown command; did you mean classify?"),
    line("second word misspelt", "classifier predct", "classifier predct: unknown command; did you mean classifier"),
    line("first word misspelt", "classifer predict", "classifer predict: unknown command; did you mean classifier"),
    line("half a command", "classifier", "classifier: a command is missing after it; one of predict, train, "),
    line("a command of darknet's", "detector test x", "detector: a command of darknet that this program"),
    line("no command", "-t 5", "a command is missing; see darknet --help"),
    line("no cfg", "classifier predict", "a cfg file is missing; [DATA] CFG WEIGHTS [IMAGE ...] or NAME"),
    line("no cfg for ops", "ops", "the following arguments are required: CFG; see darknet ops --help"),
    line("no weights", "classify x.data x.cfg", "a weights file is missing after x.cfg; [DATA] CFG WEIGHTS"),
    line("-t without its value", f"{CLASSIFY} -t", "-t/--top: expected one argument; see darknet classify --help"),
    line("-t in letters", f"-t x {CLASSIFY}", "-t/--top: x: not a number; an integer is expected"),
    line("-t a fraction", f"{CLASSIFY} -t 1.5", "-t/--top: 1.5: an integer is expected"),
    line("--threads in letters", f"{CLASSIFY} --threads x", "--threads: x: not a number; an integer is expected"),
    line("--threads 0", f"{CLASSIFY} --threads 0", "--threads: 0: at least 1 is expected"),
    line("-i in letters", f"{CLASSIFY} -i x", "-i/--gpu: x: not a number; an integer is expected"),
    line("--format unknown", f"{CLASSIFY} --format xml", "--format: invalid choice: 'xml'"),
    line("option unknown", f"{CLASSIFY} --bogus", "--bogus: unknown option; see darknet"),
    Row("no such GPU", PLAIN, "gpu 99: ", f"{CLASSIFY.replace('reference', 'auto')} -i 99"),
    line("a GPU and none", f"-nogpu {CLASSIFY} -i 0", "--no-gpu together with --gpu or --engine cuda"),
)
def test_command_line_is_refused(tmp_path, darknet, row):
    make(tmp_path, row.files)
    check_refused(darknet(row.command), row.says, row.code)


@pytest.mark.parametrize(
    ("typed", "says"),
    [(None, []), ("\n\n \t \n", []), ("none.png\n", ["none.png: no such file"])],
    ids=["end of input", "empty lines", "missing picture"],
)
def test_prompt_asks_again_until_the_input_ends(tmp_path, darknet, plain, typed, says):
    """`typed` comes before a picture's name; where it is None, nothing is typed at all."""
    make(tmp_path, PLAIN)
    answer = darknet(CLASSIFY.replace(" star.png", ""), stdin="" if typed is None else f"{typed}star.png\n")
    assert (answer.code, answer.complaints) == (0, says)
    assert answer.untimed == (ASK if typed is None else ASK * (typed.count("\n") + 1) + plain + ASK)


def test_names_are_taken_literally(tmp_path, cache, plain):
    make(tmp_path, PLAIN)
    star = (ROOT / "data" / "star.png").read_bytes()
    deep = "/".join(["d" * 200] * 10)
    (tmp_path / deep).mkdir(parents=True)
    odd = [" lead and trail ", "%n%s%d", "'quoted' \"twice\"", "~", "$HOME", "*", "back\\slash", "-t"]
    odd += ["größe\u2028", "n\nl", "\udcff\udcfe", f"{deep}/star"]
    make(tmp_path, {os.fsdecode(os.fsencode(name)): star for name in odd})
    named = [f"./{name}" for name in odd]
    words = [word for word in CLASSIFY.split() if word != "star.png"]
    answer = run(*words, "--", *named, cwd=tmp_path, env=environment(cache))
    assert (answer.code, answer.complaints) == (0, [])
    assert answer.untimed == "".join(plain.replace("star.png", name) for name in named)
    typeable = [name for name in odd if "\n" not in name]
    lines = os.fsencode("\n".join(typeable))
    answers = [plain.replace("star.png", name) for name in typeable]
    listed = run(*words, "-", cwd=tmp_path, env=environment(cache), stdin=lines)
    assert (listed.code, listed.complaints, listed.untimed) == (0, [], "".join(answers))
    typed = run(*words, cwd=tmp_path, env=environment(cache), stdin=lines)
    assert (typed.code, typed.complaints, typed.untimed) == (0, [], ASK + "".join(text + ASK for text in answers))


def test_names_that_cannot_be_are_told_on_one_line_each(tmp_path, darknet):
    make(tmp_path, PLAIN)
    answer = darknet(f"{CLASSIFY.replace('star.png', '-')}", stdin=f"{'x' * 5000}\na\0b\nx\x1b[2Jy\nstar.png\n")
    assert answer.code == SOME
    assert answer.complaints == [
        f"{'x' * 5000}: file name too long",
        "a\\x00b: embedded null byte",
        "x\\x1b[2Jy: no such file",
    ]
    assert answer.out.count("Predicted") == 1
    folded = darknet(CLASSIFY.replace("star.png", "a\nb.png"))
    assert folded.complaints == ["a\\nb.png: no such file"]
    empty = darknet(CLASSIFY.replace("star.png", ""))
    assert empty.complaints == ["'': a name is expected, of a file"]
