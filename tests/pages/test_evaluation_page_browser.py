"""The page in a browser: headless Chromium, opened from disk, nothing downloaded."""

from __future__ import annotations

import numpy as np
import pytest
from support_browser import missing, open_chromium, show
from support_page import make_dataset, summarize_run

from darknet_py.datasets.samples import Sample
from darknet_py.evaluation.outcome import Outcome
from darknet_py.pages.evaluation import save_page

CLASSES, IMAGES = 1000, 50_000
THEMES = {"dark": "rgb(20, 23, 26)", "light": "rgb(255, 255, 255)"}


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"no {missing()} (Debian: chromium, chromium-driver; pip: selenium)"),
]


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    driver = open_chromium(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The page of a run over ImageNet's number of images, none of which is there."""
    rng = np.random.default_rng(2)
    samples = [Sample(f"no/such/{n}.jpg", n % CLASSES) for n in range(IMAGES)]
    guesses = rng.integers(CLASSES, size=(IMAGES, 5))
    right = rng.random(IMAGES) < 0.2 + 0.7 * (np.arange(IMAGES) % CLASSES) / CLASSES
    guesses[right, 0] = (np.arange(IMAGES) % CLASSES)[right]
    probabilities = np.sort(rng.dirichlet([1] * 5, IMAGES))[:, ::-1].round(4)
    outcomes = [
        Outcome(n, list(zip(guesses[n].tolist(), probabilities[n].tolist(), strict=True))) for n in range(IMAGES)
    ]
    path = tmp_path_factory.mktemp("page") / "report.html"
    save_page(str(path), summarize_run(samples, outcomes), make_dataset(CLASSES), samples, outcomes)
    return path


@pytest.fixture
def page(driver, report):
    """The page, freshly opened at a screen's width in light colours; the browser must have no complaints at the end."""
    show(driver, "light", 1280)
    driver.get(report.as_uri())
    yield driver
    assert driver.get_log("browser") == []


def background(page):
    return page.execute_script("return getComputedStyle(document.body).backgroundColor")


def column(page, place):
    """The texts of a column of the class table, rows in their order, as they are shown."""
    script = """
        return [...document.querySelectorAll("#class-table tbody tr")].filter((row) => !row.hidden)
            .map((row) => row.cells[arguments[0]].textContent)
    """
    return page.execute_script(script, place)


def heads(page):
    return page.find_elements("css selector", "#class-table thead th")


def test_the_page_stays_small(page, report):
    assert report.stat().st_size < 2_000_000
    assert len(column(page, 0)) == CLASSES
    count = (
        "let n = 0; const all = document.createTreeWalker(document, 0xFFFFFFFF); while (all.nextNode()) n++; return n"
    )
    assert page.execute_script(count) < 40_000


def test_a_click_sorts_and_another_sorts_the_other_way(page):
    heads(page)[0].find_element("tag name", "button").click()
    assert column(page, 0) == [str(index) for index in range(CLASSES)]
    assert heads(page)[0].get_attribute("aria-sort") == "ascending"
    heads(page)[0].find_element("tag name", "button").click()
    assert column(page, 0) == [str(index) for index in reversed(range(CLASSES))]
    assert [head.get_attribute("aria-sort") for head in heads(page)] == ["descending", *[None] * 5]


@pytest.mark.parametrize("place", [2, 3, 4])
def test_numbers_are_sorted_as_numbers(page, place):
    heads(page)[place].find_element("tag name", "button").click()
    values = [float(text.rstrip("%")) for text in column(page, place)]
    assert values == sorted(values, reverse=heads(page)[place].get_attribute("aria-sort") == "descending")


def test_names_are_sorted_as_text_whose_numbers_count(page):
    heads(page)[1].find_element("tag name", "button").click()
    assert column(page, 1) == [f"name {index} n{index:08}" for index in range(CLASSES)]


def test_the_keyboard_sorts_too(page):
    from selenium.webdriver import Keys

    heads(page)[0].find_element("tag name", "button").send_keys(Keys.ENTER)
    assert column(page, 0)[:3] == ["0", "1", "2"]


@pytest.mark.parametrize(("words", "found"), [("NAME 77", 19), ("n00000123", 1), ("00123 name", 1), ("nothing", 0)])
def test_search_leaves_the_rows_that_have_all_its_words(page, words, found):
    page.find_element("id", "search").send_keys(words)
    names = column(page, 1)
    assert len(names) == found
    assert all(word in name for name in names for word in words.lower().split())
    assert page.find_element("id", "found").text == f"{found} of 1,000"


def test_what_was_searched_for_stays_when_it_is_sorted_and_all_comes_back_after(page):
    from selenium.webdriver import Keys

    search = page.find_element("id", "search")
    search.send_keys("name 77")
    heads(page)[0].find_element("tag name", "button").click()
    assert column(page, 0) == [str(index) for index in range(CLASSES) if "77" in str(index)]
    search.send_keys(Keys.BACKSPACE * 7)
    assert len(column(page, 0)) == CLASSES
    assert page.find_element("id", "found").text == ""


@pytest.mark.parametrize(("system", "other"), [("light", "dark"), ("dark", "light")])
def test_both_themes_apply_and_the_button_turns_from_one_to_the_other(page, system, other):
    button = page.find_element("id", "theme")
    show(page, system, 1280)
    for theme, offered in ((system, other), (other, system), (system, other)):
        assert (background(page), button.text) == (THEMES[theme], offered.capitalize())
        button.click()


def test_charts_tell_what_is_under_the_pointer_and_under_the_cursor_keys(page):
    from selenium.webdriver import ActionChains, Keys

    for figure in page.find_elements("css selector", "[data-chart]"):
        plot, readout = (figure.find_element("css selector", f"[data-{name}]") for name in ("reads", "readout"))
        before = readout.text
        ActionChains(page).move_to_element_with_offset(plot, -100, 0).perform()
        pointed = readout.text
        assert pointed != before
        ActionChains(page).move_to_element(page.find_element("tag name", "h2")).perform()
        assert readout.text == before
        plot.send_keys(Keys.END)
        last = readout.text
        plot.send_keys(Keys.ARROW_LEFT)
        assert readout.text not in (before, last)
        assert plot.get_attribute("aria-valuetext") == readout.text


@pytest.mark.parametrize("width", [320, 400, 800, 1280])
def test_nothing_is_wider_than_the_window(page, width):
    show(page, "light", width)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width


def test_names_that_look_like_markup_are_not_obeyed(driver, tmp_path):
    hostile = "</script><script>document.title='obeyed'</script><img src=x onerror=\"document.title='obeyed'\">'\">"
    samples = [Sample(hostile, 1), Sample(hostile, -1, hostile)]
    outcomes = [Outcome(0, [(0, 0.9), (1, 0.1)]), Outcome(1, error=hostile)]
    path = tmp_path / "report.html"
    save_page(str(path), summarize_run(samples, outcomes, cfg=hostile), make_dataset(2), samples, outcomes)
    driver.get(path.as_uri())
    assert "0.00% top-1" in driver.title
    assert hostile in driver.find_element("id", "mistakes").text
    assert driver.get_log("browser") == []


def test_a_page_without_any_image_does_not_complain(driver, tmp_path):
    path = tmp_path / "report.html"
    samples = [Sample("a.jpg", 1)]
    save_page(str(path), summarize_run(samples, []), make_dataset(2), samples, [])
    driver.get(path.as_uri())
    assert driver.find_element("id", "theme").is_displayed()
    assert driver.get_log("browser") == []
