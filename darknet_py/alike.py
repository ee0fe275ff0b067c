"""Run a network's inputs of one shape together; check that features of several pictures have one shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from .errors import UsageError

if TYPE_CHECKING:
    from .layers import Array

Answer = TypeVar("Answer")


def run_alike(views: Sequence[Array], run: Callable[[Sequence[Array]], Iterable[Answer]]) -> list[Answer]:
    """Return what `run` gives for each of `views`, a network's inputs; those of one shape are passed to it together."""
    places: dict[tuple[int, ...], list[int]] = {}
    for place, view in enumerate(views):
        places.setdefault(view.shape, []).append(place)
    answers: dict[int, Answer] = {}
    for alike in places.values():
        answers |= zip(alike, run([views[place] for place in alike]), strict=True)
    return [answers[place] for place in range(len(views))]


def check_alike(shape: tuple[int, ...], first: tuple[int, ...], remedy: str = "preprocess=letterbox") -> None:
    """Raise UsageError, which names the remedy, unless the features of two pictures have one shape."""
    if shape != first:
        shapes = " and ".join(" x ".join(map(str, one)) for one in (first, shape))
        found = f"features of {shapes}, of pictures of several proportions"
        raise UsageError(f"{found}; pool them, or fit all alike: {remedy}")
