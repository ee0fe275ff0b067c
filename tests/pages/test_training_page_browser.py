"""The page of a training run in a browser: headless Chromium, opened from disk, nothing downloaded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support_browser import missing, open_chromium, show
from support_page import make_run
from support_training_page import CLASSES, FACTS, tell_iterations, tell_run, write_page

from darknet_py.training.history import History

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
    """The page of a long run."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(path, tell_run(20000, 60, 250), make_run(60, CLASSES)[0])
    return path


@pytest.fixture
def page(driver, report):
    """The page, freshly opened; the browser must have no complaints at the end."""
    show(driver, "light", 1280)
    driver.get(report.as_uri())
    yield driver
    assert driver.get_log("browser") == []


def test_all_charts_tell_what_is_under_the_pointer_and_under_the_cursor_keys(page):
    from selenium.webdriver import ActionChains, Keys

    figures = page.find_elements("css selector", "[data-chart]")
    assert len(figures) == 4
    for figure in figures[:3]:
        plot, readout = (figure.find_element("css selector", f"[data-{name}]") for name in ("reads", "readout"))
        before = readout.text
        assert "20,000" in before
        ActionChains(page).move_to_element_with_offset(plot, -100, 0).perform()
        assert readout.text not in ("", before)
        plot.send_keys(Keys.HOME)
        assert readout.text.startswith(("Iteration 1: ", "After 250 iterations: "))
        assert plot.get_attribute("aria-valuetext") == readout.text


@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_is_wider_than_the_window(page, width):
    show(page, "light", width)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_table_of_classes_is_sorted_by_a_click(page):
    page.find_element("css selector", "#class-table thead button").click()
    script = "return [...document.querySelectorAll('#class-table tbody tr')].map((row) => +row.cells[0].textContent)"
    numbers = page.execute_script(script)
    assert numbers == sorted(numbers)


def test_curves_alone_and_names_that_look_like_markup_do_not_complain(driver, tmp_path):
    hostile = "</script><script>document.title='obeyed'</script><img src=x onerror=\"document.title='obeyed'\">'\">"
    write_page(tmp_path / "x.html", tell_iterations(History(), 1, 1), facts=replace(FACTS, name=hostile, cfg=hostile))
    driver.get((tmp_path / "x.html").as_uri())
    assert driver.title == f"{hostile} \N{EN DASH} darknet train"
    assert driver.get_log("browser") == []
