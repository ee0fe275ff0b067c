"""What goes wrong where a network is measured on a list, and what the program answers.

The plain network is run on pictures whose names say their class. Runs that are ended and resumed are in
test_valid_survives.py.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from support_bad_input import BAD, CLOSED, DATA, NO_FILE, PLAIN, SOME, USAGE, Content, Row, make, needs_posix, rows
from support_cli import Answer, run, run_shell
from support_valid import surroundings

pytestmark = needs_posix
PICTURE = (ROOT / "data" / "star.png").read_bytes()
LISTED = ["1.north.png", "east/2.png", "3_south.png"]
LIST = "".join(f"{name}\n" for name in LISTED)
FILES: dict[str, Content] = {**PLAIN, "x.list": LIST, "east": Path.mkdir, **dict.fromkeys(LISTED, PICTURE)}
COMMAND = "classifier valid x.data x.cfg x.weights"
VALID = f"{COMMAND} x.list"


@pytest.fixture
def darknet(tmp_path, cache):
    """Run a command, its words between blanks, in the row's folder."""

    def darknet(command: str) -> Answer:
        return run(*command.split(" "), "--engine", "reference", cwd=tmp_path, env=surroundings(cache))

    return darknet


@pytest.fixture(scope="module")
def plain(tmp_path_factory, cache):
    """The lines that are printed for the plain list."""
    folder = tmp_path_factory.mktemp("plain")
    make(folder, FILES)
    answer = run(*VALID.split(), "--engine", "reference", cwd=folder, env=surroundings(cache))
    assert (answer.code, answer.complaints) == (0, [])
    return untimed(answer)


def untimed(answer: Answer) -> list[str]:
    """The lines on standard output without the last, which has the time."""
    return answer.out.splitlines()[:-1]


def listed(fault: str, content: Content, says: str) -> Row:
    """A row for another list."""
    return Row(fault, {"x.list": content}, f"x.list{says}", VALID)


NONE = "no label is a word of its name or folder"
EXPECTED = "an empty list; one path a line is expected"


@rows(
    listed("missing", lambda path: None, ": no such file"),
    listed("a FIFO", os.mkfifo, f": {NO_FILE}"),
    Row("a device", {}, f"/dev/zero: {NO_FILE}", f"{COMMAND} /dev/zero"),
    Row("a folder without pictures", {"f": Path.mkdir}, "f: no picture in this folder or below it", f"{COMMAND} f"),
    Row(
        "missing where .data names it",
        {"x.data": f"{DATA}valid=no.list\n"},
        "x.data: valid=no.list: no such file; ",
        COMMAND,
    ),
    Row("not told", {}, "x.data: valid= is missing: the list of images; name it there, or after the", COMMAND),
    Row("not told of a test", {}, "x.data: test= is missing: the list of images", COMMAND.replace("valid", "label")),
    listed("UTF-16", LIST.encode("utf-16"), ": UTF-16 or UTF-32 text; save it as UTF-8"),
    listed("a picture", PICTURE, ":3: byte 0x00: not a list of paths"),
    Row("other classes", {"x.data": "classes=3\nnames=x.names"}, "x.data: classes: 3, but x.cfg has 4 outputs;", VALID),
    listed("no class in any name", "star.png\nx/heart.png\n", f": no image's class is known, e.g. star.png: {NONE};"),
    listed("labels unlike names", "a/north1.png\n", ": no image's class is known, e.g. a/north1.png: "),
    listed("empty", "", f": {EXPECTED}"),
    Row("no name at all", {}, "'': a name is expected, of a file or a folder", f"{COMMAND} "),
    listed("blank lines alone", "\n \r\n", f": {EXPECTED}"),
    Row("nothing in its shard", {}, "x.list: no image of it is in --shard 4/4", f"{VALID} --shard 4/4"),
)
def test_lists_are_refused(tmp_path, darknet, row):
    make(tmp_path, {**FILES, **row.files})
    answer = darknet(row.command)
    assert (answer.code, answer.out) == (row.code, "")
    (complaint,) = answer.complaints
    assert complaint.startswith(row.says)
    assert "Traceback" not in answer.err


