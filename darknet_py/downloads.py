"""Downloads of the weights files that darknet's author publishes, checked and resumed."""

from __future__ import annotations

import os
import queue
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from .cache import cache_dir, make_folder
from .content_id import content_id
from .errors import FetchError, UsageError, nearest
from .files import check_regular

if TYPE_CHECKING:
    import requests
    from tqdm import tqdm

if sys.platform != "win32":
    import fcntl

BASE_URL = "https://data.pjreddie.com/files/"
RETRY_WAITS = (0.5, 1.0, 2.0)  # seconds before each further request
TIMEOUT = (10.0, 30.0)  # seconds to connect, seconds without a byte
ANSWER = 60.0  # seconds within which an answer's whole header must arrive
BLOCK = 16 * 1024  # bytes written at once: a broken connection loses less than that
SLOW = 30.0  # seconds within which a block must arrive
AHEAD = 8  # blocks that may wait to be written
_Received = TypeVar("_Received")
_ELSEWHERE = "name another server in DARKNET_PY_BASE_URL"
_ADVICE = f"try again later, or {_ELSEWHERE}"


class Published(NamedTuple):
    """What is known about a published weights file: its possible sizes, in bytes, and its IPFS content id."""

    sizes: tuple[int, ...]
    content_id: str


# Sizes follow from the cfg; there are two where the header may have 16 or 20 bytes.
# Content ids: jed-frey/darknet, commit 9b27bef. They identify a file; its author has not signed them.
PUBLISHED = {
    "alexnet": Published((249513392,), "QmRKUhK3ZiqDwuuZvX5VfatfJcDSwoS25AHJUVygtMGAJw"),
    "darknet": Published((29293936, 29293940), "QmU4cKXuMj7Th5GoktDiyeexpVWpXaxU6YLBLMJoo415UV"),
    "vgg-16": Published((553430192,), "QmTNMdhJHoiotEK5rHK3mbevfZXCUDPam1wCh9s3p9X6M8"),
    "extraction": Published((93821616, 93821620), "QmPcfJcbMfKBx8UV66D7U919PHRcit87Fh9yT2ouLN4muY"),
    "darknet19": Published((83427120, 83427124), "QmV2jriZ37f26HfLCorBGqBHG6xK7toDvsUJ1NFvomEFzs"),
    "darknet19_448": Published((83427120,), "QmYu57qpdg8ZXN1apcWKFy8fjkHheKK1S87G2h6QcaqKyp"),
    "resnet50": Published((91303600, 91303604), "Qmbea157An6phVvu9xgmRn1GG2BfjoBEz6xq4Jb62Rbv8K"),
    "resnet152": Published((230239920, 230239924), "QmZntQxzz2xPFWsVYCXPby2EEQuDncC6RwDnhPoL8tca6m"),
    "densenet201": Published((68825776, 68825780), "QmV7u565SVmpH5XKN8urQMT1e6Arfo3fj1QUgxL2TeNJ2M"),
    "tiny": Published((4185968,), "QmSYVW3FEFY1woKqSf1QyTVsrE2zxfWnMbLgLjxjKVS6MW"),
    "darknet53": Published((166582576, 166582580), "QmebJKEbXLF7Z2PyZRSxaJBMXHEKXet9kdpqGR3ixy4jYQ"),
}


class _BrokenError(FetchError):
    """A broken transfer that another request may complete."""


class _UnreachableError(_BrokenError):
    """There was no answer; a first request that fails so is not repeated."""


def weights_path(name: str) -> Path:
    """Return the path at which the fetched weights of network `name` are, or would be, stored."""
    return cache_dir() / "weights" / f"{name}.weights"


def find_weights(name: str) -> Path | None:
    """Find fetched weights by name and size alone: cheap enough for every prediction.

    Returns
    -------
    Path or None
        The fetched file, or None where there is none of a published size.
    """
    path = weights_path(name)
    there = name in PUBLISHED and os.path.isfile(path)
    return path if there and os.path.getsize(path) in PUBLISHED[name].sizes else None


