"""Networks of a few layers, drawn by chance."""

from __future__ import annotations

from hypothesis import note
from hypothesis import strategies as st
from support import cfg_text, make_network

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
)
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
def networks(draw):
    """A network of a few layers whose joins go where they may."""
    shapes = [(draw(st.integers(1, 5)), draw(st.integers(4, 9)), draw(st.integers(4, 9)))]
    sections = []
    for index in range(draw(st.integers(1, 9))):
        channels, height, width = shapes[-1]
        kinds = ["convolutional", "maxpool", "dropout", "activation", "batchnorm"]
        kind = draw(st.sampled_from(kinds + ["route", "shortcut"] * 2 * (index > 0)))
        options = {}
        activation = st.sampled_from(["linear", "leaky", "relu", "tanh"])
        if kind == "convolutional":
            channels = draw(st.integers(1, 6))
            size, stride = draw(st.sampled_from([(1, 1), (3, 1), (3, 2)]))
            options = {"filters": channels, "size": size, "stride": stride, "pad": 1, "activation": draw(activation)}
            options["batch_normalize"] = draw(st.integers(0, 1))
            height, width = ((d - 1) // stride + 1 for d in (height, width))
        elif kind == "maxpool":
            options = {"size": 2, "stride": draw(st.integers(1, 2))}
            height, width = ((d - 1) // options["stride"] + 1 for d in (height, width))
        elif kind == "activation":
            options = {"activation": draw(activation)}
        elif kind == "route":
            last = draw(st.integers(0, index - 1))
            alike = [i for i in range(index) if shapes[i + 1][1:] == shapes[last + 1][1:]]
            joined = draw(st.lists(st.sampled_from(alike), min_size=1, max_size=3))
            options = {"layers": ",".join(map(str, joined))}
            channels, height, width = sum(shapes[i + 1][0] for i in joined), *shapes[last + 1][1:]
        elif kind == "shortcut":
            sizes = [(height, width), (2 * height, 2 * width)]
            alike = [i for i in range(index) if shapes[i + 1][1:] in sizes]
            options = {"from": draw(st.sampled_from(alike)), "activation": draw(activation)}
            options |= draw(st.sampled_from([{}, {}, {"alpha": 0.5, "beta": 2}]))
        sections.append((kind, options))
        shapes.append((channels, height, width))
    sections += draw(st.sampled_from([[], [("cost", {})], [("avgpool", {}), ("softmax", {}), ("cost", {})]]))
    note(cfg_text(sections))
    return make_network(shapes[0], *sections)
