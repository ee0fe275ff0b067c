"""The loop that measures a network: what it yields, in what order, what it leaves behind, and what it refuses."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from support_cli import PATIENCE, environment
from support_valid import draw_pictures

import darknet_py
from darknet_py.evaluation import loop as module
from darknet_py.evaluation.outcome import Outcome
from darknet_py.evaluation.totals import Totals

COUNT = 24
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a journal reads at a place as POSIX does")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return draw_pictures(tmp_path_factory.mktemp("drawn") / "pics", COUNT)


@pytest.fixture(scope="module")
def network():
    network = darknet_py.load_network(ROOT / "cfg/shapes.cfg", ROOT / "data/shapes.weights", engine="reference")
    network.dataset = darknet_py.load_dataset(ROOT / "data/shapes.data")
    return network


@pytest.fixture(scope="module")
def samples(network, pictures):
    return darknet_py.load_samples(pictures, network.dataset)


@pytest.fixture(scope="module")
def whole(network, samples):
    """All that one run yields."""
    return list(darknet_py.evaluate(network, samples, batch=np.int64(4), workers=np.int32(2)))


def outcomes_of(told):
    return [outcome for progress in told for outcome in progress.outcomes]


class Answers:
    """A crew that answers with certain outcomes, some at a time; who looked at what it was asked for."""

    def __init__(self, *answers):
        self.answers, self.asked, self.closed = answers, [], False

    def evaluate(self, network, job, images):
        self.asked = [image.index for image in images]
        try:
            yield from self.answers
        finally:
            self.closed = True


def answer(index, guess=0):
    return Outcome(index, [(guess, 0.5), (1, 0.125), (2, 0.0625), (3, 0.0), (4, 0.0)])


# What is yielded


def test_outcomes_come_in_the_samples_order_and_are_what_classify_answers(network, samples, whole):
    outcomes = outcomes_of(whole)
    assert [outcome.index for outcome in outcomes] == list(range(COUNT))
    for sample, outcome in zip(samples, outcomes, strict=True):
        guesses = network.classify(sample.file, top=5, preprocess="center-crop")
        assert [index for index, _ in outcome.guesses] == [guess.index for guess in guesses]
        np.testing.assert_array_equal(
            np.float32([probability for _, probability in outcome.guesses]),
            np.float32([guess.probability for guess in guesses]),
        )


def test_totals_count_what_was_told_so_far(samples, whole):
    totals = Totals(3)  # of shapes.data
    for progress in whole:
        for outcome in progress.outcomes:
            totals.add(samples[outcome.index], outcome)
        assert progress.totals == totals
        assert (progress.done, progress.total) == (totals.images, COUNT)
    assert list(totals.figures()) == ["top-1", "top-3"]
    assert [progress.complete for progress in whole] == [False] * (len(whole) - 1) + [True]
    assert whole[-1].fresh == COUNT
    assert [progress.seconds for progress in whole] == sorted(progress.seconds for progress in whole)


def test_the_number_of_guesses_that_count_can_be_chosen(network, samples, whole):
    totals = [list(darknet_py.evaluate(network, samples, top=top))[-1].totals for top in (1, 10)]
    assert [list(one.figures()) for one in totals] == [["top-1"], ["top-1", "top-10"]]
    assert totals[0].right == totals[1].right == whole[-1].totals.right
    assert totals[1].right_top == COUNT


def test_an_image_that_cannot_be_read_is_told_and_does_not_count(network, samples, tmp_path):
    bad = darknet_py.Sample(str(tmp_path / "none.png"), truth=3)
    *_, last = darknet_py.evaluate(network, [*samples[:2], bad])
    assert last.outcomes[-1].error == "no such file"
    assert (last.totals.counted, last.totals.unreadable) == (2, 1)


def test_what_a_crew_answers_in_any_order_is_told_without_a_gap(network, samples):
    crew = Answers([answer(2), answer(1)], [], [answer(0)], [answer(3)])
    told = list(darknet_py.evaluate(network, samples[:4], workers=crew))
    assert [[outcome.index for outcome in progress.outcomes] for progress in told] == [[], [], [0, 1, 2], [3]]
    assert [progress.done for progress in told] == [2, 2, 3, 4]
    assert crew.asked == [0, 1, 2, 3]


def test_a_journal_of_many_is_told_in_pieces(network, samples, tmp_path, monkeypatch):
    crew = Answers([answer(index) for index in range(COUNT)])
    list(darknet_py.evaluate(network, samples, workers=crew, journal=tmp_path / "x.journal"))
    monkeypatch.setattr(module, "TOLD", 10)
    told = list(darknet_py.evaluate(network, samples, workers=Answers(), journal=tmp_path / "x.journal"))
    assert [len(progress.outcomes) for progress in told] == [10, 10, 4]
    assert [(progress.done, progress.fresh) for progress in told] == [(COUNT, 0)] * 3
    assert [progress.complete for progress in told] == [False, False, True]


# Abandoned and resumed


def working():
    return [thread for thread in threading.enumerate() if thread.name.startswith("work")]


def test_a_consumer_that_stops_leaves_nothing_behind_and_another_goes_on(network, samples, whole, tmp_path):
    file = tmp_path / "x.journal"
    before = threading.active_count()
    running = darknet_py.evaluate(network, samples, batch=2, workers=2, journal=file)
    assert [outcome.index for outcome in next(running).outcomes] == [0, 1]
    assert working()
    running.close()
    assert (working(), threading.active_count()) == ([], before)
    told = list(darknet_py.evaluate(network, samples, batch=2, workers=2, journal=file))
    assert outcomes_of(told) == outcomes_of(whole)
    assert (len(told[0].outcomes), told[0].fresh, told[-1].fresh) == (2, 0, COUNT - 2)
    crew = Answers()
    (again,) = darknet_py.evaluate(network, samples, workers=crew, journal=file)
    assert (list(again.outcomes), again.totals, crew.asked) == (outcomes_of(whole), whole[-1].totals, [])


def test_one_that_was_never_asked_has_begun_nothing(network, samples, tmp_path):
    darknet_py.evaluate(network, samples, journal=tmp_path / "x.journal").close()
    assert list(tmp_path.iterdir()) == []


def test_a_crew_is_closed_with_its_consumer(network, samples):
    crew = Answers(*([answer(index)] for index in range(4)))
    running = darknet_py.evaluate(network, samples[:4], workers=crew)
    next(running)
    assert not crew.closed
    running.close()
    assert crew.closed


def test_damaged_lines_of_a_journal_are_told_and_measured_again(network, samples, tmp_path):
    file = tmp_path / "x.journal"
    list(darknet_py.evaluate(network, samples[:2], workers=Answers([answer(0), answer(1)]), journal=file))
    file.write_bytes(file.read_bytes().replace(b"0.125", b"0.126", 1))
    crew = Answers([answer(0)])
    says = f"{file}: 1 damaged line is passed over; images that no other line tells of are measured again"
    with pytest.warns(darknet_py.DarknetWarning, match=re.escape(says)):
        *_, last = darknet_py.evaluate(network, samples[:2], workers=crew, journal=file)
    assert (crew.asked, last.complete) == ([0], True)


# Refused


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (dict(top=0), "top=0: at least 1 is expected"),
        (dict(top=11), "top=11: at most 10 is expected, one for each class"),
        (dict(top=1.5), "top=1.5: a whole number is expected"),
        (dict(batch=0), "batch=0: at least 1 is expected"),
        (dict(workers=-1), "workers=-1: at least 1 is expected"),
        (dict(workers=np.int64(0)), "workers=0: at least 1 is expected"),
        (dict(workers="2"), "workers='2': a number of threads is expected, or who does the work"),
        (dict(threads=0), "threads=0: at least 1 is expected"),
        (dict(preprocess="centre"), "preprocess=centre: one of shorter, letterbox, center-crop, "),
        (dict(samples=[]), "no samples; at least one is expected"),
        (dict(samples=["x.png"]), "samples: 'x.png' is none; load_samples makes them, or Sample(file, truth)"),
        (
            dict(samples=[darknet_py.Sample("x.png", 10)]),
            "x.png: is of class 10, but the network has 10; load the samples with its dataset",
        ),
        (
            dict(samples=[darknet_py.Sample("x.png"), darknet_py.Sample("y.png")]),
            "no sample's class is known, e.g. x.png: load_samples(match='words') finds classes, Sample(file, truth)",
        ),
        (
            dict(samples=[darknet_py.Sample(Path("x.png"), 1)]),
            f"samples: {Path('x.png')!r} is a {type(Path('x.png')).__name__}; a str names the file",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_call(network, samples, options, says):
    with pytest.raises(darknet_py.DarknetError) as error:
        darknet_py.evaluate(network, **{"samples": samples, **options})
    assert str(error.value).startswith(says)


def test_a_network_without_weights_is_refused(samples):
    bare = darknet_py.load_network(ROOT / "cfg/shapes.cfg")
    bare.dataset = darknet_py.load_dataset(ROOT / "data/shapes.data")
    with pytest.raises(darknet_py.UsageError, match=r"shapes\.cfg: no weights were loaded, so it cannot run$"):
        darknet_py.evaluate(bare, samples)


def test_what_is_no_address_of_a_cluster_is_refused():
    for address in ("host", "local:0", "http://host:1"):
        with pytest.raises(
            darknet_py.UsageError, match=f"^{address}: HOST:PORT of a scheduler is expected, or local:N"
        ):
            darknet_py.Cluster(address)


@pytest.mark.parametrize("changed", ["samples", "truths", "preprocess"])
def test_a_journal_of_something_else_is_refused(network, samples, tmp_path, changed):
    file, options = tmp_path / "x.journal", {}
    list(darknet_py.evaluate(network, samples, workers=Answers(), journal=file))
    if changed == "samples":
        samples = samples[1:]
    elif changed == "truths":
        samples = [sample._replace(truth=0) for sample in samples]
    else:
        options = {"preprocess": "stretch"}
    with pytest.raises(darknet_py.JournalError, match=r"a journal of something else: ") as error:
        next(darknet_py.evaluate(network, samples, journal=file, **options))
    assert "\n" not in str(error.value)


# As it is called


CLUSTER = """
import sys
import darknet_py

def main():
    net = darknet_py.load_network("cfg/shapes.cfg", "data/shapes.weights", engine="reference")
    net.dataset = darknet_py.load_dataset("data/shapes.data")
    samples = darknet_py.load_samples(sys.argv[1], net.dataset)
    here, far = [
        list(darknet_py.evaluate(net, samples, workers=workers)) for workers in (2, darknet_py.Cluster("local:1"))
    ]
    assert [o for p in here for o in p.outcomes] == [o for p in far for o in p.outcomes]
    print(far[-1].done, far[-1].totals == here[-1].totals)

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_a_cluster_finds_what_threads_find(cache, pictures, tmp_path):
    pytest.importorskip("distributed", reason="distributed is not installed (the extra [cluster])")
    script = tmp_path / "measure.py"
    script.write_text(CLUSTER)
    command = [sys.executable, str(script), str(pictures)]
    ran = subprocess.run(command, cwd=ROOT, env=environment(cache), capture_output=True, text=True, timeout=PATIENCE)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"{COUNT} True\n", "")
