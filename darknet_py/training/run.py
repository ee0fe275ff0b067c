"""A network in training: what it has learned, and how far it has come."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace

import numpy as np

from ..classifier import Classifier
from ..engines import compile_training
from ..engines.base import TrainingPlan
from ..errors import DarknetWarning, TrainingError, UsageError
from ..layers import Array, Layer
from ..layers.training import check_trainable, measuring
from ..parameters import Parameters
from ..weights import choose_dialect, load_weights
from .checkpoint import State, load_checkpoint, save_checkpoint
from .first_weights import set_first
from .generators import Purpose, generator
from .loader import Batch
from .memory import build_within_limits
from .optimizer import make_optimizer
from .options import TrainingOptions
from .outputs import load_first
from .schedule import rate
from .settings import TrainingSettings

LOG = logging.getLogger(__name__)


class TrainingRun:
    """A network in training.

    Parameters
    ----------
    network : Classifier
        Whose layers are trained; it is not changed.
    options : TrainingOptions
    settings : TrainingSettings
    resumed : bool
        Whether a checkpoint will be loaded: then no weights file is read.

    Attributes
    ----------
    layers : list of Layer
    parameters : Parameters
        The current ones.
    state : State
    amid : bool
        Whether an iteration has begun and not ended: then the parameters are not those of `state`.

    Raises
    ------
    CfgError
        Where a layer cannot be trained.
    UsageError
        Where there is too little memory, or the settings do not fit the network.
    WeightsError
        Where a weights file cannot be read.
    """

    def __init__(
        self, network: Classifier, options: TrainingOptions, settings: TrainingSettings, resumed: bool = False
    ) -> None:
        self.options, self.settings = options, settings
        self.layers = _freeze(network, settings.freeze)
        check_trainable(self.layers, options.pass_size)
        _tell_uncounted(self.layers)
        first, seen = (Parameters.zeros(self.layers), 0) if resumed else _begin(network, self.layers, settings)

        def build(pass_size: int) -> TrainingPlan:
            return compile_training(settings.engine, self.layers, first, pass_size, settings.threads)

        self._plan = build_within_limits(build, options, network.file)
        self.parameters = self._plan.parameters
        self._optimizer = make_optimizer(self._plan, options)
        self.state = State(settings.seed, seen // options.batch, seen=seen)
        self.amid = False

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays that a checkpoint holds besides the state."""
        flat = {"parameters": self.parameters.values, "gradients": self._plan.gradients.values}
        return {**flat, **self._optimizer.state}

    def save(self, path: str | os.PathLike[str], description: Mapping[str, str]) -> None:
        """Write a checkpoint, from which a run of the same `description` can go on."""
        save_checkpoint(path, description, self.state, self.arrays)

    def load(self, path: str | os.PathLike[str], description: Mapping[str, str]) -> None:
        """Go on from a checkpoint."""
        self.state = load_checkpoint(path, description, self.arrays)
        self._optimizer.count = self.state.updates

    def iterate(self, next_batch: Callable[[], Batch]) -> None:
        """Run one iteration: as many passes as there are subdivisions, then an update.

        Raises
        ------
        TrainingError
            Where the learning rate is not valid, or the loss not finite; there is no update then.
        """
        options, state, loss = self.options, self.state, 0.0
        iteration = (state.seen + options.batch) // options.batch
        now = rate(options, iteration, state.seed)
        for number in range(options.subdivisions):
            batch, seen = next_batch(), state.seen + number * options.pass_size
            self.amid = True
            with np.errstate(all="ignore"):  # what is not finite is found below
                loss += self._plan.step(batch.images, batch.truths, generator(state.seed, Purpose.LAYERS, seen))
            if not math.isfinite(loss):
                raise self._diverged(iteration, now, f"the loss is {loss}", batch, seen)
        with np.errstate(all="ignore"):
            self._optimizer.update(now)
        loss /= options.batch
        average = 0.9 * state.average + 0.1 * loss if state.iterations else loss
        state.history.add_iteration(iteration, loss, average, now)
        self.state = replace(
            state,
            iteration=iteration,
            iterations=state.iterations + 1,
            seen=state.seen + options.batch,
            updates=self._optimizer.count,
            loss=loss,
            average=average,
            rate=now,
        )
        self.amid = False

    def check(self) -> None:
        """Raise TrainingError where a parameter is not finite, so that none such is saved."""
        broken = _find_broken(self.parameters)
        if broken:
            raise self._diverged(self.state.iteration, self.state.rate, broken)

    def _diverged(
        self, iteration: int, now: float, what: str, batch: Batch | None = None, seen: int = 0
    ) -> TrainingError:
        where = _find_broken(self.parameters)
        if batch is not None and not where:
            where = self._find_layer(batch, generator(self.state.seed, Purpose.LAYERS, seen))
        where = f": {where}" if where and where != what else ""
        return TrainingError(
            f"iteration {iteration}, rate {now:g}: {what}{where}; a lower learning_rate, or a burn_in, may help"
        )

    def _find_layer(self, batch: Batch, random: np.random.Generator) -> str:
        """The first layer whose output is not finite, found by the layers' definitions, in words; else ""."""
        values = {-1: batch.images}
        with np.errstate(all="ignore"):
            for layer, parameters in zip(self.layers, self.parameters, strict=True):
                drawn = layer.draw(len(batch.images), random)
                values[layer.index], _ = layer.train([values[i] for i in layer.inputs], parameters, drawn)
                if not np.isfinite(values[layer.index]).all():
                    return f"layer {layer.index} [{layer.section.name}] gives NaN or infinity"
        return ""


