"""The networks that come with the program, and what is listed about them."""

from __future__ import annotations

import shutil

import pytest
from conftest import ROOT
from support import FIFTEEN

from darknet_py.downloads import PUBLISHED
from darknet_py.network import load_structure
from darknet_py.networks import ACCURACY, ALIASES, FIGURES, GIVEN, packaged_cfg, packaged_names

TREE = "darknet9000"  # whose cfg names a file that the user gives


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    """The path of a network's cfg, with what it needs beside it."""
    monkeypatch.chdir(tmp_path)

    def cfg(name):
        if name != TREE:
            return f"cfg/{name}.cfg"
        shutil.copy(ROOT / "cfg" / f"{name}.cfg", tmp_path)
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "9k.tree").write_text("".join(f"n{index:08} -1\n" for index in range(9418)))
        return f"{name}.cfg"

    return cfg


@pytest.mark.parametrize("name", FIGURES)
def test_each_has_the_layers_parameters_and_operations_that_are_told(name, cfg):
    network = load_structure(cfg(name))
    _, height, width = network.input_shape
    found = len(network.layers), width, height, network.parameter_count, network.operations
    assert found == FIGURES[name]
    assert network.outputs == {"cifar": 10, TREE: 9418, "shapes": 10}.get(name, 1000)


@pytest.mark.parametrize("name", sorted(FIGURES.keys() - {"shapes"}))
def test_its_first_line_says_what_it_is(name):
    first = (ROOT / "cfg" / f"{name}.cfg").read_text().split("\n", 1)[0]
    layers, width, height, _, operations = FIGURES[name]
    assert f": {width} x {height} x 3, {layers} layers, " in first
    if name not in FIFTEEN:
        assert first.startswith(f"# {name}: ")
        assert first.endswith(f", {operations / 1e9:.2f} Bn operations")


def test_these_are_all():
    cfgs = {file.stem for file in (ROOT / "cfg").glob("*.cfg")}
    assert cfgs == FIGURES.keys()
    assert {*FIFTEEN} | GIVEN.keys() <= cfgs
    assert packaged_names() == sorted(cfgs | ALIASES.keys())
    assert set(ACCURACY) | set(PUBLISHED) <= set(packaged_names())
    assert all(packaged_cfg(name) == f"cfg/{stem}.cfg" for name, stem in ALIASES.items())
    assert [packaged_cfg(name) for name in ("nothing", "cfg/tiny", "tiny.cfg")] == [None] * 3


@pytest.mark.parametrize(
    ("name", "replaced"), [(f"{stem}-omega", "mish") for stem in ("csdarknet53", "csresnet50", "csresnext50")]
)
def test_omega_has_mish_for_leaky_and_nothing_else(name, replaced):
    own = (ROOT / "cfg" / f"{name}.cfg").read_text().split("\n", 1)[1]
    other = (ROOT / "cfg" / f"{name.removesuffix('-omega')}.cfg").read_text().split("\n", 1)[1]
    assert own == other.replace("=leaky", f"={replaced}")


# What is told


@pytest.fixture
def darknet(tmp_path, monkeypatch, darknet):
    """In an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path / "cache"))
    return darknet


def test_networks_lists_them_all(darknet):
    code, out, err = darknet("networks")
    assert (code, err) == (0, "")
    header, *lines = out.splitlines()
    assert " ".join(header.split()) == "network layers picture Bn operations MiB top-1 top-5 weights"
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in lines}
    assert list(rows) == packaged_names()
    assert rows["resnet152"] == "206 256 x 256 29.39 219.6 77.6 93.8 fetch"
    assert rows["csdarknet53-omega"] == "108 256 x 256 13.07 105.6 78.7 94.8"
    assert rows["csdarknet53-gamma"] == "108 256 x 256 13.07 105.6 77.8 94.4 = csdarknet53"
    assert rows["cifar"] == "17 28 x 28 1.62 29.3"
    assert rows["shapes"] == "17 64 x 64 0.02 0.3 embedded"
    assert rows[TREE] == "27 448 x 448 25.71 112.5 data/9k.tree is yours to give"


def test_an_alias_is_taken_wherever_a_name_is(darknet):
    code, out, err = darknet("ops", "csresnet50-gamma")
    assert (code, out) == darknet("ops", "csresnet50")[:2]
    code, _, err = darknet("classify", "csresnet50-gamma", "x.png")
    assert code == 1
    assert "csresnet50-gamma.weights: no weights have been fetched for csresnet50-gamma" in err
    assert err.endswith("fetch knows none; name the file: cfg/csresnet50.cfg FILE\n")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("ops", "csdarknet-53"), "csdarknet53"),
        (("ops", "efficientnetb0"), "efficientnet_b0"),
        (("ops", "cfg/mobilenetv2.cfg"), "cfg/mobilenet-v2.cfg"),
        (("classify", "csresnext50_gamma", "x.png"), "csresnext50-gamma"),
    ],
)
def test_a_wrong_name_is_guessed(darknet, words, meant):
    assert darknet(*words) == (1, "", f"darknet: {words[1]}: no such file; did you mean {meant}?\n")
