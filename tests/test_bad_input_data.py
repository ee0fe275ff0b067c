"""Wrong and odd .data files and lists of names, and what the program answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support_bad_input import (
    CLASSIFY,
    DATA,
    NAMES,
    NO_FILE,
    PLAIN,
    USAGE,
    Content,
    Program,
    Row,
    answer_plainly,
    check_accepted,
    check_refused,
    make,
    needs_posix,
    rows,
)

pytestmark = needs_posix


@pytest.fixture
def darknet(tmp_path, cache):
    return Program(tmp_path, cache)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, cache):
    return answer_plainly(tmp_path_factory.mktemp("plain"), cache)


def data(fault: str, content: Content, says: str, names: Content = NAMES) -> Row:
    """A row for the plain network with another .data file, or other names."""
    return Row(fault, {"x.data": content, "x.names": names}, says and f"x.data{says}", CLASSIFY)


@rows(
    data("missing", lambda path: None, ": no such file"),
    data("a FIFO", os.mkfifo, f": {NO_FILE}"),
    Row("a folder without", {"f": Path.mkdir}, "f/imagenet1k.data: no such file", CLASSIFY.replace("x.data", "f")),
    data("empty", "", ": no key = value line in this file"),
    data("names missing", DATA, ":2: names=x.names: x.names: no such file", names=lambda path: None),
    data("names a folder", DATA, ":2: names=x.names: x.names: is a folder; a file is expected", names=Path.mkdir),
    data("names empty", DATA, ":2: names=x.names: 0 names; classes=4 asks for as many", names=""),
    data("names not told", "classes=4\n", ": names= is missing: the file with the names of the classes"),
    data("too few names", DATA, ":2: names=x.names: 3 names; classes=4 asks for as many", names="a\n\nc\n\n \n"),
    data("top 0", DATA.replace("top=4", "top=0"), ":3: top=0: at least 1 is expected"),
    data("top in letters", DATA.replace("top=4", "top=x"), ":3: top=x: not a number; an integer is expected"),
    Row("-t 0", {}, "-t/--top: 0: at least 1 is expected", f"{CLASSIFY} -t 0", USAGE),
    data("other classes", "classes=3\nnames=x.names", ": classes: 3, but x.cfg has 4 outputs; name the .data file of"),
    Row(
        "other classes where none is named",
        {},
        "cfg/imagenet1k.data: classes: 1000, but x.cfg has 4 outputs; name the .data file of this network",
        CLASSIFY.replace("x.data ", ""),
    ),
)
def test_refused(tmp_path, darknet, row):
    make(tmp_path, {**PLAIN, **row.files})
    check_refused(darknet(row.command), row.says, row.code)


@rows(
    data("too many names", DATA, "", names=NAMES + "up\ndown\n"),
    data("classes not told", "names=x.names\ntop=4", ":1: names=x.names: classes= is missing; its 4 names count"),
    data("key misspelt", DATA + "lables=y", ":4: lables=y: unknown key, ignored; did you mean labels?"),
    data("blank lines", DATA.replace("\n", "\n\n"), "", names=NAMES + "\n \n\n"),
    data("CRLF", DATA.replace("\n", "\r\n"), "", names=NAMES.replace("\n", "\r\n")),
    data("blanks round =", DATA.replace("=", " =\t"), ""),
    data("top above the classes", DATA.replace("top=4", "top=5"), ":3: top=5: more than the 4 classes; 4 is taken"),
    Row("-t above the classes", {}, "--top 5: more than the 4 classes of x.data; 4 is taken", f"{CLASSIFY} -t 5"),
)
def test_accepted(tmp_path, darknet, row, plain):
    make(tmp_path, {**PLAIN, **row.files})
    check_accepted(darknet(row.command), row, plain)


@pytest.mark.parametrize(
    ("names", "encoding"),
    [
        ("côté", "utf-8"),
        ("côté", "utf-8-sig"),
        ("côté", "latin-1"),
        ("co\x85te", "latin-1"),  # which ends a line in Unicode
        ("co\u2028te", "utf-8"),
    ],
    ids=ascii,
)
def test_names_in_any_encoding_are_read_and_shown(tmp_path, darknet, plain, names, encoding):
    make(tmp_path, {**PLAIN, "x.names": NAMES.replace("north", names).encode(encoding)})
    answer = darknet(CLASSIFY, PYTHONIOENCODING="ascii")
    assert (answer.code, answer.untimed) == (0, plain.replace("north", names))