def _find_broken(parameters: Parameters) -> str:
    """The first parameter that is not finite, in words; empty where all are."""
    values = parameters.values
    with np.errstate(all="ignore"):
        if np.isfinite(values.sum()):  # then all are; the sum of finite ones may still overflow
            return ""
    for entry in parameters.entries:
        if not np.isfinite(values[entry.part]).all():
            return f"{entry.label} are NaN or infinite"
    return ""


def _freeze(network: Classifier, count: int) -> list[Layer]:
    """Copies of the network's layers, of which the first `count` do not learn."""
    layers = [copy(layer) for layer in network.layers]
    if count:
        if count >= len(layers):
            raise UsageError(f"{count} layers are to be frozen, and there are only {len(layers)}", file=network.file)
        layers[count - 1].stops = True
    return layers


def _tell_uncounted(layers: Sequence[Layer]) -> None:
    """Warn of layers that do not count, as the layer before them already compares with the truth."""
    counted = {layer.index for layer in measuring(layers)}
    for layer in layers:
        if layer.measures and layer.index not in counted:
            (first,) = (layers[source] for source in layer.inputs)
            reason = (
                f"does not count: [{first.section.name}] before it has the loss, whose gradient darknet would double"
            )
            where = f"{layer.section.file}:{layer.section.line}: [{layer.section.name}]"
            warnings.warn(DarknetWarning(f"{where}: {reason}"), stacklevel=4)


def _begin(network: Classifier, layers: Sequence[Layer], settings: TrainingSettings) -> tuple[Parameters, int]:
    """The parameters to begin with, and how many images they have seen."""
    given = settings.weights or settings.pretrained
    if given is not None:
        choose_dialect(network.dialect.name, given)  # warns where the file was written by another program
    if settings.weights is not None:
        loaded = load_weights(settings.weights, network)
        return Parameters(layers, loaded.read_all().values), 0 if settings.clear else loaded.header.seen
    parameters, filled = Parameters.zeros(layers), 0
    if settings.pretrained is not None:
        filled = load_first(settings.pretrained, network, parameters)
        LOG.info("%s: weights of the first %d layers of %d", settings.pretrained, filled, len(layers))
    _tell_random(network, layers[filled : settings.freeze])
    set_first(parameters, settings.seed, filled)
    return parameters, 0


def _tell_random(network: Classifier, frozen: Sequence[Layer]) -> None:
    """Warn of layers that are frozen before they have learned anything."""
    numbers = [layer.index for layer in frozen if layer.parameters]
    if numbers:
        reason = (
            f"layers {numbers[0]} to {numbers[-1]} are frozen at random first weights; pretrained ones are expected"
        )
        warnings.warn(DarknetWarning(f"{network.file}: {reason}"), stacklevel=4)
