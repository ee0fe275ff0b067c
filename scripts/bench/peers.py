"""The programs that are timed, one class each; a class imports its library when it is instantiated.

All compute in float32, unless asked for bfloat16, and get the same number of threads. Otherwise they run as their
manuals advise.
"""

from __future__ import annotations

import subprocess
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np

from darknet_py.layers import Array

from .models import Model


class Runner(Protocol):
    """A network, ready to run."""

    def run(self, batch: Array) -> Array:
        """Outputs (n, outputs) for `batch` (n, channels, height, width)."""


class DarknetPy:
    """This project's CPU engine."""

    def __init__(self, model: Model, threads: int, batch: int, precision: str = "float32") -> None:
        from darknet_py import load_network

        self.network = load_network(model.cfg, model.weights, "cpu", threads, precision=precision)

    def run(self, batch: Array) -> Array:
        return self.network.predict(batch)


class PyTorch:
    """Operators one by one, channels last, as a module's own code calls them."""

    distribution = "torch"

    def __init__(self, model: Model, threads: int, batch: int) -> None:
        import torch

        from .torch_network import TorchNetwork

        torch.set_num_threads(threads)
        self.torch = torch
        self.network = TorchNetwork(model.onnx)

    def run(self, batch: Array) -> Array:
        with self.torch.inference_mode():
            images = self.torch.from_numpy(batch).contiguous(memory_format=self.torch.channels_last)
            outputs: Array = self.network(images).numpy()
        return outputs


class OnnxRuntime:
    """A session with all optimizations, which is its default."""

    distribution = "onnxruntime"

    def __init__(self, model: Model, threads: int, batch: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(model.onnx, options, ["CPUExecutionProvider"])

    def run(self, batch: Array) -> Array:
        (outputs,) = self.session.run(["output0"], {"images": batch})
        return outputs


class OpenVino:
    """Compiled for latency at the batch's size."""

    distribution = "openvino"

    def __init__(self, model: Model, threads: int, batch: int, precision: str = "float32") -> None:
        import openvino

        core = openvino.Core()
        network = core.read_model(model.onnx)
        network.reshape([batch, *model.network.input_shape])
        hints = {
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
        }
        self.request = core.compile_model(network, "CPU", hints).create_infer_request()

    def run(self, batch: Array) -> Array:
        outputs: Array = self.request.infer({"images": batch}, share_inputs=True)["output0"]
        return outputs


class OpenCv:
    """Its DNN module."""

    distribution = "opencv-python-headless"

    def __init__(self, model: Model, threads: int, batch: int) -> None:
        import cv2

        cv2.setNumThreads(threads)
        self.network = cv2.dnn.readNetFromONNX(str(model.onnx))

    def run(self, batch: Array) -> Array:
        self.network.setInput(batch)
        return np.asarray(self.network.forward(), np.float32)


class Ncnn:
    """Without its 16-bit formats; it takes one picture at a time."""

    distribution = "ncnn"

    def __init__(self, model: Model, threads: int, batch: int) -> None:
        import ncnn

        param, weights = (model.onnx.with_suffix(f".ncnn.{suffix}") for suffix in ("param", "bin"))
        if not param.exists():
            _convert_to_ncnn(model, param, weights)
        self.ncnn, self.network = ncnn, ncnn.Net()
        self.network.opt.num_threads = threads
        for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
            setattr(self.network.opt, option, False)
        if self.network.load_param(str(param)) or self.network.load_model(str(weights)):
            raise RuntimeError(f"{param}: cannot be loaded")

    def run(self, batch: Array) -> Array:
        return np.stack([self._run_one(picture) for picture in batch])

    def _run_one(self, picture: Array) -> Array:
        extractor = self.network.create_extractor()
        # A Mat only points at the array, which might be freed before it: hence the clone.
        extractor.input("in0", self.ncnn.Mat(picture).clone())
        _, outputs = extractor.extract("out0")
        return np.array(outputs).reshape(-1)


def _convert_to_ncnn(model: Model, param: Path, weights: Path) -> None:
    found = find_spec("pnnx")
    if found is None or found.origin is None:
        raise ImportError("No module named 'pnnx'")
    # Importing the package would load PyTorch; the converter itself is a program in its folder.
    program = Path(found.origin).with_name("pnnx")
    size = ",".join(map(str, (1, *model.network.input_shape)))
    with TemporaryDirectory(dir=model.onnx.parent) as folder:
        source = Path(folder, "model.onnx")
        source.symlink_to(model.onnx)
        command: list[str | Path] = [program, source, f"inputshape=[{size}]f32", "fp16=0"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"pnnx failed: {(done.stderr or done.stdout).strip()[-200:]}")
        for path, suffix in ((weights, ".ncnn.bin"), (param, ".ncnn.param")):
            source.with_suffix(suffix).replace(path)


class Mnn:
    """With its precision "high", which is float32."""

    distribution = "MNN"

    def __init__(self, model: Model, threads: int, batch: int) -> None:
        import MNN

        path = model.onnx.with_suffix(".mnn")
        if not path.exists():
            _convert_to_mnn(model.onnx, path)
        config = {"backend": "CPU", "numThread": threads, "precision": "high"}
        manager = MNN.nn.create_runtime_manager((config,))
        self.images = MNN.expr.placeholder([batch, *model.network.input_shape], MNN.expr.NCHW)
        self.network = MNN.nn.load_module_from_file(str(path), ["images"], ["output0"], runtime_manager=manager)

    def run(self, batch: Array) -> Array:
        self.images.write(batch)
        (outputs,) = self.network.forward([self.images])
        return np.array(outputs.read())


def _convert_to_mnn(source: Path, target: Path) -> None:
    # Not the program mnnconvert, which installs a package by itself and reports what it converts.
    import _tools

    partial = target.with_suffix(".part")
    files = ["--modelFile", str(source), "--MNNModel", str(partial)]
    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", *files, "--bizCode", "bench"])
    partial.replace(target)


OURS = "darknet_py"
PEERS: dict[str, Any] = {
    "pytorch": PyTorch,
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
    "opencv": OpenCv,
    "ncnn": Ncnn,
    "mnn": Mnn,
}
NARROW = ("openvino",)  # the peers that can run in bfloat16, too
