"""ONNX export: what onnxruntime makes of the file, against the reference engine."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from support import assert_close, make_network, random_array, random_parameters, run_engine

from darknet_py.cfg import parse_cfg
from darknet_py.cli import main
from darknet_py.layers import REGISTRY, Layer
from darknet_py.layers.activations import ACTIVATIONS
from darknet_py.network import Network, load_structure
from darknet_py.parameters import Parameters
from darknet_py.weights import save_weights

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install onnxruntime")

from darknet_py import onnx_export  # noqa: E402

BOUND = 1e-5


def convolution(filters=4, size=3, activation="linear", **options):
    return "convolutional", {"filters": filters, "size": size, "pad": 1, "activation": activation, **options}


def run_onnx(model, batch):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    (output,) = session.run(["output0"], {"images": batch})
    return output


def check_export(network: Network, batch: int = 2) -> onnx.ModelProto:
    """Compare the model of `network` with random parameters with the reference engine; return it.

    Also that of the network with an [avgpool] after it, at another size, too, where it can be resized then.
    """
    parameters = random_parameters(network.layers)
    images = random_array((batch, *network.input_shape))
    model = onnx_export.make_model(network, parameters, fixed=True)
    onnx.checker.check_model(model, full_check=True)
    expected = run_engine("reference", network.layers, parameters, images)
    assert_close(run_onnx(model, images), expected, BOUND)
    pooled = Network([*network.sections, *parse_cfg("[avgpool]\n", "test.cfg")], "test.cfg")
    if dimensions(onnx_export.make_model(pooled, parameters))["images"][2:] == ["height", "width"]:
        check_sizes(pooled, parameters)
    return model


def check_sizes(network: Network, parameters: Parameters) -> None:
    """Compare the model of `network` with the reference engine at its own size and at others."""
    model = onnx_export.make_model(network, parameters)
    onnx.checker.check_model(model, full_check=True)
    _, height, width = network.input_shape
    for more in (0, 0), (3, 1), (2, 6):
        layers = network.layers_at(height + more[0], width + more[1])
        images = random_array((2, *layers[0].input_shapes[0]))
        assert_close(run_onnx(model, images), run_engine("reference", layers, parameters, images), BOUND)


def operators(model):
    return [node.op_type for node in model.graph.node]


def test_every_layer_that_computes_is_known():
    assert onnx_export.CONVERTERS.keys() == {layer for layer in REGISTRY.values() if layer.idle is not True}


def test_every_activation_is_known():
    assert onnx_export.ACTIVATIONS.keys() == ACTIVATIONS.keys()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_normalize": 1, "activation": "leaky"},
        {"size": 5, "stride": 2},
        {"size": 2, "pad": 0, "padding": 3, "stride": 3},
        {"size": 1, "groups": 2},
        {"groups": 4, "filters": 8, "batch_normalize": 1},
    ],
    ids=str,
)
def test_convolutional(options):
    check_export(make_network((4, 7, 9), convolution(**options)))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation):
    """Over values that reach every piece of a piecewise function."""
    network = make_network((4, 8, 8), ("activation", {"activation": activation}))
    images = np.linspace(-9.3, 9.3, 2 * 256, dtype=np.float32).reshape(2, 64, 4).transpose(0, 2, 1).reshape(2, 4, 8, 8)
    expected = run_engine("reference", network.layers, [{}], images)
    assert_close(run_onnx(onnx_export.make_model(network, [{}]), images), expected, BOUND)


def test_channels_are_those_of_a_cell_whatever_the_form():
    shares = [{"activation": name} for name in ACTIVATIONS if name.startswith("normalize_channels")]
    for share in shares:
        check_export(make_network((4, 2, 3), ("softmax", {"groups": 2}), ("activation", share)))
        check_export(make_network((4, 2, 3), ("connected", {"output": 5, **share}), ("activation", share)))
        check_export(make_network((4, 2, 3), convolution(**share), ("shortcut", {"from": 0, **share})))


@pytest.mark.parametrize("options", [{}, {"batch_normalize": 1, "activation": "relu"}], ids=str)
def test_connected(options):
    connected = ("connected", {"output": 5, "activation": "leaky", **options})
    check_export(make_network((3, 4, 5), connected, ("dropout", {}), connected))


def test_planes_after_a_connected_layer():
    check_export(make_network((3, 4, 5), ("connected", {"output": 6}), convolution(size=1), ("batchnorm", {})))


@pytest.mark.parametrize("shape", [(3, 6, 8), (3, 7, 9), (2, 5, 5)])
@pytest.mark.parametrize(
    "options",
    [
        {"size": 2, "stride": 2},
        {"size": 3, "stride": 2},
        {"size": 3, "stride": 2, "padding": 1},
        {"size": 2, "stride": 1},
        {"size": 3, "stride": 3, "padding": 0},
        {"size": 4, "stride": 2, "padding": 5},
        {"stride": 4},
    ],
    ids=str,
)
def test_maxpool(shape, options):
    check_export(make_network(shape, ("maxpool", options)))


@pytest.mark.parametrize("options", [{}, {"noadjust": 1}], ids=str)
def test_crop(options):
    check_export(make_network((3, 8, 9), ("crop", {"crop_height": 5, "crop_width": 4, **options}), convolution()))


@pytest.mark.parametrize("options", [{}, {"groups": 4, "temperature": 2.5}, {"groups": 2}], ids=str)
@pytest.mark.parametrize("shape", [(8, 1, 1), (2, 2, 3)])
def test_softmax(shape, options):
    check_export(make_network(shape, ("softmax", options)))


def test_softmax_keeps_its_shape_for_the_next_layer():
    check_export(make_network((4, 2, 3), ("softmax", {"groups": 2}), convolution(), ("avgpool", {}), ("cost", {})))


@pytest.mark.parametrize(
    "other",
    [
        {"filters": 4},
        {"filters": 3},
        {"filters": 6},
        {"filters": 6, "stride": 2},
        {"filters": 3, "stride": 3},
        {"filters": 6, "size": 2, "pad": 0},
    ],
    ids=str,
)
@pytest.mark.parametrize("options", [{}, {"alpha": 0.5, "beta": -2, "activation": "leaky"}], ids=str)
@pytest.mark.parametrize("size", [(8, 10), (7, 11)])
def test_shortcut(other, options, size):
    """Other and own of different channels and resolutions, the larger first and last."""
    first, second = convolution(**other), ("route", {"layers": -2})
    large = [convolution(filters=4), first, second, convolution(), ("shortcut", {"from": 1, **options})]
    small = [convolution(filters=5), first, ("shortcut", {"from": 0, **options})]
    check_export(make_network((2, *size), *large))
    check_export(make_network((2, *size), *small))


def test_shortcut_of_equal_shapes_is_one_addition():
    model = check_export(make_network((2, 5, 5), convolution(), convolution(), ("shortcut", {"from": -2})))
    assert operators(model) == ["Conv", "Conv", "Add", "Flatten"]


def test_route():
    sections = [convolution(), convolution(filters=3), ("route", {"layers": "-1,0"}), ("route", {"layers": -2})]
    model = check_export(make_network((2, 5, 5), *sections, ("route", {"layers": "2,3,1"})))
    assert operators(model).count("Concat") == 2


def test_layers_of_training_leave_nothing():
    model = check_export(make_network((2, 5, 5), convolution(), ("dropout", {}), ("avgpool", {}), ("cost", {})))
    assert operators(model) == ["Conv", "GlobalAveragePool", "Flatten"]


class Doubled(Layer):
    """A layer from outside the package."""

    kind = "doubled"

    def _set_up(self, source):
        return source


class Idle(Doubled):
    """One that computes nothing."""

    kind = "idle"
    idle = True

    def forward(self, inputs, parameters):
        return inputs[0]


@pytest.fixture
def made_up(monkeypatch):
    """Layers and an activation that this file alone knows."""
    monkeypatch.setitem(REGISTRY, "doubled", Doubled)
    monkeypatch.setitem(REGISTRY, "idle", Idle)
    monkeypatch.setitem(ACTIVATIONS, "wave", np.sin)


@pytest.mark.parametrize(
    ("section", "says"),
    [
        (("doubled", {}), r"test\.cfg:10: \[doubled\]: cannot be exported; known are activation, avgpool, batchnorm, "),
        (
            convolution(activation="wave"),
            r"test\.cfg:10: \[convolutional\] activation=wave: cannot be exported; known are linear",
        ),
    ],
    ids=["layer", "activation"],
)
def test_what_has_no_nodes_is_refused(made_up, section, says):
    network = make_network((2, 5, 5), convolution(), section, ("softmax", {}))
    with pytest.raises(onnx_export.ExportError, match=f"^{says}"):
        onnx_export.make_model(network, random_parameters(network.layers))


def test_a_made_up_layer_that_computes_nothing_leaves_nothing(made_up):
    model = check_export(make_network((2, 5, 5), convolution(), ("idle", {}), ("avgpool", {})))
    assert operators(model) == ["Conv", "GlobalAveragePool", "Flatten"]


@pytest.mark.parametrize("kind", ["dropout", "cost", "avgpool"])
def test_network_of_one_layer(kind):
    check_export(make_network((2, 5, 5), (kind, {})))


def dimensions(model):
    return {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }


def test_dimensions_are_free_where_the_network_allows_it():
    network = make_network((3, 5, 6), convolution(), ("avgpool", {}))
    models = [
        onnx_export.make_model(network, random_parameters(network.layers), fixed=fixed) for fixed in (False, True)
    ]
    assert dimensions(models[0]) == {"images": ["batch", 3, "height", "width"], "output0": ["batch", 4]}
    assert dimensions(models[1]) == {"images": ["batch", 3, 5, 6], "output0": ["batch", 4]}
    network = make_network((3, 5, 6), convolution(), ("connected", {"output": 4}))
    model = onnx_export.make_model(network, random_parameters(network.layers))
    assert dimensions(model) == {"images": ["batch", 3, 5, 6], "output0": ["batch", 4]}
    assert run_onnx(model, random_array((5, 3, 5, 6))).shape == (5, 4)


@pytest.mark.parametrize(
    "section",
    [
        ("maxpool", {"size": 2, "stride": 2, "padding": 0}),
        ("local_avgpool", {"size": 2, "stride": 2, "padding": 0}),
        ("convolutional", {"size": 2, "stride": 2}),
        ("convolutional", {"size": 3, "pad": 1, "stride": 2, "antialiasing": 2}),
    ],
    ids=lambda section: section[0],
)
def test_windows_larger_than_the_picture_fix_its_size(section):
    """By darknet's count there is one window, which the nodes would not find in another small picture."""
    network = make_network((2, 1, 1), section, ("avgpool", {}))
    assert network.resizable
    model = onnx_export.make_model(network, random_parameters(network.layers))
    assert dimensions(model)["images"] == ["batch", 2, 1, 1]
    check_export(network)
    behind = make_network((2, 4, 3), ("avgpool", {}), section, ("avgpool", {}))  # the picture is always of one cell
    check_export(behind)
    assert dimensions(onnx_export.make_model(behind, random_parameters(behind.layers)))["images"][2:] == [
        "height",
        "width",
    ]


