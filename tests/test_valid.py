"""The commands that measure a network on a list of images, run as a user does, on pictures drawn for it."""

from __future__ import annotations

import csv
import json
import os
import re
import struct
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT
from support_cli import Terminal, run
from support_valid import KINDS, draw_pictures, surroundings

import darknet_py
from darknet_py.commands.valid import _make_look
from darknet_py.evaluation.totals import interval
from darknet_py.heatmap import Heatmap
from darknet_py.images.decode import load_image
from darknet_py.network import load_structure
from darknet_py.prediction import Prediction

COUNT = 40
TOP = 3  # of shapes.data
MAP = Heatmap(Prediction(7, "", "", 0.5), 0, np.eye(2, dtype=np.float32), (0, 0, 1, 1), 8, 4)
REFERENCE = ("--engine", "reference")  # starts faster than the compiled one and answers alike
MEASURING = {"valid": "center-crop", "validfull": "shorter", "valid10": "ten-crop", "validcrop": "stretch"}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_pictures(tmp_path_factory.mktemp("drawn") / "pics", COUNT)


@pytest.fixture
def folder(tmp_path, drawn):
    """A working directory with the pictures in ``pics``."""
    (tmp_path / "pics").symlink_to(drawn)
    return tmp_path


@pytest.fixture
def darknet(folder, cache):
    """Run ``darknet classifier COMMAND shapes ...``."""

    def darknet(command, *arguments, engine=REFERENCE):
        return run("classifier", command, "shapes", *arguments, *engine, cwd=folder, env=surroundings(cache))

    return darknet


def names(drawn, count=COUNT):
    return sorted(f"pics/{name}" for name in os.listdir(drawn))[:count]


def truth_of(name):
    return KINDS.index(name.split(".")[1])


@pytest.fixture(scope="module")
def probabilities(drawn):
    """The library's answers to the first pictures, fitted in the given way: an array for each."""
    network = darknet_py.load_network("cfg/shapes.cfg", "data/shapes.weights", "reference")

    def probabilities(mode, count):
        files = (drawn.parent / name for name in names(drawn, count))
        views = (network.prepare(load_image(file), mode) for file in files)
        return [np.mean([network.predict(view[None])[0] for view in of_image], axis=0) for of_image in views]

    return probabilities


def running(answers, truths, top=TOP):
    """The lines with the shares of right answers so far."""
    best = [np.argsort(-answer, kind="stable")[:top] for answer in answers]
    right = np.cumsum([guesses[0] == truth for guesses, truth in zip(best, truths, strict=True)])
    right_top = np.cumsum([truth in guesses for guesses, truth in zip(best, truths, strict=True)])
    return [
        f"{index}: top 1: {one / (index + 1):f}, top {top}: {any_ / (index + 1):f}"
        for index, (one, any_) in enumerate(zip(right, right_top, strict=True))
    ]


def split_summary(out):
    """The lines for the images, and those of the summary without the time."""
    *lines, first, second, counts, pace, end = out.split("\n")
    assert re.fullmatch(r"\d+\.\d s, \d+\.\d images/s", pace)
    assert end == ""
    return lines, [first, second, counts]


def summary(images, right, right_top, counted=None, excluded=""):
    counted = images if counted is None else counted
    figures = []
    for top, hits in ((1, right), (TOP, right_top)):
        low, high = interval(hits, counted)
        figures.append(f"top-{top}: {hits / counted:.2%} (95 % interval {low:.2%} to {high:.2%}), {hits} of {counted}")
    return [*figures, f"{images} images: {counted} counted{excluded}"]


# What is printed on a pipe


@pytest.mark.parametrize("command", MEASURING)
def test_lines_are_darknets_and_a_summary_comes_after_them(darknet, drawn, probabilities, command):
    count = COUNT if command == "valid" else 10
    answer = darknet(command, "pics", "--limit", str(count))
    listed = names(drawn, count)
    truths, answers = [truth_of(name) for name in listed], probabilities(MEASURING[command], count)
    lines, told = split_summary(answer.out)
    means = running(answers, truths)
    if command == "valid":
        assert lines[1::2] == means
        for line, name, truth, values in zip(lines[::2], listed, truths, answers, strict=True):
            file, number, first, second, end = line.split(", ")
            assert (file, number, end) == (name, str(truth), "")
            assert re.fullmatch(r"\d\.\d{6} \d\.\d{6}", f"{first} {second}")
            assert [float(first), float(second)] == pytest.approx(values[:2], abs=2e-6)
    else:
        assert lines == means
    right, right_top = (round(float(share.split(", ")[0]) * count) for share in lines[-1].split(": ")[2:])
    assert told == summary(count, right, right_top)
    network = load_structure("cfg/shapes.cfg")
    listing = f"{network.describe()}{network.dialect.summary}\n"
    assert (answer.code, answer.err) == (0, f"{listing}Loading weights from data/shapes.weights...Done!\n")


