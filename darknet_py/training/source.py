"""What a network is trained on, class folders or a .data file, and the files to use its weights with later."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..classifier import Classifier
from ..datasets.data_file import Dataset, load_dataset, split_names
from ..datasets.folder import load_folder
from ..datasets.samples import Sample
from ..datasets.split import hold_out
from ..datasets.truths import load_training
from ..errors import DatasetError, UsageError
from ..files import decode_text
from .outputs import rewrite_cfg, with_outputs
from .run_files import TrainingFiles

PREPROCESS = "center-crop"  # how other pictures are fitted: closest to what training sees of its own
HELD_OUT = 0.1  # part of a folder's pictures that validates, where there are no others for that


@dataclass(frozen=True)
class Source:
    """Images of known classes.

    Attributes
    ----------
    dataset : Dataset
    samples : sequence of Sample
        To train on.
    validation : sequence of Sample
        To measure what was learned.
    """

    dataset: Dataset
    samples: Sequence[Sample]
    validation: Sequence[Sample]


@dataclass(frozen=True)
class Model:
    """A network for the classes of a folder.

    Attributes
    ----------
    network : Classifier
        With an output for each class, and the classes' names; its line numbers are those of the cfg that was named.
    texts : mapping of Path to bytes
        The files, to be written, that ``predict`` and ``valid`` need besides weights.
    """

    network: Classifier
    texts: Mapping[Path, bytes]


def read_folder(folder: str, valid: str | None, holdout: float | None, seed: int) -> Source:
    """Read the pictures of a folder that has a folder for each class.

    Parameters
    ----------
    folder : str
    valid : str, optional
        Another such folder, whose pictures are for validation.
    holdout : float, optional
        Where `valid` is absent, the part of the pictures of `folder` that is for validation; `HELD_OUT` where absent.
    seed : int
        Determines which pictures are held out.

    Raises
    ------
    DatasetError
        Where a folder is not as it should be, or `valid` has a class that `folder` has not.
    UsageError
        Where both `valid` and `holdout` are given.
    """
    _refuse_both(valid, holdout)
    found = load_folder(folder)
    top = 5 if len(found.names) > 10 else 1
    dataset = Dataset(folder, len(found.names), found.names, found.names, top, folder=os.path.abspath(valid or folder))
    if valid is None:
        samples, validation = hold_out(found.samples, HELD_OUT if holdout is None else holdout, seed)
        return Source(dataset, samples, validation)
    other, places = load_folder(valid), {name: place for place, name in enumerate(found.names)}
    for name in other.names:
        if name not in places:
            raise DatasetError(f"{name} is none of the {len(places)} classes of {folder}", file=valid)
    validation = [sample._replace(truth=places[other.names[sample.truth]]) for sample in other.samples]
    return Source(dataset, found.samples, validation)


def read_data_file(data: str, match: str, valid: str | None, holdout: float | None, seed: int) -> Source:
    """Read the images that a .data file lists: ``train`` to train on; ``valid``, `valid` or `holdout` to validate.

    Raises
    ------
    DatasetError
        Where a file cannot be read, or an image bears no label, or several.
    UsageError
        Where both `valid` and `holdout` are given.
    """
    _refuse_both(valid, holdout)
    dataset = load_dataset(data)
    if "train" not in dataset.lists:
        raise DatasetError("train= is missing: the list of images to train on", file=dataset.file)
    samples = load_training(dataset.lists["train"], dataset, match)
    if holdout is not None:
        return Source(dataset, *hold_out(samples, holdout, seed))
    valid = valid or dataset.lists.get("valid")
    return Source(dataset, samples, [] if valid is None else load_training(valid, dataset, match))


def _refuse_both(valid: str | None, holdout: float | None) -> None:
    if valid is not None and holdout is not None:
        raise UsageError("holdout together with valid: images to validate are named, or drawn from those to train on")


def make_model(files: TrainingFiles, network: Classifier, source: Source) -> Model:
    """Make the network for a folder's classes, and what ``predict`` and ``valid`` need besides its weights.

    Parameters
    ----------
    files : TrainingFiles
        Where the latter will be written.
    network : Classifier
        Of the cfg that is named, perhaps with another number of outputs.
    source : Source
        From `read_folder`.

    Raises
    ------
    CfgError, UsageError
        Where the network cannot have an output for each class.
    DatasetError
        Where the classes' names cannot be written as a list.
    """
    dataset, paths = source.dataset, files.model
    names = "".join(f"{label}\n" for label in dataset.names)
    lines = [
        f"classes={dataset.classes}",
        f"names={paths['names']}",
        f"labels={paths['names']}",
        *([f"valid={paths['valid.list']}"] if source.validation else []),
        f"top={dataset.top}",
        f"preprocess={PREPROCESS}",
        f"backup={files.folder}",
        f"folder={dataset.folder}",
    ]
    texts = {
        "cfg": rewrite_cfg(network, dataset.classes),
        "names": names,
        "valid.list": "".join(f"{os.path.abspath(sample.file)}\n" for sample in source.validation),
        "data": "".join(f"{line}\n" for line in lines),
    }
    contents = {paths[kind]: text.encode("utf-8", "surrogateescape") for kind, text in texts.items() if text}
    listed = split_names(decode_text(contents[paths["names"]], DatasetError, dataset.file), dataset.file)
    if len(listed) != dataset.classes or len({*listed, ""}) <= dataset.classes:
        reason = "names of its folders are blank, alike or of several lines in a list; others are expected"
        raise DatasetError(reason, file=dataset.file)
    if network.outputs != dataset.classes:
        network = Classifier(with_outputs(network, dataset.classes), None, network.settings)
    network.dataset = replace(
        dataset,
        file=os.fspath(paths["data"]),
        names=listed,
        wnids=listed,
        lists={"valid": os.fspath(paths["valid.list"])} if source.validation else {},
        path=paths["data"],
        backup=os.fspath(files.folder),
        preprocess=PREPROCESS,
    )
    return Model(network, contents)
