"""The page of a run's results: what it says, and that nothing in it is executed or fetched."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from support_page import HOSTILE, Page, make_dataset, make_run, summarize_run

from darknet_py.datasets.data_file import Dataset
from darknet_py.datasets.samples import Sample
from darknet_py.errors import DatasetError
from darknet_py.evaluation.outcome import Outcome
from darknet_py.pages.evaluation import save_page

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


@pytest.fixture
def save(tmp_path):
    """Write the page of a run, and read it."""

    def save(samples, outcomes, dataset=None, **options):
        path = tmp_path / "report.html"
        summary = summarize_run(samples, outcomes, **options)
        save_page(str(path), summary, dataset or make_dataset(20), samples, iter(outcomes))
        return Page(path)

    return save


@pytest.fixture
def page(save):
    return save(*make_run(2000, 20))


def test_figures_and_what_was_measured_are_told(save):
    samples = [Sample(f"{n}.jpg", n) for n in range(4)]
    text = save(samples, [Outcome(n, [(2, 0.6), (3, 0.4)]) for n in range(4)], top=2, cfg="cfg/tiny.cfg").text
    for part in (
        "darknet classifier valid tiny",
        "Top-1 accuracy 25.00% 95% interval 4.56\N{EN DASH}69.94% 1 of 4 right",
        "Top-2 accuracy 50.00% 95% interval 15.00\N{EN DASH}85.00% 2 of 4 right",
        "Network cfg/tiny.cfg Weights tiny.weights Data x.data Preprocess center-crop Engine cpu, float32",
        "Images counted 4 of 4 Excluded none Time 10.0 s Images per second 0.4",
        "4 of 20 classes have images; the other 16 are left out.",
        "0 name 0 n00000000 1 0.0% 0.0% name 2 1\N{MULTIPLICATION SIGN}",
        "name 3 name 2 1 of 1 100.0%",
        "Expected calibration error: 35.00%",
    ):
        assert part in text
    assert "Incomplete" not in text


def test_a_page_has_a_language_a_title_and_a_strict_policy(page):
    assert page.all("html") == [{"lang": "en"}]
    assert re.search("<title>tiny: [0-9.]{5}% top-1 \N{EN DASH} darknet valid</title>", page.source)
    policies = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    assert policies[0].startswith(POLICY)


def test_a_page_refers_to_nothing_outside_and_to_what_is_there(page):
    page.check_references()


def test_tables_can_be_sorted_by_buttons_and_say_how_they_are(page):
    body = page.source[page.source.index('<table id="class-table">') :]
    head = body[: body.index("</thead>")]
    assert head.count("<th ") == head.count("<button") == 6
    assert head.count("aria-sort") == 1


def test_without_a_second_figure_there_is_one_of_each(save):
    text = save(*make_run(300, 20), top=1).text
    assert "Top-1 accuracy" in text
    assert not re.search(r"[Tt]op-[2-9]", text)


def test_incomplete_runs_say_so(save):
    samples, outcomes = make_run(50, 20)
    assert "Incomplete: 30 of 50 images." in save(samples, outcomes[:30]).text


def test_a_run_that_was_taken_up_tells_what_its_time_is_of(tmp_path):
    from dataclasses import replace

    samples, outcomes = make_run(50, 20)
    summary = summarize_run(samples, outcomes)
    summary = replace(summary, progress=replace(summary.progress, fresh=20, seconds=3725.0))
    save_page(str(tmp_path / "x.html"), summary, make_dataset(20), samples, outcomes)
    assert "Time 1 h 02 min for the last 20 images Images per second 0.0" in Page(tmp_path / "x.html").text


def test_sections_without_content_say_so(save):
    text = save([Sample("a.jpg", 1)], []).text
    for part in (
        "Incomplete: 0 of 1 images",
        "there is no accuracy to tell",
        "No class has an image that was counted.",
        "No class was taken for another.",
        "No first guess was wrong.",
        "No image was excluded.",
    ):
        assert part in text


def test_a_single_right_image_is_a_page_without_mistakes(save):
    text = save([Sample("a.jpg", 1)], [Outcome(0, [(1, 0.9)])]).text
    assert "100.00%" in text
    assert "After 1 image: top-1 100.00%" in text
    assert "No first guess was wrong." in text


def test_names_that_look_like_markup_are_shown_as_they_are(save):
    dataset = Dataset("x.data", 2, [HOSTILE + "0", HOSTILE + "1"], [HOSTILE + "a", HOSTILE + "b"], 2)
    samples = [Sample("1" + HOSTILE, 1), Sample("2" + HOSTILE, -1, "doubt " + HOSTILE), Sample("3" + HOSTILE, 0)]
    outcomes = [Outcome(0, [(0, 0.9), (1, 0.1)]), Outcome(1, [(0, 0.9)]), Outcome(2, error="error " + HOSTILE)]
    page = save(samples, outcomes, dataset, cfg="a" + HOSTILE)
    assert page.all("script") == [{}]
    assert page.all("b") == [{"title": "right", "aria-label": "right"}]
    for part in ("0", "1", "b"):
        assert HOSTILE + part in page.text
    for part in ("1", "2", "3", "doubt ", "error ", "Network a"):
        assert part + HOSTILE in page.text


def test_bytes_of_names_that_are_no_text_are_shown_as_escapes(save):
    samples = [Sample("caf\udce9\x00\x1b[31m\r\x9b.jpg", 1), Sample("\ud800.jpg", 0)]
    page = save(samples, [Outcome(0, [(0, 0.9)]), Outcome(1, [(1, 0.9)])], cfg="n\udcff.cfg")
    assert r"caf\xe9\x00\x1b[31m\x0d\x9b.jpg" in page.text
    assert r"\ud800.jpg" in page.text
    assert r"n\xff.cfg" in page.text


def test_no_name_turns_the_order_of_the_page(save):
    samples = [Sample("a\u202egnp.exe\u2066\u200f\u2028.jpg", 1)]
    page = save(samples, [Outcome(0, [(0, 0.9)])])
    assert r"a\u202egnp.exe\u2066\u200f\u2028.jpg" in page.text
    assert "\u202e" not in page.source


def test_mistakes_carry_their_pictures(save, tmp_path):
    picture = np.zeros((300, 600, 3), np.uint8) + np.uint8([200, 30, 90])
    Image.fromarray(picture).save(tmp_path / "wide.png")
    samples = [Sample(str(tmp_path / "wide.png"), 1)]
    (image,) = save(samples, [Outcome(0, [(0, 0.9), (1, 0.1)])]).all("img")
    assert image["alt"] == "name 1"
    shown = Image.open(io.BytesIO(base64.b64decode(image["src"].removeprefix("data:image/jpeg;base64,"))))
    assert (shown.format, shown.size) == ("JPEG", (160, 80))
    assert np.abs(np.asarray(shown)[40, 80].astype(int) - [200, 30, 90]).max() < 8


def test_below_a_mistake_is_where_the_network_looked_for_its_guess(tmp_path):
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    samples, outcomes = [Sample(str(tmp_path / "a.png"), 1)], [Outcome(0, [(4, 0.9), (1, 0.1)])]
    asked = []

    def write(look):
        save_page(str(tmp_path / "x.html"), summarize_run(samples, outcomes), make_dataset(5), samples, outcomes, look)
        return Page(tmp_path / "x.html")

    page = write(lambda picture, guess: asked.append((picture.shape, guess)) or picture)
    assert asked == [((20, 20, 3), 4)]
    assert [image["alt"] for image in page.all("img")] == ["name 1", "Where it looks like name 4"]
    assert "below each picture, what in it speaks for the first guess." in page.text
    assert len(write(lambda picture, guess: None).all("img")) == 1

    def fail(picture, guess):
        raise MemoryError

    assert len(write(fail).all("img")) == 1
    assert "speaks" not in write(None).text


def test_pictures_are_looked_for_as_the_data_file_names_them(save, tmp_path):
    (tmp_path / "cfg").mkdir()
    (tmp_path / "images").mkdir()
    Image.new("RGB", (20, 20)).save(tmp_path / "images" / "a.png")
    dataset = Dataset("x.data", 2, ["a", "b"], ["a", "b"], 2, path=tmp_path / "cfg" / "x.data")
    assert len(save([Sample("images/a.png", 1)], [Outcome(0, [(0, 0.9)])], dataset).all("img")) == 1


@pytest.mark.parametrize("content", [None, b"", b"\xff\xd8\xffno picture", b"text"])
def test_pictures_that_cannot_be_shown_leave_a_place(save, tmp_path, content):
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    page = save([Sample(str(path), 1)], [Outcome(0, [(0, 0.9)])])
    assert page.all("img") == []
    assert "no picture to show" in page.text


@pytest.mark.parametrize("file", ["", "a\0b.jpg", "x" * 5000, "."])
def test_names_that_no_file_can_have_leave_a_place(save, file):
    assert "no picture to show" in save([Sample(file, 1)], [Outcome(0, [(0, 0.9)])]).text


def test_excluded_images_beyond_a_thousand_are_told_by_number(save):
    samples = [Sample(f"{n}.jpg", 1) for n in range(1234)]
    text = save(samples, [Outcome(n, error="an empty file") for n in range(1234)]).text
    assert "1,234 of 1,234 images do not count; the first 1,000 are listed, 234 more are not." in text
    assert "999.jpg unreadable an empty file" in text
    assert "1000.jpg" not in text


def test_images_without_a_label_are_told(save):
    text = save([Sample("a.jpg", -1)], [Outcome(0, [(0, 0.9)])]).text
    assert "1 of the images counted bear no label in their path" in text
    assert "no class known" in text


def test_a_page_that_cannot_be_written_is_an_error(tmp_path):
    samples, outcomes = make_run(5, 20)
    with pytest.raises(DatasetError, match=r"no/such/report\.html: no such file"):
        save_page(
            str(tmp_path / "no/such/report.html"),
            summarize_run(samples, outcomes),
            make_dataset(20),
            samples,
            outcomes,
        )


def test_importing_the_page_loads_no_template_engine():
    import subprocess
    import sys

    code = "import sys, darknet_py.pages.evaluation; print('jinja2' in sys.modules, 'PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == ["False"] * 2