@rows(
    listed("last line without end", LIST.rstrip("\n"), ""),
    listed("byte order mark", "\ufeff" + LIST, ""),
    listed("blank lines", "\n\n" + LIST.replace("\n", "\n \t\n"), ""),
    listed("CRLF", LIST.replace("\n", "\r\n"), ""),
)
def test_lists_are_accepted(tmp_path, darknet, row, plain):
    make(tmp_path, {**FILES, **row.files})
    answer = darknet(row.command)
    assert (answer.code, answer.complaints, untimed(answer)) == (0, [], plain)


def test_of_a_top_above_the_classes_as_many_as_there_are_count_with_a_warning(tmp_path, darknet, plain):
    make(tmp_path, FILES)
    answer = darknet(f"{VALID} -t 5")
    assert (answer.code, untimed(answer)) == (0, plain)
    assert answer.complaints == ["warning: --top 5: more than the 4 classes of x.data; 4 is taken"]


def test_lists_may_name_files_that_are_not_utf_8(tmp_path, darknet, plain):
    name = os.fsdecode(b"1.north.\xe9\xff.png")
    make(tmp_path, {**FILES, name: PICTURE, "x.list": os.fsencode(LIST.replace(LISTED[0], name))})
    answer = darknet(VALID)
    assert (answer.code, answer.complaints) == (0, [])
    assert untimed(answer) == [plain[0].replace(LISTED[0], name), *plain[1:]]


def summary(answer: Answer) -> tuple[int, int, dict[str, int]]:
    """Images, those that count, and the others."""
    fields = json.loads(answer.out)
    return fields["images"], fields["counted"], fields["excluded"]


ODD = {"n.png": "none", "north_south.png": "two", "east/west.png": "two"}


@pytest.mark.parametrize("name", ODD)
def test_an_image_of_no_class_or_of_two_is_counted_and_reported(tmp_path, darknet, name):
    make(tmp_path, {**FILES, "x.list": f"{LIST}{name}\n", name: PICTURE})
    answer = darknet(f"{VALID} --format json")
    assert (answer.code, summary(answer)) == (SOME, (4, 3, {"unreadable": 0, "class unknown": 1}))
    says = NONE if ODD[name] == "none" else "labels of 2 classes in its name or folder: "
    (complaint,) = answer.complaints
    assert complaint.startswith(f"warning: x.list: 1 images do not count, e.g. {name}: {says}")


def test_as_the_original_an_image_of_no_class_is_wrong(tmp_path, darknet):
    make(tmp_path, {**FILES, "x.list": f"{LIST}n.png\n", "n.png": PICTURE})
    answer = darknet(f"{VALID} --format json --match substring")
    assert (answer.code, summary(answer), answer.complaints) == (0, (4, 4, {"unreadable": 0, "class unknown": 0}), [])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lambda path: None, "no such file"),
        (Path.mkdir, "is a folder; a file is expected"),
        (os.mkfifo, NO_FILE),
        (b"", "an empty file"),
        (b"north\n" * 9, "not a picture in any format known here"),
        (PICTURE[: len(PICTURE) // 2], "a damaged picture: image file is truncated"),
    ],
    ids=["missing", "a folder", "a FIFO", "empty", "a text", "truncated"],
)
@pytest.mark.parametrize("command", ["valid", "validfull", "label", "csv", "fout"])
def test_an_image_that_cannot_be_read_is_named_and_the_others_done(tmp_path, darknet, plain, command, content, says):
    make(tmp_path, {**FILES, "x.list": f"{LIST}west.png\n{LISTED[0]}\n", "west.png": content})
    answer = darknet(f"{VALID.replace('valid', command)} --save x.jsonl")
    assert answer.code == SOME
    assert any(complaint.startswith(f"west.png: {says}") for complaint in answer.complaints)
    *_, fourth, fifth = (json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines())
    assert (fourth["file"], fourth["predictions"]) == ("west.png", [])
    assert fourth["excluded"].startswith(says)
    assert "excluded" not in fifth
    lines = answer.out.splitlines()
    if command == "valid":
        assert lines[:6] == plain[:6]
        assert lines[7].startswith("4: top 1: ")
        assert lines[-2] == "5 images: 4 counted, 1 unreadable"
    elif command != "validfull":
        assert len(lines) == 5 - (command != "label")
        assert lines[-1] == lines[0]
    assert ("" in lines) == (command == "label")


