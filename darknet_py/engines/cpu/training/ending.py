"""What follows a layer's sums in training: normalization, biases, an activation."""

from __future__ import annotations

from functools import partial

from ....layers.activations import ACTIVATIONS
from ....layers.training import move_statistics
from ...passes import SLOPES
from .. import operations as o
from ..arena import address
from ..isa import BLOCK
from .calls import Calls
from .trainer import Trainer
from .values import Value


class Ending:
    """What follows a layer's sums: normalization where there is one, biases, an activation.

    Attributes
    ----------
    given : Value
        The sums: `source` if given; else the layer's output where the activation may overwrite them, or another value.
    """

    def __init__(self, trainer: Trainer, normalized: bool = False, source: Value | None = None) -> None:
        context, layer, self.target = trainer.context, trainer.layer, trainer.target
        self.trainer, self.normalized = trainer, normalized
        self.of_input = ACTIVATIONS[layer.activation].of == "input"
        if source is not None:
            self.given = source
        elif normalized or self.of_input:
            self.given = Value(context.buffers, "output", layer.shape, self.target.images)
        else:
            self.given = self.target
        self.slope = SLOPES.get(layer.activation, 1)
        self.curve = o.curve_of(layer.activation)
        target = self.target
        self.count = dict(blocks=target.blocks, images=target.images, cells=target.cells)
        mean, variance, factor, tilt, bias = (target.channels(context.store) for _ in range(5))
        self.statistics = {"means": mean, "variances": variance}
        self.summed = 2 * BLOCK * target.blocks * target.images  # bytes of two sums for each picture's block
        self.mean, self.variance = address(mean), address(variance)
        self.factor, self.tilt, self.bias = address(factor), address(tilt), address(bias)
        if normalized:
            context.copied.append((bias, trainer.parameters["biases"]))

    def add_forward(self, calls: Calls) -> None:
        trainer, target = self.trainer, self.target
        cells = dict(blocks=target.blocks, cells=target.images * target.cells)
        goal = target.make_blocked()
        if not self.normalized:
            if trainer.layer.activation != "linear" or self.given is not target:
                lie = dict(a=self.given.blocked(calls), cell=BLOCK, out_cell=BLOCK, factor=0, bias=0)
                calls.add(o.Scale(c=goal, **lie, **cells, curve=self.curve, slope=self.slope))
            return
        parameters, channels = trainer.parameters, target.shape.channels
        source = self.given.blocked(calls)
        sums = address(trainer.context.buffers.take(self.summed))
        calls.add(o.Measure(a=source, sums=sums, **self.count))
        scale = address(parameters["scales"])
        found = dict(mean=self.mean, variance=self.variance, factor=self.factor)
        dialect = trainer.layer.dialect
        calls.add(
            o.FoldMeasures(
                sums=sums,
                **self.count,
                channels=channels,
                scale=scale,
                **found,
                to_variance=dialect.to_variance,
                to_deviation=dialect.to_deviation,
            )
        )
        found = dict(mean=self.mean, factor=self.factor, bias=self.bias)
        calls.add(o.Normalize(a=source, c=goal, **cells, **found, curve=self.curve, slope=self.slope))
        if trainer.learns:
            calls.then(partial(move_statistics, trainer.layer, parameters, self.statistics))

    def _find_bent(self, calls: Calls) -> int:
        """What the activation's slope is computed from; 0 where that is recomputed from the sums, or not needed.

        x > 0 ? x : slope * x has the sign of x: for its slope the input, where it is kept, does as well as the output.
        """
        sloped = self.trainer.layer.activation in SLOPES
        if self.trainer.layer.activation == "linear" or (self.normalized and (self.of_input or sloped)):
            return 0
        return (self.given if self.of_input else self.target).blocked(calls)

    def add_backward(self, calls: Calls) -> None:
        """Turn the delta of the output into that of the sums, in place; add to the gradients of biases and scales."""
        trainer, target, gradients = self.trainer, self.target, self.trainer.gradients
        delta = trainer.own_delta(calls)
        sums = address(trainer.context.buffers.take(self.summed))
        source = self.given.blocked(calls) if self.normalized else 0
        calls.add(
            o.BendDelta(
                a=source,
                other=self._find_bent(calls),
                c=delta,
                sums=sums,
                mean=self.mean,
                factor=self.factor,
                bias=self.bias,
                **self.count,
                curve=self.curve,
                slope=self.slope,
            )
        )
        biases, scales = (
            address(gradients[name]) if trainer.learns and name in gradients else 0 for name in ("biases", "scales")
        )
        scale = address(trainer.parameters["scales"]) if self.normalized else 0
        dialect = trainer.layer.dialect
        changed = dict(variance=self.variance, factor=self.factor, tilt=self.tilt, bias=self.bias)
        calls.add(
            o.FoldDelta(
                sums=sums,
                **self.count,
                channels=target.shape.channels,
                scale=scale,
                **changed,
                bias_gradient=biases,
                scale_gradient=scales,
                to_variance=dialect.to_variance,
                to_deviation=dialect.to_deviation,
            )
        )
        if self.normalized:
            cells = dict(blocks=target.blocks, cells=target.images * target.cells)
            found = dict(mean=self.mean, factor=self.factor, tilt=self.tilt, bias=self.bias)
            calls.add(o.NormalizeDelta(a=source, c=delta, **cells, **found))
