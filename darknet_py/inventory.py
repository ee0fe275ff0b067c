"""What the cache contains, by kinds; each file is recognized by the name that its writer gives it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from .cache import cache_dir
from .downloads import PUBLISHED
from .files import remove_unused
from .runs.journals import remove_journal

LOCK = ".lock"  # after a journal's name


class Kind(NamedTuple):
    """Files that the program keeps.

    Attributes
    ----------
    names : Pattern
        Matches folder and name below the cache; a name that begins with a dot belongs to a writer at work, or to one
        that was killed.
    remove : callable
        Removes one, if it exists; OSError or JournalError where that fails, or while its writer holds its lock.
    """

    names: re.Pattern[str]
    remove: Callable[[Path], None]


KINDS = {
    "kernels": Kind(
        re.compile(
            r"kernels/[0-9a-f]{16}\.bin"
            r"|cuda/(?:[0-9a-f]{32}\.(?:cubin|plan)|choices-[0-9a-f]{16}\.json)"
            r"|(?:kernels|cuda)/\.[0-9a-f]{16}"
        ),
        remove_unused,
    ),
    "weights": Kind(
        re.compile(rf"weights/(?:{'|'.join(map(re.escape, PUBLISHED))})\.weights(?:\.part)?"), remove_unused
    ),
    "journals": Kind(
        re.compile(r"journals/[a-z0-9]+-[0-9a-f]{16}\.jsonl~?(?:\.lock)?"),
        lambda path: remove_journal(str(path).removesuffix(LOCK)),
    ),
    "bench": Kind(
        re.compile(r"bench/(?:landscape\.jpg|(?:pictures|labelled|[\w.-]+-[0-9a-f]{8})/[^/]+)"), remove_unused
    ),
}
FOLDERS = ("bench", "cuda", "journals", "kernels", "weights")


class Kept(NamedTuple):
    """A file of the cache.

    Attributes
    ----------
    path : Path
    kind : str
        One of `KINDS`; empty where the program has not written it.
    size : int
        Bytes.
    """

    path: Path
    kind: str
    size: int


def list_kept() -> Iterator[Kept]:
    """The files in the cache's folders, in the order of their paths; links are not followed."""
    top = cache_dir()
    for folder in FOLDERS:
        if (top / folder).is_symlink():
            continue
        for above, folders, names in os.walk(top / folder):
            folders.sort()
            for name in sorted(names):
                if name.endswith(LOCK) and name.removesuffix(LOCK) in names:
                    continue
                path = Path(above, name)
                below = path.relative_to(top).as_posix()
                try:
                    status = path.lstat()
                except FileNotFoundError:  # another process has removed it meanwhile
                    continue
                known = (name for name, kind in KINDS.items() if kind.names.fullmatch(below))
                kind = next(known, "") if stat.S_ISREG(status.st_mode) else ""
                yield Kept(path, kind, status.st_size)


def remove_kept(kept: Kept) -> None:
    """Remove a file of one of the `KINDS`, and the folders that this leaves empty, except for the cache itself.

    Raises
    ------
    OSError, JournalError
        As its kind says.
    """
    KINDS[kept.kind].remove(kept.path)
    for folder in kept.path.parents:
        if folder == cache_dir():
            return
        try:
            folder.rmdir()
        except OSError:  # it is not empty
            return