def test_planes_that_agree_by_chance_fix_the_size():
    """Of a larger picture, the shortcut would add one plane to every third cell of the other."""
    pools = [("maxpool", {"size": 1, "stride": stride}) for stride in (1, 3)]
    network = make_network((2, 1, 1), *pools, ("shortcut", {"from": 0}), ("avgpool", {}))
    assert network.resizable
    model = onnx_export.make_model(network, random_parameters(network.layers))
    assert dimensions(model)["images"] == ["batch", 2, 1, 1]


@pytest.mark.parametrize("name", ["shapes", pytest.param("tiny", marks=pytest.mark.slow)])
def test_packaged_networks(name):
    network = load_structure(f"cfg/{name}.cfg")
    check_export(network, batch=1)
    check_sizes(network, random_parameters(network.layers))


@pytest.mark.slow
def test_darknet_network():
    check_export(load_structure("cfg/darknet.cfg"), batch=1)


@pytest.fixture
def files(tmp_path):
    """The cfg and the weights file of a small network, and where to write."""
    cfg, weights = tmp_path / "small.cfg", tmp_path / "small.weights"
    cfg.write_text("[net]\nchannels=3\nheight=5\nwidth=6\n[convolutional]\nfilters=2\nsize=3\n[avgpool]\n")
    network = load_structure(cfg)
    save_weights(weights, random_parameters(network.layers))
    return str(cfg), str(weights), tmp_path / "out.onnx"


