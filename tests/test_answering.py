"""Many pictures at a time against one after another: the same answers in the same order."""

from __future__ import annotations

import io
import json
import threading

import numpy as np
import pytest
from PIL import Image
from support_cli import environment, run

from darknet_py import load_network
from darknet_py.cli import main
from darknet_py.commands import answering, predict
from darknet_py.commands.answering import Query, classify_each, classify_many
from darknet_py.errors import ImageError
from darknet_py.runs import ahead

COUNT = 21
BAD = (3, 11, 12)


@pytest.fixture(scope="module")
def network():
    return load_network("shapes", engine="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures of several sizes, some of them damaged."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(COUNT):
        pixels = np.random.default_rng(number).integers(0, 256, (30 + number % 3, 40, 3), np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        content = stream.getvalue()
        (folder / f"{number:02}.png").write_bytes(content[:-30] if number in BAD else content)
    return folder


def untimed(answers):
    """Each picture's record, without the seconds."""
    return [
        (str(path), str(answer) if isinstance(answer, ImageError) else answer._replace(seconds=0))
        for path, answer in answers
    ]


@pytest.mark.parametrize("most", [1 << 26, 1])
@pytest.mark.parametrize("preprocess", [None, "letterbox"])
def test_many_get_the_answers_of_each(network, folder, preprocess, most, monkeypatch):
    monkeypatch.setattr(answering, "MOST", most)
    query = Query(preprocess, 3, only_leaves=True)
    paths = [*map(str, sorted(folder.iterdir())), ImageError("none", file="x")]
    many = untimed(classify_many(network, paths, query, 2))
    assert many == untimed(classify_each(network, paths, query))
    assert [number for number, (_, answer) in enumerate(many) if isinstance(answer, str)] == [*BAD, COUNT]


def test_a_picture_without_an_answer_takes_none_from_those_it_ran_with(network, folder, monkeypatch):
    run = network.probabilities

    def fail_on_several(self, batch, only_leaves=True):
        if len(batch) > 1:
            raise MemoryError
        return run(batch, only_leaves)

    query = Query("letterbox", 1, only_leaves=True)
    paths = list(map(str, sorted(folder.iterdir())))
    expected = untimed(classify_each(network, paths, query))
    monkeypatch.setattr(type(network), "probabilities", fail_on_several)
    assert untimed(classify_many(network, paths, query, 2)) == expected


def test_a_folder_is_answered_as_its_pictures_are(folder, tmp_path, cache):
    paths = sorted(folder.iterdir())
    assert len(paths) // 2 + 1 < predict.MANY <= len(paths)

    def answers(*pictures):
        command = "classifier", "predict", "--engine", "reference", "--format", "jsonl", "shapes"
        answer = run(*command, *pictures, cwd=tmp_path, env=environment(cache))
        assert answer.code == 3
        records = [json.loads(line) for line in answer.out.splitlines()]
        return [record | {"seconds": 0} for record in records], answer.complaints

    parts = answers(*paths[: COUNT // 2]), answers(*paths[COUNT // 2 :])
    assert answers(folder) == (parts[0][0] + parts[1][0], parts[0][1] + parts[1][1])


def test_closed_half_way_it_ends_its_threads_at_once(network, folder, monkeypatch):
    made, work_ahead = [], ahead.work_ahead

    def keep(*arguments):
        made.append(work_ahead(*arguments))
        return made[0]

    monkeypatch.setattr(ahead, "work_ahead", keep)
    paths = list(map(str, sorted(folder.iterdir())))
    answers = classify_many(network, paths, Query("letterbox", 1, only_leaves=True), 2)
    next(answers)
    answers.close()
    assert made[0].gi_frame is None  # it is closed at once, not when its last reference goes
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("work")]


@pytest.fixture
def ways(monkeypatch):
    """Record how pictures are to be answered, "each" or by how many threads, and answer none."""
    ways = []

    def each(network, paths, query, looks):
        ways.append("each")
        yield from ()

    def many(network, paths, query, threads):
        ways.append(threads)
        yield from ()

    monkeypatch.setattr(predict, "classify_each", each)
    monkeypatch.setattr(predict, "classify_many", many)
    monkeypatch.setattr(predict, "core_count", lambda: 3)
    monkeypatch.setattr(predict, "processor_count", lambda: 6)
    return ways


PREDICT = "classifier", "predict", "--engine", "reference", "shapes"


@pytest.mark.parametrize(("threads", "expected"), [([], 3), (["--threads", "2"], 2), (["--threads", "64"], 6)])
def test_many_pictures_have_a_thread_for_each_core_and_at_most_for_each_processor(folder, ways, threads, expected):
    main([*PREDICT, str(folder), *threads])
    assert ways == [expected]


@pytest.mark.parametrize(
    "words", [["-"], ["FOLDER", "-"], ["FOLDER", "--annotate", "DIR"], ["FOLDER", "--heatmap", "DIR"]]
)
def test_those_that_are_named_or_looked_at_one_by_one_are_answered_so(folder, ways, words, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{path}\n" for path in folder.iterdir())))
    places = {"FOLDER": str(folder), "DIR": str(tmp_path / "looks")}
    main([*PREDICT, *(places.get(word, word) for word in words)])
    assert ways == ["each"]
