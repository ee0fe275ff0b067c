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
    monkeypatch.setattr(served, "Batcher", lambda prepare, run, run_apart, pace: paces.append(pace))
    network = SimpleNamespace(engine=engine, settings=SimpleNamespace(threads=threads), count_forks=lambda most: most)
    served.Served("a", network, Limits(batch=5, wait=0.25, gather=0.5), lambda size: None)
    assert paces == [served.Pace(5, 0.25, 0.5, CORES, in_turns, served.APART if in_turns else 0)]


@pytest.mark.parametrize(("cores", "room"), [(1, 1), (CORES, CORES - 1)])
def test_cores_that_memory_has_no_network_for_stay_together(monkeypatch, cores, room):
    from darknet_py.serving import served
    from darknet_py.serving.limits import Limits

    paces = []
    monkeypatch.setattr(served, "core_count", lambda: cores)
    monkeypatch.setattr(served, "Batcher", lambda prepare, run, run_apart, pace: paces.append(pace))
    network = SimpleNamespace(engine="cpu", settings=SimpleNamespace(threads=None), count_forks=lambda most: room)
    served.Served("a", network, Limits(), lambda size: None)
    assert paces[0].apart == 0
