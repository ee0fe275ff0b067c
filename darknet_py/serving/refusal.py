"""Why a request is not answered as asked: an HTTP status and one line."""

from __future__ import annotations

from ..errors import CfgError, DarknetError, ImageError, ImageFormatError, ImageSizeError, UsageError, one_line
from ..remarks import shorten

# An error gets the status of the first kind that it is of.
STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (ImageSizeError, 413),
    (ImageFormatError, 415),
    (ImageError, 422),
    (UsageError, 422),
    (CfgError, 422),
    (MemoryError, 503),
    (DarknetError, 500),
)
BUSY = 429, 503
LATE = 408


class RefusedError(Exception):
    """A request, or a picture of it, is not answered.

    Parameters
    ----------
    status : int
        The HTTP status.
    reason : str
        What was found and what was expected, in one line.
    given : str, optional
        The part of the request at fault, as it was sent; it is cut where it is too long for a message.
    """

    def __init__(self, status: int, reason: str, given: str = "") -> None:
        super().__init__(one_line(f"{shorten(given)}: {reason}" if given else reason))
        self.status = status

    @property
    def headers(self) -> dict[str, str]:
        """Headers to add to the answer."""
        if self.status == LATE:  # the rest of the request, if it still comes, must not be taken for another one
            return {"Connection": "close"}
        return {"Retry-After": "1"} if self.status in BUSY else {}


def explain(error: Exception, name: str) -> RefusedError:
    """What a client is told of an error with the picture that it called `name`: no path of the server, no traceback.

    Errors that no client can cause are raised again.
    """
    for kind, status in STATUSES:
        if isinstance(error, kind):
            reason = error.reason if isinstance(error, DarknetError) else "not enough memory"
            return RefusedError(status, reason, name)
    raise error
