"""The library among other programs: names, several pictures, copies, threads, forks, asyncio, notebooks, logs."""

from __future__ import annotations

import asyncio
import copy
import io
import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from support_cli import environment
from support_hierarchy import OTHER_PARENTS, PARENTS, tree_text, write_hierarchy

import darknet_py
from darknet_py import CfgError, ImageError, Prediction, Predictions, UsageError, WeightsError

STAR = ROOT / "data" / "star.png"
PIXELS = np.asarray(Image.open(STAR).convert("RGB"))


@pytest.fixture(scope="module")
def net():
    return darknet_py.load_network("shapes", threads=1)


@pytest.fixture(scope="module")
def best(net):
    return net.classify(STAR)


def test_a_bare_name_has_weights_and_names(net, best):
    assert (net.dataset.file, best[0].label) == ("data/shapes.data", "star")
    assert darknet_py.load_network("shapes", "data/shapes.weights", engine="reference").dataset.names[0] == "0"


def test_a_bare_name_without_fetched_weights_says_how_to_have_them(tmp_path, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="no weights have been fetched for tiny; run `darknet fetch tiny`"):
        darknet_py.load_network("tiny")


def test_a_name_that_is_nearly_right_is_told(tmp_path):
    for name, meant in (("tinny", "tiny"), ("cfg/tinny.cfg", "cfg/tiny.cfg")):
        with pytest.raises(CfgError, match=f"^{name}: no such file; did you mean {meant}\\?$"):
            darknet_py.load_network(name)


def test_several_pictures_come_in_their_order(net, best, tmp_path):
    other = PIXELS[::-1].copy()
    expected = [net.classify(form) for form in (PIXELS, other, PIXELS[:, :40])]
    several = [STAR, other, PIXELS[:, :40]]
    assert net.classify(several) == expected
    assert net.classify(tuple(several)) == expected
    assert net.classify(form for form in several) == expected
    assert net.classify(several * 9) == expected * 9
    assert net.classify(np.stack([PIXELS, other])) == expected[:2]
    assert net.classify([]) == []
    for name, pixels in (("b/b.png", other), ("a.png", PIXELS)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / name)
    assert net.classify(tmp_path) == expected[:2]
    assert net.classify(np.array([str(STAR)])) == [best]


def test_open_files_are_read(net, best):
    with open(STAR, "rb") as stream:
        assert net.classify(stream) == best
    assert net.classify([io.BytesIO(STAR.read_bytes())]) == [best]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (None, "image 0: None; a picture is expected"),
        ([PIXELS, None], "image 1: None; a picture is expected"),
        ([STAR, "no.png"], "no.png: no such file"),
        ([STAR, b""], "image 1: an empty file"),
        ({STAR: 1}, "a dict; pictures in an order are expected"),
        ({STAR}, "a set; pictures in an order are expected"),
        (io.StringIO("x"), "image 0: opened for str, not bytes"),
        (5, "image 0: an array of int64; uint8 is expected"),
        ("", "'': a name is expected, of a file or a folder"),
    ],
)
def test_what_is_no_picture_is_named(net, images, message):
    with pytest.raises(ImageError, match=f"^{message}"):
        net.classify(images)


def test_a_file_opened_for_text_is_told_as_such(net):
    says = r"star\.png: opened for str, not bytes"
    with open(STAR, encoding="utf-8") as stream, pytest.raises(ImageError, match=says):
        net.classify(stream)


def test_fewer_guesses_than_none_are_refused(net):
    assert net.classify(STAR, 0) == []
    with pytest.raises(UsageError, match="top=-1: at least 0 is expected"):
        net.classify(STAR, -1)


def test_closed_files_and_empty_folders_are_refused(net, tmp_path):
    stream = open(STAR, "rb")  # noqa: SIM115
    stream.close()
    with pytest.raises(ImageError, match="read of closed file"):
        net.classify(stream)
    with pytest.raises(ImageError, match="no picture in this folder or below it"):
        net.classify(tmp_path)


