"""Made-up runs for the tests of pages, and what is on a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html.parser import HTMLParser

import numpy as np
from support_valid import some_job

from darknet_py.datasets.data_file import Dataset
from darknet_py.datasets.samples import Sample
from darknet_py.evaluation.outcome import Outcome
from darknet_py.evaluation.totals import Summary, Totals
from darknet_py.runs.progress import Progress

VOID = {"meta", "input", "img", "path"}
BLOCKS = {"dt", "dd", "td", "th", "p", "h1", "h2", "h3"}
HOSTILE = "</script><script>alert(1)</script>'\"&amp;<b>.jpg"


class Page(HTMLParser):
    """The page's elements, and the text that is read on it."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_bytes().decode()
        self.open, self.elements, self.texts = [], [], []
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in BLOCKS:
            self.texts.append(" ")

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.texts.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.texts))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def check_references(self):
        """Assert that it refers to nothing outside, and that the target of each link and label is there."""
        assert not re.search(r"https?:|//[a-z]|url\(|@import|image-set|srcset", self.source)
        assert self.all("link") == self.all("iframe") == self.all("form") == []
        assert self.all("script") == [{}]
        references = [attrs[key] for _, attrs in self.elements for key in ("src", "href", "action") if key in attrs]
        assert all(reference.startswith(("#", "data:image/jpeg;base64,")) for reference in references)
        ids = [attrs["id"] for _, attrs in self.elements if "id" in attrs]
        assert len(ids) == len(set(ids))
        for _, attrs in self.elements:
            for key in ("href", "for", "aria-labelledby"):
                assert key not in attrs or attrs[key].lstrip("#") in ids


def make_dataset(classes: int) -> Dataset:
    """Classes with names and ids."""
    names = [f"name {index}" for index in range(classes)]
    return Dataset("x.data", classes, names, [f"n{index:08}" for index in range(classes)], 5)


def make_run(images: int, classes: int, exclude: bool = True) -> tuple[list[Sample], list[Outcome]]:
    """Images that are of all classes but the last, and guesses that are often right."""
    rng = np.random.default_rng(5)
    samples, outcomes = [], []
    for index in range(images):
        truth = int(rng.integers(classes - 1))
        guesses = rng.choice(classes, 5, replace=False).tolist()
        if rng.random() < 0.6:
            guesses = [truth, *[guess for guess in guesses if guess != truth][:4]]
        # As short as they are told, so that some are equal.
        probabilities = np.sort(rng.dirichlet([1] * 6).round(3))[:0:-1].tolist()
        unknown, unreadable = (rng.random(2) < 0.02) & exclude
        samples.append(Sample(f"{index}.jpg", -1, "no label") if unknown else Sample(f"{index}.jpg", truth))
        pairs = list(zip(guesses, probabilities, strict=True))
        outcomes.append(Outcome(index, error="an empty file") if unreadable else Outcome(index, pairs))
    return samples, outcomes


def summarize_run(samples: Sequence[Sample], outcomes: Iterable[Outcome], top: int = 5, cfg: str = "tiny") -> Summary:
    """The summary of a run that took ten seconds."""
    totals = Totals(top)
    for outcome in outcomes:
        totals.add(samples[outcome.index], outcome)
    return Summary(
        job=some_job(),
        cfg=cfg,
        weights="tiny.weights",
        data="x.data",
        totals=totals,
        progress=Progress(totals.images, len(samples), totals.images, seconds=10.0),
    )
