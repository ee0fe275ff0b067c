"""The progress bar of commands that go through images, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..streams import is_quiet

if TYPE_CHECKING:
    from tqdm import tqdm


def open_bar(images: int, hidden: bool = False) -> tqdm:
    """A bar on standard error, to be closed; it is not shown where `hidden`, where that is no terminal, or with -q."""
    from tqdm import tqdm

    return tqdm(total=images, unit="images", disable=True if hidden or is_quiet() else None, dynamic_ncols=True)
