"""How a served network makes its batches."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from support_serving import missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
CORES = 4


@pytest.mark.parametrize(
    ("engine", "threads", "in_turns"),
    [
        ("cpu", None, True),
        ("cpu", CORES, True),
        ("cpu", CORES + 1, True),
        ("cpu", CORES - 1, False),
        ("reference", None, True),
        ("cuda", None, False),
        ("cuda", CORES, False),
    ],
)
def test_pictures_are_decoded_beside_a_network_that_leaves_a_core_free(monkeypatch, engine, threads, in_turns):
    from darknet_py.serving import served
    from darknet_py.serving.limits import Limits

    paces = []
    monkeypatch.setattr(served, "core_count", lambda: CORES)
    monkeypatch.setattr(served, "Batcher", lambda prepare, run, pace: paces.append(pace))
    network = SimpleNamespace(engine=engine, settings=SimpleNamespace(threads=threads))
    served.Served("a", network, Limits(batch=5, wait=0.25, gather=0.5), lambda size: None)
    assert paces == [served.Pace(5, 0.25, 0.5, CORES, in_turns)]
