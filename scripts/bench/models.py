"""The networks that are timed, with made-up weights and an ONNX file in the cache, and how fast each could be."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from darknet_py import onnx_export
from darknet_py.cache import cache_dir
from darknet_py.engines.cpu.inspect import limit_operations
from darknet_py.layers.connected import Connected
from darknet_py.layers.convolutional import Convolutional
from darknet_py.network import Network, load_structure
from darknet_py.weights import load_weights

ROOT = Path(__file__).parents[2]
MAKE_WEIGHTS = ROOT / "tests" / "golden" / "make_weights.py"
NETWORKS = (
    "tiny", "darknet", "alexnet", "extraction", "darknet19", "darknet19_448", "resnet50", "densenet201",
    "resnet152", "vgg-16", "resnext50", "csresnext50-omega", "csdarknet53-omega", "mobilenet-v2", "efficientnet_b0",
)  # fmt: skip


@dataclass(frozen=True)
class Model:
    """A network's files.

    Attributes
    ----------
    name : str
    network : Network
        Without weights.
    cfg, weights, onnx : Path
        What other programs convert from `onnx` is put beside it.
    """

    name: str
    network: Network
    cfg: Path
    weights: Path
    onnx: Path


def prepare(name: str) -> Model:
    """The files of a packaged network, made where they are not in the cache yet.

    They are in a folder named by a digest of what they are made from, so none is ever out of date.
    """
    cfg = ROOT / "cfg" / f"{name}.cfg"
    sources = b"".join(path.read_bytes() for path in (cfg, MAKE_WEIGHTS, Path(onnx_export.__file__)))
    folder = cache_dir() / "bench" / f"{name}-{hashlib.sha256(sources).hexdigest()[:8]}"
    for outdated in folder.parent.glob(f"{name}-????????"):
        if outdated != folder:
            shutil.rmtree(outdated)
    folder.mkdir(parents=True, exist_ok=True)
    model = Model(name, load_structure(cfg), cfg, folder / f"{name}.weights", folder / f"{name}.onnx")
    if not model.weights.exists():
        partial = model.weights.with_suffix(".part")
        subprocess.run([sys.executable, MAKE_WEIGHTS, cfg, partial], check=True)
        partial.replace(model.weights)
    if not model.onnx.exists():
        parameters = load_weights(model.weights, model.network).read_all()
        onnx_export.save_onnx(model.onnx, onnx_export.make_model(model.network, parameters, fixed=True))
    return model


def limit(network: Network, batch: int, gflops: float, gbytes: float) -> float:
    """Milliseconds at `gflops` GFLOP/s, and at `gbytes` GB/s from memory: what programs are measured against.

    This counts the operations that remain with the best Winograd tile for each 3 x 3 convolution of stride 1, those of
    all other convolutions, direct, and the matrices of connected layers; not Winograd's transforms, nor other traffic.
    """
    seconds = 0.0
    for layer in network.layers:
        if isinstance(layer, Convolutional):
            seconds += batch * limit_operations(layer) / (gflops * 1e9)
        elif isinstance(layer, Connected):
            size = layer.output * layer.input_shapes[0].size
            seconds += max(2 * batch * size / (gflops * 1e9), 4 * size / (gbytes * 1e9))
    return 1000 * seconds
