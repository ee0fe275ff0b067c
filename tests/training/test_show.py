"""Pictures as training sees them, as files."""

from __future__ import annotations

import numpy as np
import pytest

from darknet_py.datasets.samples import Sample
from darknet_py.errors import UsageError
from darknet_py.images.decode import load_image
from darknet_py.training.loader import Batch
from darknet_py.training.mixing import make_truths
from darknet_py.training.show import show_pictures

SAMPLES = [Sample("a/1.png", 0), Sample("b/über den.jpg", 1), Sample("c/3.png", 2)]
NAMES = ["a", "b / b", "../c"]


def batch(*indices, channels=3):
    images = np.random.default_rng(0).random((len(indices), channels, 4, 5), np.float32)
    return Batch(0, np.array(indices), images, make_truths([SAMPLES[index].truth for index in indices], 3, 0.1))


def test_the_first_pictures_are_written_with_their_labels(tmp_path):
    folder = tmp_path / "new" / "deep"
    batches = [batch(0, 1), batch(2, 0)]
    files = show_pictures(folder, batches, SAMPLES, NAMES, 3)
    assert files == [str(folder / name) for name in ("0000_a_1.png", "0001_b-b_über-den.png", "0002_..-c_3.png")]
    assert sorted(map(str, folder.iterdir())) == files
    written = load_image(files[2])
    assert written.shape == (4, 5, 3)
    np.testing.assert_allclose(written / 255, batches[1].images[0].transpose(1, 2, 0), atol=0.5 / 255 + 1e-6)


def test_a_grey_picture_is_written_as_it_is(tmp_path):
    one = batch(0, channels=1)
    (file,) = show_pictures(tmp_path, [one], SAMPLES, NAMES, 1)
    channels = one.images[0].repeat(3, axis=0).transpose(1, 2, 0)
    np.testing.assert_allclose(load_image(file) / 255, channels, atol=0.5 / 255 + 1e-6)


def test_no_more_batches_are_taken_than_needed(tmp_path):
    batches = iter([batch(0, 1), batch(2)])
    show_pictures(tmp_path, batches, SAMPLES, NAMES, 2)
    assert len(next(batches).indices) == 1


def test_a_mixed_picture_has_its_classes_the_largest_share_first(tmp_path):
    mixed = batch(0)
    mixed.truths[0] = 0.38, 0, 0.62
    (file,) = show_pictures(tmp_path, [mixed], SAMPLES, ["a", "b", "c"], 1)
    assert file.endswith("0000_c+a_1.png")


@pytest.mark.parametrize(
    ("truths", "label"), [([0.5, 0.5], "a+b"), ([1], "a"), ([0], "none"), ([0.9, 0.1], "a"), ([0, 0], "none")]
)
def test_of_few_classes_those_that_it_has_are_told(tmp_path, truths, label):
    mixed = batch(0)
    mixed = Batch(0, mixed.indices, mixed.images, np.array([truths], np.float32))
    (file,) = show_pictures(tmp_path, [mixed], SAMPLES, ["a", "b"], 1)
    assert file.endswith(f"0000_{label}_1.png")


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(UsageError, match=r"x/y: not a directory$"):
        show_pictures(tmp_path / "x" / "y", [batch(0)], SAMPLES, NAMES, 1)
