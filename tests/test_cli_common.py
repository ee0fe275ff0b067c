"""The options of every command: -q, -v, -V, before the command and after it."""

from __future__ import annotations

import pytest
from conftest import ROOT

from darknet_py import __version__

STAR = str(ROOT / "data" / "star.png")
CLASSIFY = ("classify", "shapes", STAR, "--engine", "reference")


def placed(word, words):
    """The command line with an option at its beginning, in its middle, and at its end."""
    return [(*words[:place], word, *words[place:]) for place in range(len(words) + 1)]


@pytest.mark.parametrize("words", [*placed("-q", CLASSIFY[:3]), ("--quiet", *CLASSIFY[:3])])
def test_quiet_leaves_the_answer_alone(darknet, words):
    code, out, err = darknet(*words, *CLASSIFY[3:])
    assert (code, err) == (0, "")
    assert out.splitlines()[2].startswith("star: 0.99")


def test_quiet_still_tells_errors_and_warnings(darknet):
    code, _, err = darknet(*CLASSIFY, "nowhere.png", "-q", "--top", "99")
    assert code == 3
    told = err.splitlines()
    assert told[0].startswith("darknet: warning: --top 99: more than the 10 classes of ")
    assert told[1:] == ["darknet: nowhere.png: no such file"]


@pytest.mark.parametrize("word", ["-v", "--verbose"])
def test_verbose_tells_what_was_taken(darknet, word):
    usual = darknet(*CLASSIFY)[2].splitlines()
    for words in placed(word, CLASSIFY[:3]):
        told = darknet(*words, *CLASSIFY[3:])[2].splitlines()
        more = [line for line in told if line not in usual]
        assert [line for line in told if line in usual] == usual
        assert any(line.startswith("darknet: weights of ") for line in more)
        assert "darknet: engine reference in float32 for 17 layers" in more
        assert "darknet: a plan for pictures of 85 x 64" in more


def test_both_contradict_each_other(darknet):
    code, out, err = darknet("-q", *CLASSIFY, "-v")
    assert (code, out) == (2, "")
    assert "not allowed with" in err


@pytest.mark.parametrize("word", ["-V", "--version"])
def test_the_version_is_told_wherever_it_is_asked_for(darknet, word):
    for words in [(word,), *placed(word, ("classifier", "predict", "x.cfg"))]:
        assert darknet(*words) == (0, f"darknet {__version__}\n", "")


def test_behind_two_dashes_they_are_names(darknet):
    code, _, err = darknet(*CLASSIFY[:2], "--engine", "reference", "--", "-q", "-V")
    assert code == 1
    assert err.splitlines()[-2:] == ["darknet: -q: no such file", "darknet: -V: no such file"]


@pytest.mark.parametrize("words", [*placed("-nogpu", ("ops", "shapes")), ("ops", "shapes", "--no-gpu")])
def test_what_runs_without_a_gpu_takes_the_flag_that_asks_for_it(darknet, words):
    code, out, err = darknet(*words)
    assert (code, out.partition(":")[0]) == (0, "Floating Point Operations")
    assert darknet("ops", "shapes") == (code, out, err)
