"""What a worker of a cluster does: load the network once, and measure the images of a task."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distributed import Worker, WorkerPlugin, get_worker

from ..classifier import restore
from ..errors import ClusterError, DarknetError, DarknetWarning
from ..files import digest_file, write_atomically
from ..running import Settings
from .evaluator import Evaluator, Pending
from .job import Job
from .outcome import Outcome


class MissingFilesError(ClusterError):
    """A worker does not have the network's files where the coordinator has them."""


@dataclass(frozen=True)
class Refusal:
    """Why a worker could not do a task. It is returned, not raised: exceptions do not always find their way back.

    Attributes
    ----------
    reason : str
    missing : bool
        Whether the reason is only that the worker lacks the network's files.
    """

    reason: str
    missing: bool

    def __str__(self) -> str:
        return self.reason


class Upload(WorkerPlugin):
    """Files that every worker of a cluster gets, also those that join later.

    Parameters
    ----------
    contents : mapping of str to bytes
        By their SHA-256.
    """

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self.name = upload_name(contents)
        self.contents, self.folder = dict(contents), Path()

    def setup(self, worker: Worker) -> None:
        """Write the files on the worker's own disk; its threads may look for them meanwhile."""
        self.folder = Path(worker.local_directory)
        for digest, content in self.contents.items():
            write_atomically(self.folder / digest, [content], ClusterError)
        self.contents.clear()


def upload_name(digests: Iterable[str]) -> str:
    """The name of the upload of files with these digests; a cluster may have others, from other runs."""
    return " ".join(["darknet_py", *sorted(digests)])


def make_check() -> Callable[[str, bytes], object]:
    """Make the function that a task calls: `measure`, or where the worker has another version, a text that says so.

    Pickle sends a package's function by its name, but a function that is made here as code, so that workers with
    another version, or none, can run it, too.
    """

    def check(version: str, job: bytes) -> object:
        import pickle

        from distributed import get_worker

        try:
            from darknet_py import __version__ as found
        except ImportError as reason:
            found = f"missing ({reason})"
        if found != version:
            return f"{get_worker().address}: its darknet_py is {found}; {version} is expected on all workers"
        from darknet_py.evaluation.worker import measure

        return measure(*pickle.loads(job))

    return check


def measure(job: Job, paths: Mapping[str, str], images: Sequence[Pending], batch: int) -> list[Outcome] | Refusal:
    """The outcomes of a task's images, or why there are none; `paths` of the coordinator's files are by SHA-256."""
    try:
        evaluator = _open(job, paths)
        parts = (images[first : first + batch] for first in range(0, len(images), batch))
        return [outcome for part in parts for outcome in evaluator.evaluate(part)]
    except DarknetError as reason:
        return Refusal(f"{get_worker().address}: {reason}", isinstance(reason, MissingFilesError))
    except Exception as reason:
        return Refusal(f"{get_worker().address}: {type(reason).__name__}: {reason}", missing=False)


_lock = threading.Lock()
_opened: dict[Job, Evaluator] = {}


def _open(job: Job, paths: Mapping[str, str]) -> Evaluator:
    """The job's evaluator; its network is loaded at the first call, and kept until another job comes.

    From then on the process issues no `DarknetWarning`.
    """
    with _lock:
        if job not in _opened:
            _opened.clear()
            files = {digest: _find(paths[digest], digest, job) for digest in job.digests}
            settings = Settings(job.engine, 1, precision=job.precision, dialect=job.dialect)
            located = {name: files[digest] for name, digest in job.named}
            # The coordinator, which loads the same network, tells those about it; of those about pictures, nobody who
            # cares would see a worker's.
            warnings.simplefilter("ignore", DarknetWarning)
            network = restore(files[job.cfg], files[job.weights], settings, None, job.size, located)
            _opened[job] = Evaluator(network, job)
        return _opened[job]


def _find(path: str, digest: str, job: Job) -> str:
    """The path of a file with this content: where it was uploaded to, else the coordinator's own path."""
    upload = get_worker().plugins.get(upload_name(job.digests))
    if isinstance(upload, Upload) and (upload.folder / digest).is_file():
        return str(upload.folder / digest)
    if os.path.isfile(path) and digest_file(Path(path), ClusterError) == digest:
        return path
    raise MissingFilesError("is not there, or differs", file=path)