def test_validmulti_runs_at_four_sizes(darknet, drawn, probabilities):
    answer = darknet("validmulti", "pics", "--limit", "2")
    lines, _ = split_summary(answer.out)
    assert lines == running(probabilities("multi", 2), [truth_of(name) for name in names(drawn, 2)])
    assert answer.code == 0


def test_label_prints_the_best_name_of_each(darknet, probabilities):
    answer = darknet("label", "pics")
    assert answer.out.splitlines() == [KINDS[np.argmax(values)] for values in probabilities("resize-crop", COUNT)]
    assert answer.code == 0
    assert re.fullmatch(r"40 images, 0 unreadable; \d+\.\d s, \d+\.\d images/s", answer.complaints[0])


@pytest.mark.parametrize(("top", "guesses"), [((), TOP), (("-t", "7"), 7)])
def test_csv_prints_the_path_and_the_best_classes_between_tabs(darknet, drawn, probabilities, top, guesses):
    answer = darknet("csv", "pics", "--limit", "10", *top)
    expected = [np.argsort(-values, kind="stable")[:guesses] for values in probabilities("letterbox", 10)]
    assert answer.out.splitlines() == [
        "\t".join([name, *map(str, best)]) for name, best in zip(names(drawn, 10), expected, strict=True)
    ]


@pytest.mark.parametrize(("command", "mode"), [("fout", "resize-crop"), ("test", "stretch")])
def test_fout_and_test_print_the_path_and_all_probabilities_between_tabs(darknet, drawn, probabilities, command, mode):
    answer = darknet(command, "pics", "--limit", "10")
    for line, name, values in zip(answer.out.splitlines(), names(drawn, 10), probabilities(mode, 10), strict=True):
        file, *printed = line.split("\t")
        assert file == name
        assert printed == [f"{float(text):g}" for text in printed]
        assert [float(text) for text in printed] == pytest.approx(values, abs=2e-6)


# Operands and options


def test_without_a_list_the_images_of_the_data_file_are_taken(darknet):
    answer = darknet("valid")
    lines, told = split_summary(answer.out)
    assert [line.split(", ")[:2] for line in lines[::2]] == [
        [f"data/{kind}.png", str(KINDS.index(kind))] for kind in ("arrow", "crescent", "flower", "heart", "star")
    ]
    assert (answer.code, told) == (0, summary(5, 5, 5))


def test_a_list_and_all_files_can_be_named(darknet, folder, drawn, cache):
    (folder / "x.list").write_text("".join(f"{name}\n" for name in names(drawn, 6)))
    files = ("data/shapes.data", "cfg/shapes.cfg", "data/shapes.weights")
    answer = run("classifier", "valid", *files, "x.list", *REFERENCE, cwd=folder, env=surroundings(cache))
    assert split_summary(answer.out) == split_summary(darknet("valid", "pics", "--limit", "6").out)


@pytest.mark.parametrize("mode", ["letterbox", "resize-crop", "shorter", "stretch"])
def test_images_are_fitted_as_asked(darknet, probabilities, mode):
    answer = darknet("fout", "pics", "--limit", "3", "--preprocess", mode)
    for line, values in zip(answer.out.splitlines(), probabilities(mode, 3), strict=True):
        assert [float(text) for text in line.split("\t")[1:]] == pytest.approx(values, abs=2e-6)


@pytest.mark.parametrize(
    ("asked", "mode"),
    [
        ("fout --preprocess shorter", "shorter"),
        ("fout --preprocess letterbox", "letterbox"),
        ("fout", "resize-crop"),
        ("test", "stretch"),
    ],
)
def test_images_are_so_whatever_the_data_file_says(folder, cache, probabilities, asked, mode):
    text = (ROOT / "data" / "shapes.data").read_text()
    (folder / "x.data").write_text(f"{text}\npreprocess=center-crop\n")
    files = ("x.data", "cfg/shapes.cfg", "data/shapes.weights", "pics", "--limit", "3")
    command, *options = asked.split()
    answer = run("classifier", command, *files, *options, *REFERENCE, cwd=folder, env=surroundings(cache))
    for line, values in zip(answer.out.splitlines(), probabilities(mode, 3), strict=True):
        assert [float(text) for text in line.split("\t")[1:]] == pytest.approx(values, abs=2e-6)


@pytest.mark.parametrize("mode", ["shorter", "stretch"])
def test_the_report_draws_where_the_network_looked_in_pictures_fitted_as_asked(mode):
    network = darknet_py.load_network("shapes", engine="reference")
    network.dataset = replace(network.dataset, preprocess="center-crop")
    setup = SimpleNamespace(args=SimpleNamespace(report="x"), job=SimpleNamespace(preprocess=mode), network=network)
    looked = []
    network.heatmap = lambda picture, layer, index, fitted: looked.append((index, fitted)) or MAP
    look = _make_look(setup, SimpleNamespace(signum=0))
    assert look(np.zeros((4, 8, 3), np.uint8), 7).shape == (4, 8, 3)
    assert looked == [(7, mode)]


