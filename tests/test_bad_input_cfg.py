"""Wrong and odd cfg files, and what the program answers."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from support_bad_input import (
    CFG,
    CLASSIFY,
    DATA,
    NAMES,
    NET,
    NO_FILE,
    PLAIN,
    WEIGHTS,
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
OPS = "ops x.cfg"


@pytest.fixture
def darknet(tmp_path, cache):
    return Program(tmp_path, cache)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, cache):
    return answer_plainly(tmp_path_factory.mktemp("plain"), cache)


def changed(old: str, new: str) -> str:
    """The plain cfg with `new` in place of `old`."""
    assert CFG.count(old) == 1
    return CFG.replace(old, new)


def whole(fault: str, content: Content, says: str) -> Row:
    """A row for a whole cfg; `says` comes after the file's name in the message."""
    return Row(fault, {"x.cfg": content}, f"x.cfg{says}", OPS)


def edited(fault: str, old: str, new: str, says: str) -> Row:
    """A row for the plain cfg with `new` in place of `old`, and the message at its line."""
    line = CFG[: CFG.index(old)].count("\n") + 1
    return whole(fault, changed(old, new), f":{line}: {says}")


def added(fault: str, new: str, says: str) -> Row:
    """A row for the plain cfg with `new` at its end, and the message at its last line."""
    return whole(fault, CFG + new, f":{(CFG + new).count(chr(10)) + 1}: {says}")


FILES = [
    Row("missing", {}, "x.cfg: no such file", OPS),
    Row("a file where a folder is named", {"x": ""}, "x/x.cfg: no such file", "ops x/x.cfg"),
    whole("empty", "", ": no section in this file; a cfg starts with [net]"),
    whole("nothing but a comment", "\n # net\n", ": no section in this file; a cfg starts with [net]"),
    whole("a folder", Path.mkdir, ": is a folder; a file is expected"),
    whole("a FIFO", os.mkfifo, f": {NO_FILE}"),
    Row("a device", {}, f"/dev/zero: {NO_FILE}", "ops /dev/zero"),
    whole("a program", b"\x7fELF\x02\x01\xff\xfe" * 99, ":1: byte 0x02: not a text file"),
    whole("weights", WEIGHTS, ":1: byte 0x00: not a text file"),
    whole("UTF-16", CFG.encode("utf-16"), ": UTF-16 or UTF-32 text; save it as UTF-8"),
    whole("UTF-16 without a mark", CFG.encode("utf-16-be"), ":1: byte 0x00: not a text file"),
    whole("NUL byte", changed("size=3", "size=3\0"), ":8: byte 0x00: not a text file"),
]
SECTIONS = [
    whole("option before any section", "size=3\n" + CFG, ":1: size=3: an option before any section; a cfg starts"),
    whole("first section is not net", "[conv]\n" + CFG, ":1: [conv]: the first section must be [net]"),
    whole("no layer after net", NET, ":1: [net]: no layer comes after it"),
    added("two nets", "[net]", "[net]: a second [net]; one network is expected in a cfg"),
    edited("section not closed", "[convolutional]", "[conv", "[conv: a section's name is not closed with ]"),
    edited("layer misspelt", "[avgpool]", "[avgpol]", "[avgpol]: unknown layer; did you mean [avgpool]?"),
    edited(
        "layer unknown",
        "[avgpool]",
        "[zzz]",
        "[zzz]: unknown layer; known are activation, avg, avgpool, batchnorm, conn",
    ),
    edited(
        "layer of a detector",
        "[avgpool]",
        "[yolo]",
        "[yolo]: not supported; this program runs classifiers made of activation",
    ),
]
OPTIONS = [
    edited("option without =", "size=3", "size 3", "size 3: key=value is expected"),
    edited("no value", "size=3", "size=", "size=: a key or a value is missing"),
    edited("no key", "size=3", "=3", "=3: a key or a value is missing"),
    edited(
        "integer in words", "size=3", "size=three", "[convolutional] size=three: not a number; an integer is expected"
    ),
    added("number in words", "temperature=hot", "[softmax] temperature=hot: not a number"),
    added("number with _", "temperature=1_0", "[softmax] temperature=1_0: not a number"),
    added("NaN", "temperature=nan", "[softmax] temperature=nan: a finite number is expected"),
    added("beyond float32", "temperature=1e39", "[softmax] temperature=1e39: a finite number is expected"),
    edited("fraction of a filter", "filters=4", "filters=4.9", "[convolutional] filters=4.9: an integer is expected"),
    edited("integer with exponent", "filters=4", "filters=4e0", "[convolutional] filters=4e0: an integer is expected"),
    edited("negative filters", "filters=4", "filters=-4", "[convolutional] filters=-4: at least 1 is expected"),
    edited("negative padding", "pad=1", "padding=-1", "[convolutional] padding=-1: at least 0 is expected"),
    edited("negative height", "height=8", "height=-8", "[net] height=-8: at least 1 is expected"),
    edited("stride 0", "stride=1", "stride=0", "[convolutional] stride=0: at least 1 is expected"),
    edited("size 0", "size=3", "size=0", "[convolutional] size=0: at least 1 is expected"),
    edited("filters 0", "filters=4", "filters=0", "[convolutional] filters=0: at least 1 is expected"),
    edited("groups 0", "pad=1", "groups=0", "[convolutional] groups=0: at least 1 is expected"),
    edited("channels 0", "channels=3", "channels=0", "[net] channels=0: at least 1 is expected"),
    whole("no channels", changed("channels=3\n", ""), ":1: [net]: channels= is missing"),
    added("stride 0 of a pool", "[maxpool]\nstride=0", "[maxpool] stride=0: at least 1 is expected"),
    added("output 0", "[connected]\noutput=0", "[connected] output=0: at least 1 is expected"),
    edited("groups divide no input", "pad=1", "groups=2", "[convolutional] groups=2: does not divide 3 channels"),
    edited("groups divide no output", "pad=1", "groups=3", "[convolutional] groups=3: does not divide 4 channels"),
    edited("activation misspelt", "=leaky", "=leeky", "[convolutional] activation=leeky: unknown; did you mean leaky?"),
    edited(
        "activation unknown",
        "=leaky",
        "=wobble",
        "[convolutional] activation=wobble: unknown; known are linear, leaky, relu",
    ),
    edited(
        "option misspelt", "filters=4", "fliters=4", "[convolutional] fliters=4: unknown option; did you mean filters?"
    ),
    edited("option of net misspelt", "height=8", "heigth=8", "[net] heigth=8: unknown option; did you mean height?"),
]
JOINS = [
    added(
        "route to a layer not there", "[route]\nlayers=99", "[route] layers=99: 99: only 3 layers come before this one"
    ),
    added("route to itself", "[route]\nlayers=0,3", "[route] layers=0,3: 3: only 3 layers come before this one"),
    added("route before the first", "[route]\nlayers=-4", "[route] layers=-4: -4: only 3 layers come before this one"),
    added("route to nothing", "[route]", "[route]: layers= is missing: the outputs to join"),
    whole("route first", NET + "[route]\nlayers=-1", ":6: [route] layers=-1: -1: no layer comes before this one"),
    added(
        "shortcut from a layer not there",
        "[shortcut]\nfrom=99",
        "[shortcut] from=99: 99: only 3 layers come before this one",
    ),
    added("shortcut from itself", "[shortcut]\nfrom=3", "[shortcut] from=3: 3: only 3 layers come before this one"),
    added(
        "route of two sizes",
        "[route]\nlayers=0,1",
        "[route] layers=0,1: layer 0 is 8 x 8, layer 1 is 1 x 1; they must agree",
    ),
]
SIZES = [
    added("window above its input", "[conv]\nsize=2", "[conv] size=2: larger than its input, 1 x 1 with padding 0"),
    added(
        "pool above its input",
        "[maxpool]\npadding=0\nsize=2",
        "[maxpool] size=2: larger than its input, 1 x 1 with padding 0",
    ),
    added("crop above its input", "[crop]\ncrop_width=2", "[crop] crop_width=2: larger than its input, 1 x 1"),
    edited(
        "beyond 64 bits", "size=3", "size=9999999999999999999", "[convolutional] size=9999999999999999999: too large"
    ),
    whole("huge input", changed("8\nwidth=8", "70000\nwidth=70000"), ":1: [net]: input of 14700000000 values; at most"),
    whole("huge output", changed("=4", "=40000000"), ":6: [convolutional]: output of 2560000000 values; at most"),
    whole("huge weights", changed("size=3", "size=30001"), ":6: [convolutional]: weights of 10800720012 values; at"),
    whole("100,000 layers", NET + "[softmax]\n" * 100_000, ": 100000 layers; at most 10000 are supported"),
    added("endless line", "#" + "x" * 2_000_000, "a line of 2000001 characters; at most 65536 are expected"),
    added(
        "endless name",
        f"[{'a' * 60_000}]",
        f"[{'a' * 57}...]: unknown layer; known are activation, avg, avgpool, batchnorm, conn",
    ),
    edited("endless number", "size=3", f"size={'3' * 60_000}", f"[convolutional] size={'3' * 52}...: too large"),
]


