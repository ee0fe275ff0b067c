"""What the API answers to requests from this process."""

from __future__ import annotations

import io
import tempfile

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from support_serving import draw, missing

from darknet_py import load_network
from darknet_py.images.fit import PREDICT_MODES
from darknet_py.pages.serving import show_service

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
STAR = (ROOT / "data" / "star.png").read_bytes()
HOSTILE = "</script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def networks():
    return {"shapes": load_network("shapes"), "other": load_network("shapes", engine="reference")}


@pytest.fixture(scope="module")
def client(networks):
    from starlette.testclient import TestClient

    from darknet_py.serving.app import Service

    service = Service(networks, page=show_service([*networks, HOSTILE], PREDICT_MODES, 1 << 20))
    yield TestClient(service.app())
    service.close()


def tell(guesses):
    return [(guess.index, guess.label, guess.probability) for guess in guesses]


def told(result):
    return [(guess["index"], guess["label"], guess["probability"]) for guess in result["predictions"]]


def read(response):
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(response.content)))


def test_a_picture_as_the_body_is_classified_as_the_library_does(client, networks):
    answer = client.post("/v1/classify", content=STAR).json()
    assert answer["network"] == "shapes"
    (result,) = answer["results"]
    assert told(result) == tell(networks["shapes"].classify(STAR, top=3))
    assert (result["file"], result["width"], result["height"], result["preprocess"]) == ("image", 85, 64, "shorter")


@pytest.mark.parametrize("mode", PREDICT_MODES)
def test_options_come_in_the_query_or_the_form(client, networks, mode):
    expected = tell(networks["other"].classify(STAR, 2, mode))
    options = {"network": "other", "top": 2, "preprocess": mode}
    for answer in (
        client.post("/v1/classify", content=STAR, params=options),
        client.post("/v1/classify", files={"a": STAR}, data=options),
    ):
        (result,) = answer.json()["results"]
        assert told(result) == expected
        assert result["preprocess"] == mode


def test_pictures_of_a_form_do_not_become_files(client, networks, monkeypatch, tmp_path):
    content = draw(3) + bytes(3 << 20)  # what follows a PNG's end is ignored
    expected = tell(networks["shapes"].classify(content, top=3))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))  # as where nothing can be written
    answer = client.post("/v1/classify", files=[("a", ("a.png", content)), ("b", ("b.png", content))])
    assert [told(result) for result in answer.json()["results"]] == [expected, expected]


def test_several_pictures_are_answered_in_their_order_and_one_that_fails_in_its_place(client, networks):
    contents = [draw(1), b"no picture", draw(2, 64, 120), STAR]
    files = [("picture", (f"{number}.png", content)) for number, content in enumerate(contents)]
    results = client.post("/v1/classify", files=files).json()["results"]
    assert [result["file"] for result in results] == ["0.png", "1.png", "2.png", "3.png"]
    assert results[1] == {
        "file": "1.png",
        "error": "1.png: not a picture in any format known here",
        "predictions": [],
    }
    for number in (0, 2, 3):
        assert told(results[number]) == tell(networks["shapes"].classify(contents[number], 3))


def test_more_guesses_than_classes_are_all(client):
    assert len(client.post("/v1/classify?top=99", content=STAR).json()["results"][0]["predictions"]) == 10


def test_a_heatmap_is_drawn_or_told(client, networks):
    expected = networks["shapes"].heatmap(STAR, index=1)
    fields = client.post("/v1/heatmap?format=json&index=1", content=STAR).json()
    np.testing.assert_allclose(fields["cells"], expected.cells, atol=1e-5)
    assert fields["prediction"]["label"] == expected.prediction.label
    assert (fields["layer"], fields["area"]) == (expected.layer, list(expected.area))
    height, width = np.asarray(Image.open(io.BytesIO(STAR))).shape[:2]
    assert read(client.post("/v1/heatmap", content=STAR)).shape == (height, width, 3)


def test_the_input_is_what_the_network_gets(client, networks):
    view = networks["shapes"].fit(STAR, "letterbox")
    pixels = read(client.post("/v1/input?preprocess=letterbox", content=STAR))
    np.testing.assert_allclose(pixels / 255, view.transpose(1, 2, 0), atol=0.51 / 255)


def test_networks_are_listed(client):
    first, second = client.get("/v1/networks").json()["networks"]
    assert (first["name"], second["name"], second["engine"]) == ("shapes", "other", "reference")
    assert (first["classes"], first["input"], first["preprocess"], first["top"]) == (10, [3, 64, 64], "shorter", 3)


def test_metrics_count_requests_pictures_and_batches(client):
    def read_metrics():
        lines = client.get("/metrics").text.splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    client.post("/v1/classify", content=STAR)
    client.post("/v1/classify", content=b"x")
    before = read_metrics()
    client.post("/v1/classify", files=[("a", STAR), ("b", b"x")])
    client.post("/v1/classify", content=b"x")
    after = read_metrics()
    grown = {name: after[name] - before[name] for name in after if name in before and after[name] != before[name]}
    assert grown['darknet_requests_total{path="/v1/classify",status="200"}'] == 1
    assert grown['darknet_requests_total{path="/v1/classify",status="415"}'] == 1
    assert grown['darknet_pictures_total{network="shapes",status="200"}'] == 1
    assert grown['darknet_pictures_total{network="shapes",status="415"}'] == 2
    assert grown['darknet_batch_pictures_sum{network="shapes"}'] == 1
    assert grown['darknet_request_seconds_count{path="/v1/classify"}'] == 2
    assert after["darknet_queued_pictures"] == after["darknet_held_bytes"] == 0


def test_it_is_well_and_has_a_page_without_what_names_would_do(client):
    assert client.get("/healthz").json() == {"status": "ok"}
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "<option>other</option>" in page.text
    assert HOSTILE not in page.text


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "/../pyproject.toml", "/%2e%2e/%2e%2e/etc/passwd", "/v1/..%2f..%2fetc/passwd", "/data/star.png"],
)
def test_no_path_leads_to_a_file(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize("name", ["data/star.png", "/etc/passwd", "../data/star.png", "file:///etc/passwd"])
def test_no_name_in_a_request_becomes_a_path(client, name):
    """A picture's name is repeated; all others are looked up among what was loaded."""
    (result,) = client.post("/v1/classify", files={"a": (name, STAR)}).json()["results"]
    assert result["predictions"][0]["label"] == "star"
    assert client.post("/v1/classify", content=name.encode()).status_code == 415
    assert client.post("/v1/classify", params={"network": name}, content=STAR).status_code == 404
    assert client.post("/v1/classify", params={"preprocess": name}, content=STAR).status_code == 422