def test_command_writes_over_what_is_there(files, capsys):
    cfg, weights, out = files
    out.write_bytes(b"something else")
    assert main(["export", cfg, weights, str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    onnx.checker.check_model(onnx.load(out))
    assert [path.name for path in out.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("operands", "code", "message"),
    [
        (lambda cfg, weights, out: [cfg], 2, "the file to write is missing"),
        (lambda cfg, weights, out: [cfg, weights], 2, "NAME OUT.onnx is expected"),
        (lambda cfg, weights, out: [cfg, weights, out, out], 2, "NAME OUT.onnx is expected"),
        (lambda cfg, weights, out: [cfg, weights, f"{out}/x.onnx"], 2, "no file can be written there"),
        (lambda cfg, weights, out: [cfg, weights, "/dev/null"], 2, "a name that ends in .onnx is expected"),
        (lambda cfg, weights, out: [cfg, cfg, out], 1, "are they the weights of this network?"),
    ],
)
def test_wrong_use_is_one_line(operands, code, message, files, capsys):
    cfg, weights, out = map(str, files)
    files[2].write_bytes(b"kept")
    assert main(["export", *operands(cfg, weights, out)]) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert files[2].read_bytes() == b"kept"


def test_missing_package_is_named(files, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    for module in ("onnx_export", "onnx_activations", "onnx_graph"):
        monkeypatch.delitem(sys.modules, f"darknet_py.{module}")
        monkeypatch.delattr(f"darknet_py.{module}")
    assert main(["export", *map(str, files)]) == 1
    assert "pip install onnx" in capsys.readouterr().err


def test_too_large_for_the_format(monkeypatch):
    monkeypatch.setattr(onnx_export, "MAX_BYTES", 100)
    network = make_network((3, 5, 6), convolution())
    with pytest.raises(onnx_export.ExportError, match="GiB of parameters"):
        onnx_export.make_model(network, random_parameters(network.layers))
