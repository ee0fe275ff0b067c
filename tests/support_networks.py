"""Networks of a few layers, drawn at random."""

from __future__ import annotations

from hypothesis import note
from hypothesis import strategies as st
from support import Words, cfg_text, make_layer, make_network, random_array, random_parameters, run_engine
from support_fork_networks import (
    FORK_OPTIONS,
    OTHER_FORK_LAYERS,
    Shapes,
    activations,
    blurred,
    convolution_extras,
    maxpool_extras,
    route_parts,
    sam,
    scaled,
    several,
    shared,
    slopes,
    switches,
    tree,
)

from darknet_py.layers import DIALECTS, Shape

OTHER_LAYERS = (
    ("avgpool", {}),
    ("maxpool", {"size": 3, "stride": 2}),
    ("softmax", {}),
    ("softmax", {"temperature": 3}),
    ("batchnorm", {}),
    ("crop", {"crop_height": 3, "crop_width": 4}),
    ("crop", {"crop_height": 4, "crop_width": 4, "noadjust": 1}),
    ("dropout", {}),
    ("cost", {}),
    ("route", {"layers": "0,0"}),
    ("shortcut", {"from": 0, "alpha": 0.5, "beta": 3}),
    *OTHER_FORK_LAYERS,
)
MOST_CLASSES = 60  # of a hierarchy
SIDES = st.tuples(st.integers(1, 13), st.integers(1, 13))


