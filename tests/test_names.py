"""Names of files may contain anything: people see it as escapes, programs get it as it is."""

from __future__ import annotations

import shutil
import sys
import unicodedata

import pytest
from conftest import ROOT
from support_cli import Terminal, environment, run

from darknet_py.errors import DarknetError, one_line

HOSTILE = "a\x1b[31m\u202egnp.exe\x9b\u2066\u200f\nb.png"
ESCAPED = r"a\x1b[31m\u202egnp.exe\x9b\u2066\u200f\nb.png"
COMMAND = ("classify", "shapes", "--engine", "reference", "-t", "1")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its names hold no control characters")


@pytest.fixture
def folder(tmp_path):
    shutil.copy(ROOT / "data" / "star.png", tmp_path / HOSTILE)
    (tmp_path / "x.list").write_text("a\x1b[31m\u202egnp.exe star.png\n")
    shutil.copy(ROOT / "data" / "star.png", tmp_path / "a\x1b[31m\u202egnp.exe star.png")
    return tmp_path


def test_controls_and_what_turns_the_order_of_text_are_escaped_and_letters_are_not():
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        turns = (
            unicodedata.bidirectional(character)
            in {
                *("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"),
            }
            or character in "\u200e\u200f\u061c"
        )
        breaks = unicodedata.category(character) in ("Cc", "Zl", "Zp") or 0xDC80 <= code < 0xDCA0
        assert (one_line(character) != character) == (turns or breaks), hex(code)
        assert one_line(character).isprintable() or not (turns or breaks)
    assert one_line("größe ש é \udcff") == "größe ש é \udcff"
    assert str(DarknetError("reason", file=HOSTILE)) == f"{ESCAPED}: reason"


@pytest.mark.parametrize("format", ["text", "csv"])
def test_a_terminal_is_given_escapes(folder, cache, format):
    with Terminal(*COMMAND, "--format", format, HOSTILE, cwd=folder, env=environment(cache)) as terminal:
        answer = terminal.finish()
    assert answer.code == 0
    assert f"\n{ESCAPED}{': Predicted' if format == 'text' else ','}" in answer.out
    assert not {"\x1b", "\u202e", "\x9b"} & set(answer.out)


def test_a_program_is_given_names_as_they_are(folder, cache):
    answer = run(*COMMAND, HOSTILE, cwd=folder, env=environment(cache))
    assert f"\n{HOSTILE}: Predicted" in answer.out


@pytest.mark.parametrize("command", ["csv", "fout"])
def test_so_it_is_with_lists(folder, cache, command):
    words = ("classifier", command, "shapes", "x.list", "--engine", "reference")
    raw = run(*words, cwd=folder, env=environment(cache))
    assert raw.out.startswith("a\x1b[31m\u202egnp.exe star.png\t")
    with Terminal(*words, cwd=folder, env=environment(cache)) as terminal:
        screen = terminal.finish().out
    assert "\na\\x1b[31m\\u202egnp.exe star.png\t" in screen


def test_names_on_standard_error_are_escaped(folder, cache):
    shutil.copy(ROOT / "data" / "shapes.weights", folder / "x\x1b[2J.weights")
    words = ("classify", "data/shapes.data", "cfg/shapes.cfg", "x\x1b[2J.weights", HOSTILE, "--engine", "reference")
    answer = run(*words, cwd=folder, env=environment(cache))
    assert answer.code == 0
    assert "Loading weights from x\\x1b[2J.weights...Done!" in answer.err
    assert "\x1b" not in answer.err
