"""The loop that trains a network, for other programs and for the command."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ..classifier import Classifier
from ..datasets.lists import find_image
from ..datasets.samples import Sample, check_samples
from ..engines import find_warp
from ..errors import DarknetError, DatasetError, TrainingError, UsageError
from ..evaluation.loop import EvaluationProgress, evaluate
from ..limits import core_count
from ..parameters import Parameters
from ..running import Settings
from ..runs.progress import Progress
from ..weights import save_weights
from .description import describe_run
from .history import History
from .loader import AHEAD, Batch, Feed, Loader
from .mixing import Mixing
from .options import TrainingOptions
from .run import TrainingRun
from .run_files import TrainingFiles
from .sampler import make_sampler
from .settings import TrainingSettings

if TYPE_CHECKING:
    from ..runs.lock import Lock

SAVED = 300.0  # seconds from one checkpoint to the next, between validations


@dataclass(frozen=True)
class TrainingProgress(Progress):
    """How far training has come; its units are images.

    Attributes
    ----------
    iteration : int
        As darknet counts: images seen / batch.
    epoch : float
        Images seen / images in the list.
    loss, average, rate : float
        The loss of the last iteration, its moving average, and the rate of the last update.
    waiting, working : float
        Seconds that the last iteration waited for its images, which may have been made meanwhile, and the rest of its
        time.
    validation : EvaluationProgress, optional
        How far a validation of the current network has come; None after an iteration.
    remark : str
        What is odd about a complete validation; else empty.
    best : float
        The best top-1 of a validation so far; below 0 where there was none.
    best_iteration : int
        The iteration after which that was.
    history : History
        Loss, rate and validations of the whole run so far: the next iteration adds to it.
    parameters : Parameters
        The current ones: the next iteration changes them.
    """

    iteration: int
    epoch: float
    loss: float
    average: float
    rate: float
    waiting: float
    working: float
    validation: EvaluationProgress | None
    remark: str
    best: float
    best_iteration: int
    history: History
    parameters: Parameters


def train(
    network: Classifier,
    samples: Sequence[Sample],
    options: TrainingOptions | None = None,
    settings: TrainingSettings | None = None,
    *,
    validation: Sequence[Sample] = (),
    files: TrainingFiles | None = None,
    resume: bool = False,
) -> Generator[TrainingProgress, None, None]:
    """Train a network on images whose classes are known.

    This is an iterator that works only while the next item is asked for; it may be abandoned, or closed, at any time.
    It writes its checkpoint when it is closed, and where an error ends it, unless an iteration is half done. The same
    options, settings and files give the same weights in every run, bit for bit.

    Parameters
    ----------
    network : Classifier
        From `load_network`; it is trained at its present size, from its weights, where it has some and `settings` name
        no others. Its dataset says where the images are looked for. It is not changed.
    samples : sequence of Sample
        As `load_samples` gives them; all classes must be known.
    options : TrainingOptions, optional
        Where absent, those of the network's cfg.
    settings : TrainingSettings, optional
    validation : sequence of Sample
        Images that are not trained on, by which the best weights are chosen; where empty, there is no validation.
    files : TrainingFiles, optional
        Where checkpoints and weights are written, replacing those there; where absent, none are kept.
    resume : bool
        Whether to go on from the checkpoint.

    Yields
    ------
    TrainingProgress
        After each iteration, and while the network is validated.

    Raises
    ------
    UsageError, DatasetError, CfgError, WeightsError, CheckpointError
        At the call, where an argument makes no sense, a file is wrong, or the network cannot be trained.
    TrainingError
        Where a loss or a parameter is not finite: what was saved before is valid.
    """
    options = options or TrainingOptions.of(network)
    settings = settings or TrainingSettings()
    if network.engine and settings.weights is None and settings.pretrained is None:
        network.check_unchanged()
        settings = replace(settings, weights=network.weights_file)
    _check(network, samples, validation, options)
    if resume and files is None:
        raise UsageError("resume asks for files, where the checkpoint lies")
    description = describe_run(network, samples, validation, options, settings)
    run = TrainingRun(network, options, settings, resume)
    if not resume and run.state.iteration >= options.max_batches:
        done = f"already at max_batches={options.max_batches}, after {run.state.seen} images"
        reason = f"{done}; -clear, or clear=True, counts from 0"
        raise UsageError(reason, file=settings.weights)
    with ExitStack() as undo:
        lock = None
        if files is not None:
            lock = files.lock()  # not earlier, so that a refused call leaves no folder
            undo.callback(lock.release)
            if resume:
                run.load(files.checkpoint, description)
        undo.pop_all()  # the lock is held until the run ends
    return _Trainer(network, samples, validation, run, description, files, lock).train()


def _check(
    network: Classifier, samples: Sequence[Sample], validation: Sequence[Sample], options: TrainingOptions
) -> None:
    """Raise an error where the arguments do not go together."""
    if not options.max_batches:
        raise UsageError("max_batches= is missing: after how many iterations training ends", file=network.file)
    network.check_pictures()
    _, height, width = network.input_shape
    if height != width:
        reason = f"takes pictures of {width} x {height}; training makes squares of them: set width=, height= alike"
        raise UsageError(reason, file=network.file)
    size = options.augmentation.size
    if size != width:
        reason = f"takes pictures of {width} x {height}, and the options make them {size} x {size}; TrainingOptions.of"
        raise UsageError(f"{reason} makes those for its present size", file=network.file)
    if not samples:
        raise DatasetError("no samples; at least one is expected")
    check_samples((*samples, *validation))
    for sample in (*samples, *validation):
        least = -1 if network.dataset.classes == 1 and not sample.doubt else 0
        if not least <= sample.truth < network.dataset.classes:
            reason = sample.doubt or f"is of class {sample.truth}, but there are {network.dataset.classes}"
            raise DatasetError(reason, file=sample.file)


def make_feed(
    network: Classifier, samples: Sequence[Sample], options: TrainingOptions, settings: TrainingSettings
) -> Feed:
    """The samples in their order, with how the options say that they are changed and mixed."""
    dataset = network.dataset
    return Feed(
        samples,
        dataset.classes,
        make_sampler(settings.sampling, [sample.truth for sample in samples], settings.seed),
        settings.seed,
        options.augmentation,
        Mixing(options.mixing),
        options.label_smooth_eps,
        lambda file: find_image(file, dataset),
        network.input_shape.channels,
    )


def validate(
    network: Classifier, weights: Path, samples: Sequence[Sample], settings: TrainingSettings
) -> Generator[EvaluationProgress, None, None]:
    """Evaluate the network with `weights` as ``valid`` does, at its present size; its cfg is not read again."""
    loaded = Classifier(network, weights, Settings(settings.engine, settings.threads, dialect=network.dialect.name))
    loaded.resize(*network.input_shape[1:])
    loaded.dataset = network.dataset
    return evaluate(loaded, samples, threads=settings.threads)


class _Trainer:
    """The loop of `train`."""

    def __init__(
        self,
        network: Classifier,
        samples: Sequence[Sample],
        validation: Sequence[Sample],
        run: TrainingRun,
        description: dict[str, str],
        files: TrainingFiles | None,
        lock: Lock | None,
    ) -> None:
        self.network, self.samples, self.validation = network, samples, validation
        self.run, self.description, self.files = run, description, files
        self.waiting = self.working = 0.0
        self.start, self.before = time.perf_counter(), run.state.seen
        self.saved, self.saved_at = run.state, self.start
        self.lock = lock

    def train(self) -> Generator[TrainingProgress, None, None]:
        """Run the iterations up to the last; see the function `train`."""
        run = self.run
        try:
            if run.state.validated < run.state.iteration and self._is_due():
                yield from self._settle()  # the validation in which the earlier run was stopped
            with self._open_loader() as batches:
                while run.state.iteration < run.options.max_batches:
                    self._iterate(batches)
                    yield self._tell()
                    if self._is_due():
                        yield from self._settle()
                    elif time.perf_counter() - self.saved_at > SAVED:
                        self._save()
        except GeneratorExit:
            self._save()
            raise
        except TrainingError as error:
            if self.files is None or not run.state.validated:
                raise
            reason = f"{error.reason}; {self.files.last} has the weights of iteration {run.state.validated}"
            raise TrainingError(reason) from None
        except BaseException:
            if not run.amid:
                with suppress(DarknetError):  # the first error is to be reported
                    self._save()
            raise
        finally:
            if self.lock is not None:
                self.lock.release()

    def _open_loader(self) -> Loader:
        """The batches of the iterations that are left."""
        run = self.run
        feed = make_feed(self.network, self.samples, run.options, run.settings)
        threads = run.settings.threads or core_count()
        # On two cores, two threads that load beside two that train tiny reached 0.86 of the images per second of passes
        # alone; where they take turns, it was 0.95. The reference engine mostly uses one thread.
        in_turns = run.settings.engine != "reference" and threads >= core_count()
        ahead = 0 if in_turns else AHEAD
        return Loader(feed, run.options.pass_size, run.state.seen, threads, ahead, find_warp(run.settings.engine))

    def _iterate(self, batches: Iterator[Batch]) -> None:
        """Run one iteration, and measure its time."""
        start, self.waiting = time.perf_counter(), 0.0

        def next_batch() -> Batch:
            asked = time.perf_counter()
            batch = next(batches)
            self.waiting += time.perf_counter() - asked
            return batch

        self.run.iterate(next_batch)
        self.working = time.perf_counter() - start - self.waiting

    def _is_due(self) -> bool:
        """Whether the network is validated and saved after this iteration."""
        state, options, every = self.run.state, self.run.options, self.run.settings.validate_every
        if not state.iterations:
            return False
        if every:
            due = state.iteration % every == 0
        else:
            due = state.seen // len(self.samples) > (state.seen - options.batch) // len(self.samples)
        return due or state.iteration == options.max_batches

    def _settle(self) -> Generator[TrainingProgress, None, None]:
        """Save the weights, validate them, save the best ones, and write the checkpoint."""
        run, last, answers = self.run, None, set[int]()
        run.check()
        with TemporaryDirectory() if self.files is None else nullcontext(self.files.folder) as folder:
            files = self.files or TrainingFiles(Path(folder), "network")
            if self.files or self.validation:
                save_weights(files.last, run.parameters, run.state.seen)
            if self.validation:
                with closing(validate(self.network, files.last, self.validation, run.settings)) as validated:
                    for last in validated:
                        answers |= {outcome.guesses[0][0] for outcome in last.outcomes if outcome.guesses}
                        if not last.complete:
                            yield self._tell(last)
        state = replace(run.state, validated=run.state.iteration)
        if last is not None and last.totals.accuracy > state.best:
            state = replace(state, best=last.totals.accuracy, best_iteration=state.iteration)
            if self.files:
                save_weights(self.files.best, run.parameters, state.seen)
        if last is not None:
            state.history.add_score(state.iteration, last.totals)
        run.state = state
        if last is not None:
            yield self._tell(last, self._remark_on(answers))
        self._save()  # after the yield: whoever keeps a log has the result, whatever happens now

    def _remark_on(self, answers: set[int]) -> str:
        """A remark where all images, of several classes, get the same answer from the network; else ""."""
        if len(answers) != 1 or len({sample.truth for sample in self.validation}) < 2:
            return ""
        (answer,) = answers
        name = self.network.dataset.names[answer]
        return f"iteration {self.run.state.iteration}: the network answers {name} to every image of the validation"

    def _save(self) -> None:
        """Write the checkpoint, unless the current state has been saved."""
        if self.files is not None and self.saved is not self.run.state:
            self.run.check()
            self.run.save(self.files.checkpoint, self.description)
            self.saved = self.run.state
        self.saved_at = time.perf_counter()

    def _tell(self, validation: EvaluationProgress | None = None, remark: str = "") -> TrainingProgress:
        state, options = self.run.state, self.run.options
        return TrainingProgress(
            done=state.seen,
            total=options.max_batches * options.batch,
            fresh=state.seen - self.before,
            seconds=time.perf_counter() - self.start,
            iteration=state.iteration,
            epoch=state.seen / len(self.samples),
            loss=state.loss,
            average=state.average,
            rate=state.rate,
            waiting=self.waiting,
            working=self.working,
            validation=validation,
            remark=remark,
            best=state.best,
            best_iteration=state.best_iteration,
            history=state.history,
            parameters=self.run.parameters,
        )
