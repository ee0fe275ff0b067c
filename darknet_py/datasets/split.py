"""Samples that are held out of training, to measure what was learned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ..errors import UsageError
from .samples import Sample


def hold_out(samples: Sequence[Sample], fraction: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Divide samples into those to train on and those held out: a random `fraction` of each class.

    A class of two pictures or more has at least one on either side, unless `fraction` is 0; others have none held out.
    Samples of one file stay together. Both parts keep the order of `samples`; the same samples in the same order are
    divided alike.

    Parameters
    ----------
    samples : sequence of Sample
    fraction : float
        From 0, which holds out none, to less than 1.
    seed : int

    Raises
    ------
    UsageError
        Where `fraction` is outside that range.
    """
    if not 0 <= fraction < 1:
        raise UsageError(f"fraction={fraction}: a number from 0 to less than 1 is expected")
    files: dict[int, dict[str, None]] = defaultdict(dict)
    for sample in samples:
        files[sample.truth][sample.file] = None
    held: set[tuple[int, str]] = set()
    for truth, of_class in files.items():
        count = min(max(round(len(of_class) * fraction), 1), len(of_class) - 1) if fraction else 0
        # A truth of -1 counts as a class, too.
        random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(truth + 1,)))
        names = list(of_class)
        held |= {(truth, names[at]) for at in random.permutation(len(names))[:count]}
    parts: tuple[list[Sample], list[Sample]] = [], []
    for sample in samples:
        parts[(sample.truth, sample.file) in held].append(sample)
    return parts