@st.composite
def convolutions(draw):
    """A convolution of any geometry."""
    height, width = draw(SIDES)
    size = draw(st.sampled_from([1, 1, 2, 3, 3, 3, 5, 7]))
    padding = draw(st.integers(max(0, (size - min(height, width) + 1) // 2), size))
    groups = draw(st.sampled_from([1, 1, 1, 2, 3, 8]))
    options = {
        "filters": groups * draw(st.integers(1, 20)),
        "size": size,
        "stride": draw(st.integers(1, 4)),
        "padding": padding,
        "groups": groups,
        "batch_normalize": draw(st.integers(0, 1)),
        "activation": draw(st.sampled_from(["linear", "leaky", "relu"])),
    }
    return make_network((groups * draw(st.integers(1, 20)), height, width), ("convolutional", options))


@st.composite
def depthwise_networks(draw):
    """A depthwise convolution of any geometry, perhaps between other layers.

    The layers before and after it put its values into pictures of more channels, or add something to its output.
    """
    channels, (height, width) = draw(st.sampled_from([1, 3, 8, 13, 16, 24, 40, 72])), draw(SIDES)
    size = draw(st.sampled_from([1, 2, 3, 3, 3, 3, 5, 5, 5, 7]))
    stride = draw(st.sampled_from([1, 1, 2, 2, 3]))
    padding = draw(st.integers(max(0, (size - min(height, width) + 1) // 2), size))
    added = draw(switches)
    if added:
        size, stride = draw(st.sampled_from([1, 3, 3, 5])), 1
        padding = size // 2
    options = {"filters": channels, "groups": channels, "size": size, "stride": stride, "padding": padding}
    options |= {"batch_normalize": draw(switches), "activation": draw(slopes if added else activations)}
    pointwise = "convolutional", {"filters": channels, "activation": "leaky"}
    sections = [("convolutional", options)]
    if added or draw(switches):
        sections = [pointwise, *sections]
    if added:
        sections.append(("shortcut", {"from": -2, "activation": draw(activations)}))
    if draw(switches):
        sections += [pointwise, ("route", {"layers": "-2,-1"}), pointwise]
    return _make(Shape(channels, height, width), sections, draw(_dialects))


@st.composite
def networks(draw):
    """A network of a few layers of all kinds, with joins wherever they may be."""
    shape, sections = draw(_sections())
    sections += draw(st.sampled_from([[], [], [("cost", {})], [("avgpool", {}), ("softmax", {}), ("cost", {})]]))
    return _make(shape, sections, draw(_dialects))


@st.composite
def planes(draw):
    """A layer that reads all values once, on planes of any size and any number of channels."""
    channels = draw(st.one_of(st.integers(1, 40), st.sampled_from([48, 64, 100])))
    sides = [draw(st.integers(1, 120)), draw(st.integers(1, 120 if channels <= 10 else 9))]
    shape = Shape(channels, *draw(st.permutations(sides)))
    shapes = Shapes(shape)
    first = (
        "convolutional",
        {"filters": draw(st.sampled_from([channels, channels, 1, 7, 16])), "activation": "linear"},
    )
    last = ("convolutional", {"filters": channels, "activation": "leaky"})
    activation = {"activation": draw(activations)}
    layer: Words = draw(
        st.sampled_from(
            [
                ("avgpool", {}),
                ("activation", activation),
                ("batchnorm", {}),
                ("shortcut", {"from": 0, "alpha": draw(st.sampled_from([1, 0.5])), **activation}),
                ("scale_channels", activation),
                ("maxpool", draw(_maxpool(shapes))),
                ("crop", draw(_crop(shapes))),
                ("softmax", draw(_softmax(shapes))),
            ]
        )
    )
    if layer[0] != "scale_channels":
        return _make(shape, [first, last, layer], DIALECTS["alexeyab"])
    if draw(switches):
        return _make(shape, [last, ("avgpool", {}), (layer[0], {"from": 0, **activation})], DIALECTS["alexeyab"])
    cells = ("convolutional", {"filters": 1, "activation": "linear"})
    return _make(shape, [last, cells, (layer[0], {"from": 0, "scale_wh": 1, **activation})], DIALECTS["alexeyab"])


@st.composite
def trained_networks(draw, apart=False):
    """The same, but only layers near the end measure a loss; some layers are frozen, and some end training.

    What measures may have other layers behind it, of as many outputs or not: then `check_trainable` refuses it.

    With `apart`, the outputs for a picture do not depend on the others of its mini-batch, nor, except for crops, on
    chance.
    """
    shape, sections = draw(_sections())
    for number, (kind, options) in enumerate(sections):
        for untrained in ("cbn", "xnor", "tree"):
            options.pop(untrained, None)
        if kind == "softmax":
            options["noloss"] = 1
        if kind in ("cost", "logistic"):  # each would measure
            sections[number] = kind, options = "dropout", {"probability": 0.2}
        if apart and "batch_normalize" in options:
            options["batch_normalize"] = 0
        if apart and kind in ("batchnorm", "dropout"):
            sections[number] = kind, options = "activation", {}
        options.update(draw(st.sampled_from([{}, {}, {}, {}, {}, {"learning_rate": 0}, {"stopbackward": 1}])))
    outputs = {"output": draw(st.integers(1, 40)), "activation": draw(activations)}
    behind: Words = "connected", {"output": draw(st.sampled_from([outputs["output"], 7])), "activation": "leaky"}
    ends: list[list[Words]] = [
        [("softmax", {})],
        [(draw(st.sampled_from(["softmax", "logistic", "cost"])), {}), behind, ("softmax", {"noloss": 1})],
        [("cost", {})],
        [("softmax", {"noloss": draw(switches)}), ("cost", {})],
    ]
    sections += [("connected", outputs), *draw(st.sampled_from(ends))]
    return _make(shape, sections, draw(_dialects))


def _make(shape, sections, dialect):
    note(f"{dialect.name}: {cfg_text([('net', shape._asdict()), *sections])}")
    return make_network(shape, *sections, dialect=dialect)


_dialects = st.sampled_from([*DIALECTS.values()])


@st.composite
def _sections(draw):
    """The shape of an input, and a few layers for it."""
    side = st.sampled_from([1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 20])
    shapes = Shapes(Shape(draw(st.sampled_from([1, 2, 3, 4, 5, 8, 16, 17, 33])), draw(side), draw(side)))
    sections: list[Words] = []

    def add(kind, options):
        sections.append((kind, options))
        layer = make_layer(kind, *shapes, **options)
        if layer.unnamed:
            shapes.unnamed.add(layer.index)
        shapes.append(layer.shape)

    for _ in range(draw(st.integers(1, 9))):
        later = ["route", "route", "shortcut", "shortcut", "residual", "residual", "residual", "several", "sam"]
        later = (
            later * bool(shapes.named()) + ["scaled"] * (len(shapes) > 1) + ["shared", "blurred", "averaged", "halved"]
        )
        often = ["convolutional"] * 4 + ["wide"] * 4
        kind = draw(st.sampled_from([*often, "maxpool", "maxpool", *SINGLE, *later]))
        if kind in ("residual", "shared"):
            convolution = draw(_convolutional(shapes, alike=True))
        if kind == "residual" and len(shapes) - 2 not in shapes.unnamed:
            add("convolutional", {**convolution, "activation": draw(st.one_of(slopes, activations))})
            add("shortcut", {"from": -2, "activation": draw(st.one_of(slopes, activations))})
        elif kind == "averaged":
            add("convolutional", {**draw(_convolutional(shapes, alike=True)), "size": 1, "activation": draw(slopes)})
            add("avgpool", {})
        elif kind == "halved":
            add("convolutional", {**draw(_convolutional(shapes, alike=True)), "groups": 1, "activation": draw(slopes)})
            add("maxpool", {"size": 2, "stride": 2})
        elif kind in ("scaled", "shared", "blurred", "wide"):
            ways = {"scaled": scaled(shapes), "blurred": blurred(shapes), "wide": _wide()}
            for section in draw(shared(convolution) if kind == "shared" else ways[kind]):
                add(*section)
        elif kind in ("several", "sam"):
            options = draw(several(shapes) if kind == "several" else sam(shapes))
            if options is not None:
                add("shortcut" if kind == "several" else kind, options)
        elif kind != "residual":
            options = draw(OPTIONS[kind](shapes))
            if options is not None:
                add(kind, options)
    if not sections:
        add("activation", {})
    return shapes[0], sections


@st.composite
def _wide(draw):
    """Two convolutions of enough channels for the algorithms that need them in whole registers."""
    first, second = (draw(st.sampled_from([16, 20, 32, 33, 64])) for _ in range(2))
    size, stride = draw(st.sampled_from([(3, 2), (3, 1), (1, 1), (4, 2), (5, 1), (5, 2), (5, 3)]))
    groups = draw(st.sampled_from([1, 1, 2] if first % 32 == second % 32 == 0 else [1]))
    window = {"size": size, "stride": stride, "pad": 1, "groups": groups}
    activation = st.one_of(slopes, activations)
    return [
        ("convolutional", {"filters": first, "activation": draw(activation)}),
        ("convolutional", {"filters": second, "activation": draw(activation), **window}),
    ]


@st.composite
def _convolutional(draw, shapes, alike=False):
    """With `alike`, the output's shape is the input's, as shortcuts mostly need it."""
    source = shapes[-1]
    several = [n for n in (1, 1, 2, 3, 4, 8, 17) if source.channels % n == 0]
    groups = draw(st.sampled_from([*several, source.channels]))
    activation = draw(st.one_of(slopes, activations))
    rest = {"groups": groups, "batch_normalize": draw(switches), "activation": activation}
    if alike:
        return {"filters": source.channels, "size": draw(st.sampled_from([1, 3, 5])), "pad": 1, **rest}
    size = draw(st.sampled_from([1, 1, 2, 3, 3, 3, 4, 5]))
    stride = draw(st.sampled_from([1, 1, 1, 2, 3, 4]))
    # Windows may be up to `stride` - 1 larger than the padded input.
    least = max(0, -(-(size - min(source[1:]) - stride + 1) // 2))
    padding = max(least, draw(st.sampled_from([0, size // 2, size // 2, size - 1])))
    each = [n for n in (1, 2, 3, 5, 8, 16, 20) if n == 1 or groups * n <= 700]  # layers after each other multiply them
    return {
        "filters": groups * draw(st.sampled_from(each)),
        "size": size,
        "stride": stride,
        "padding": padding,
        **rest,
        **draw(convolution_extras(shapes, size, padding, stride)),
    }


@st.composite
def _maxpool(draw, shapes):
    size, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    least = max(0, size - min(shapes[-1][1:]) - stride + 1)
    padding = draw(st.integers(min(least, 2 * size - 2), 2 * size - 2))
    return {"size": size, "stride": stride, "padding": padding, **draw(maxpool_extras(shapes))}


@st.composite
def _crop(draw, shapes):
    _, height, width = shapes[-1]
    sides = {"crop_height": draw(st.integers(1, height)), "crop_width": draw(st.integers(1, width))}
    return {**sides, "noadjust": draw(switches)}


@st.composite
def _softmax(draw, shapes):
    size = shapes[-1].size
    kinds = draw(tree(size)) if size <= MOST_CLASSES and draw(switches) else {}
    groups = draw(st.sampled_from([n for n in (1, 2, 3, 5) if size % n == 0]))
    return {"groups": groups, "temperature": draw(st.sampled_from([1, 0.5, 3])), **kinds}


@st.composite
def _route(draw, shapes):
    _, last = draw(st.sampled_from(shapes.named()))
    alike = [i for i, shape in shapes.named() if shape[1:] == last[1:]]
    layers = draw(st.lists(st.sampled_from(alike), min_size=1, max_size=4))
    return {"layers": ",".join(map(str, layers)), **draw(route_parts(layers, shapes))}


@st.composite
def _shortcut(draw, shapes):
    _, height, width = shapes[-1]

    def joins(shape):
        steps = shape.height // height, shape.width // width
        spreads = height // shape.height, width // shape.width
        return max(1, steps[0]) == max(1, steps[1]) and max(1, spreads[0]) == max(1, spreads[1])

    sources = [i for i, shape in shapes.named() if joins(shape)]
    if not sources:
        return None
    factors = draw(st.sampled_from([{}, {}, {}, {"alpha": 0.5, "beta": 2}]))
    return {"from": draw(st.sampled_from(sources)), "activation": draw(activations), **factors}


OPTIONS = {
    "convolutional": _convolutional,
    "maxpool": _maxpool,
    "crop": _crop,
    "softmax": _softmax,
    "route": _route,
    "shortcut": _shortcut,
    "connected": lambda shapes: st.fixed_dictionaries(
        {"output": st.integers(1, 40), "batch_normalize": switches, "activation": activations}
    ),
    "activation": lambda shapes: st.fixed_dictionaries({"activation": activations}),
    "avgpool": lambda shapes: st.just({}),
    "batchnorm": lambda shapes: st.just({}),
    "dropout": lambda shapes: st.just({}),
    "cost": lambda shapes: st.just({}),
    **FORK_OPTIONS,
}
SINGLE = "activation", "avgpool", "batchnorm", "connected", "cost", "crop", "dropout", "softmax", *FORK_OPTIONS

CANCELLING = make_network(
    (3, 4, 4),
    ("convolutional", {"filters": 18, "size": 3, "pad": 1, "batch_normalize": 1, "activation": "relu"}),
    ("convolutional", {"filters": 18, "batch_normalize": 1, "activation": "leaky"}),
    ("shortcut", {"from": 0, "activation": "relu"}),
    ("batchnorm", {}),
    ("convolutional", {"filters": 18, "groups": 2, "batch_normalize": 1, "activation": "leaky"}),
    ("connected", {"output": 5, "batch_normalize": 1, "activation": "tanh"}),
)


def cancelling_parameters():
    """With variances of 0 where a layer's output is just what its normalization subtracts, so that the bias is left."""
    parameters = random_parameters(CANCELLING.layers)
    for arrays in parameters:
        for name in ("weights", "means", "variances"):
            if name in arrays:
                arrays[name][::3] = 0
    # Every third channel is the same whatever the picture; the second layer passes it on.
    for channel in range(0, 18, 3):
        parameters.views[1]["weights"][channel, channel] = 1
    for layer in (1, 3):
        source = run_engine("reference", CANCELLING.layers[:layer], parameters.first(layer), random_array((1, 3, 4, 4)))
        parameters.views[layer]["means"][::3] = source.reshape(18, -1)[::3, 0]
    return parameters
