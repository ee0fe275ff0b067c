"""Time the GPU engine beside PyTorch: python -m scripts.bench.cuda, or make bench-cuda.

PyTorch runs the same networks with batch normalization folded, channels last, and cuDNN's algorithms chosen by
measuring: eagerly, as one CUDA graph, and compiled by `torch.compile`. Pictures are on the GPU, answers are copied
back. All run in one process, in rounds, and medians are printed; before that each one's outputs are compared with ours.
The last column says how many of a network's different convolutions cuDNN computes in this engine.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from darknet_py import load_network
from darknet_py.engines import open_engine
from darknet_py.errors import DarknetError
from darknet_py.layers import Array

from .models import NETWORKS, Model, prepare
from .options import names, positive
from .peers import OURS

PRECISIONS = ("tf32", "float16")
MAX_ERROR = 0.02  # of an output, a probability
CALLS = 20  # of each in a round
MODES = ("eager", "graph", "compile")


class Ours:
    """This project's engine."""

    def __init__(self, model: Model, images: Array, precision: str) -> None:
        network = load_network(model.cfg, model.weights, "reference")  # only reads the weights
        engine: Any = open_engine("cuda", network.layers, network.parameters, precision=precision)
        self.gpu: str = engine.device.name
        self.execution = engine.plan(network.layers).execution(len(images))
        chosen = self.execution.choices.values()
        self.by_cudnn = f"{sum(choice.algorithm.name == 'cudnn' for choice in chosen)}/{len(chosen)}"
        self.outputs = self.execution.run(images)

    def run(self) -> Array:
        self.execution.replay()
        self.execution.queue.read(self.execution.answers, self.outputs)
        return self.outputs


class PyTorch:
    """The network in one of `MODES`."""

    def __init__(self, model: Model, images: Array, precision: str, mode: str) -> None:
        import torch

        from .torch_network import TorchNetwork

        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
        kind = torch.float16 if precision == "float16" else torch.float32
        network = TorchNetwork(model.onnx)
        network.constants = {
            name: tensor.to("cuda", kind) if isinstance(tensor, torch.Tensor) else tensor
            for name, tensor in network.constants.items()
        }
        self.torch = torch
        self.images = torch.from_numpy(images).to("cuda", kind).contiguous(memory_format=torch.channels_last)
        self.network: Any = network
        if mode == "compile":
            torch._dynamo.reset()  # else it would make one program for all shapes, and give up after some
            self.network = torch.compile(network, mode="max-autotune", dynamic=False)
        self.graph: Any = None
        with torch.inference_mode():
            side = torch.cuda.Stream()
            with torch.cuda.stream(side):
                for _ in range(3):
                    self.outputs = self.network(self.images)
            side.synchronize()
            if mode == "graph":
                self.graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graph):
                    self.outputs = self.network(self.images)

    def run(self) -> Array:
        with self.torch.inference_mode():
            if self.graph is None:
                self.outputs = self.network(self.images)
            else:
                self.graph.replay()
            outputs: Array = self.outputs.float().cpu().numpy()
        return outputs


def main() -> int:
    """Run the benchmark; print its table."""
    args = _parse_arguments()
    header = f"{'network':14}{'precision':>10}{'batch':>6}" + "".join(
        f"{name:>12}" for name in (*args.modes, OURS, "ratio", "by cuDNN")
    )
    print(header, flush=True)
    for name in args.networks:
        model = prepare(name)
        for precision in args.precisions:
            for batch in args.batches:
                try:
                    gpu = _bench(model, precision, batch, args.rounds, args.modes)
                except DarknetError as error:
                    print(error, file=sys.stderr)
                    return 1
    print(f"milliseconds a batch, medians of {args.rounds} rounds, on {gpu}")
    return 0


def _bench(model: Model, precision: str, batch: int, rounds: int, modes: Sequence[str]) -> str:
    """Print a network's row; the GPU's name."""
    images = np.random.default_rng(1).random((batch, *model.network.input_shape), np.float32)
    ours = Ours(model, images, precision)
    expected = ours.run().copy()
    runners: dict[str, Any] = {}
    for mode in modes:
        try:
            runner = PyTorch(model, images, precision, mode)
            error = float(np.abs(runner.run() - expected).max())
            if not error <= MAX_ERROR:
                raise ValueError(f"outputs differ from ours by {error:.1e}")
            runners[mode] = runner
        except Exception as reason:  # whatever fails in PyTorch, only that mode is left out
            print(f"{model.name}: {mode} is left out: {' '.join(str(reason).split())[:200]}", file=sys.stderr)
    times: dict[str, list[float]] = {name: [] for name in (*runners, OURS)}
    for _ in range(rounds):
        for name, runner in (*runners.items(), (OURS, ours)):
            runner.run()
            start = time.perf_counter()
            for _ in range(CALLS):
                runner.run()
            times[name].append(1000 * (time.perf_counter() - start) / CALLS)
    medians = {name: median(values) for name, values in times.items()}
    best = min((medians[name] for name in runners), default=float("nan"))
    cells = [f"{medians[name]:12.3f}" if name in medians else f"{'-':>12}" for name in (*modes, OURS)]
    print(
        f"{model.name:14}{precision:>10}{batch:6}{''.join(cells)}{medians[OURS] / best:12.2f}{ours.by_cudnn:>12}",
        flush=True,
    )
    gpu = ours.gpu
    del runners, runner, ours
    gc.collect()
    if "torch" in sys.modules:
        sys.modules["torch"].cuda.empty_cache()
    return gpu


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench.cuda",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--networks", type=names(NETWORKS), default=",".join(NETWORKS), metavar="A,B")
    parser.add_argument("--precisions", type=names(PRECISIONS), default=",".join(PRECISIONS), metavar="A,B")
    parser.add_argument("--modes", type=names(MODES), default=",".join(MODES), metavar="A,B", help="PyTorch's")
    parser.add_argument("--batches", type=positive, nargs="+", default=[1, 128], metavar="N")
    parser.add_argument("--rounds", type=positive, default=9, metavar="N", help="default: %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