@rows(*FILES, *SECTIONS, *OPTIONS, *JOINS, *SIZES)
def test_refused(tmp_path, darknet, row):
    make(tmp_path, row.files)
    check_refused(darknet(row.command), row.says, row.code)


def test_larger_than_the_machine_it_is_refused_before_its_weights_are_looked_for(tmp_path, darknet):
    make(tmp_path, {"x.cfg": NET + "[connected]\noutput=46340\n" * 1000, "x.data": DATA, "x.names": NAMES})
    answer = darknet(CLASSIFY)
    check_refused(answer, "x.cfg: ")
    assert re.search(r": 159\d\d\.\d GiB to run at 8 x 8, more than this machine's \d+\.\d GiB\n", answer.err)


TRAINING = "\nbatch=0\npolicy=steps\nsteps=100,x\nlearning_rate=fast\nburn_in=-1\nmax_batches=0\n"


def accepted(oddity: str, content: Content, says: str = "") -> Row:
    """A row for another way to write the plain network's cfg."""
    return Row(oddity, {"x.cfg": content}, says and f"x.cfg{says}", CLASSIFY)


@rows(
    accepted("comment in latin-1", CFG.encode() + b"# \xe9\n"),
    accepted("byte order mark", "\ufeff" + CFG),
    accepted("CRLF", CFG.replace("\n", "\r\n")),
    accepted("CR", CFG.replace("\n", "\r")),
    accepted("option unknown", changed("pad=1", "pad=1\nqqq=1"), ":11: [convolutional] qqq=1: unknown option, ignored"),
    accepted("option twice", changed("size=3", "size=3\nsize=5"), ":9: size=5: repeated; the first value, 3, counts"),
    accepted("dropout first", changed("[conv", "[dropout]\nprobability=.9\n[conv")),
    accepted("options of training that make no sense", changed("channels=3\n", f"channels=3{TRAINING}")),
)
def test_accepted(tmp_path, darknet, row, plain):
    make(tmp_path, {**PLAIN, **row.files})
    check_accepted(darknet(row.command), row, plain)
