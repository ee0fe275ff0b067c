"""The page of a service in a browser: headless Chromium, on the loopback address, with a simulated camera."""

from __future__ import annotations

import re

import pytest
import support_browser
import support_serving
from conftest import ROOT
from support_browser import open_chromium, show
from support_serving import draw, running

from darknet_py import load_network
from darknet_py.images.fit import PREDICT_MODES
from darknet_py.pages.serving import show_service

absent = support_browser.missing() and f"no {support_browser.missing()} (Debian: chromium, chromium-driver)"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(absent or support_serving.missing()), reason="; ".join(filter(None, [absent, support_serving.missing()]))
    ),
]
BODY = 1 << 20
STAR = ROOT / "data" / "star.png"
PASTE = """
const [name, base64] = arguments;
const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const data = new DataTransfer();
data.items.add(new File([bytes], name, { type: "image/png" }));
document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
"""


@pytest.fixture(scope="module")
def network():
    return load_network("shapes")


@pytest.fixture(scope="module")
def url(network):
    from darknet_py.serving.app import Service
    from darknet_py.serving.limits import Limits

    networks = {"shapes": network, "<b>other": load_network("shapes", engine="reference")}
    service = Service(networks, Limits(body=BODY), show_service(list(networks), PREDICT_MODES, BODY))
    with running(service) as (url, _):
        yield url


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    camera = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--no-proxy-server")
    driver = open_chromium(tmp_path_factory.mktemp("chromium"), *camera)
    driver.implicitly_wait(30)
    yield driver
    driver.quit()


@pytest.fixture
def page(driver, url):
    """The page, freshly opened; the browser must have no complaints at the end."""
    show(driver, "light", 1280)
    driver.get(url)
    yield driver
    assert driver.get_log("browser") == []


def drop(page, *paths):
    """Drag files onto the page, as the system does."""
    x, y = page.execute_script(
        "const box = document.getElementById('drop').getBoundingClientRect();"
        "return [box.x + box.width / 2, box.y + box.height / 2];"
    )
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": data})


def find(page, selector):
    """The element, once it is there."""
    return page.find_element("css selector", selector)


