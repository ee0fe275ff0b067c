"""The library: load_network, predict, classify, resize."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import darknet_py
from darknet_py import CfgError, DarknetWarning, EngineError, UsageError, WeightsError, running
from darknet_py.images.decode import load_image
from darknet_py.images.fit import PREDICT_MODES
from darknet_py.limits import Limit

CFG, WEIGHTS, STAR = "cfg/shapes.cfg", "data/shapes.weights", ROOT / "data" / "star.png"
BATCH = np.random.default_rng(0).random((3, 3, 64, 64), np.float32)


@pytest.fixture
def net():
    net = darknet_py.load_network(CFG, WEIGHTS, engine="reference")
    net.dataset = darknet_py.load_dataset("data/shapes.data")
    return net


def test_a_picture_may_be_a_path_bytes_pil_or_an_array(net):
    content = STAR.read_bytes()
    image = Image.open(io.BytesIO(content))
    forms = (str(STAR), STAR, content, image, np.asarray(image.convert("RGB")))
    answers = [net.classify(form, top=3) for form in forms]
    assert all(answer == answers[0] for answer in answers)
    best = answers[0][0]
    assert (best.label, best.wnid, len(answers[0])) == ("star", "star", 3)
    assert isinstance(best.index, int)
    assert isinstance(best.probability, float)


def test_guesses_come_most_probable_first_and_of_equals_the_lower_index(net):
    ranked = net.rank(np.float32([0.1, 0.3, 0.3, 0.2, 0, 0, 0.1, 0, 0, 0]), 4)
    assert [guess.index for guess in ranked] == [1, 2, 3, 0]


def test_predict_gives_a_row_of_probabilities_for_each_picture(net):
    outputs = net.predict(BATCH)
    assert outputs.dtype == np.float32
    assert outputs.shape == (3, 10)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(net.predict(BATCH[1:2]), outputs[1:2])


def test_any_height_and_width_that_the_network_allows(net):
    assert net.predict(BATCH[:, :, :40, :56]).shape == (3, 10)
    assert net.input_shape == (3, 64, 64)
    net.resize(40, 56)
    assert net.input_shape == (3, 40, 56)
    assert net.layers[0].shape[1:] == (40, 56)


def test_fitting_can_be_chosen(net):
    answers = {mode: net.classify(STAR, preprocess=mode)[0].probability for mode in PREDICT_MODES}
    assert len(set(answers.values())) == len(answers) == 5
    (view,) = net.prepare(load_image(STAR), "resize-crop")
    assert answers["resize-crop"] == pytest.approx(net.predict(view[None]).max())
    assert net.classify(STAR)[0].probability == answers["shorter"]
    with pytest.raises(UsageError, match="preprocess=sideways: one of shorter"):
        net.classify(STAR, preprocess="sideways")


def test_the_data_file_may_say_how_pictures_are_fitted(net):
    wanted = net.classify(STAR, preprocess="stretch")
    net.dataset = replace(net.dataset, preprocess="stretch")
    assert net.classify(STAR) == wanted
    sample = darknet_py.Sample(str(STAR), net.dataset.wnids.index("star"))
    (progress,) = darknet_py.evaluate(net, [sample])
    assert progress.outcomes[0].guesses[0][1] == pytest.approx(wanted[0].probability, abs=1e-6)


def test_a_strip_is_letterboxed_with_a_warning(net):
    strip = np.zeros((1, 65_000, 3), np.uint8)
    with pytest.warns(DarknetWarning, match="letterbox is used"):
        net.classify(strip)


def test_without_weights_it_can_be_looked_at_and_not_run():
    net = darknet_py.load_network(CFG)
    assert net.parameters.views == ()
    assert net.describe().startswith("0: Convolutional Layer: 64 x 64 x 3 image")
    with pytest.raises(UsageError, match="no weights were loaded"):
        net.predict(BATCH)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64])
def test_batches_of_a_pictures_bytes_are_refused(net, dtype):
    with pytest.raises(
        UsageError, match=r"shapes\.cfg: a batch of .*int\d+ up to 2; 0\.\.1 is expected, as fit makes it"
    ):
        net.predict(np.full((1, 3, 64, 64), 2, dtype))


@pytest.mark.parametrize(("dtype", "value"), [(np.complex64, 0), (object, "x"), ("U1", "1"), ("S1", "1"), ("M8[s]", 0)])
def test_batches_of_no_real_numbers_are_refused(net, dtype, value):
    with pytest.raises(UsageError, match=r"shapes\.cfg: a batch of .*; real numbers are expected$"):
        net.predict(np.full((1, 3, 64, 64), value, dtype))


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.int64, np.float16, np.float64, object])
def test_batches_of_any_real_numbers_are_taken(net, dtype):
    expected = net.predict(np.ones((1, 3, 64, 64), np.float32))
    assert (net.predict(np.ones((1, 3, 64, 64), dtype)) == expected).all()


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64), (1, 3, 0, 64)])
def test_batches_of_another_shape_are_refused(net, shape):
    with pytest.raises(UsageError, match=r"shapes\.cfg: "):
        net.predict(np.zeros(shape, np.float32))


def test_parameters_are_those_of_the_file(net):
    values = np.fromfile(ROOT / WEIGHTS, np.float32)[5:]
    np.testing.assert_array_equal(net.parameters.values, values)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"engine": "abacus"}, EngineError, "engine=abacus: unknown engine"),
        ({"engine": "cuda"}, EngineError, "engine=cuda: "),
        ({"gpu": 0}, EngineError, "gpu 0: "),
        ({"threads": 0}, UsageError, "threads=0: at least 1"),
    ],
    ids=str,
)
def test_engines_that_cannot_be_had_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        darknet_py.load_network(CFG, WEIGHTS, **options)


def test_outputs_that_are_no_numbers_are_an_error(tmp_path: Path):
    values = np.fromfile(ROOT / WEIGHTS, np.float32)
    values[5:29] = 3e38  # finite biases, whose sums are not
    path = tmp_path / "shapes.weights"
    values.tofile(path)
    net = darknet_py.load_network(CFG, path, engine="reference")
    with pytest.raises(WeightsError, match="NaN or infinity"):
        net.predict(BATCH)


@pytest.mark.parametrize(
    "command",
    [
        ["plan", "shapes"],
        ["plan", "shapes", "--precision", "bfloat16"],
        ["speed", "shapes", "--threads", "1"],
        ["speed", "shapes", "--precision", "bfloat16"],
        ["warmup"],
    ],
    ids=" ".join,
)
def test_commands_that_look_at_the_cpu_engine(cache, command):
    environment = {**os.environ, "DARKNET_PY_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-m", "darknet_py", *command], capture_output=True, text=True, env=environment, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    if command[0] != "warmup":
        lines = done.stdout.splitlines()
        assert lines[0].split()[:4] == ["layer", "kind", "output", "implementation"]
        assert lines[1].split()[:3] == ["0", "convolutional", "16x64x64"]
        assert ("_bfloat16:" in done.stdout) == ("bfloat16" in command)


def test_layers_of_a_size_are_shaped_once_for_pictures_that_have_it(net):
    sizes = [(64, 64 + 8 * number) for number in range(1, running.MAX_SIZES + 1)]
    shaped = {size: net.layers_for(*size) for size in sizes}
    assert all(net.layers_for(*size) is shaped[size] for size in sizes)
    net.layers_for(128, 128)  # one more than are kept
    assert net.layers_for(*sizes[0]) is not shaped[sizes[0]]
    assert net.fork(1).layers_for(128, 128) is not net.layers_for(128, 128)


def test_memory_is_looked_at_for_every_picture(net, monkeypatch):
    net.layers_for(72, 72)
    monkeypatch.setattr(running, "memory_limits", lambda: [Limit("a test's", 0, 0)])
    with pytest.raises(CfgError, match="to run at 72 x 72, more than a test's"):
        net.layers_for(72, 72)


def test_a_batch_of_uneven_rows_is_refused(net):
    with pytest.raises(UsageError, match=r"shapes\.cfg: a batch that is no array: "):
        net.predict([[1.0], [1.0, 2.0]])
