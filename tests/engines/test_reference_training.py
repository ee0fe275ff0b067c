"""The reference engine's training passes: what they add up, what they update, and what they leave as it is."""

from __future__ import annotations

import numpy as np
import pytest
from support import make_network, random_array, random_parameters

from darknet_py.engines import compile_training
from darknet_py.errors import CfgError, EngineError
from darknet_py.training.optimizer import learned_parts

CONV = {"filters": 4, "size": 3, "pad": 1, "batch_normalize": 1, "activation": "tanh"}
RESIDUAL = [
    ("convolutional", CONV),
    ("convolutional", CONV),
    ("shortcut", {"from": 0}),
    ("route", {"layers": "-1,0,0"}),
    ("convolutional", {"filters": 3, "size": 1, "activation": "linear"}),
    ("avgpool", {}),
    ("softmax", {}),
]
IMAGES, TRUTHS = random_array((6, 2, 4, 5)), np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]


def train(sections, steps=1, layers=None):
    """A plan after `steps` passes over the images, its first parameters, and the last loss."""
    layers = layers or make_network((2, 4, 5), *sections).layers
    before = random_parameters(layers)
    plan = compile_training("reference", layers, before.copy(), len(IMAGES))
    for _ in range(steps):
        loss = plan.step(IMAGES, TRUTHS, np.random.default_rng(0))
    return plan, before, loss


def change(sections, index, **options):
    """The sections, with `options` added to one."""
    kind, own = sections[index]
    return [*sections[:index], (kind, {**own, **options}), *sections[index + 1 :]]


def test_the_loss_falls_along_the_gradients_by_their_square():
    """Through a network whose outputs are used several times; a step of the size that float32 can measure."""
    plan, before, loss = train(RESIDUAL)
    learned = [part.place for part in learned_parts(before)]
    size = sum(float((plan.gradients.values[part].astype(float) ** 2).sum()) for part in learned)
    step = 0.01 / size
    after = before.copy()
    for part in learned:
        after.values[part] += np.float32(step) * plan.gradients.values[part]
    layers = make_network((2, 4, 5), *RESIDUAL).layers
    lower = compile_training("reference", layers, after, len(IMAGES)).step(IMAGES, TRUTHS, np.random.default_rng(0))
    # The hand-written gradient of normalization is a hundredth off with so few images.
    assert loss - lower == pytest.approx(step * size, rel=0.05)


def test_gradients_add_up_and_parameters_stay():
    once, before, _ = train(RESIDUAL)
    thrice, _, _ = train(RESIDUAL, steps=3)
    np.testing.assert_allclose(thrice.gradients.values, 3 * once.gradients.values, rtol=1e-5, atol=1e-5)
    for part in learned_parts(before):
        assert (thrice.parameters.values[part.place] == before.values[part.place]).all()


def test_statistics_move_by_a_hundredth_at_each_pass_and_have_no_gradient():
    plan, before, _ = train(RESIDUAL, steps=2)
    layer = make_network((2, 4, 5), *RESIDUAL).layers[0]
    _, saved = layer.train([IMAGES], before.views[0], {})
    for name in ("means", "variances"):
        expected = 0.99 * (0.99 * before.views[0][name] + 0.01 * saved[name]) + 0.01 * saved[name]
        np.testing.assert_allclose(plan.parameters.views[0][name], expected, rtol=1e-5, atol=1e-6)
        assert not plan.gradients.views[0][name].any()


@pytest.mark.parametrize("index", [0, 1])
def test_a_frozen_layer_stays_as_it_is_and_passes_the_delta_on(index):
    """To the last bit, statistics included; the others learn as before."""
    free, before, _ = train(RESIDUAL)
    plan, _, _ = train(change(RESIDUAL, index, learning_rate=0))
    assert not np.concatenate([a.ravel() for a in plan.gradients.views[index].values()]).any()
    for name, values in before.views[index].items():
        assert (plan.parameters.views[index][name] == values).all()
    for other in {0, 1, 4} - {index}:
        for name, values in free.gradients.views[other].items():
            np.testing.assert_array_equal(plan.gradients.views[other][name], values)
            np.testing.assert_array_equal(plan.parameters.views[other][name], free.parameters.views[other][name])


def test_nothing_learns_before_the_end_of_training():
    free, before, _ = train(RESIDUAL)
    plan, _, _ = train(change(RESIDUAL, 1, stopbackward=1))
    count = before.first(2).values.size
    assert not plan.gradients.values[:count].any()
    assert (plan.parameters.values[:count] == before.values[:count]).all()
    np.testing.assert_array_equal(plan.gradients.values[count:], free.gradients.values[count:])


def test_the_loss_is_the_mean_of_those_that_measure():
    """And the gradients are the sum of theirs."""
    connected = ("connected", {"output": 3, "activation": "linear"})
    ends = [("softmax", {}), ("cost", {"type": "L1", "scale": 0.5})]
    alone = [train([connected, end]) for end in ends]
    both, _, loss = train([connected, ends[0], ("route", {"layers": 0}), ends[1]])
    assert loss == pytest.approx(sum(loss for _, _, loss in alone) / 2)
    expected = sum(plan.gradients.values for plan, _, _ in alone)
    np.testing.assert_allclose(both.gradients.values, expected, rtol=1e-5, atol=1e-5)


def test_what_nothing_that_measures_depends_on_gets_no_gradient():
    sections = [*RESIDUAL, ("route", {"layers": 0}), ("convolutional", {"filters": 3}), ("avgpool", {})]
    plan, _, _ = train(sections)
    assert not plan.gradients.views[8]["weights"].any()
    np.testing.assert_array_equal(plan.gradients.views[0]["weights"], train(RESIDUAL)[0].gradients.views[0]["weights"])


def test_draws_come_from_the_generator_layer_by_layer():
    sections = [
        ("crop", {"crop_height": 3, "crop_width": 3, "flip": 1}), ("dropout", {}),
        ("connected", {"output": 3, "activation": "linear"}), ("softmax", {}),
    ]  # fmt: skip
    layers = make_network((2, 4, 5), *sections).layers
    parameters, random = random_parameters(layers), np.random.default_rng(0)
    drawn = [layer.draw(6, random) for layer in layers]
    x, _ = layers[0].train([IMAGES], {}, drawn[0])
    x, _ = layers[1].train([x], {}, drawn[1])
    y, _ = layers[2].train([x], parameters.views[2], drawn[2])
    loss, _ = layers[3].measure([y], layers[3].forward([y], {}), TRUTHS)
    assert train(sections)[2] == loss


def test_a_network_that_cannot_be_trained_is_refused_before_anything_is_computed():
    with pytest.raises(CfgError, match=r"\[avgpool\]: cannot be trained"):
        train([("convolutional", CONV), ("avgpool", {})])


def test_other_engines_do_not_train():
    with pytest.raises(EngineError, match="engine=cuda: does not train"):
        compile_training("cuda", (), random_parameters([]), 1)
