"""Why a request is not answered as asked: a status of HTTP and one line."""

from __future__ import annotations

from ..errors import CfgError, DarknetError, ImageError, ImageFormatError, ImageSizeError, UsageError, one_line
from ..remarks import shorten

# Of an error the first of these kinds counts.
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
        Of HTTP.
    reason : str
        What was found and what was expected, in one line.
    given : str, optional
        The part of the request at fault, as it was sent: what is too long for a message is cut.
    """

    def __init__(self, status: int, reason: str, given: str = "") -> None:
        super().__init__(one_line(f"{shorten(given)}: {reason}" if given else reason))
        self.status = status

    @property
    def headers(self) -> dict[str, str]:
        """What the answer's head says of it."""
        if self.status == LATE:  # what of the request still comes is no other one
            return {"Connection": "close"}
        return {"Retry-After": "1"} if self.status in BUSY else {}


def explain(error: Exception, name: str) -> RefusedError:
    """What a client is told of an error with the picture it called `name`: no path of the server, no traceback.

    What no client can cause is raised on.
    """
    for kind, status in STATUSES:
        if isinstance(error, kind):
            reason = error.reason if isinstance(error, DarknetError) else "not enough memory"
            return RefusedError(status, reason, name)
    raise error
