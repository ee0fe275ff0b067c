"""The page of darknet classifier train."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing, nullcontext
from typing import TYPE_CHECKING

from ..errors import WeightsError
from ..interrupt import Stop
from ..streams import remark, say
from .train_setup import Setup

if TYPE_CHECKING:
    from ..pages.training import TrainingPage


def open_page(setup: Setup, resumed: bool, stop: Stop) -> AbstractContextManager[TrainingPage | None]:
    """Open the page that --report asks for, with what a resumed run had to show; None without --report."""
    if not setup.args.report:
        return nullcontext()
    from ..pages.training import TrainingFacts, TrainingPage
    from ..training.checkpoint import read_state

    network, source, files = setup.network, setup.source, setup.files
    weights = files.best if source.validation else files.last
    facts = TrainingFacts(files.name, setup.cfg, str(weights), network.dataset.file, setup.options, len(source.samples))
    page = TrainingPage(setup.args.report, facts, network.dataset, source.validation)
    if resumed:
        state = read_state(files.checkpoint)
        page.history = state.history
        if state.best_iteration:
            _show_best(setup, page, state.best_iteration, stop)
    return page


def _show_best(setup: Setup, page: TrainingPage, iteration: int, stop: Stop) -> None:
    """Measure the earlier run's best weights again: the checkpoint does not keep what they get wrong."""
    from ..training.trainer import validate

    weights = setup.files.best
    remark(f"{weights} is measured for {page.path}")
    try:
        with closing(validate(setup.network, weights, setup.source.validation, setup.settings)) as validated:
            for progress in validated:
                page.look(progress, iteration)
                if stop.signum:
                    return
    except WeightsError as reason:
        say(f"{reason}; {page.path} will not tell what they get wrong")