@pytest.mark.parametrize("make", [copy.deepcopy, copy.copy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_answer_alike_and_stand_alone(net, best, make):
    source = make(net)
    source.dataset = replace(source.dataset, names=[f"name {i}" for i in range(10)])
    source.resize(48, 56)
    twin = make(source)
    assert (twin.input_shape, twin.settings, twin.engine) == ((3, 48, 56), net.settings, net.engine)
    assert [guess.label for guess in twin.classify(STAR, 1)] == ["name 8"]
    assert twin.classify(STAR) == source.classify(STAR)
    twin.resize(64, 64)
    assert source.input_shape == (3, 48, 56)
    assert net.classify(STAR) == best


def test_without_weights_a_copy_has_none_either():
    twin = pickle.loads(pickle.dumps(darknet_py.load_network("cfg/shapes.cfg")))
    assert twin.engine == ""
    assert len(twin.layers) == 17


def test_a_copy_is_of_the_same_files_in_another_folder(tmp_path, monkeypatch):
    for name in ("cfg/shapes.cfg", "data/shapes.weights"):
        (tmp_path / name.split("/")[1]).write_bytes((ROOT / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps(darknet_py.load_network("shapes.cfg", "shapes.weights", "reference"))
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert pickle.loads(content).weights_file == tmp_path / "shapes.weights"


def test_a_copy_has_the_same_tree_in_another_folder(tmp_path, monkeypatch):
    write_hierarchy(tmp_path)
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps(darknet_py.load_network("x.cfg", "x.weights", "reference"))
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    (tmp_path / "sub" / "x.tree").write_text(tree_text(OTHER_PARENTS))
    assert pickle.loads(content).output_layer.hierarchy.parents == PARENTS


def test_guesses_and_errors_can_be_sent_elsewhere(best):
    assert pickle.loads(pickle.dumps(best)) == best
    error = pickle.loads(pickle.dumps(ImageError("bad", file="a.png", line=3)))
    assert (str(error), error.file, error.line) == ("a.png:3: bad", "a.png", 3)


def _start(network):
    global _network
    _network = network


def _classify(image):
    return _network.classify(image)


def test_spawned_workers_get_it(net, best):
    with multiprocessing.get_context("spawn").Pool(1, _start, (net,)) as pool:
        assert pool.map(_classify, [STAR, STAR]) == [best, best]


def test_threads_may_share_it(net, best):
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(net.classify, [STAR] * 40)) == [best] * 40
        features = list(pool.map(lambda layer: net.features(STAR, layer % 5), range(20)))
    for layer, found in enumerate(features):
        np.testing.assert_array_equal(found, net.features(STAR, layer % 5))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forked_processes_go_on_with_it_whatever_its_threads_do(net, best):
    """Also while another thread opens an engine for a layer."""
    with ThreadPoolExecutor(2) as pool:
        for round in range(6):
            busy = [pool.submit(net.classify, STAR), pool.submit(net.features, STAR, round)]
            child = os.fork()
            if child == 0:
                ok = net.classify(STAR) == best and net.features(STAR, 8).shape == (64,)
                os._exit(0 if ok else 1)
            assert os.waitpid(child, 0)[1] == 0
            for future in busy:
                future.result()


def test_asyncio_can_wait_for_it(net, best):
    async def ask():
        return await asyncio.gather(*(asyncio.to_thread(net.classify, STAR.read_bytes()) for _ in range(8)))

    assert asyncio.run(ask()) == [best] * 8


def test_notebooks_show_guesses_as_a_table():
    guesses = Predictions([Prediction(3, "n1", "<b>cat</b>", 0.75), Prediction(1, "n2", "dog", float("nan"), "animal")])
    html = guesses._repr_html_()
    assert "&lt;b&gt;cat&lt;/b&gt;" in html
    assert "75.00%" in html
    assert "width: 9.00em" in html
    assert "dog (animal)" in html
    assert html.count("<tr>") == 2
    assert guesses[0]._repr_html_().count("<tr>") == 1


def test_it_is_told_what_it_is(net):
    assert repr(net) == f"<Classifier cfg/shapes.cfg: 17 layers, 64 x 64 x 3 -> 10, {net.engine}>"
    assert repr(darknet_py.load_network("cfg/shapes.cfg")).endswith("without weights>")


SILENT = """
import logging, sys
logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr) if sys.argv[1:] else None
import darknet_py
assert darknet_py.load_network("shapes", engine="cpu", threads=1).classify("data/star.png")[0].label == "star"
"""


@pytest.mark.parametrize("asked", [[], ["log"]])
def test_it_prints_nothing_and_leaves_the_root_logger_alone(cache, asked):
    env = environment(cache)
    ran = subprocess.run([sys.executable, "-c", SILENT, *asked], cwd=ROOT, env=env, capture_output=True, text=True)
    said = [line for line in ran.stderr.splitlines() if not line.startswith("darknet_py.")]
    assert (ran.returncode, ran.stdout, said) == (0, "", [])
    assert asked or not ran.stderr


def test_what_takes_long_is_logged(caplog, tmp_path, monkeypatch):
    from darknet_py.engines.cpu import compiler, jit

    monkeypatch.setattr(compiler, "compile_kernels", lambda alone, tell: [])
    caplog.set_level(logging.INFO, "darknet_py")
    jit._make(True)
    assert caplog.record_tuples[0][0].startswith("darknet_py.")
    assert f"compiling kernels for {jit.ISA.name}, once" in caplog.text


def test_networks_are_exported(net, tmp_path):
    onnx = pytest.importorskip("onnx")
    darknet_py.export(net, tmp_path / "x.onnx")
    model = onnx.load(tmp_path / "x.onnx")
    assert [given.name for given in model.graph.input] == ["images"]
    assert "star" in next(told.value for told in model.metadata_props if told.key == "names")
