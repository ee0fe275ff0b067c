"""Which dialect weights files are taken to be in, and in which they are written."""

from __future__ import annotations

import struct

import pytest
from support import make_network, random_parameters

from darknet_py.errors import DarknetWarning, UsageError
from darknet_py.layers import ALEXEYAB, DARKNET, DIALECTS
from darknet_py.weights import choose_dialect, save_weights

WIDE = struct.pack("<iiiq", 0, 2, 0, 2**40)
NARROW = struct.pack("<iiiI", 0, 1, 0, 2**32 - 1)
VERSIONLESS = struct.pack("<fffI", 0.001, 0.9, 0.0005, 77)
VERSION = struct.pack("<iii", 0, 2, 5)


def write(folder, header):
    """A weights file of a header alone."""
    path = folder / "x.weights"
    path.write_bytes(header)
    return path


@pytest.mark.parametrize(
    ("header", "name", "dialect"),
    [
        (WIDE, None, DARKNET),
        (NARROW, None, DARKNET),
        (VERSIONLESS, None, DARKNET),
        (VERSION + WIDE[12:], None, ALEXEYAB),
        (VERSION[:7], None, DARKNET),
        (VERSION + WIDE[12:], "alexeyab", ALEXEYAB),
        (WIDE, "alexeyab", ALEXEYAB),
        (NARROW, "darknet", DARKNET),
        (VERSION + WIDE[12:], "alexeyab-2020", DIALECTS["alexeyab-2020"]),
        (WIDE, "alexeyab-2020", DIALECTS["alexeyab-2020"]),
    ],
)
def test_the_version_tells_the_dialect_unless_a_name_does(tmp_path, header, name, dialect, recwarn):
    assert choose_dialect(name, write(tmp_path, header)) is dialect
    assert not recwarn


def test_a_name_that_contradicts_the_version_counts_with_a_warning(tmp_path):
    path = write(tmp_path, VERSION + WIDE[12:])
    reason = "dialect=darknet: version 0.2.5, which AlexeyAB's program writes; dialect=alexeyab gives its answers"
    with pytest.warns(DarknetWarning) as told:
        assert choose_dialect("darknet", path) is DARKNET
    assert [str(warning.message) for warning in told] == [f"{path}: {reason}"]


@pytest.mark.parametrize("path", [None, "nowhere.weights", "/", "/dev/zero", "a\0b"])
def test_without_a_file_the_dialect_is_darknets(path):
    assert choose_dialect(None, path) is DARKNET
    with pytest.raises(UsageError, match="dialect=x: one of darknet, alexeyab, alexeyab-2020 is expected"):
        choose_dialect("x", path)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_a_saved_file_has_its_dialects_version(tmp_path, dialect):
    layers = make_network((2, 4, 4), ("batchnorm", {}), dialect=dialect).layers
    save_weights(tmp_path / "x.weights", random_parameters(layers), 7)
    assert struct.unpack("<iii", (tmp_path / "x.weights").read_bytes()[:12]) == dialect.version
    told = choose_dialect(None, tmp_path / "x.weights")
    assert told is (DARKNET if dialect is DARKNET else ALEXEYAB)  # the first that has the version
