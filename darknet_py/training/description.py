"""A description of a training run, by which a later one can tell whether it may resume from its checkpoint."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from ..cfg import Section
from ..classifier import Classifier
from ..datasets.samples import Sample
from ..runs.identity import digest_texts
from .options import TrainingOptions
from .settings import TrainingSettings


def describe_run(
    network: Classifier,
    samples: Sequence[Sample],
    validation: Sequence[Sample],
    options: TrainingOptions,
    settings: TrainingSettings,
) -> dict[str, str]:
    """All that the bytes of a run's weights depend on, in words: not the threads, and not when it is stopped."""
    # Described by their names: they are only read at the start, and the run itself may have overwritten them since.
    files = {"weights": settings.weights, "pretrained weights": settings.pretrained}
    return {
        "cfg": f"sha256 {digest_texts(_say(network.sections))}",
        **{name: "none" if path is None else os.fspath(path) for name, path in files.items()},
        "images": _describe(samples),
        "images to validate": _describe(validation),
        "dialect": network.dialect.name,
        "classes": str(network.dataset.classes),
        "engine": settings.engine,
        "seed": str(settings.seed),
        "clear": str(settings.clear),
        "frozen layers": str(settings.freeze),
        "sampling": settings.sampling,
        "validate every": str(settings.validate_every),
        **options.describe(),
    }


def _say(sections: Iterable[Section]) -> Iterator[str]:
    """What a cfg says, independent of its comments, blanks and order of keys."""
    for section in sections:
        yield f"[{section.name}]"
        yield from sorted(f"{key}={entry.value}" for key, entry in section.entries.items())


def _describe(samples: Sequence[Sample]) -> str:
    return f"{len(samples)}, sha256 {digest_texts(f'{sample.truth} {sample.file}' for sample in samples)}"
