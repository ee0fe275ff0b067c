"""`classifier train --report`: a page that can be watched, of the whole run, however often that was ended."""

from __future__ import annotations

import re

import pytest
from support_page import Page
from support_trainer import KINDS, write_cfg

REFERENCE = ("--engine", "reference")
REPORTED = (*REFERENCE, "--validate-every", "2", "--report", "x.html")


@pytest.fixture
def folder(tmp_path, pictures):
    (tmp_path / "pics").symlink_to(pictures)
    write_cfg(tmp_path / "net.cfg", outputs=3, batch=9, max_batches=6, learning_rate=0.02)
    return tmp_path


def told(path):
    """The iterations that the page's charts show."""
    return [re.findall(r'"(?:After|Iteration) (\d+)', plot["data-reads"]) for plot in Page(path).all("div") if
            "Loss" in plot.get("aria-label", "") or "Share" in plot.get("aria-label", "")]  # fmt: skip


def test_a_page_tells_of_the_run_and_of_the_best_weights(train, folder):
    answer = train("pics", "net.cfg", *REPORTED, "--holdout", "0.5")
    assert answer.code == 0, answer.err
    page = Page(folder / "x.html")
    best = re.search(r"has the best top-1, (\d+\.\d\d)%, after (\d)", answer.complaints[-1])
    assert f"Top-1 accuracy {best[1]}%" in page.text
    assert f"Best weights backup/net_best.weights, of iteration {best[2]}" in page.text
    assert told(folder / "x.html") == [list("123456"), list("246")]
    assert "Images to train 15 Images to validate 15 Iterations 6 of 6, each of 9 images Epochs 3.60" in page.text
    wrong = 15 - round(15 * float(best[1]) / 100)
    assert len(page.all("img")) == wrong
    assert {image["alt"] for image in page.all("img")} <= set(KINDS)


def test_a_run_that_is_done_has_the_same_page_afterwards(train, folder):
    options = ("--holdout", "0.5", *REFERENCE, "--validate-every", "2")
    assert train("pics", "net.cfg", *options, "--report", "x.html").code == 0
    assert train("pics", "net.cfg", *options).code == 0
    again = train("pics", "net.cfg", *options, "--report", "y.html", "--resume")
    assert again.code == 0, again.err
    assert "backup/net_best.weights is measured for y.html" in again.complaints
    assert (folder / "x.html").read_bytes() == (folder / "y.html").read_bytes()


def test_without_validation_a_page_has_curves_alone(train, folder):
    (folder / "x.names").write_text("".join(f"{kind}\n" for kind in KINDS))
    (folder / "x.data").write_text("classes=3\nnames=x.names\nlabels=x.names\ntrain=pics\n")
    answer = train("x.data", "net.cfg", *REPORTED)
    assert answer.code == 0, answer.err
    assert "nothing was validated." in Page(folder / "x.html").text
    assert told(folder / "x.html") == [list("123456")]


def test_best_weights_that_are_gone_leave_the_curves(train, folder):
    assert train("pics", "net.cfg", *REPORTED).code == 0
    (folder / "backup" / "net_best.weights").unlink()
    answer = train("pics", "net.cfg", *REPORTED, "--resume")
    assert answer.code == 0
    message = r"backup/net_best\.weights: no such file; x\.html will not tell what they get wrong"
    assert any(re.fullmatch(message, line) for line in answer.complaints)
    assert told(folder / "x.html") == [list("123456"), list("246")]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("x.txt", r"--report x\.txt: a name that ends in \.html is expected"),
        ("no/x.html", r"--report no/x\.html: no file can be written there: no such file or directory"),
    ],
)
def test_a_page_that_cannot_be_is_refused_before_anything_is_trained(train, folder, name, says):
    answer = train("pics", "net.cfg", "--report", name)
    assert (answer.code, answer.out) == (2, "")
    assert re.fullmatch(says, answer.complaints[-1])