@pytest.mark.parametrize("command", ["valid", "label"])
def test_where_no_image_can_be_read_it_fails(tmp_path, darknet, command):
    make(tmp_path, {**FILES, "x.list": "north.png\neast.png\n"})
    answer = darknet(VALID.replace("valid", command))
    assert answer.code == BAD
    assert {"north.png: no such file", "east.png: no such file"} <= set(answer.complaints)


@pytest.mark.parametrize("command", ["valid", "csv"])
def test_paths_that_repeat_others_count_each_time_with_a_warning(tmp_path, darknet, command):
    make(tmp_path, {**FILES, "x.list": LIST + LIST + f"{LISTED[1]}\n"})
    answer = darknet(f"{VALID.replace('valid', command)}")
    assert answer.code == 0
    assert answer.complaints[0] == "warning: x.list: 4 of 7 paths repeat others; they count each time"
    assert "7 images" in answer.out + answer.err


@rows(
    Row("no cfg", {}, "a cfg file is missing; [DATA] CFG WEIGHTS", "classifier valid", USAGE),
    Row("two lists", {}, "y.list: one LIST is expected, a file with one path a line or a", f"{VALID} y.list", USAGE),
    Row("--limit 0", {}, "--limit: 0: at least 1 is expected", f"{VALID} --limit 0", USAGE),
    Row("--batch 0", {}, "--batch: 0: at least 1 is expected", f"{VALID} --batch 0", USAGE),
    Row("--workers in letters", {}, "--workers: x: not a number; an integer is", f"{VALID} --workers x", USAGE),
    Row("--shard below the first", {}, "--shard: 0/2: I/N is expected, I from 1 to N", f"{VALID} --shard 0/2", USAGE),
    Row("--shard above the last", {}, "--shard: 3/2: I/N is expected, I from 1 to N", f"{VALID} --shard 3/2", USAGE),
    Row("--shard of one number", {}, "--shard: 2: I/N is expected, I from 1 to N", f"{VALID} --shard 2", USAGE),
    Row("--shard of three numbers", {}, "--shard: 1/2/3: I/N is expected", f"{VALID} --shard 1/2/3", USAGE),
    Row("--shard in other digits", {}, "--shard: ²/²: I/N is expected", f"{VALID} --shard ²/²", USAGE),
    Row("--shard of no numbers", {}, "--shard: /: I/N is expected", f"{VALID} --shard /", USAGE),
    Row("--preprocess unknown", {}, "--preprocess: invalid choice: 'zoom'", f"{VALID} --preprocess zoom", USAGE),
    Row("--match unknown", {}, "--match: invalid choice: 'regex'", f"{VALID} --match regex", USAGE),
    Row("--format unknown", {}, "--format: invalid choice: 'csv'", f"{VALID} --format csv", USAGE),
    Row(
        "--save of another kind",
        {},
        "--save x.txt: a name that ends in .jsonl or .csv is",
        f"{VALID} --save x.txt",
        USAGE,
    ),
    Row("--save in no folder", {}, "--save f/x.csv: no file can be written", f"{VALID} --save f/x.csv", USAGE),
    Row(
        "--save onto the list that .data names",
        {"x.data": f"{DATA}valid=l.csv\n", "l.csv": LIST},
        "--save l.csv: would replace a file that this run reads",
        f"{COMMAND} --save l.csv",
        USAGE,
    ),
    Row(
        "--report onto the names that .data names",
        {"x.data": DATA.replace("x.names", "n.html"), "n.html": PLAIN["x.names"]},
        "--report n.html: would replace a file that this run reads",
        f"{VALID} --report n.html",
        USAGE,
    ),
)
def test_command_line_is_refused(tmp_path, darknet, row):
    make(tmp_path, {**FILES, **row.files})
    answer = darknet(row.command)
    (complaint,) = answer.complaints
    assert complaint.startswith(row.says)
    assert (answer.code, answer.out) == (row.code, "")