def test_shards_together_print_what_the_whole_prints(darknet):
    whole = darknet("csv", "pics", "--limit", "10").out.splitlines()
    shards = [darknet("csv", "pics", "--limit", "10", "--shard", f"{part}/3").out.splitlines() for part in (1, 2, 3)]
    assert [len(shard) for shard in shards] == [4, 3, 3]
    assert [shards[index % 3][index // 3] for index in range(10)] == whole


def test_results_depend_neither_on_batches_nor_on_workers_nor_on_threads(darknet, folder):
    outs, saved = set(), set()
    for more in ("--batch 1 --workers 1", "--batch 7 --workers 2", "--batch 64", "--workers 5", "--threads 1"):
        answer = darknet("valid", "pics", "--save", "x.csv", *more.split(), engine=())
        outs.add(answer.out.rpartition(" s, ")[0].rpartition("\n")[0])
        saved.add((folder / "x.csv").read_bytes())
    assert (len(outs), len(saved)) == (1, 1)


def test_the_compiled_engine_gives_the_same_classes(darknet):
    assert darknet("csv", "pics", "-t", "1", engine=()).out == darknet("csv", "pics", "-t", "1").out


def test_the_listing_can_be_that_of_2018(darknet):
    answer = darknet("valid", "--style", "table")
    assert answer.err.startswith(load_structure("cfg/shapes.cfg").describe("table"))


# For programs


def test_with_format_json_the_summary_is_all_there_is_on_standard_output(darknet, folder):
    answer = darknet("valid", "pics", "--format", "json")
    fields = json.loads(answer.out)
    assert answer.code == 0
    assert (fields["command"], fields["preprocess"], fields["engine"]) == ("valid", "center-crop", "reference")
    assert (fields["images"], fields["counted"], fields["complete"]) == (COUNT, COUNT, True)
    assert fields["top-1"] == {"right": COUNT, "accuracy": 1, "interval": list(interval(COUNT, COUNT))}
    assert fields["excluded"] == {"unreadable": 0, "class unknown": 0}
    assert {"seconds", "images_per_second", "top-3"} <= fields.keys()


def test_records_are_saved_as_json_lines_and_as_csv(darknet, folder, drawn, probabilities):
    truths = [truth_of(name) for name in names(drawn)]
    for name in ("x.jsonl", "x.csv"):
        assert darknet("valid", "pics", "--save", name).code == 0
    records = [json.loads(line) for line in (folder / "x.jsonl").read_text().splitlines()]
    with (folder / "x.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    answers = probabilities("center-crop", COUNT)
    for index, (record, row, truth, values) in enumerate(zip(records, rows, truths, answers, strict=True)):
        best = np.argsort(-values, kind="stable")[:TOP]
        assert (record["index"], record["file"]) == (index, names(drawn)[index])
        assert record["truth"] == {"index": truth, "wnid": KINDS[truth], "label": KINDS[truth]}
        assert [guess["label"] for guess in record["predictions"]] == [KINDS[guess] for guess in best]
        told = [guess["probability"] for guess in record["predictions"]]
        assert told == pytest.approx(values[best], abs=2e-6)
        assert (row["index"], row["file"], row["truth"], row["excluded"]) == (
            str(index),
            record["file"],
            str(truth),
            "",
        )
        assert [float(row[f"p{rank}"]) for rank in (1, 2, 3)] == told
        assert [int(row[f"class{rank}"]) for rank in (1, 2, 3)] == best.tolist()


# At a terminal


def show(folder, cache, *words):
    """What a terminal of 100 columns shows at the end."""
    import fcntl
    import termios

    with Terminal("classifier", *words, *REFERENCE, cwd=folder, env=surroundings(cache)) as terminal:
        fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        answer = terminal.finish()
    assert answer.code == 0
    return answer.out.partition("Done!\n")[2]


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_at_a_terminal_there_are_one_bar_and_the_summary_and_no_lines(folder, cache):
    shown = show(folder, cache, "valid", "shapes", "pics")
    bar, _, rest = shown.partition("\n")
    assert re.search(
        r"\r100%\|█+\| 40/40 \[\d\d:\d\d<\d\d:\d\d, +[\d.]+images/s, top-1 100\.00%, top-3 100\.00%\]", bar
    )
    assert (split_summary(rest), "top 1: " in shown) == (([], summary(COUNT, COUNT, COUNT)), False)


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_at_a_terminal_answers_are_listed_without_a_bar(folder, cache, darknet):
    shown = show(folder, cache, "label", "shapes", "pics")
    assert "\r" not in shown
    assert shown.startswith(darknet("label", "pics").out + "darknet: 40 images, 0 unreadable; ")


# The figure


def test_of_100_pictures_97_are_named_right(tmp_path, cache):
    draw_pictures(tmp_path / "pics", 100)
    answer = run("classifier", "valid", "shapes", "pics", cwd=tmp_path, env=surroundings(cache))
    assert answer.code == 0
    share = float(split_summary(answer.out)[1][0].removeprefix("top-1: ").partition("%")[0])
    assert share >= 97
