"""The page of a training run: what it says, when it is written, and that nothing in it is executed or fetched."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice

import pytest
from PIL import Image
from support_page import HOSTILE, Page, make_dataset, make_run, summarize_run
from support_training_page import CLASSES, FACTS, tell_iterations, tell_run, tell_validation, write_page

from darknet_py.datasets.data_file import Dataset
from darknet_py.datasets.samples import Sample
from darknet_py.errors import TrainingError
from darknet_py.evaluation.outcome import Outcome
from darknet_py.pages import training
from darknet_py.pages.evaluation import save_page
from darknet_py.pages.training import TrainingPage
from darknet_py.training.history import History


def cut(page, first, last):
    """The source of the page's sections from one to another."""
    return page.source[page.source.index(f'<section id="{first}"') : page.source.index(f'<section id="{last}"')]


def test_the_run_and_its_best_weights_are_told(tmp_path):
    text = write_page(tmp_path / "x.html", tell_run(), make_run(60, CLASSES)[0]).text
    for part in (
        "darknet classifier train tiny",
        "Best weights backup/tiny_best.weights, of iteration 50 Network cfg/tiny.cfg Data x.data Images to train 64",
        "Images to validate 60 Iterations 100 of 100, each of 16 images Epochs 25.00 Loss 0.13, running average 0.13",
        "Learning rate 0.1",
        "Each iteration, and the running average.",
        "Iteration 100: loss 0.13, running average 0.13",
        "After 100 iterations: top-1 ",
        "All that follows is of the best weights, backup/tiny_best.weights, of iteration 50.",
    ):
        assert part in text
    assert "Not at its end" not in text


def test_the_best_weights_are_told_as_the_page_of_valid_does(tmp_path):
    samples, outcomes = make_run(60, CLASSES)
    page = write_page(tmp_path / "x.html", tell_run(), samples)
    save_page(str(tmp_path / "y.html"), summarize_run(samples, outcomes), make_dataset(CLASSES), samples, outcomes)
    valid = Page(tmp_path / "y.html")
    assert cut(page, "classes", "excluded") == cut(valid, "classes", "excluded")
    figures = [re.search('<div class="figures">.*?<dl', one.source, re.DOTALL)[0] for one in (page, valid)]
    assert figures[0] == figures[1]


def test_a_page_has_a_language_a_title_and_a_strict_policy_and_refers_to_nothing_outside(tmp_path):
    page = write_page(tmp_path / "x.html", tell_run(), make_run(60, CLASSES)[0])
    assert page.all("html") == [{"lang": "en"}]
    assert re.search("<title>tiny: [0-9.]{5}% top-1 \N{EN DASH} darknet train</title>", page.source)
    assert sum("default-src 'none'" in meta.get("content", "") for meta in page.all("meta")) == 1
    page.check_references()


def test_without_validation_there_are_the_curves_alone(tmp_path):
    page = write_page(tmp_path / "x.html", tell_iterations(History(), 1, 30))
    assert "Not at its end: iteration 30 of 100." in page.text
    assert "Images to validate none" in page.text
    assert "No image is held out, so nothing was validated." in page.text
    assert [attrs["href"] for attrs in page.all("a")] == ["#loss", "#rate", "#scores"]
    assert "<title>tiny \N{EN DASH} darknet train</title>" in page.source
    assert len([attrs for _, attrs in page.elements if "data-chart" in attrs]) == 2


def test_a_page_is_written_at_each_validation_and_whole_at_any_time(tmp_path):
    path, seen = tmp_path / "x.html", []
    with TrainingPage(str(path), FACTS, make_dataset(CLASSES), make_run(60, CLASSES)[0]) as page:
        for progress in tell_run():
            page.add(progress)
            done = path.exists() and re.search(r"Iterations (\d+) of 100", Page(path).text)[1]
            seen.append((progress.iteration, done))
    assert list(dict(seen).values())[24::25] == ["25", "50", "75", "100"]
    assert {done for iteration, done in seen if iteration < 25} == {False}
    assert {done for iteration, done in seen if 25 < iteration < 50} == {"25"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_page_is_written_now_and_then_besides(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "OFTEN", -1.0)
    page = TrainingPage(str(tmp_path / "x.html"), FACTS, make_dataset(CLASSES), ())
    for progress in tell_iterations(History(), 1, 3):
        page.add(progress)
        assert f"Iterations {progress.iteration} of 100" in Page(tmp_path / "x.html").text


def diverge():
    yield from tell_iterations(History(), 1, 3)
    raise TrainingError("the loss is nan")


def test_what_ends_a_run_does_not_keep_the_page_from_being_written(tmp_path):
    with pytest.raises(TrainingError, match="the loss is nan"):
        write_page(tmp_path / "x.html", diverge())
    assert "Iterations 3 of 100" in Page(tmp_path / "x.html").text


def test_a_run_without_an_iteration_has_no_page(tmp_path):
    with TrainingPage(str(tmp_path / "x.html"), FACTS, make_dataset(CLASSES), ()):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_cannot_be_written_is_an_error_unless_there_is_another(tmp_path):
    with pytest.raises(TrainingError, match=r"none/x\.html: no such file"):
        write_page(tmp_path / "none" / "x.html", tell_iterations(History(), 1, 3))
    with pytest.raises(TrainingError, match="the loss is nan"):
        write_page(tmp_path / "none" / "x.html", diverge())


def test_a_validation_that_was_left_does_not_count(tmp_path):
    samples, outcomes = make_run(60, CLASSES)

    def tell(left):
        history = History()
        yield from tell_iterations(history, 1, 5)
        yield from islice(tell_validation(history, 5, samples, outcomes, 5), left)
        yield from tell_validation(history, 5, samples, outcomes, 5)

    left, whole = (write_page(tmp_path / "x.html", tell(parts), samples) for parts in (4, 0))
    assert left.source == whole.source


def test_a_long_run_makes_a_small_page(tmp_path):
    page = write_page(tmp_path / "x.html", tell_iterations(History(), 1, 20000))
    assert len(page.source) < 600_000
    assert "One iteration in 16, and the running average." in page.text
    assert "Iteration 20,000: loss" in page.text


def test_names_that_look_like_markup_are_shown_as_they_are(tmp_path):
    dataset = Dataset("x.data", 2, [HOSTILE + "0", HOSTILE + "1"], [HOSTILE + "a", HOSTILE + "b"], 2)
    samples = [Sample("1" + HOSTILE, 1), Sample("2" + HOSTILE, 0)]
    outcomes = [Outcome(0, [(0, 0.9), (1, 0.1)]), Outcome(1, error="error " + HOSTILE)]
    facts = replace(FACTS, name="n" + HOSTILE, cfg="c" + HOSTILE, weights="w" + HOSTILE, data="d" + HOSTILE)
    history = History()
    told = [*tell_iterations(history, 1, 2), *tell_validation(history, 2, samples, outcomes, 2)]
    page = write_page(tmp_path / "x.html", told, samples, dataset, facts)
    assert page.all("script") == [{}]
    assert page.all("b") == [{"title": "right", "aria-label": "right"}]
    for part in ("n", "c", "w", "d", "1", "2", "error "):
        assert part + HOSTILE in page.text


def test_mistakes_of_the_best_weights_carry_their_pictures(tmp_path):
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    samples, history = [Sample(str(tmp_path / "a.png"), 1)], History()
    told = [*tell_iterations(history, 1, 2), *tell_validation(history, 2, samples, [Outcome(0, [(0, 0.9)])], 2)]
    (image,) = write_page(tmp_path / "x.html", told, samples).all("img")
    assert image["src"].startswith("data:image/jpeg;base64,")
