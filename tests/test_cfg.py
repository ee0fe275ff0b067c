"""Parsing of cfg text, and what options may hold."""

from __future__ import annotations

import warnings
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import cfg_text

from darknet_py.cfg import choice, flag, integer, integers, load_cfg, number, parse_cfg, text
from darknet_py.errors import CfgError, DarknetWarning
from darknet_py.remarks import shorten


def parse(content):
    """Sections as (name, {key: value})."""
    return [
        (section.name, {key: entry.value for key, entry in section.entries.items()})
        for section in parse_cfg(content, "x.cfg")
    ]


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("[net]\nheight=224", "224"),
        (" [ n e t ]\t\n h e\tight\t=  2 2\f4 \r", "224"),
        ("# one\n; two\n  # three\n\n[net] # four\nheight=224 # five\n", "224"),
        ("[net]\nheight=2 ; 3", "2"),
        ("[net]\nheight=a=b", "a=b"),
    ],
    ids=["plain", "blanks", "comments", "semicolon", "equals"],
)
def test_blanks_and_comments_are_dropped_and_nothing_else(content, value):
    assert parse(content) == [("net", {"height": value})]


@pytest.mark.parametrize("encoded", [b"\xef\xbb\xbf[net]\nx=1\n", b"[net]\r\nx=1\r\n", b"[net]\nx=1 # caf\xe9"])
def test_files_with_a_byte_order_mark_crlf_or_latin_1_are_read(tmp_path, encoded):
    path = tmp_path / "x.cfg"
    path.write_bytes(encoded)
    (section,) = load_cfg(path)
    assert (section.name, section.entries["x"].value, section.entries["x"].line) == ("net", "1", 2)


def test_packaged_cfg_is_found_by_name():
    assert len(load_cfg("tiny.cfg")) == len(load_cfg("cfg/tiny.cfg")) == 24


def test_first_value_of_a_repeated_key_counts_with_a_warning():
    with pytest.warns(DarknetWarning, match=r"x\.cfg:3: size=5: repeated; the first value, 3, counts"):
        assert parse("[conv]\nsize=3\nsize=5\n") == [("conv", {"size": "3"})]


def test_same_key_in_two_sections_is_no_repetition():
    assert parse("[conv]\nsize=3\n[conv]\nsize=5\n") == [("conv", {"size": "3"}), ("conv", {"size": "5"})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "x.cfg: no section"),
        ("# nothing\n", "x.cfg: no section"),
        ("\nheight=3\n[net]", "x.cfg:2: height=3: an option before any section"),
        ("[net]\n\n[conv\n", "x.cfg:3: [conv: a section's name is not closed"),
        ("[net]\n=3\n", "x.cfg:2: =3: a key or a value is missing"),
        ("[net]\nx=" + "1" * 70_000, "x.cfg:2: a line of 70002 characters"),
        ("\n" * (1 << 20), "x.cfg: 1048577 lines; at most 1048576 are expected"),
    ],
)
def test_errors_name_file_line_and_text(content, message):
    with pytest.raises(CfgError) as error:
        parse(content)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (None, "no such file"),
        (b"", "no section"),
        ("[net]".encode("utf-16"), "UTF-16"),
        (b"[net]\nx=\x00\n", ":2: byte 0x00: not a text file"),
        (b"\x7fELF\x01", "byte 0x01"),
    ],
    ids=["missing", "empty", "utf-16", "nul", "binary"],
)
def test_what_is_no_text_file_is_refused(tmp_path, raw, message):
    path = tmp_path / "x.cfg"
    if raw is not None:
        path.write_bytes(raw)
    with pytest.raises(CfgError, match=message):
        load_cfg(path)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(CfgError, match="is a folder"):
        load_cfg(tmp_path)


KINDS = {
    "i": integer(7),
    "positive": integer(1, least=1),
    "n": number(0.5),
    "f": flag(),
    "word": choice(["leaky", "linear"], "linear"),
    "list": integers(),
    "any": text("sse"),
}


@pytest.mark.parametrize(
    ("key", "given", "value"),
    [
        ("i", "-3", -3),
        ("i", "+12", 12),
        ("i", "2147483647", 2**31 - 1),
        ("i", "0" * 5000 + "7", 7),
        ("i", None, 7),
        ("positive", "1", 1),
        ("n", "-1.5e-3", -0.0015),
        ("n", None, 0.5),
        ("f", "1", True),
        ("f", "0", False),
        ("f", "-1", True),
        ("f", None, False),
        ("word", "leaky", "leaky"),
        ("word", None, "linear"),
        ("list", "-1,3,", [-1, 3]),
        ("list", None, None),
        ("any", "smooth", "smooth"),
        ("any", None, "sse"),
    ],
)
def test_option_kinds_parse_or_give_their_default(key, given, value):
    (section,) = parse_cfg(cfg_text([("layer", {} if given is None else {key: given})]), "x.cfg")
    result = section.read(KINDS)[key]
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("key", "given", "reason"),
    [
        ("i", "4.9", "an integer is expected"),
        ("i", "four", "not a number"),
        ("i", "--4", "not a number"),
        ("i", "1_000", "an integer is expected"),
        ("i", "٤", "an integer is expected"),
        ("i", "2147483648", "too large; integers end at 2147483647"),
        ("i", "-2147483648", "too small; integers end at 2147483647"),
        ("i", "9" * 5000, "too large"),
        ("positive", "-" + "9" * 5000, "at least 1 is expected"),
        ("positive", "0", "at least 1 is expected"),
        ("positive", "-1", "at least 1 is expected"),
        ("n", "x", "not a number"),
        ("n", "1_0", "not a number"),
        ("n", "٤", "not a number"),
        ("n", "nan", "a finite number is expected"),
        ("n", "1e999", "a finite number is expected"),
        ("f", "yes", "not a number"),
        ("word", "leeky", "unknown; did you mean leaky?"),
        ("word", "7", "unknown; known are leaky, linear"),
        ("list", "1,x", "not a number"),
    ],
)
def test_wrong_values_are_refused_at_their_line(key, given, reason):
    (section,) = parse_cfg(cfg_text([("layer", {key: given})]), "x.cfg")
    with pytest.raises(CfgError) as error:
        section.read(KINDS)
    assert str(error.value).startswith(f"x.cfg:2: [layer] {shorten(f'{key}={given}')}: {reason}")


WORDS = st.text("abc[]=#;1.\r\t ", max_size=6)


@given(st.lists(WORDS, max_size=8).map("\n".join))
def test_any_text_is_parsed_or_refused_with_an_error_of_ours(content):
    with warnings.catch_warnings(), suppress(CfgError):
        warnings.simplefilter("ignore", DarknetWarning)
        for section in parse_cfg(content, "x.cfg"):
            assert content.split("\n")[section.line - 1].strip().startswith("[")


KEYS = st.text("abcxyz_", min_size=1, max_size=5)


@given(st.lists(st.tuples(KEYS, st.dictionaries(KEYS, st.integers().map(str))), min_size=1))
def test_every_section_and_option_comes_back(sections):
    assert parse(cfg_text(sections)) == sections
