"""The files of networks that come with the package: cfg, weights, names of classes."""

from __future__ import annotations

import os
from typing import NamedTuple

from .errors import WeightsError
from .files import resolve
from .networks import IMAGENET, packaged_cfg


class Packaged(NamedTuple):
    """A network's files."""

    cfg: str
    weights: str
    data: str


def find_packaged(name: str | os.PathLike[str]) -> Packaged | None:
    """The files of the network of that bare name, with embedded or fetched weights; None where there is none.

    Raises
    ------
    WeightsError
        Where its weights have not been fetched.
    """
    cfg = packaged_cfg(name) if isinstance(name, str) else None
    if cfg is None:
        return None
    embedded, data = f"data/{name}.weights", f"data/{name}.data"
    weights = embedded if resolve(embedded).is_file() else _find_fetched(str(name), cfg)
    return Packaged(cfg, weights, data if resolve(data).is_file() else IMAGENET)


def _find_fetched(name: str, cfg: str) -> str:
    from .downloads import PUBLISHED, find_weights, weights_path

    path = find_weights(name)
    if path is None:
        help = f"run `darknet fetch {name}`" if name in PUBLISHED else f"fetch knows none; name the file: {cfg} FILE"
        raise WeightsError(f"no weights have been fetched for {name}; {help}", file=weights_path(name))
    return str(path)
