"""What an engine has prepared on a GPU to run a network on batches of all shapes."""

from __future__ import annotations

from dataclasses import replace

from ...layers import Array, Shape
from ..passes import Program
from .algorithms import Implementation, Machine, PackedWeights, candidates
from .convolution import Convolution
from .device import Device, Memory, Queue
from .tune import Tuner


class Prepared:
    """A network's steps, and its parameters as they are read.

    Attributes
    ----------
    device : Device
    machine, tuned : Machine
        The device as algorithms see it, where a model chooses and where measuring does: with the tuner's cuDNN, if any.
    queue : Queue
    precision : str
    tuner : Tuner, optional
        Chooses implementations; a model alone does where it is absent.
    own_size : Shape
        The size of picture for which choices are measured: others come one by one, and measuring would take longer than
        it saves.
    program : Program
    packed : dict of int to PackedWeights
        For convolutions and connected layers.
    factors : dict of (int, str) to (int, int)
        The addresses of factors and biases of layers, by their steps' tasks.
    uploaded : list of Memory
        What holds all of these.
    parameters : dict of int to dict
        For layers that run by their definitions.
    """

    queue: Queue
    program: Program

    def __init__(self, device: Device, precision: str, tuner: Tuner | None, own_size: Shape) -> None:
        self.device, self.precision, self.tuner, self.own_size = device, precision, tuner, own_size
        self.machine = Machine(device.capability, device.multiprocessors, device.shared_limit)
        self.tuned = self.machine if tuner is None else replace(self.machine, cudnn=tuner.cudnn)
        self.packed: dict[int, PackedWeights] = {}
        self.factors: dict[tuple[int, str], tuple[int, int]] = {}
        self.uploaded: list[Memory] = []
        self.parameters: dict[int, dict[str, Array]] = {}

    def consider(self, problem: Convolution, tuner: Tuner | None) -> list[Implementation]:
        """What computes `problem`: the fastest where that is known, else all candidates to be measured."""
        return candidates(problem, self.machine)[:1] if tuner is None else tuner.consider(problem, self.tuned)
