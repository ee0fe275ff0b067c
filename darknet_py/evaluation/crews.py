"""What measures images: threads of this process, or a cluster.

Each thread reads, decodes, fits and classifies a few images by itself, on its own part of the cores, so that all cores
work all the time and wait for nothing. On two cores, tiny classifies 278 images a second so, against 215 where each
network has both cores and is held up by threads that decode there.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Protocol

from ..errors import ClusterError, UsageError
from ..runs.ahead import work_ahead

if TYPE_CHECKING:
    from ..classifier import Classifier
    from .evaluator import Pending
    from .job import Job
    from .outcome import Outcome

BATCH = 8
MOST_LOCAL = 256  # worker processes on this machine; each takes 100 MB
ADDRESS = f"HOST:PORT of a scheduler is expected, or local:N for N workers here, at most {MOST_LOCAL}"


class Crew(Protocol):
    """What measures images."""

    def evaluate(
        self, network: Classifier, job: Job, images: Iterable[Pending]
    ) -> Generator[list[Outcome], None, None]:
        """Yield the images' outcomes as they are done, some at a time, now and then none; when closed, it stops."""


class Threads:
    """Threads of this process; outcomes come in the images' order.

    Parameters
    ----------
    batch : int
        Images at a time.
    workers : int
        Threads that each work on images of their own; fewer where memory is short.
    threads : int
        Of the CPU, for all of them together.

    Attributes
    ----------
    preparing, running : float
        Seconds that they have spent on decoding and fitting, and on running the network.
    """

    def __init__(self, batch: int, workers: int, threads: int) -> None:
        self.batch, self.workers, self.threads = batch, workers, threads
        self.preparing = self.running = 0.0

    def evaluate(
        self, network: Classifier, job: Job, images: Iterable[Pending]
    ) -> Generator[list[Outcome], None, None]:
        """Yield the images' outcomes in their order, a batch at a time."""
        from .evaluator import Evaluator  # not above: checking a command line needs this module, and must not wait

        workers = network.count_forks(self.workers)
        evaluator = Evaluator(network, job, max(1, self.threads // workers))
        try:
            with closing(work_ahead(evaluator.evaluate, images, self.batch, workers)) as outcomes:
                yield from outcomes
        finally:
            self.preparing, self.running = evaluator.preparing, evaluator.running


class Cluster:
    """A dask.distributed cluster, whose workers see the images under the same paths.

    Parameters
    ----------
    address : str
        ``HOST:PORT`` of its scheduler, or ``local:N``: N processes, started here and ended with the work; as always
        with processes, a script that starts them does so under ``if __name__ == "__main__":``.
    batch : int
        Images that run through a worker's network at a time.

    Raises
    ------
    UsageError
        Where `address` is no such address.
    """

    def __init__(self, address: str, batch: int = BATCH) -> None:
        if not is_address(address):
            raise UsageError(f"{address}: {ADDRESS}")
        self.address, self.batch = address, batch

    def evaluate(
        self, network: Classifier, job: Job, images: Iterable[Pending]
    ) -> Generator[list[Outcome], None, None]:
        """Yield the images' outcomes as they come, now and then none.

        Raises
        ------
        ClusterError
            Where there is no such cluster, it is lost, or its workers cannot do the job.
        """
        from .job import network_files

        try:
            from .cluster import Coordinator, connect
        except ImportError as reason:
            help = f"needs {reason.name}: pip install distributed"
            raise ClusterError(help, option=f"--cluster {self.address}") from None
        with connect(self.address) as client:
            coordinator = Coordinator(client, job, network_files(network, job), self.batch)
            with closing(coordinator.evaluate(list(images))) as evaluated:
                yield from evaluated


def is_address(text: str) -> bool:
    """Whether `text` may be a cluster's address."""
    found = re.fullmatch(r"(\w+://)?([^/]+):0*([1-9]\d{0,4})", text)
    if found is None or text.startswith("http"):
        return False
    return found[2] != "local" or int(found[3]) <= MOST_LOCAL
