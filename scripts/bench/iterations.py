"""An iteration of training in each program: forward, loss, backward and update, on given pictures.

PyTorch is imported only where it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from darknet_py.engines import compile_training
from darknet_py.layers import Array
from darknet_py.network import Network, load_structure
from darknet_py.parameters import Parameters
from darknet_py.training.first_weights import set_first
from darknet_py.training.optimizer import make_optimizer
from darknet_py.training.options import TrainingOptions

from .models import ROOT

BATCHES = {
    "tiny": 16, "shapes": 64, "darknet19": 16, "resnet18": 16, "resnet50": 8, "alexnet": 16, "cifar": 128,
    "mobilenet-v2": 16,
}  # fmt: skip
RATE, MOMENTUM, DECAY = 1e-4, 0.9, 0.0005
OURS, COMPILED = "darknet", "torch.compile"
EAGER = {"PyTorch contiguous": {"channels_last": False}, "PyTorch channels_last": {"channels_last": True}}
THEIRS: dict[str, dict[str, Any]] = {**EAGER, COMPILED: {"channels_last": True, "compiled": True}}

Iteration = Callable[[], float]  # returns its loss, the mean over the images


class Iterations:
    """What each program works on: a network's first weights, a batch of pictures and their classes."""

    def __init__(self, name: str, threads: int) -> None:
        self.network: Network = load_structure(ROOT / "cfg" / f"{name}.cfg")
        self.batch, self.threads = BATCHES[name], threads
        self._random = np.random.default_rng(1)
        self._images: Array = self._random.random((self.batch, *self.network.input_shape), np.float32)
        self._classes: npt.NDArray[np.int64] = self._random.integers(self.network.outputs, size=self.batch)
        self._parameters = Parameters.zeros(self.network.layers)
        set_first(self._parameters, seed=1)

    def make(self, program: str) -> Iteration:
        """A program's iteration."""
        return self._make_ours() if program == OURS else self._make_theirs(**THEIRS[program])

    def _make_ours(self) -> Iteration:
        truths = np.eye(self.network.outputs, dtype=np.float32)[self._classes]
        plan = compile_training("cpu", self.network.layers, self._parameters.copy(), self.batch, self.threads)
        options = TrainingOptions.of(self.network, batch=self.batch, momentum=MOMENTUM, decay=DECAY)
        optimizer = make_optimizer(plan, options)

        def iterate() -> float:
            loss = plan.step(self._images, truths, self._random)
            optimizer.update(RATE)
            return loss / self.batch

        return iterate

    def _make_theirs(self, **how: bool) -> Iteration:
        import torch

        from .torch_training import TorchTraining

        torch.set_num_threads(self.threads)
        training = TorchTraining(
            self.network.layers, self._parameters, rate=RATE, momentum=MOMENTUM, decay=DECAY, **how
        )
        images, classes = torch.from_numpy(self._images), torch.from_numpy(self._classes)
        return lambda: training.step(images, classes)
