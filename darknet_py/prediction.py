"""A network's guesses about a picture."""

from __future__ import annotations

from dataclasses import dataclass

BAR = 12  # em, for a probability of 1


@dataclass(frozen=True)
class Prediction:
    """One guess.

    Attributes
    ----------
    index : int
        The class's index.
    wnid : str
        Its label: for ImageNet the WordNet id.
    label : str
        Its name.
    probability : float
    parent : str, optional
        In a hierarchy, the name of its parent; empty where it has none.
    """

    index: int
    wnid: str
    label: str
    probability: float
    parent: str | None = None

    def _repr_html_(self) -> str:
        return Predictions([self])._repr_html_()


class Predictions(list[Prediction]):
    """The guesses for a picture, most probable first: a list, which notebooks show as a table with bars."""

    def _repr_html_(self) -> str:
        rows = "".join(map(_show_row, self))
        return f'<table class="darknet-predictions">{rows}</table>'


def _show_row(guess: Prediction) -> str:
    from html import escape  # which takes longer to import than all of this

    width = BAR * min(max(0.0, guess.probability), 1.0)  # without softmax it may be anything
    bar = f'<div style="width: {width:.2f}em; height: 0.8em; background: #4878a8"></div>'
    kind = f" ({escape(guess.parent)})" if guess.parent else ""
    title = escape(f"{guess.index}, {guess.wnid}")
    cells = f'<td style="text-align: left" title="{title}">{escape(guess.label)}{kind}</td>'
    return f'<tr>{cells}<td>{guess.probability:.2%}</td><td style="width: {BAR}em">{bar}</td></tr>'