def fetch(name: str, *, progress: bool = False) -> Path:
    """Download a published weights file, or check the one already fetched.

    It comes from the address in `DARKNET_PY_BASE_URL`, else `BASE_URL`, plus ``NAME.weights``, unless
    `DARKNET_PY_OFFLINE` forbids it. A broken download stays in ``NAME.weights.part``, and the next call resumes it.

    Parameters
    ----------
    name : str
        A key of `PUBLISHED`.
    progress : bool
        Draw a bar on standard error, if that is a terminal.

    Returns
    -------
    Path
        `weights_path(name)`, a file whose size and content id are the published ones.

    Raises
    ------
    UsageError
        No weights are published under that name.
    FetchError
        The file could not be downloaded, is not the published one, or could not be written.
    WeightsError
        A file is there already but cannot be read.
    """
    published = _published(name)
    target = weights_path(name)
    part = target.with_name(f"{target.name}.part")
    url = (os.environ.get("DARKNET_PY_BASE_URL") or BASE_URL).rstrip("/") + f"/{target.name}"
    try:
        if not (fault := _fault(target, published)):
            return target
        if os.environ.get("DARKNET_PY_OFFLINE", "") not in ("", "0"):
            advice = f"DARKNET_PY_OFFLINE forbids downloads: unset it, or put the file of {url} here"
            raise FetchError(f"{fault}, and {advice}", file=target)
        make_folder(target.parent)
        with _sole_use(part):
            if _fault(part, published):
                _download(url, part, max(published.sizes), progress)
                if fault := _fault(part, published):
                    os.unlink(part)
                    raise FetchError(f"sent {fault}: it was removed; {_ADVICE}", file=url)
            os.replace(part, target)
    except OSError as err:
        advice = "make it writable or free space there, or name another folder in DARKNET_PY_CACHE"
        raise FetchError(f"cannot be written: {err.strerror}: {advice}", file=err.filename or part) from err
    return target


def _published(name: str) -> Published:
    if name in PUBLISHED:
        return PUBLISHED[name]
    near = nearest(name.removesuffix(".weights").lower(), PUBLISHED)
    hint = f"did you mean {near!r}? " if near else ""
    raise UsageError(f"no weights are published as {name!r}: {hint}there are {', '.join(PUBLISHED)}")


def _fault(path: Path, published: Published) -> str | None:
    """Describe what is at `path` instead of the published file; None where it is that file."""
    if not os.path.isfile(path):
        return "no file"
    size = os.path.getsize(path)
    if size not in published.sizes:
        return f"{size} bytes, expected {' or '.join(map(str, published.sizes))}"
    found, expected = content_id(path), published.content_id
    return None if found == expected else f"content id {found}, expected {expected}"


