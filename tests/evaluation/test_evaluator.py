"""Measuring images with a network: the same outcomes whatever runs together."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from support_valid import some_job

import darknet_py
from darknet_py import running
from darknet_py.evaluation.crews import Threads
from darknet_py.evaluation.evaluator import Evaluator, Pending
from darknet_py.images.fit import MODES
from darknet_py.limits import Limit

# Of similar proportions: at some of the sizes of multi they have the same shape, at others not.
SIZES = [(100, 66), (100, 67), (99, 66), (67, 100), (100, 66), (64, 64), (100, 65), (1, 90)]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Pictures of noise, and a file that is not a picture."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(3)
    paths = [folder / f"{number}.png" for number in range(len(SIZES))]
    for path, (width, height) in zip(paths, SIZES, strict=True):
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(path)
    (folder / "none.png").write_text("no picture")
    paths.insert(3, folder / "none.png")
    return [Pending(index, path.name, str(path)) for index, path in enumerate(paths)]


@pytest.fixture(scope="module")
def network():
    return darknet_py.load_network(ROOT / "cfg" / "shapes.cfg", ROOT / "data" / "shapes.weights", engine="cpu")


@pytest.mark.parametrize("mode", MODES)
def test_outcomes_do_not_depend_on_batches_workers_or_threads(network, images, mode):
    job = some_job(preprocess=mode, keep=10, shown=10)

    def run(batch, workers, threads=1):
        chunks = list(Threads(batch, workers, threads).evaluate(network, job, images))
        assert [len(chunk) for chunk in chunks[:-1]] == [batch] * (len(chunks) - 1)
        return [outcome for chunk in chunks for outcome in chunk]

    alone = run(1, 1)
    assert [outcome.index for outcome in alone] == list(range(len(images)))
    assert alone[3].error == "not a picture in any format known here"
    assert sum(bool(outcome.error) for outcome in alone) == 1
    assert run(9, 1) == run(2, 2) == run(4, 1, threads=2) == alone


@pytest.mark.parametrize("mode", MODES)
def test_of_several_views_the_mean_is_told(network, images, mode):
    image = images[0]
    (outcome,) = Evaluator(network, some_job(preprocess=mode, keep=10, shown=10)).evaluate([image])
    picture = np.asarray(Image.open(image.path))
    expected = np.mean([network.predict(view[None])[0] for view in network.prepare(picture, mode)], axis=0)
    np.testing.assert_allclose(outcome.shown, expected, atol=1e-6)
    assert [index for index, _ in outcome.guesses] == np.argsort(-np.array(outcome.shown), kind="stable").tolist()


def test_views_that_add_up_to_infinity_are_told(network, images, monkeypatch):
    evaluator = Evaluator(network, some_job(preprocess="ten-crop"))
    monkeypatch.setattr(darknet_py.Classifier, "predict", lambda self, batch: np.full((len(batch), 10), 3e38, "f4"))
    (outcome,) = evaluator.evaluate(images[:1])
    assert outcome.error == "the outputs for its views add up to more than float32 holds"


def test_an_image_that_the_network_cannot_take_leaves_the_others_as_they_are(network, images, monkeypatch):
    whole = Evaluator(network, some_job()).evaluate(images)
    predict = darknet_py.Classifier.predict

    def fail(self, batch):
        if any(np.allclose(view, bad) for view in batch):
            raise darknet_py.WeightsError("gives NaN or infinity", file="x.cfg")
        return predict(self, batch)

    (bad,) = network.prepare(np.asarray(Image.open(images[1].path)), "center-crop")
    monkeypatch.setattr(darknet_py.Classifier, "predict", fail)
    outcomes = Evaluator(network, some_job()).evaluate(images)
    assert outcomes[1].error == "x.cfg: gives NaN or infinity"
    assert outcomes[:1] + outcomes[2:] == whole[:1] + whole[2:]


def test_as_many_forks_run_as_memory_has_room_for_and_one_anyway(network, monkeypatch):
    def forks(*free):
        monkeypatch.setattr(running, "memory_limits", lambda: [Limit("a", size + 5, 5) for size in free])
        return network.count_forks(8)

    each = next(size for size in range(1 << 14, 1 << 30, 1 << 12) if forks(2 * size) == 2)
    # As much as a picture is fitted in, and the largest layer gives of it.
    least = 3 * network.input_shape.size + max(layer.shape.size for layer in network.layers)
    assert each >= 4 * running.FORKED * least
    assert [forks(), forks(100 * each), forks(100 * each, 3 * each), forks(each // 2)] == [8, 8, 3, 1]
    assert forks(-each) == 1  # more is used than there is


def test_where_memory_is_short_fewer_workers_have_more_threads_each(network, images, monkeypatch):
    forks, fork = [], darknet_py.Classifier.fork

    def note(self, threads):
        forks.append(threads)
        return fork(self, threads)

    monkeypatch.setattr(darknet_py.Classifier, "fork", note)
    monkeypatch.setattr(darknet_py.Classifier, "count_forks", lambda self, most: most // 2)
    job = some_job(preprocess="letterbox", keep=10, shown=10)
    assert sum(map(len, Threads(1, 2, 2).evaluate(network, job, images))) == len(images)
    assert forks == [2]
