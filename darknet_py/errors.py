"""The errors that a user can cause: one line each, saying where, what was found, what was expected."""

from __future__ import annotations

import os
from collections.abc import Iterable

# Characters that would break a message's line, be obeyed by a terminal, or change the reading order; of bytes that are
# not UTF-8, those that are control characters in other encodings.
CONTROLS = (
    {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
    | {code: f"\\u{code:04x}" for code in (0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))}
    | {code: f"\\x{code & 0xFF:02x}" for code in range(0xDC80, 0xDCA0)}
    | {ord("\n"): "\\n", ord("\t"): "\\t"}
)

# Why a picture has no answer, for every command.
NO_MEMORY_TO_FIT = "not enough memory to fit it to the network"
NO_MEMORY_TO_RUN = "not enough memory to run the network on it"
NO_MEMORY_TO_DRAW = "not enough memory to draw what is to be looked at"


def one_line(text: str) -> str:
    """`text` with control characters, which a file's name may contain, written as escapes."""
    return text.translate(CONTROLS)


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The one of `known` that `word` may be a misspelling of: the most similar, if by a ratio of at least `cutoff`.

    Case is ignored.
    """
    from difflib import get_close_matches  # only needed for misspellings

    folded = {name.casefold(): name for name in known}
    return next((folded[name] for name in get_close_matches(word.casefold(), folded, 1, cutoff)), None)


class DarknetError(Exception):
    """Base of every error raised for a user's input; `str()` is the line that the program prints.

    Parameters
    ----------
    reason : str
        What was found and what was expected.
    file : path, optional
        The file at fault.
    line : int, optional
        Its line, counted from 1.
    option : str, optional
        The option at fault, as the user wrote it, e.g. ``[route] layers=-9``.
    """

    exit_code = 1

    def __init__(
        self,
        reason: str,
        *,
        file: str | os.PathLike[str] | None = None,
        line: int | None = None,
        option: str | None = None,
    ) -> None:
        self.reason = reason
        self.file = None if file is None else os.fspath(file)
        self.line = line
        self.option = option
        place = "''" if self.file == "" else self.file
        if line is not None:
            place = f"{place}:{line}"
        super().__init__(one_line(": ".join(part for part in (place, option, reason) if part)))


class UsageError(DarknetError):
    """The command line, or a call's arguments, cannot be understood."""

    exit_code = 2


class CfgError(DarknetError):
    """A cfg file is not a network that darknet could run."""


class WeightsError(DarknetError):
    """A weights file cannot be read, or does not belong to the cfg."""


class DatasetError(DarknetError):
    """A .data file, a list of labels or a list of images cannot be used."""


class ImageError(DarknetError):
    """An image cannot be decoded."""


class ImageFormatError(ImageError):
    """An image is in none of the formats that are read."""


class ImageSizeError(ImageError):
    """An image is too large to be decoded."""


class EngineError(DarknetError):
    """An engine is not available on this machine, or cannot run this network."""


class ExportError(DarknetError):
    """A network cannot be written in another program's format."""


class FetchError(DarknetError):
    """A weights file could not be downloaded."""


class JournalError(DarknetError):
    """A journal cannot be used, or cannot be written any further."""


class CheckpointError(DarknetError):
    """A checkpoint cannot be used, or cannot be written."""


class TrainingError(DarknetError):
    """Training cannot go on."""


class ClusterError(DarknetError):
    """A cluster cannot be reached, or its workers cannot do what is asked."""


class DarknetWarning(UserWarning):
    """Something in a user's input that was passed over and may not be what was meant."""
