"""The description of a run: all that the bytes of its weights depend on, and nothing else."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from support_trainer import KINDS, write_cfg

from darknet_py.classifier import load_network
from darknet_py.datasets.data_file import Dataset
from darknet_py.datasets.samples import Sample
from darknet_py.training.description import describe_run
from darknet_py.training.options import TrainingOptions
from darknet_py.training.settings import TrainingSettings

SAMPLES = [Sample("a.png", 0), Sample("b.png", 1)]
USUAL = TrainingSettings()
CHANGES = {
    "seed": 1, "engine": "reference", "threads": 3, "weights": "w", "clear": True, "pretrained": "w", "freeze": 2,
    "sampling": "balanced", "validate_every": 4,
}  # fmt: skip


def load(cfg):
    network = load_network(cfg)
    network.dataset = Dataset("shapes", len(KINDS), list(KINDS), list(KINDS), 1)
    return network


@pytest.fixture
def network(tmp_path):
    return load(write_cfg(tmp_path / "net.cfg", max_batches=3))


def describe(network, samples=SAMPLES, validation=SAMPLES[:1], settings=USUAL):
    return describe_run(network, samples, validation, TrainingOptions.of(network), settings)


def test_every_setting_but_the_threads_makes_another_run(network):
    assert CHANGES.keys() == {field.name for field in fields(TrainingSettings)}
    usual = describe(network)
    found = {
        name: {key for key in usual if describe(network, settings=changed)[key] != usual[key]}
        for name, changed in ((name, replace(USUAL, **{name: value})) for name, value in CHANGES.items())
    }
    assert found.pop("threads") == set()
    assert all(len(keys) == 1 for keys in found.values()), found
    assert len(set().union(*found.values())) == len(found)


def test_images_their_order_and_their_classes_make_another_run(network):
    usual = describe(network)
    others = SAMPLES[::-1], SAMPLES[:1], [SAMPLES[0], Sample("b.png", 2)], [SAMPLES[0], Sample("c.png", 1)]
    for other in others:
        assert describe(network, samples=other)["images"] != usual["images"]
        assert (
            describe(network, validation=other if len(other) > 1 else [])["images to validate"]
            != (usual["images to validate"])
        )


def test_a_cfg_that_says_something_else_makes_another_run(network, tmp_path):
    usual, text = describe(network)["cfg"], (tmp_path / "net.cfg").read_text()
    (tmp_path / "other.cfg").write_text("# nothing\n" + text.replace("size=3\nstride=1\n", "stride = 1\nsize=3 # x\n"))
    assert describe(load(tmp_path / "other.cfg"))["cfg"] == usual
    (tmp_path / "other.cfg").write_text(text + "[dropout]\n")
    assert describe(load(tmp_path / "other.cfg"))["cfg"] != usual
