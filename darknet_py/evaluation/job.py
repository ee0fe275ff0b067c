"""A description of what is measured, by which another run, or another machine, can measure the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..classifier import Classifier
from ..datasets.samples import Sample
from ..errors import CfgError, WeightsError
from ..files import digest_file, resolve
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
    keep, shown : int
        How many guesses, and how many of the first classes' probabilities, an outcome holds.
    """

    version: str
    command: str
    preprocess: str
    engine: str
    precision: str
    dialect: str
    cfg: str
    weights: str
    keep: int
    shown: int

    def describe(self, samples: Sequence[Sample]) -> dict[str, str]:
        """The job and the images, for a journal: two runs in which all of these are equal have the same outcomes."""
        return {
            "version": self.version,
            "command": self.command,
            "preprocess": self.preprocess,
            "engine": self.engine,
            "precision": self.precision,
            "dialect": self.dialect,
            "cfg": f"sha256 {self.cfg[:DIGITS]}",
            "weights": f"sha256 {self.weights[:DIGITS]}",
            "guesses kept (--top)": str(self.keep),
            "list": f"{len(samples)} images, sha256 {digest_texts(sample.file for sample in samples)}",
            "classes": f"sha256 {digest_texts(str(sample.truth) for sample in samples)}",
        }


def make_job(command: str, network: Classifier, preprocess: str, keep: int, shown: int, passing: bool = False) -> Job:
    """The job for a network that was loaded with weights; it has no digests of files where it is `passing`: not kept.

    Raises
    ------
    CfgError, WeightsError
        Where a file cannot be read, or the weights have changed since.
    """
    cfg, weights = network_files(network)
    digests = ("", "")
    if not passing:
        digests = digest_file(cfg, CfgError), digest_file(weights, WeightsError)
        network.check_unchanged()  # so that the digests are of what was loaded
    how = network.engine, network.precision, network.dialect.name
    return Job(__version__, command, preprocess, *how, *digests, keep, shown)


def network_files(network: Classifier) -> tuple[Path, Path]:
    """The cfg and the weights file that a network was loaded from."""
    return resolve(network.file), network.weights_file
