"""What a network is trained on: class folders or a .data file, and what the program needs to use the weights later."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from ..datasets.data_file import Dataset, load_dataset
from ..datasets.folder import load_folder
from ..datasets.samples import Sample
from ..datasets.split import hold_out
from ..datasets.truths import load_training
from ..errors import DatasetError, UsageError
from ..files import describe_oserror
from ..network import load_structure
from .outputs import rewrite_cfg
from .replacing import Replacing

PREPROCESS = "center-crop"  # of pictures that are not trained on: next to what training sees of them
HELD_OUT = 0.1  # of a folder's pictures, where there are no others to validate


@dataclass(frozen=True)
class Source:
    """Images of known classes.

    Attributes
    ----------
    dataset : Dataset
    samples, validation : sequence of Sample
        To train on, and to measure what was learned.
    """

    dataset: Dataset
    samples: Sequence[Sample]
    validation: Sequence[Sample]


def read_folder(folder: str, valid: str | None, holdout: float | None, seed: int) -> Source:
    """The pictures of a folder with a folder for each class.

    Parameters
    ----------
    folder : str
    valid : str, optional
        Another such folder, whose pictures are those to validate.
    holdout : float, optional
        The part of `folder` that is, where `valid` is absent.
    seed : int
        Of which pictures these are.

    Raises
    ------
    DatasetError
        Where a folder is not as it should be, or they have other classes.
    """
    found = load_folder(folder)
    top = 5 if len(found.names) > 10 else 1
    dataset = Dataset(folder, len(found.names), found.names, found.names, top, folder=os.path.abspath(valid or folder))
    if valid is None:
        samples, validation = hold_out(found.samples, HELD_OUT if holdout is None else holdout, seed)
        return Source(dataset, samples, validation)
    _check_one(holdout)
    other = load_folder(valid)
    unknown = [name for name in other.names if name not in found.names]
    if unknown:
        reason = f"{unknown[0]} is none of the {len(found.names)} classes of {folder}"
        raise DatasetError(reason, file=valid)
    places = [found.names.index(name) for name in other.names]
    return Source(dataset, found.samples, [_renumber(sample, places) for sample in other.samples])


def _renumber(sample: Sample, places: Sequence[int]) -> Sample:
    """The sample, its class numbered anew."""
    return sample._replace(truth=places[sample.truth])


def read_data_file(data: str, match: str, valid: str | None, holdout: float | None, seed: int) -> Source:
    """The images that a .data file lists; to validate those of ``valid``, but where `valid` or `holdout` say else.

    Raises
    ------
    DatasetError
        Where a file cannot be read, or an image bears not one label.
    """
    dataset = load_dataset(data)
    if "train" not in dataset.lists:
        raise DatasetError("train= is missing: the list of images to train on", file=dataset.file)
    samples = load_training(dataset.lists["train"], dataset, match)
    if holdout is not None:
        _check_one(valid)
        return Source(dataset, *hold_out(samples, holdout, seed))
    valid = valid or dataset.lists.get("valid")
    return Source(dataset, samples, [] if valid is None else load_training(valid, dataset, match))


def _check_one(other: object) -> None:
    if other is not None:
        raise UsageError("holdout together with valid: images to validate are named, or drawn from those to train on")


def write_model(folder: Path, name: str, cfg: str, source: Source, replacing: Replacing) -> Dataset:
    """Write what ``predict`` and ``valid`` need besides weights: NAME.cfg, NAME.data, NAME.names, NAME.valid.list.

    The images are a folder's, as of `read_folder`. The cfg is `cfg` with as many outputs as there are classes. What an
    earlier run has left there is `replacing`'s.

    Returns
    -------
    Dataset
        The .data file.

    Raises
    ------
    CfgError, UsageError
        Where the cfg cannot have as many outputs.
    DatasetError
        Where a file cannot be written.
    """
    dataset = source.dataset
    paths = {kind: folder / f"{name}.{kind}" for kind in ("cfg", "data", "names", "valid.list")}
    lines = [
        f"classes={dataset.classes}",
        f"names={paths['names']}",
        f"labels={paths['names']}",
        f"top={dataset.top}",
        f"preprocess={PREPROCESS}",
        f"backup={folder}",
        f"folder={dataset.folder}",
    ]
    if source.validation:
        lines.insert(3, f"valid={paths['valid.list']}")
    texts = {
        "cfg": rewrite_cfg(load_structure(cfg), dataset.classes),
        "names": "".join(f"{label}\n" for label in dataset.names),
        "valid.list": "".join(f"{os.path.abspath(sample.file)}\n" for sample in source.validation),
        "data": "".join(f"{line}\n" for line in lines),
    }
    for kind, text in texts.items():
        content = text.encode("utf-8", "surrogateescape")
        if content:
            replacing.write(paths[kind], content)
    return load_dataset(paths["data"])


def make_folder(folder: str | os.PathLike[str]) -> Path:
    """The folder that a run's files go to, made where it is missing; UsageError where none can be written there."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            pass
    except OSError as reason:
        what = f"{describe_oserror(reason)}; name another folder for weights with --backup"
        raise UsageError(what, file=path) from None
    return path
