"""The files that a network's layers are made of: its cfg, and those that the cfg names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from .errors import CfgError
from .files import lasting, read_bytes, resolve


class NamedFile(NamedTuple):
    """A file that a cfg names.

    Attributes
    ----------
    path : str
        As `lasting` returns it.
    content : bytes
    """

    path: str
    content: bytes


class CfgFiles:
    """A cfg's content, and the files that it names: each is read once, and whoever asks later gets the same content.

    Parameters
    ----------
    cfg : str
        The path of the cfg.
    content : bytes
        Its own.
    located : mapping of str to str, optional
        Where files lie, by their names in the cfg; any other is looked for.

    Attributes
    ----------
    named : dict of str to NamedFile
        Those that have been read, by their names in the cfg.
    """

    def __init__(self, cfg: str, content: bytes = b"", located: Mapping[str, str] | None = None) -> None:
        self.cfg, self.content, self.located = cfg, content, dict(located or {})
        self.named: dict[str, NamedFile] = {}

    @property
    def paths(self) -> dict[str, str]:
        """Where the files that have been read lie: `located`, for another who reads the same cfg."""
        return {name: found.path for name, found in self.named.items()}

    def read(self, name: str, most: int) -> NamedFile | None:
        """The file of this name, of at most `most` bytes; None where there is none, CfgError if unreadable."""
        if name not in self.named:
            path = self.located.get(name) or self._find(name)
            if path is None:
                return None
            self.named[name] = NamedFile(path, read_bytes(resolve(path), CfgError, path, most))
        return self.named[name]

    def _find(self, name: str) -> str | None:
        """The file of this name from the working directory, or the packaged one, or the one beside the cfg."""
        candidates = name, os.fspath(Path(self.cfg).parent / name)
        return next((lasting(found) for found in candidates if os.path.lexists(resolve(found))), None)