@contextmanager
def _sole_use(part: Path) -> Iterator[None]:
    """Lock `part` against other processes, and leave no empty file behind."""
    if os.path.exists(part):
        check_regular(part, FetchError)  # opening a pipe would block
    if sys.platform == "win32":  # has no flock, and would not let an open file be moved
        yield
        return
    with open(part, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise FetchError("another process is downloading it: wait, then try again", file=part) from err
        except OSError:
            pass  # a file system without locks; the content id reveals what two processes may spoil
        try:
            yield
        finally:
            if os.path.isfile(part) and os.path.getsize(part) == 0:
                os.unlink(part)


def _download(url: str, part: Path, limit: int, progress: bool) -> None:
    """Append to `part`, which should become `limit` bytes long, in several requests where one breaks off."""
    from tqdm import tqdm

    disable = None if progress else True  # None: off where stderr is no terminal
    with tqdm(total=limit, unit="B", unit_scale=True, desc=part.stem, disable=disable) as bar:
        for attempt, wait in enumerate((*RETRY_WAITS, None)):
            try:
                _transfer(url, part, limit, bar)
                return
            except _BrokenError as err:
                if wait is None or (attempt == 0 and isinstance(err, _UnreachableError)):
                    raise
                time.sleep(wait)


def _transfer(url: str, part: Path, limit: int, bar: tqdm) -> None:
    """Append to `part` what one request returns, until that ends or the file is longer than `limit` bytes."""
    with open(part, "ab") as file:
        size = file.tell()
        if size >= limit:  # nothing can follow, yet it is not the published file
            file.truncate(size := 0)
        with closing(_Transfer(url, size)) as transfer:
            response = _check_answer(transfer, url, size)
            # Where an answer is compressed, though that was not asked for, its ranges and lengths are not the file's.
            plain = response.headers.get("Content-Encoding", "identity").lower() == "identity"
            follows = plain and response.headers.get("Content-Range", "").startswith(f"bytes {size}-")
            if response.status_code != 200 and not follows:
                file.truncate(0)
                raise _BrokenError(f"the server does not have the bytes from {size} on: try again", file=url)
            size = size if response.status_code == 206 else 0  # 200: the whole file, whatever was asked for
            length = response.headers.get("Content-Length", "")
            total = size + int(length) if plain and re.fullmatch("[0-9]{1,18}", length) else 0
            bar.n, reason = size, "closed early"
            try:
                while block := transfer.receive(SLOW):
                    if size == 0:
                        if block[:512].lstrip().lower().startswith((b"<!doctype", b"<html")):
                            raise FetchError(f"sent an HTML page, not a weights file: {_ADVICE}", file=url)
                        file.truncate(0)
                    file.write(block)
                    size += len(block)
                    bar.update(len(block))
                    if size > limit:
                        return
            except _NetworkError as err:
                reason, total = str(err), total or limit
    if size < total:
        broken = f"the connection broke after {size} of {total} bytes ({reason})"
        raise _BrokenError(f"{broken}: try again to go on from there", file=url)


def _check_answer(transfer: _Transfer, url: str, start: int) -> requests.Response:
    """Return an answer of status 200, 206 or, where there are no bytes from `start` on, 416; raise for any other."""
    try:
        response = transfer.begin(ANSWER)
    except _NetworkError as err:
        raise _UnreachableError(f"cannot be reached ({err}): {_ADVICE}", file=url) from err
    status = response.status_code
    if status in (200, 206) or (status == 416 and start):
        return response
    answer = "has no such file" if status == 404 else "does not send the file"
    passing = status in (408, 429) or status >= 500
    kind, advice = (_BrokenError, _ADVICE) if passing else (FetchError, _ELSEWHERE)
    said = f"{status} {response.reason}".rstrip()
    raise kind(f"the server {answer} ({said}): {advice}", file=url)


class _NetworkError(Exception):
    """Why no more data came."""


class _Transfer:
    """An answer that is received in a thread of its own, as a server may take its time over every byte.

    Parameters
    ----------
    url : str
    start : int
        The first byte to ask for.
    """

    def __init__(self, url: str, start: int) -> None:
        self._begun: queue.Queue[requests.Response | Exception] = queue.Queue()
        self._blocks: queue.Queue[bytes | Exception | None] = queue.Queue(AHEAD)
        self._over = threading.Event()
        threading.Thread(target=self._work, args=(url, start), daemon=True).start()

    def begin(self, seconds: float) -> requests.Response:
        """Return the answer, after waiting up to `seconds` for its header.

        Raises
        ------
        _NetworkError
            Where it does not come.
        """
        return _take(self._begun, seconds)

    def receive(self, seconds: float) -> bytes | None:
        """Return the next bytes of the body, None at its end; waits and raises as `begin` does."""
        return _take(self._blocks, seconds)

    def close(self) -> None:
        """Let the thread end once it has received something more."""
        self._over.set()
        with suppress(queue.Empty):
            while True:  # the thread may be waiting for room
                self._blocks.get_nowait()

    def _work(self, url: str, start: int) -> None:
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        try:
            import requests

            with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
                self._begun.put(response)
                for block in response.iter_content(BLOCK):
                    self._blocks.put(block)
                    if self._over.is_set():
                        return
            self._blocks.put(None)
        except Exception as err:  # from requests, or from libraries below it that a server surprises
            self._begun.put(err)
            self._blocks.put(err)


def _take(source: queue.Queue[_Received | Exception], seconds: float) -> _Received:
    try:
        found = source.get(timeout=seconds)
    except queue.Empty:
        raise _NetworkError(f"slower than {BLOCK} bytes in {seconds:g} seconds") from None
    if isinstance(found, Exception):
        raise _NetworkError(_root(found)) from found
    return found


def _root(err: BaseException) -> str:
    """Describe in one line the innermost of the exceptions that requests wraps in each other."""
    inner = (getattr(err, "reason", None), err.__cause__, *err.args)
    below = next((item for item in inner if isinstance(item, BaseException)), None)
    if below is not None:
        return _root(below)
    return " ".join((getattr(err, "strerror", None) or str(err)).split())
