"""Batch normalization and activations in training: statistics of a mini-batch, and the backward pass of deltas.

Sums over a picture's block are float32, those over all pictures float64: the same for any number of threads.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba import float32, float64, types
from numba.extending import intrinsic

from .. import operations as o
from .. import table as t
from ..isa import BLOCK, LANES
from . import kernel
from .bending import bend_cells
from .curves import SLOPES, Expression
from .scaling import CELLS
from .sync import next_item, share_out
from .vector import (
    F32,
    REGISTER,
    ZEROS,
    activated,
    broadcast,
    fma,
    load,
    load_scalar,
    splat,
    store,
    store_scalar,
    vector,
)

RUN = 64  # cells of a partial sum


@kernel
def measure(op: o.Measure, share):
    """The mean of each picture's block at A, and the sum of squared distances from it, to SUMS; an item is a block."""
    cells = op.cells
    inverse = broadcast(float32(1) / float32(cells))
    queue = share_out(share, op.blocks * op.images)
    item = next_item(queue)
    while item >= 0:
        s, d = op.a + item * cells * BLOCK, op.sums + item * 2 * BLOCK
        total = broadcast(float32(0))
        for first in range(0, cells, RUN):
            part = broadcast(float32(0))
            for i in range(first, min(first + RUN, cells)):
                part = part + load(s + i * BLOCK)
            total = total + part
        mean = total * inverse
        store(d, mean)
        total = broadcast(float32(0))
        for first in range(0, cells, RUN):
            part = broadcast(float32(0))
            for i in range(first, min(first + RUN, cells)):
                distance = load(s + i * BLOCK) - mean
                part = fma(distance, distance, part)
            total = total + part
        store(d + BLOCK, total)
        item = next_item(queue)


@kernel
def fold_measures(op: o.FoldMeasures, to_variance, to_deviation, share):
    """Mean and variance of all pictures, and the factor to normalize and scale by, from SUMS; an item is a block.

    They go to MEAN, VARIANCE and FACTOR. The variance is that of a sample; of a single number it is 0. The dialect adds
    `to_variance` to it, and `to_deviation` to its root.
    """
    images, cells = op.images, op.cells
    queue = share_out(share, op.blocks)
    item = next_item(queue)
    while item >= 0:
        for lane in range(LANES):
            channel = item * LANES + lane
            s = op.sums + item * images * 2 * BLOCK + lane * 4
            mean = float64(0)
            for image in range(images):
                mean += float64(load_scalar(s + image * 2 * BLOCK))
            mean /= images
            total = float64(0)
            for image in range(images):
                distance = float64(load_scalar(s + image * 2 * BLOCK)) - mean
                total += float64(load_scalar(s + image * 2 * BLOCK + BLOCK)) + cells * distance * distance
            variance = total / max(images * cells - 1, 1)
            there = channel < op.channels
            scale = float64(load_scalar(op.scale + channel * 4)) if there else float64(0)
            store_scalar(op.mean + channel * 4, float32(mean))
            store_scalar(op.variance + channel * 4, float32(variance))
            divisor = math.sqrt(variance + float64(to_variance)) + float64(to_deviation)
            store_scalar(op.factor + channel * 4, float32(scale / divisor))
        item = next_item(queue)


@kernel
def normalize(op: o.Normalize, slope, share):
    """C = curve(FACTOR * (A - MEAN) + BIAS), cell by cell; an item is `CELLS` cells of a block."""
    cells, slopes = op.cells, broadcast(slope)
    parts = (cells + CELLS - 1) // CELLS
    queue = share_out(share, op.blocks * parts)
    item = next_item(queue)
    while item >= 0:
        block, part = divmod(item, parts)
        mean, factor = load(op.mean + block * BLOCK), load(op.factor + block * BLOCK)
        bias = load(op.bias + block * BLOCK)
        first = block * cells + part * CELLS
        last = min(first + CELLS, (block + 1) * cells)
        for i in range(first, last):
            value = fma(load(op.a + i * BLOCK) - mean, factor, bias)
            store(op.c + i * BLOCK, activated(value, slopes))
        if op.curve != 0:
            bend_cells(op.curve, op.c + first * BLOCK, last - first, 1, 0, BLOCK)
        item = next_item(queue)