FIXED = f"{PLAIN['x.cfg']}".replace("[avgpool]", "[connected]\noutput=4\nactivation=linear")
FIXED_WEIGHTS = bytes(16) + bytes(4 * (4 + 4 * 27 + 4 + 4 * 256))


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("validmulti", USAGE, "validmulti: multi runs the network at other sizes, which x.cfg does not allow"),
        ("valid --preprocess shorter", USAGE, "--preprocess shorter: shorter runs the network at other sizes, which"),
        ("valid --preprocess multi", USAGE, "--preprocess multi: multi runs the network at other sizes, which x.cfg"),
    ],
)
def test_a_network_of_one_size_refuses_what_asks_for_others(tmp_path, darknet, command, code, says):
    make(tmp_path, {**FILES, "x.cfg": FIXED, "x.weights": FIXED_WEIGHTS})
    answer = darknet(VALID.replace("valid", command, 1))
    (complaint,) = answer.complaints
    assert (answer.code, answer.out) == (code, "")
    assert complaint.startswith(says)


def test_a_network_of_one_size_letterboxes_for_validfull(tmp_path, darknet):
    make(tmp_path, {**FILES, "x.cfg": FIXED, "x.weights": FIXED_WEIGHTS})
    answer = darknet(f"{VALID.replace('valid', 'validfull')} --format json")
    assert (answer.code, json.loads(answer.out)["preprocess"]) == (0, "letterbox")


def test_an_output_that_is_full_is_told_and_what_was_done_is_kept(tmp_path, cache, darknet, plain):
    make(tmp_path, FILES)
    answer = run_shell(f"darknet {VALID} --engine reference > /dev/full", tmp_path, surroundings(cache))
    assert (answer.code, answer.complaints) == (BAD, ["standard output: no space left on device"])
    assert "Traceback" not in answer.err
    assert untimed(darknet(f"{VALID} --resume")) == plain


@pytest.mark.parametrize("command", ["valid", "label", "fout"])
def test_an_output_that_is_closed_ends_it_silently(tmp_path, cache, command):
    make(tmp_path, {**FILES, "x.list": LIST * 100})
    line = f"{{ darknet {VALID.replace('valid', command)} --engine reference; echo $? > code; }} | head -n 1"
    answer = run_shell(line, tmp_path, surroundings(cache))
    assert int((tmp_path / "code").read_text()) == CLOSED
    assert answer.out.count("\n") == 1
    assert [text for text in answer.complaints if not text.startswith("warning: ")] == []
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("env", [{"DARKNET_PY_CACHE": "file/x"}, {"HOME": "{}/file"}], ids=["named", "at home"])
def test_a_cache_that_cannot_be_written_costs_the_journal_alone(tmp_path, cache, env):
    (tmp_path / "file").touch()
    plain = {
        key: value for key, value in surroundings(cache).items() if key not in ("DARKNET_PY_CACHE", "XDG_CACHE_HOME")
    }
    env = plain | {key: value.format(tmp_path) for key, value in env.items()}
    answer = run("classifier", "valid", "shapes", "--engine", "reference", cwd=tmp_path, env=env)
    assert answer.code == 0
    (warning,) = answer.complaints
    assert re.fullmatch(
        r"warning: .*journals: no journal can be kept there; this run cannot be taken up again", warning
    )


JUMPING = """
import itertools, sys, time
days = itertools.count()
time.time = lambda: 1e9 - 86400 * next(days)
time.time_ns = lambda: int(1e9 * time.time())
from darknet_py.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_durations_stay_right_when_the_clock_jumps(tmp_path, cache):
    valid = ("classifier", "valid", "shapes", "--engine", "reference", "--format", "json")
    command = [sys.executable, "-c", JUMPING, *valid]
    done = subprocess.run(command, cwd=tmp_path, env=surroundings(cache), capture_output=True, check=True)
    fields = json.loads(done.stdout)
    assert 0 < fields["seconds"] < 3600
    assert fields["images_per_second"] == pytest.approx(5 / fields["seconds"], rel=0.05)
