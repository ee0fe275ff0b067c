"""What training asks of a network's layers together: which learn, which measure, and whether it is possible."""

from __future__ import annotations

import pytest
from support import make_network

from darknet_py.errors import CfgError
from darknet_py.layers.training import check_trainable, first_trained, measuring, rates

CONV = ("convolutional", {"filters": 2})
FROZEN = ("convolutional", {"filters": 2, "learning_rate": 0})
STOP = ("convolutional", {"filters": 2, "stopbackward": 1})


def layers_of(*sections):
    return make_network((2, 2, 2), *sections).layers


def test_each_layer_has_its_rate():
    layers = layers_of(CONV, ("convolutional", {"filters": 2, "learning_rate": 0.5}), FROZEN)
    assert first_trained(layers) == 0
    assert rates(layers) == [1, 0.5, 0]


def test_what_a_frozen_layer_shares_is_frozen():
    sharing = ("convolutional", {"filters": 2, "share_index": 0})
    assert rates(layers_of(FROZEN, sharing, CONV)) == [0, 0, 1]
    assert rates(layers_of(STOP, sharing, CONV)) == [0, 0, 1]
    assert rates(layers_of(CONV, sharing)) == [1, 1]


def test_nothing_learns_up_to_the_last_that_stops():
    layers = layers_of(STOP, CONV, STOP, CONV)
    assert first_trained(layers) == 3
    assert rates(layers) == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ([("softmax", {})], ["softmax"]),
        ([("cost", {})], ["cost"]),
        ([("softmax", {}), ("cost", {})], ["softmax"]),
        ([("softmax", {"noloss": 1}), ("cost", {})], ["cost"]),
        ([("softmax", {}), CONV, ("cost", {})], ["softmax", "cost"]),
        ([("softmax", {"noloss": 1})], []),
    ],
)
def test_of_one_that_measures_behind_another_only_the_first_does(sections, expected):
    assert [layer.kind for layer in measuring(layers_of(CONV, *sections))] == expected


def test_a_network_that_can_be_trained():
    check_trainable(layers_of(STOP, FROZEN, CONV, ("softmax", {})), 1)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ([CONV, ("avgpool", {})], r":7: \[avgpool\]: cannot be trained: a \[softmax\] or \[cost\] is expected"),
        ([CONV, ("avgpool", {"truth": 1}), ("cost", {})], r"\[avgpool\] truth=1: not supported in training"),
        (
            [("cost", {}), CONV, ("connected", {"output": 5}), ("softmax", {})],
            r":5: \[cost\]: compares 8 values with the truth, which has 5, as many as layer 3; they must agree",
        ),
        (
            [CONV, ("softmax", {}), ("connected", {"output": 5}), ("softmax", {"noloss": 1})],
            r":7: \[softmax\]: compares 8 values with the truth, which has 5, as many as layer 3; they must agree",
        ),
        (
            [CONV, ("logistic", {}), ("connected", {"output": 5})],
            r":7: \[logistic\]: compares 8 values with the truth, which has 5, as many as layer 2; they must agree",
        ),
        ([FROZEN, ("softmax", {})], r"\[softmax\]: nothing to train: all layers before it are frozen"),
        ([CONV, ("maxpool", {"stopbackward": 1}), ("softmax", {})], r"\[softmax\]: nothing to train"),
        (
            [("connected", {"output": 3, "batch_normalize": 1}), ("softmax", {})],
            r":7: \[connected\] batch_normalize=1: cannot be trained: a mini-batch of 1",
        ),
    ],
)
def test_one_that_cannot_says_why(sections, message):
    with pytest.raises(CfgError, match=message):
        check_trainable(layers_of(*sections), 1)


def test_two_images_or_two_cells_have_a_variance():
    check_trainable(layers_of(("connected", {"output": 3, "batch_normalize": 1}), ("softmax", {})), 2)
    check_trainable(layers_of(("batchnorm", {}), ("softmax", {})), 1)