@intrinsic
def slope_at(context: Any, code: Any, slope: Any, kept: Any) -> Any:
    """A register of a curve's slopes where its output, or its input, is `kept`; for code 0, kept > 0 ? 1 : slope."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        code, slope, kept = args
        blocks = [build.append_basic_block(name) for name in ("slope", *t.CURVES)]
        end = build.append_basic_block("found")
        switch = build.switch(code, blocks[0])
        results = []
        for number, block in enumerate(blocks):
            build.position_at_end(block)
            if number:
                switch.add_case(ir.Constant(code.type, number), block)
                results.append((SLOPES[t.CURVES[number - 1]](Expression(build, kept)).value, build.block))
            else:
                rising = build.fcmp_ordered(">", kept, ZEROS)
                results.append((build.select(rising, splat(build, F32(1)), splat(build, slope)), build.block))
            build.branch(end)
        build.position_at_end(end)
        answer = build.phi(REGISTER)
        for value, block in results:
            answer.add_incoming(value, block)
        return answer

    return vector(types.intp, types.float32, vector), codegen


@kernel
def bend_delta(op: o.BendDelta, slope, share):
    """Multiply deltas at C by the activation's slope, and sum them up for the gradients of biases and scales.

    The slope is taken at OTHER, or, where that is 0, at FACTOR * (A - MEAN) + BIAS. SUMS get, for each picture's block,
    the sum of the deltas and that of the deltas times A - MEAN; the latter is 0 where there is no A. An item is a
    picture's block.
    """
    cells, code = op.cells, op.curve
    bent = code != 0 or slope != float32(1)
    queue = share_out(share, op.blocks * op.images)
    item = next_item(queue)
    while item >= 0:
        block = item // op.images
        c, y, x, d = op.c, op.other, op.a, op.sums + item * 2 * BLOCK
        mean, factor, bias = broadcast(float32(0)), broadcast(float32(0)), broadcast(float32(0))
        if x != 0:
            mean = load(op.mean + block * BLOCK)
            factor, bias = load(op.factor + block * BLOCK), load(op.bias + block * BLOCK)
        total, products = broadcast(float32(0)), broadcast(float32(0))
        for first in range(item * cells, (item + 1) * cells, RUN):
            some, part = broadcast(float32(0)), broadcast(float32(0))
            for i in range(first, min(first + RUN, (item + 1) * cells)):
                delta = load(c + i * BLOCK)
                if bent:
                    kept = load(y + i * BLOCK) if y != 0 else fma(load(x + i * BLOCK) - mean, factor, bias)
                    delta = delta * slope_at(code, slope, kept)
                    store(c + i * BLOCK, delta)
                some = some + delta
                if x != 0:
                    part = fma(delta, load(x + i * BLOCK) - mean, part)
            total, products = total + some, products + part
        store(d, total)
        store(d + BLOCK, products)
        item = next_item(queue)


@kernel
def fold_delta(op: o.FoldDelta, to_variance, to_deviation, share):
    """Add what follows from SUMS to the gradients of biases and scales; an item is a block.

    Where there is a SCALE, FACTOR and TILT get what `normalize_delta` multiplies deltas and distances from MEAN by, and
    BIAS what it adds. Gradients are for `channels` channels; SCALE has their scales, VARIANCE is as `fold_measures`
    gave it, `to_variance` and `to_deviation` are as it took them.
    """
    images, count = op.images, op.images * op.cells
    queue = share_out(share, op.blocks)
    item = next_item(queue)
    while item >= 0:
        for lane in range(LANES):
            channel = item * LANES + lane
            there = channel < op.channels
            s = op.sums + item * images * 2 * BLOCK + lane * 4
            total, products = float64(0), float64(0)
            for image in range(images):
                total += float64(load_scalar(s + image * 2 * BLOCK))
                products += float64(load_scalar(s + image * 2 * BLOCK + BLOCK))
            if there and op.bias_gradient != 0:
                d = op.bias_gradient + channel * 4
                store_scalar(d, float32(load_scalar(d) + total))
            if op.scale != 0:
                variance = float64(load_scalar(op.variance + channel * 4))
                scale = float64(0)
                if there:
                    scale = float64(load_scalar(op.scale + channel * 4))
                if there and op.scale_gradient != 0:
                    d = op.scale_gradient + channel * 4
                    divisor = math.sqrt(variance + float64(to_variance)) + float64(to_deviation)
                    store_scalar(d, float32(load_scalar(d) + products / divisor))
                root = 1 / math.sqrt(variance + t.GRADIENT_EPSILON)
                store_scalar(op.factor + channel * 4, float32(scale * root))
                store_scalar(op.tilt + channel * 4, float32(-root * root * root * scale * products / count))
                store_scalar(op.bias + channel * 4, float32(-root * scale * total / count))
        item = next_item(queue)


@kernel
def normalize_delta(op: o.NormalizeDelta, share):
    """C = FACTOR * C + TILT * (A - MEAN) + BIAS, cell by cell; an item is `CELLS` cells of a block."""
    cells = op.cells
    parts = (cells + CELLS - 1) // CELLS
    queue = share_out(share, op.blocks * parts)
    item = next_item(queue)
    while item >= 0:
        block, part = divmod(item, parts)
        mean, factor = load(op.mean + block * BLOCK), load(op.factor + block * BLOCK)
        tilt, bias = load(op.tilt + block * BLOCK), load(op.bias + block * BLOCK)
        first = block * cells + part * CELLS
        for i in range(first, min(first + CELLS, (block + 1) * cells)):
            rest = fma(load(op.a + i * BLOCK) - mean, tilt, bias)
            store(op.c + i * BLOCK, fma(load(op.c + i * BLOCK), factor, rest))
        item = next_item(queue)
