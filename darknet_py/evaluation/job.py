"""A description of what is measured, by which another run, or another machine, can measure the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..classifier import Classifier
from ..datasets.data_file import Dataset
from ..datasets.lists import locate_images
from ..datasets.samples import Sample
from ..errors import WeightsError
from ..files import digest_bytes, digest_file, resolve
from ..runs.identity import DIGITS, digest_texts
from ..version import __version__


@dataclass(frozen=True)
class Job:
    """How images are measured, and by which network.

    Attributes
    ----------
    version : str
        Of this package.
    command, preprocess, engine, precision, dialect : str
    cfg, weights : str
        SHA-256 of the files; empty where nothing needs it.
    named : tuple of (str, str)
        The name in the cfg of each file that it names, and its SHA-256.
    size : tuple of int
        Height and width of the network's input.
    keep, shown : int
        How many guesses, and how many of the first classes' probabilities, an outcome holds.
    only_leaves : bool
        As `Classifier.probabilities` takes it.
    """

    version: str
    command: str
    preprocess: str
    engine: str
    precision: str
    dialect: str
    cfg: str
    weights: str
    named: tuple[tuple[str, str], ...]
    size: tuple[int, int]
    keep: int
    shown: int
    only_leaves: bool

    @property
    def digests(self) -> frozenset[str]:
        """Those of all files that the network is made of."""
        return frozenset([self.cfg, self.weights, *dict(self.named).values()])

    def describe(self, samples: Sequence[Sample], dataset: Dataset) -> dict[str, str]:
        """The job and the images, for a journal: two runs in which all of these are equal have the same outcomes.

        The images are identified by their paths; `dataset` says in which folders they are looked for.
        """
        paths = locate_images((sample.file for sample in samples), dataset)
        return {
            "version": self.version,
            "command": self.command,
            "preprocess": self.preprocess,
            "engine": self.engine,
            "precision": self.precision,
            "dialect": self.dialect,
            "cfg": f"sha256 {self.cfg[:DIGITS]}",
            "weights": f"sha256 {self.weights[:DIGITS]}",
            **{f"file {name}": f"sha256 {digest[:DIGITS]}" for name, digest in self.named},
            "input": "{1} x {0}".format(*self.size),
            "classes told": "leaves" if self.only_leaves else "all",
            "guesses kept (--top)": str(self.keep),
            "list": f"{len(samples)} images, sha256 {digest_texts(paths)}",
            "classes": f"sha256 {digest_texts(str(sample.truth) for sample in samples)}",
        }


def make_job(
    command: str,
    network: Classifier,
    preprocess: str,
    keep: int,
    shown: int,
    only_leaves: bool = True,
    passing: bool = False,
) -> Job:
    """The job for a network that was loaded with weights; it has no digests of files where it is `passing`: not kept.

    Raises
    ------
    WeightsError
        Where the weights cannot be read, or have changed since.
    """
    cfg = weights = ""
    named: tuple[tuple[str, str], ...] = ()
    if not passing:
        files = network.cfg_files
        cfg = digest_bytes(files.content)
        named = tuple((name, digest_bytes(file.content)) for name, file in files.named.items())
        weights = digest_file(network.weights_file, WeightsError)
        network.check_unchanged()  # so that the digest is of what was loaded
    how = network.engine, network.precision, network.dialect.name
    return Job(
        __version__, command, preprocess, *how, cfg, weights, named, network.input_shape[1:], keep, shown, only_leaves
    )


def network_files(network: Classifier, job: Job) -> dict[str, Path]:
    """The paths of the files that a job's network was loaded from, by their SHA-256."""
    paths = network.cfg_files.paths
    named = {digest: resolve(paths[name]) for name, digest in job.named}
    return {**named, job.cfg: resolve(network.file), job.weights: network.weights_file}
