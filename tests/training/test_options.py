"""Options of training: read from [net], refused where they make no sense or are not supported."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

from darknet_py.cfg import MAX_INTEGER, parse_cfg
from darknet_py.errors import CfgError, UsageError
from darknet_py.images.augment import Augmentation
from darknet_py.network import Network
from darknet_py.training.options import OPTIONS, UNSUPPORTED, TrainingOptions

NET = "[net]\nwidth=32\nheight=32\nchannels=3\n"


def read(*lines, **changes):
    text = NET + "".join(f"{line}\n" for line in lines) + "[softmax]\n"
    return TrainingOptions.of(Network(parse_cfg(text, "x.cfg"), "x.cfg"), **changes)


def test_defaults_are_darknets():
    found = read()
    assert (found.batch, found.subdivisions, found.learning_rate, found.momentum, found.decay) == (
        1,
        1,
        1e-3,
        0.9,
        1e-4,
    )
    assert (found.policy, found.burn_in, found.power, found.max_batches) == ("constant", 0, 4, 0)
    assert (found.adam, found.b1, found.b2, found.eps, found.clip) == (False, 0.9, 0.999, 1e-7, 0)
    assert found.augmentation == Augmentation(32, 32, 64, angle=0, aspect=1, saturation=1, exposure=1, hue=0, flip=True)
    assert (found.label_smooth_eps, found.mixing) == (0, ())
    assert (found.learning_rate_min, found.sgdr_cycle, found.sgdr_mult) == (1e-5, 0, 2)


def test_all_keys_are_read():
    lines = {
        "batch": 128, "subdivisions": 4, "learning_rate": 0.1, "momentum": 0.8, "decay": 0.0005, "max_batches": 900,
        "policy": "steps", "burn_in": 10, "power": 2, "steps": "100, 200", "scales": ".1,5", "gamma": 0.5, "adam": 1,
        "B1": 0.8, "B2": 0.9, "eps": 1e-6, "clip": 2, "max_crop": 40, "min_crop": 34, "angle": 7, "aspect": 0.75,
        "saturation": 0.5, "exposure": 0, "hue": 0.1, "flip": 0, "label_smooth_eps": 0.1, "mixup": 1, "cutmix": 1,
        "mosaic": 1, "learning_rate_min": 0.01, "sgdr_cycle": 7, "sgdr_mult": 3, "step": 3, "scale": 0.3,
    }  # fmt: skip
    assert lines.keys() == OPTIONS.keys() - {"max_ratio", "min_ratio"}
    found = read(*(f"{key}={value}" for key, value in lines.items()))
    assert found == TrainingOptions(
        batch=128, subdivisions=4, learning_rate=0.1, momentum=0.8, decay=0.0005, max_batches=900, policy="steps",
        burn_in=10, power=2, steps=(100, 200), scales=(0.1, 5), gamma=0.5, adam=True, b1=0.8, b2=0.9, eps=1e-6, clip=2,
        learning_rate_min=0.01, sgdr_cycle=7, sgdr_mult=3, step=3, label_smooth_eps=0.1,
        mixing=("mixup", "cutmix", "mosaic"),
        augmentation=Augmentation(32, 34, 40, angle=7, aspect=0.75, saturation=0.5, exposure=0, hue=0.1, flip=False),
        scale=0.3,
    )  # fmt: skip
    assert found.pass_size == 32


def test_ratios_count_more_than_crops():
    found = read("min_ratio=1.25", "max_ratio=1.5", "max_crop=99", "min_crop=98").augmentation
    assert (found.min_crop, found.max_crop) == (40, 48)


def test_a_ratio_beyond_all_pictures_is_the_largest_number_of_pixels():
    for ratio in ("1e30", "3e38"):
        assert read(f"max_ratio={ratio}").augmentation.max_crop == MAX_INTEGER
        with pytest.raises(CfgError, match=f"shorter sides from {MAX_INTEGER} to 64 pixels"):
            read(f"min_ratio={ratio}")


def test_sides_follow_the_networks_present_size():
    network = Network(parse_cfg(NET + "max_ratio=1.5\n[avgpool]\n[softmax]\n", "x.cfg"), "x.cfg")
    network.resize(40, 40)
    assert TrainingOptions.of(network).augmentation == Augmentation(40, 40, 60)
    assert TrainingOptions.of(network, max_ratio=0).augmentation == Augmentation(40, 40, 80)
    with pytest.raises(CfgError, match=r"max_ratio=0.9: shorter sides from 40 to 36 pixels"):
        TrainingOptions.of(network, max_ratio=0.9)


def test_changes_count_instead_of_the_cfg():
    assert read("batch=5", "subdivisions=3", subdivisions=5).pass_size == 1
    assert read("policy=poly", max_batches=7).max_batches == 7
    with pytest.raises(UsageError, match="sise: unknown option of training"):
        read(sise=3)


def test_changes_are_read_as_lines_of_the_cfg_are():
    lines = {"policy": "steps", "steps": "100,200", "scales": ".1,5", "adam": "1", "decay": "0.0005", "batch": "8"}
    changes = {"policy": "steps", "steps": [100, 200], "scales": (0.1, 5), "adam": True}
    found = read(**changes, decay=np.float64(0.0005), batch=np.int64(8))
    assert found == read(*(f"{key}={value}" for key, value in lines.items()))
    assert type(found.batch) is int


def test_changes_may_be_what_the_attributes_are():
    whole = read("policy=steps", "steps=10,20", "scales=.1,.5", "adam=1", "learning_rate=0.1")
    for kind in (list, tuple, np.array):
        changes = {"policy": "steps", "steps": kind([10, 20]), "scales": kind([0.1, 0.5]), "adam": True}
        assert read(**changes, learning_rate=0.1) == whole


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 0}, "x.cfg: batch=0: at least 1 is expected"),
        ({"subdivisions": 0}, "x.cfg: subdivisions=0: at least 1 is expected"),
        ({"batch": 2.5}, "x.cfg: batch=2.5: an integer is expected"),
        ({"learning_rate": -1}, "x.cfg: learning_rate=-1: at least 0 is expected"),
        ({"decay": float("nan")}, "x.cfg: decay=nan: a finite number is expected"),
        ({"decay": None}, "x.cfg: decay=None: not a number"),
        ({"max_batches": "many"}, "x.cfg: max_batches=many: not a number; an integer is expected"),
        ({"mixup": 2}, "x.cfg: mixup=2: at most 1 is expected"),
        ({"max_batches": [5]}, "x.cfg: max_batches=[5]: not a number; an integer is expected"),
        ({"min_crop": 50, "max_crop": 40}, "x.cfg: min_crop=50: shorter sides from 50 to 40 pixels; a least"),
        ({"policy": "stpes"}, "x.cfg: policy=stpes: unknown; did you mean steps?"),
        ({"policy": "steps", "steps": (), "scales": ()}, "x.cfg: policy=steps: steps= is 0 or empty; policy="),
        ({"policy": "steps", "steps": (2, 1), "scales": (1, 1)}, "x.cfg: steps=(2, 1): numbers that grow are"),
    ],
)
def test_changes_that_no_cfg_could_say_are_refused(changes, message):
    with pytest.raises(CfgError, match=f"^{re.escape(message)}"):
        read(**changes)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["batch=9", "subdivisions=2"], "x.cfg:6: [net] subdivisions=2: does not divide batch=9; darknet would"),
        (["policy=sig"], "x.cfg:5: [net] policy=sig: unknown; did you mean sigmoid?"),
        (["policy=poly"], "x.cfg:5: [net] policy=poly: max_batches= is missing; policy=poly needs one"),
        (["policy=poly", "max_batches=0"], "[net] policy=poly: max_batches= is 0 or empty; policy=poly needs one"),
        (["policy=cosine"], "[net] policy=cosine: max_batches= is missing; policy=cosine needs one"),
        (["policy=sgdr"], "[net] policy=sgdr: sgdr_cycle= is missing; policy=sgdr needs one"),
        (["policy=step", "scale=2"], "[net] policy=step: step= is missing; policy=step needs one"),
        (["policy=step", "step=2"], "[net] policy=step: scale= is missing; policy=step needs one"),
        (["policy=step", "step=0", "scale=2"], "[net] policy=step: step= is 0 or empty; policy=step needs one"),
        (["policy=steps", "scales=1"], "[net] policy=steps: steps= is missing; policy=steps needs one"),
        (["policy=steps", "steps=1"], "[net] policy=steps: scales= is missing; policy=steps needs one"),
        (["policy=steps", "steps=,", "scales=,"], "[net] policy=steps: steps= is 0 or empty; policy=steps needs one"),
        (["policy=exp"], "[net] policy=exp: gamma= is missing; policy=exp needs one"),
        (["policy=sigmoid", "gamma=1"], "[net] policy=sigmoid: step= is missing; policy=sigmoid needs one"),
        (
            ["policy=steps", "steps=1,2", "scales=1"],
            "x.cfg:7: [net] scales=1: 1 number, but 2 in steps=; one for each of them is expected",
        ),
        (["policy=steps", "steps=2,1", "scales=1,2"], "x.cfg:6: [net] steps=2,1: numbers that grow are expected"),
        (["momentum=1"], "[net] momentum=1: less than 1 is expected"),
        (["momentum=-0.1"], "[net] momentum=-0.1: at least 0 is expected"),
        (["decay=x"], "[net] decay=x: not a number"),
        (["scales=1,x"], "[net] scales=1,x: not a number"),
        (["learning_rate=nan"], "[net] learning_rate=nan: a finite number is expected"),
        (["learnin_rate=1"], "x.cfg:5: [net] learnin_rate=1: unknown option; did you mean learning_rate?"),
        (["batch"], "batch: key=value is expected"),
        (["blur=1"], "x.cfg:5: [net] blur=1: not supported in training; blur=0 is expected"),
        (["mixup=2"], "[net] mixup=2: at most 1 is expected"),
        (["min_crop=40", "max_crop=36"], "x.cfg:5: [net] min_crop=40: shorter sides from 40 to 36 pixels; a least"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_stands(lines, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about misspelled keys, which inference ignores
        with pytest.raises(CfgError, match=re.escape(message)):
            read(*lines)


@pytest.mark.parametrize("key", UNSUPPORTED)
def test_what_changes_training_and_is_not_known_is_refused(key):
    with pytest.raises(CfgError, match=rf"x\.cfg:5: \[net\] {key}=3: not supported in training"):
        read(f"{key}=3")
    off = UNSUPPORTED[key].default
    if off is not None:
        assert read(f"{key}={int(off)}") == read()