def wait(page, condition):
    """Wait until `condition`, in JavaScript, holds."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(page, 60).until(lambda driver: driver.execute_script(f"return {condition}"))


def guesses(page, item="#answers > li:first-child"):
    """The guesses of an item: shares in percent, by name."""
    find(page, f"{item} .guesses button")
    rows = page.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((row) => [...row.children].map((e) => e.textContent))",
        f"{item} .guesses button",
    )
    return [(name, float(share.rstrip("%"))) for name, share in rows]


def tell(found):
    return [(guess.label, round(100 * guess.probability, 1)) for guess in found]


def test_pictures_that_are_dropped_are_classified(page, network, tmp_path):
    path = tmp_path / "<i>drawn.png"
    path.write_bytes(draw(3))
    drop(page, path)
    assert [name for name, _ in guesses(page)] == [guess.label for guess in network.classify(path, 3)]
    assert guesses(page) == tell(network.classify(path, 3))
    assert find(page, "#answers h3").text == "<i>drawn.png"
    assert "shapes, shorter, 80 x 64" in find(page, "#answers [data-said]").text
    drop(page, STAR, path)
    wait(page, "document.querySelectorAll('#answers > li').length === 3")
    wait(page, "document.querySelectorAll('#answers > li:not(.busy) .guesses').length === 3")
    assert guesses(page, "#answers > li:nth-child(2)")[0][0] == "star"


def test_a_picture_that_is_pasted_is_shown_in_three_ways(page, network):
    import base64

    page.execute_script(PASTE, "star.png", base64.b64encode(STAR.read_bytes()).decode())
    assert guesses(page) == tell(network.classify(STAR, 3))
    for view in ("input", "heatmap", "picture"):
        find(page, f"[data-view={view}]").click()
        wait(page, "document.querySelector('#answers .view img').complete")
        wait(page, "!document.querySelector('#answers .busy')")
        wait(page, "document.querySelector('#answers .view img').naturalWidth > 0")
        assert find(page, f"[data-view={view}]").get_attribute("aria-pressed") == "true"
        size = page.execute_script("return document.querySelector('#answers .view img').naturalWidth")
        assert size == (85 if view == "input" else network.heatmap(STAR).width)
    find(page, "#answers .guesses li:nth-child(2) button").click()  # where the second guess is seen
    assert find(page, "[data-view=heatmap]").get_attribute("aria-pressed") == "true"
    wait(page, "!document.querySelector('#answers .busy')")
    find(page, "#answers .remove").click()
    assert page.execute_script("return document.querySelectorAll('#answers > li').length") == 0


def test_another_network_preprocessing_and_number_of_guesses_count_for_all_pictures(page, network):
    from selenium.webdriver.support.ui import Select

    drop(page, STAR)
    guesses(page)
    Select(find(page, "[name=network]")).select_by_visible_text("<b>other")
    wait(page, "document.querySelector('#answers [data-said]').textContent.startsWith('<b>other, shorter, ')")
    Select(find(page, "[name=preprocess]")).select_by_visible_text("letterbox")
    wait(page, "document.querySelector('#answers [data-said]').textContent.includes('letterbox, 64 x 64')")
    find(page, "[name=top]").send_keys("2\n")
    wait(page, "document.querySelectorAll('#answers .guesses li').length === 2")
    assert guesses(page) == tell(network.classify(STAR, 2, "letterbox"))


def test_what_nobody_wants_any_more_is_not_asked_for(page, tmp_path):
    count, changes, at_once = 12, 10, 4
    for index in range(count):
        (tmp_path / f"{index}.png").write_bytes(draw(index))
    drop(page, *tmp_path.iterdir())
    answered = f"document.querySelectorAll('#answers > li:not(.busy) .guesses button').length === {3 * count}"
    wait(page, answered)
    page.execute_script(
        "for (let turn = 0; turn < arguments[0]; turn++)"
        " document.getElementById('options').dispatchEvent(new Event('change'));",
        changes,
    )
    wait(page, answered)
    asked = page.execute_script(
        "return performance.getEntriesByType('resource').filter((e) => e.name.endsWith('/v1/classify')).length"
    )
    assert asked == count + at_once + count


def test_what_is_no_picture_or_too_large_is_told(page, tmp_path):
    (tmp_path / "x.png").write_bytes(b"no picture")
    (tmp_path / "large.png").write_bytes(bytes(BODY + 1))
    drop(page, tmp_path / "x.png")
    assert find(page, "#answers .failed [data-said]").text == "x.png: not a picture in any format known here"
    drop(page, tmp_path / "large.png")
    wait(page, "!document.getElementById('said').hidden")
    assert find(page, "#said").text == "large.png: 2 MiB; at most 1 are taken"
    complaints = page.get_log("browser")  # of the answer with status 415 alone
    assert all(re.search("status of 415", complaint["message"]) for complaint in complaints)


def test_a_format_that_the_browser_cannot_show_is_shown_as_the_network_gets_it(page, tmp_path):
    path = tmp_path / "grey.pgm"
    path.write_bytes(b"P5 64 64 255\n" + bytes(range(256)) * 16)
    drop(page, path)
    guesses(page)
    wait(page, "document.querySelector('#answers .view img').naturalWidth === 64")
    assert find(page, "[data-view=input]").get_attribute("aria-pressed") == "true"


def test_the_camera_is_classified_as_it_goes_and_a_frame_can_be_kept(page):
    find(page, "#camera").click()
    find(page, "#live .guesses button")
    before = find(page, "#live [data-said]").text
    wait(page, f"document.querySelector('#live [data-said]').textContent !== {before!r}")
    find(page, "#keep").click()
    guesses(page)
    assert find(page, "#answers h3").text == "camera.png"
    find(page, "#camera").click()
    assert not find(page, "#live").is_displayed()


@pytest.mark.parametrize("width", [320, 400, 1280])
def test_nothing_is_wider_than_the_window(page, width):
    show(page, "light", width)
    drop(page, STAR)
    guesses(page)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
