"""How a served network makes its batches, and what it is said to get."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT
from support_serving import missing

from darknet_py import load_network
from darknet_py.images.decode import to_picture

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
    assert paces == [served.Pace(5, 0.25, 0.5, CORES, in_turns, 1 if in_turns else 0)]


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


@pytest.mark.parametrize("channels", [1, 3])
def test_what_the_network_gets_is_drawn_in_grey_or_in_colour(tmp_path, channels):
    from darknet_py.serving import served
    from darknet_py.serving.limits import Limits

    (tmp_path / "x.cfg").write_text(f"[net]\nheight=9\nwidth=9\nchannels={channels}\n[conv]\n[avgpool]\n[softmax]\n")
    network = load_network(tmp_path / "x.cfg")
    one = served.Served("x", network, Limits(), lambda size: None)
    shown = to_picture(one.look((ROOT / "data" / "star.png").read_bytes(), "star.png", "letterbox").result())
    one.close()
    given = np.broadcast_to(network.fit("data/star.png", "letterbox"), (3, 9, 9))
    np.testing.assert_array_equal(shown, (given.transpose(1, 2, 0) * 255).round())
