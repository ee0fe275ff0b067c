"""What a worker of a cluster does: load the network once, and measure the images of a task."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distributed import Worker, WorkerPlugin, get_worker

from .. import __version__
from ..classifier import load_network
from ..errors import ClusterError, DarknetError
from ..files import digest_file
from .evaluator import Evaluator, Pending
from .job import Job
from .outcome import Outcome


class MissingFilesError(ClusterError):
    """A worker does not have the network's files where the coordinator has them."""


@dataclass(frozen=True)
class Refusal:
    """Why a worker could not do a task. It is an answer, not an error: those do not always find their way back.

    Attributes
    ----------
    reason : str
    missing : bool
        Whether the network's files are all that it lacks.
    """

    reason: str
    missing: bool


class Upload(WorkerPlugin):
    """Files that every worker of a cluster gets, those that come later too.

    Parameters
    ----------
    contents : mapping of str to bytes
        By their SHA-256.
    """

    name = "darknet_py files"

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self.contents, self.folder = dict(contents), Path()

    def setup(self, worker: Worker) -> None:
        """Write the files on the worker's own disk."""
        self.folder = Path(worker.local_directory)
        for digest, content in self.contents.items():
            (self.folder / digest).write_bytes(content)
        self.contents.clear()


def measure(job: Job, cfg: str, weights: str, images: Sequence[Pending], batch: int) -> list[Outcome] | Refusal:
    """The outcomes of a task's images, or why there are none."""
    try:
        return _measure(job, cfg, weights, images, batch)
    except DarknetError as reason:
        return Refusal(str(reason), isinstance(reason, MissingFilesError))
    except Exception as reason:
        return Refusal(f"{_address()}: {type(reason).__name__}: {reason}", missing=False)


def _measure(job: Job, cfg: str, weights: str, images: Sequence[Pending], batch: int) -> list[Outcome]:
    if job.version != __version__:
        raise ClusterError(f"darknet_py {__version__}; {job.version} is expected on all workers", file=_address())
    evaluator = _open(job, cfg, weights)
    parts = (images[first : first + batch] for first in range(0, len(images), batch))
    return [outcome for part in parts for outcome in evaluator.evaluate(part)]


_lock = threading.Lock()
_opened: dict[Job, Evaluator] = {}


def _open(job: Job, cfg: str, weights: str) -> Evaluator:
    """The job's network, loaded when it is first asked for; of several jobs the last one's is kept."""
    with _lock:
        if job not in _opened:
            _opened.clear()
            files = _find(cfg, job.cfg), _find(weights, job.weights)
            network = load_network(*files, job.engine, threads=1, precision=job.precision)
            _opened[job] = Evaluator(network, job.preprocess, job.keep, job.shown)
        return _opened[job]


def _find(path: str, digest: str) -> str:
    """Where a file with this content lies: at the coordinator's own path, or where it was uploaded to."""
    upload = get_worker().plugins.get(Upload.name)
    if isinstance(upload, Upload) and (upload.folder / digest).is_file():
        return str(upload.folder / digest)
    if os.path.isfile(path) and digest_file(Path(path), ClusterError) == digest:
        return path
    raise MissingFilesError(f"{path} is not there, or differs", file=_address())


def _address() -> str:
    return str(get_worker().address)
