""".data files, lists of names and lists of images."""

from __future__ import annotations

import contextlib
import functools
import random
from pathlib import Path

import pytest
from fuzzing import Seeds, fuzz, memory_folder
from mutations import NUMBERS, ODD, TEXT, damage

from darknet_py.datasets.data_file import KEYS, Dataset, load_dataset
from darknet_py.datasets.labels import MATCHES
from darknet_py.datasets.lists import count_repeated, find_image, load_list
from darknet_py.datasets.samples import label_samples
from darknet_py.errors import ImageError
from darknet_py.images.decode import load_image
from darknet_py.images.fit import PREDICT_MODES

pytestmark = pytest.mark.slow

CLASSES = 12
NAMES = [
    "n01440764", "tench", "great white shark", "n01440765", "a", "é", "日本", "goldfish, Carassius auratus", "x_y",
    "n1", "white shark", "C++", "b", "dog", "hot dog", "dog",
]  # fmt: skip
FOLDERS = ["", "data/", "/srv/images/train/", "n01440764/", "dog/", "C:\\pictures\\", "./../", "great white shark/"]
WORDS = [word.encode() for word in (*KEYS, *NAMES, "x.names", "other.names", "/dev/zero", ".", "..", "none", "x" * 300)]
WORDS += NUMBERS + ODD


@functools.lru_cache(None)
def whole_data(base: int) -> bytes:
    rng = random.Random(base)
    entries = {"classes": rng.randrange(2, CLASSES), "names": "x.names"}
    entries |= {"top": rng.randrange(1, entries["classes"] + 1)} if rng.random() < 0.5 else {}
    for _ in range(rng.randrange(6)):
        key = rng.choice(KEYS)
        values = PREDICT_MODES if key == "preprocess" else ("x.list", "/tmp/backup", "data/voc.list")
        entries.setdefault(key, rng.choice(values))
    entries["labels"] = "x.names"
    lines = [f"{key}{rng.choice(('=', ' = ', '  =	'))}{value}" for key, value in entries.items()]
    lines += rng.choices(["", "# a comment", "; another", "   "], k=rng.randrange(4))
    rng.shuffle(lines)
    return rng.choice(("\n", "\n", "\r\n")).join(lines).encode()


@functools.lru_cache(None)
def whole_names(base: int) -> bytes:
    rng = random.Random(base)
    lines = rng.choices(NAMES, k=rng.randrange(CLASSES, 40))
    return rng.choice(("\n", "\n", "\r\n")).join(lines).encode(rng.choice(("utf-8", "utf-8", "utf-8-sig")))


@functools.lru_cache(None)
def whole_list(base: int) -> bytes:
    rng = random.Random(base)
    lines = [f"{rng.choice(FOLDERS)}{rng.choice(NAMES)}_{rng.randrange(99)}.jpg" for _ in range(rng.randrange(1, 40))]
    return rng.choice(("\n", "\n", "\r\n")).join(lines).encode(rng.choice(("utf-8", "utf-8", "utf-8-sig")))


def check_dataset(dataset: Dataset) -> None:
    assert 1 <= dataset.top <= dataset.classes == len(dataset.names) == len(dataset.wnids)
    assert all("\n" not in name and "\r" not in name for name in (*dataset.names, *dataset.wnids))


@pytest.fixture(autouse=True)
def names():
    """A folder to work in, with a list of names."""
    with memory_folder() as folder:
        Path("x.names").write_text("\n".join(NAMES))
        yield folder


def test_a_data_file_is_a_dataset_or_refused():
    def make(base: int, seeds: Seeds) -> bytes:
        return damage(whole_data(base), seeds, TEXT, WORDS)

    def use(content: bytes) -> None:
        Path("x.data").write_bytes(content)
        check_dataset(load_dataset("x.data"))

    fuzz(".data", make, use)


def test_a_list_of_names_is_names_or_refused():
    Path("x.data").write_text(f"classes={CLASSES}\nnames=x.names\n")

    def make(base: int, seeds: Seeds) -> bytes:
        return damage(whole_names(base), seeds, TEXT, WORDS)

    def use(content: bytes) -> None:
        Path("x.names").write_bytes(content)
        dataset = load_dataset("x.data")
        check_dataset(dataset)
        assert dataset.classes == CLASSES

    fuzz("names", make, use)


def test_a_list_of_images_is_labelled_or_refused():
    Path("x.data").write_text(f"classes={len(NAMES)}\nnames=x.names\n")
    dataset = load_dataset("x.data")

    def make(base: int, seeds: Seeds) -> bytes:
        return damage(whole_list(base), seeds, TEXT, WORDS)

    def use(content: bytes) -> None:
        Path("x.list").write_bytes(content)
        paths = load_list("x.list", dataset)
        assert 0 <= count_repeated(paths) < len(paths)
        samples = label_samples(paths, dataset.wnids, list(MATCHES)[len(content) % len(MATCHES)])
        assert [sample.file for sample in samples] == paths
        assert all(-1 <= sample.truth < dataset.classes for sample in samples)
        assert all(sample.truth < 0 for sample in samples if sample.doubt)
        for file in paths[:2]:
            with contextlib.suppress(ImageError):
                load_image(find_image(file, dataset))

    fuzz("lists", make, use)
