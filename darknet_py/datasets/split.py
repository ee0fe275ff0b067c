"""A part of the samples that is not trained on, to measure what was learned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from .samples import Sample


def hold_out(samples: Sequence[Sample], fraction: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Divide samples into those to train on and those held out: `fraction` of each class, drawn.

    Of a class of two pictures or more at least one is on either side, of others none is held out. Samples of one file
    stay together. Both parts keep the order of `samples`; the same samples in the same order are divided alike.

    Parameters
    ----------
    samples : sequence of Sample
    fraction : float
        Of 0..1; 0 holds out none.
    seed : int
    """
    files: dict[int, dict[str, None]] = defaultdict(dict)
    for sample in samples:
        files[sample.truth][sample.file] = None
    held: set[tuple[int, str]] = set()
    for truth, of_class in files.items():
        count = min(max(round(len(of_class) * fraction), 1), len(of_class) - 1) if fraction else 0
        # A truth of -1 is one too.
        random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(truth + 1,)))
        names = list(of_class)
        held |= {(truth, names[at]) for at in random.permutation(len(names))[:count]}
    parts: tuple[list[Sample], list[Sample]] = [], []
    for sample in samples:
        parts[(sample.truth, sample.file) in held].append(sample)
    return parts
