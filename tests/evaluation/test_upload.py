"""The upload of the network's files to a cluster's workers, which need not see them at their paths."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from support_valid import some_job

from darknet_py.errors import ClusterError
from darknet_py.evaluation import worker
from darknet_py.evaluation.cluster import Coordinator
from darknet_py.evaluation.worker import Upload


def digest(content):
    return hashlib.sha256(content).hexdigest()


def test_a_workers_threads_see_whole_files_alone(tmp_path):
    content = bytes(1 << 20)
    path, over, sizes = tmp_path / digest(content), threading.Event(), set()

    def look():
        while not over.is_set():
            if path.is_file():
                sizes.add(path.stat().st_size)

    looking = threading.Thread(target=look)
    looking.start()
    for _ in range(50):
        Upload({path.name: content}).setup(SimpleNamespace(local_directory=str(tmp_path)))
    over.set()
    looking.join()
    assert sizes <= {len(content)}
    assert path.read_bytes() == content


@pytest.mark.parametrize("changed", [None, "x.cfg", "x.tree", "x.weights"])
def test_files_that_changed_are_not_sent_for_others(tmp_path, changed):
    sent = []
    files = {"x.cfg": b"[net]", "x.tree": b"a -1", "x.weights": b"1234"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content + b"5" if name == changed else content)
    client = SimpleNamespace(scheduler=SimpleNamespace(address="x:1"), register_plugin=sent.append)
    paths = {digest(content): tmp_path / name for name, content in files.items()}
    coordinator = Coordinator(client, some_job(), paths, 8)
    if changed is None:
        coordinator._upload()
        assert sent[0].name == worker.upload_name(paths)
        return
    with pytest.raises(ClusterError, match=f"{Path(changed)}: changed since the run began"):
        coordinator._upload()
    assert sent == []
