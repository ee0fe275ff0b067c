"""Classes in a hierarchy: their file, and softmax within each group."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from support import cfg_text, make_layer, random_array
from support_gradients import check_gradients, random_doubles

from darknet_py.cfg import parse_cfg
from darknet_py.errors import CfgError
from darknet_py.layers import REGISTRY, Shape
from darknet_py.layers.tree import parse_tree

# thing 0 and being 1; of thing: tool 2, car 3; of being: dog 4, cat 5, fish 6; of tool: saw 7.
LINES = "thing -1\nbeing -1\ntool 0\ncar 0\ndog 1\ncat 1\nfish 1\nsaw 2\n"


@pytest.fixture
def tree(tmp_path):
    path = tmp_path / "x.tree"
    path.write_text(LINES)
    return str(path)


def read_tree(path):
    return parse_tree(Path(path).read_bytes(), path)


def test_groups_and_leaves(tree):
    found = read_tree(tree)
    assert found.parents == (-1, -1, 0, 0, 1, 1, 1, 2)
    assert [(group.start, group.stop) for group in found.groups] == [(0, 2), (2, 4), (4, 7), (7, 8)]
    assert found.leaves.tolist() == [False, False, False, True, True, True, True, True]


def test_each_group_has_a_softmax_of_its_own(tree):
    layer = make_layer("softmax", (8, 1, 1), tree=tree, temperature=2)
    x = random_array((3, 8, 1, 1))
    y = layer.forward([x], {})
    assert y.dtype == np.float32
    assert y.shape == x.shape
    for start, stop in ((0, 2), (2, 4), (4, 7), (7, 8)):
        powers = np.exp(x[:, start:stop].astype(float) / 2)
        np.testing.assert_allclose(y[:, start:stop], powers / powers.sum(axis=1, keepdims=True), rtol=1e-5)
    assert layer.special == f"tree={tree}"
    with pytest.raises(CfgError, match="not supported in training; a network without it is expected"):
        layer.check_trainable()


def test_probabilities_are_products_along_the_parents(tree):
    p = np.float32([[0.6, 0.4, 0.5, 0.5, 0.2, 0.3, 0.5, 1]])
    every = read_tree(tree).multiply(p)
    np.testing.assert_allclose(every, [[0.6, 0.4, 0.3, 0.3, 0.08, 0.12, 0.2, 0.3]], rtol=1e-6)
    leaves = read_tree(tree).multiply(p, only_leaves=True)
    np.testing.assert_allclose(leaves, [[0, 0, 0, 0.3, 0.08, 0.12, 0.2, 0.3]], rtol=1e-6)
    assert p[0, 4] == np.float32(0.2)


def test_the_file_is_the_one_named_or_lies_beside_the_cfg(tree, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    text = cfg_text([("softmax", {"tree": "x.tree"})])

    def make():
        (section,) = parse_cfg(text, str(tmp_path / "a.cfg"))
        return REGISTRY["softmax"](section, 0, [Shape(8, 1, 1)])

    assert len(make().hierarchy.parents) == 8
    (tmp_path / "elsewhere" / "x.tree").write_text("a -1\n")
    with pytest.raises(CfgError, match="1 classes; 8 are expected, one for each input"):
        make()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", ": no class in this file; lines of a label and a parent's number are expected"),
        ("\n\n", ": no class in this file"),
        ("a -1\nb\n", ":2: 1 words; a label and its parent's number are expected"),
        ("a -1\n\nb 0\n", ":2: 0 words; a label and its parent's number are expected"),
        ("a -1\nb 0 0\n", ":2: 3 words"),
        ("a -1\nb x\n", ":2: x: not a number; an integer is expected"),
        ("a -2\n", ":1: -2: at least -1 is expected"),
        ("a -1\nb 1\n", ":2: 1: this is line 1, counted from 0; a parent comes before, and -1 is none"),
        ("a 7\n", ":1: 7: this is line 0, counted from 0"),
        ("a \x00\n", ":1: byte 0x00: not a text file"),
    ],
)
def test_what_is_no_tree_is_refused_with_its_line(lines, message, tmp_path):
    path = tmp_path / "x.tree"
    path.write_text(lines)
    with pytest.raises(CfgError, match=re.escape(f"{path}{message}")):
        make_layer("softmax", (8, 1, 1), tree=path)


def test_one_of_another_size_or_none_is_refused(tree):
    with pytest.raises(
        CfgError, match=r"test.cfg:2: \[softmax\] tree=.*: 8 classes; 9 are expected, one for each input"
    ):
        make_layer("softmax", (9, 1, 1), tree=tree)
    with pytest.raises(CfgError, match=r"test.cfg:2: \[softmax\] tree=none.tree: no such file, nor one beside the cfg"):
        make_layer("softmax", (9, 1, 1), tree="none.tree")


def test_one_that_is_not_the_last_has_the_gradient_of_each_group(tree):
    layer = make_layer("softmax", (8, 1, 1), tree=tree, temperature=2)
    layer.inner = True
    check_gradients(layer, [random_doubles((3, 8, 1, 1))], {})
