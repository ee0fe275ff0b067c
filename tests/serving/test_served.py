"""How a served network makes its batches, and what it says that it gets."""

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


@pytest.fixture
def pace(monkeypatch):
    """A function that returns the pace of a network with these attributes on a number of cores."""
    from darknet_py.serving import served
    from darknet_py.serving.limits import Limits

    def find(cores=CORES, batch=8, threads=None, **attributes):
        paces = []
        monkeypatch.setattr(served, "core_count", lambda: cores)
        monkeypatch.setattr(served, "Batcher", lambda prepare, run, run_apart, pace: paces.append(pace))
        usual = {"engine": "cpu", "count_forks": lambda most: most, "layers": ()}
        network = SimpleNamespace(settings=SimpleNamespace(threads=threads), **{**usual, **attributes})
        served.Served("a", network, Limits(batch=batch, wait=0.25, gather=0.5), lambda size: None)
        return paces[0]

    return find


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
def test_pictures_are_decoded_beside_a_network_that_leaves_a_core_free(pace, engine, threads, in_turns):
    found = pace(engine=engine, threads=threads)
    assert (found.most, found.wait, found.gather, found.threads, found.in_turns) == (8, 0.25, 0.5, CORES, in_turns)
    assert bool(found.apart) == in_turns


@pytest.mark.parametrize(
    ("cores", "room", "cfg", "batch", "apart"),
    [
        (2, 2, "darknet19", 16, 4),
        (8, 8, "darknet19", 16, 2),
        (16, 16, "darknet19", 16, 0),
        (1, 1, "darknet19", 16, 0),
        (8, 7, "darknet19", 16, 0),
        (2, 2, "alexnet", 16, 0),
    ],
)
def test_cores_go_apart_where_memory_has_room_and_batches_may_be_small(pace, cores, room, cfg, batch, apart):
    layers = load_network(ROOT / "cfg" / f"{cfg}.cfg").layers
    assert pace(cores, batch, layers=layers, count_forks=lambda most: room).apart == apart


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
