"""cfg files, from their bytes to a shaped network and its listing."""

from __future__ import annotations

import functools
import random
from pathlib import Path

import pytest
from fuzzing import Seeds, fuzz, memory_folder
from mutations import NUMBERS, TEXT, damage
from support import cfg_text

from darknet_py.cfg import Option, load_cfg, parse_cfg
from darknet_py.errors import DarknetError
from darknet_py.files import SHARE
from darknet_py.layers import REGISTRY
from darknet_py.layers.activations import ACTIVATIONS
from darknet_py.network import NET_OPTIONS, OTHER_LAYERS, TRAINING_OPTIONS, Network

pytestmark = pytest.mark.slow

PACKAGED = ("shapes", "tiny", "alexnet", "vgg-16", "darknet", "resnet18")
KEYS = [
    *NET_OPTIONS,
    *TRAINING_OPTIONS,
    *(
        key
        for layer in dict.fromkeys(REGISTRY.values())
        for keys in (layer.options, layer.extras, layer.ignored, layer.unsupported, layer.training, layer.untrained)
        for key in keys
    ),
    "learning_rate",
    "stopbackward",
]
WORDS = [
    word.encode()
    for word in (
        *KEYS, *REGISTRY, *ACTIVATIONS, *OTHER_LAYERS, "net", "network", "mish", "swish", "dilation", "antialiasing",
        "share_index", "cbn", "maxpool_depth", "out_channels", "weights_type", "coordconv", "stride_x", "sse", "-1,-2",
        "-1,-1,0", "0,1,2,3,4,5", ",", "-3", "0",
    )
] + NUMBERS  # fmt: skip


def random_value(key: str, option: Option, rng: random.Random) -> object:
    """A value that the option `key` may have, most often one that makes sense in a small network."""
    if key == "activation":
        return rng.choice(list(ACTIVATIONS))
    if key in ("layers", "from"):
        values = [rng.choice((-1, -1, -2, -3, 0, 1, 2)) for _ in range(rng.choice((1, 1, 2, 3)))]
        return ",".join(map(str, values))
    if key in ("share_index", "stride_x", "stride_y"):
        return rng.choice((-1, 0, 1, 1, 2))
    if key in ("weights_type", "weights_normalization"):
        return rng.choice(("none", "per_channel" if key == "weights_type" else "softmax"))
    if isinstance(option.default, bool):
        return rng.choice((0, 0, 0, 1)) if key not in ("pad", "batch_normalize", "noadjust") else rng.choice((0, 1))
    if isinstance(option.default, float):
        return rng.choice((0.5, 1, 1, -1, 0, 2.5))
    if isinstance(option.default, int):
        return rng.choice((1, 1, 1, 2, 2, 3, 4, 5, 8, 0, 9, 32, 64, 1000, 46341))
    return rng.choice(("sse", "x", "masked"))


@functools.lru_cache(None)
def whole(base: int) -> bytes:
    """A network of layers of any kind, nearly always one that can be read, or a packaged one."""
    if base < 2 * len(PACKAGED):
        return (SHARE / f"cfg/{PACKAGED[base // 2]}.cfg").read_bytes()
    rng = random.Random(base)
    net = {key: rng.choice((1, 2, 3, 4, 8, 16, 17, 32)) for key in ("height", "width", "channels")}
    net |= {rng.choice(TRAINING_OPTIONS): rng.choice((0, 1, 0.1, "1,2", "x")) for _ in range(rng.randrange(3))}
    text = cfg_text([("net", net)])
    for _ in range(rng.randrange(4, 20)):
        name = rng.choice(list(REGISTRY))
        known = {**REGISTRY[name].options, **REGISTRY[name].extras}
        options = {key: random_value(key, option, rng) for key, option in known.items()}
        kept = {key: value for key, value in options.items() if key in ("layers", "from") or rng.random() < 0.6}
        longer = text + cfg_text([(name, kept)])
        if is_network(longer) or rng.random() < 0.01:
            text = longer
    return text.replace("=", rng.choice(("=", "=", " = "))).replace("\n", rng.choice(("\n", "\n", "\r\n"))).encode()


def is_network(text: str) -> bool:
    try:
        return bool(Network(parse_cfg(text, "x.cfg"), "x.cfg").layers)
    except DarknetError:
        return False


def test_a_cfg_is_a_network_or_refused():
    path = Path("x.cfg")

    def make(base: int, seeds: Seeds) -> bytes:
        return damage(whole(base), seeds, TEXT, WORDS)

    def use(content: bytes) -> None:
        path.write_bytes(content)
        network = Network(load_cfg(path), "x.cfg")
        assert network.outputs == network.output_layer.shape.size > 0
        assert network.parameter_count >= 0
        assert network.operations >= 0
        assert network.describe().count("\n") == len(network.layers)
        assert network.describe("table").count("\n") == len(network.layers) + 1
        assert all(repr(layer) for layer in network.layers)
        if network.resizable:
            shapes = [layer.shape for layer in network.layers]
            _, height, width = network.input_shape
            network.resize(height + 1, width * 2)
            network.resize(height, width)
            assert [layer.shape for layer in network.layers] == shapes

    with memory_folder():
        fuzz("cfg", make, use)
