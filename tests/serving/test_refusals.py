"""Each refusal has its status and one line, which names no file of the server."""

from __future__ import annotations

import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from conftest import ROOT
from support_serving import draw, missing, running

from darknet_py import load_network
from darknet_py.errors import WeightsError

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
STAR = (ROOT / "data" / "star.png").read_bytes()
CUT = STAR[: len(STAR) // 2]
HUGE = b"P6 10000 10000 255\n"  # a head without pixels


@pytest.fixture(scope="module")
def network():
    return load_network("shapes", engine="reference")


@contextmanager
def asking(network, **limits):
    """A client of a service with these limits, and the service."""
    from starlette.testclient import TestClient

    from darknet_py.serving.app import Service
    from darknet_py.serving.limits import Limits

    service = Service({"shapes": network}, Limits(**limits))
    try:
        yield TestClient(service.app(), raise_server_exceptions=False), service
    finally:
        service.close()


@pytest.fixture(scope="module")
def client(network):
    with asking(network, body=100_000, pictures=3) as (client, _):
        yield client


@contextmanager
def stuck(network, monkeypatch):
    """Let the network answer nothing within the block; the event is set when it has been asked."""
    go, asked, answer = threading.Event(), threading.Event(), network.probabilities

    def wait(*arguments, **options):
        asked.set()
        go.wait()
        return answer(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(network, "probabilities", wait)
        try:
            yield asked
        finally:
            go.set()


def refusal(answer):
    """The status, and the line."""
    assert list(answer.json()) == ["error"]
    text = answer.json()["error"]
    assert "\n" not in text
    assert str(ROOT) not in text
    assert ".cfg" not in text
    return answer.status_code, text


@pytest.mark.parametrize("path", ["/v1/classify", "/v1/heatmap", "/v1/input"])
@pytest.mark.parametrize(
    ("content", "query", "status", "words"),
    [
        (b"", "", 422, "no picture"),
        (b"hello", "", 415, "image: not a picture in any format known here"),
        (CUT, "", 422, "image: a damaged picture"),
        (HUGE, "", 413, "image: 10000 x 10000 pixels; at most"),
        (draw(0, 64 * 20, 64), "preprocess=shorter", 413, "preprocess=letterbox"),
        (bytes(100_001), "", 413, "a request of more than 100000 bytes"),
        (STAR, "network=nix", 404, "network=nix: one of shapes is expected"),
        (STAR, f"network={'x' * 1000}", 404, f"network={'x' * 49}...: one of shapes is expected"),
        (STAR, f"preprocess={'x' * 1000}", 422, f"preprocess={'x' * 46}...: one of shorter, letterbox"),
        (STAR, f"{'x' * 1000}=1", 422, f"{'x' * 57}...: an unknown option"),
        (STAR, "preprocess=nix", 422, "preprocess=nix: one of shorter, letterbox"),
        (STAR, "nix=1", 422, "nix=1: an unknown option; one of network, "),
    ],
)
def test_what_is_wrong_is_told(client, path, content, query, status, words):
    found, text = refusal(client.post(f"{path}?{query}", content=content))
    assert found == status
    assert words in text


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v1/classify?top=0", "top=0: at least 1 is expected"),
        ("/v1/classify?top=-1", "top=-1: at least 1 is expected"),
        ("/v1/classify?top=many", "top=many: not a number; an integer is expected"),
        ("/v1/classify?top=9999999999", "top=9999999999: too large; integers end at 2147483647"),
        ("/v1/heatmap?index=10", "class 10: there are 10, from 0"),
        (f"/v1/classify?top={'9' * 5000}", f"top={'9' * 53}...: too large"),
        ("/v1/heatmap?index=2147483647", "class 2147483647: there are 10, from 0"),
        (f"/v1/heatmap?format={'x' * 1000}", f"format={'x' * 50}...: one of png, json is expected"),
        ("/v1/heatmap?layer=99", "layer 99: it has 17 layers, from 0"),
        ("/v1/heatmap?layer=x", "layer=x: not a number; an integer is expected"),
        ("/v1/heatmap?layer=-1", "layer 16"),
        ("/v1/heatmap?format=gif", "format=gif: one of png, json is expected"),
    ],
)
def test_options_are_checked(client, path, words):
    status, text = refusal(client.post(path, content=STAR))
    assert status == 422
    assert words in text


def test_more_guesses_than_classes_are_all(client):
    for top in ("11", "1000000000", "2147483647"):
        (result,) = client.post(f"/v1/classify?top={top}", content=STAR).json()["results"]
        assert len(result["predictions"]) == 10


def test_forms_are_checked(client):
    head = {"content-type": "multipart/form-data"}
    assert refusal(client.post("/v1/classify", content=STAR, headers=head))[0] == 422
    assert refusal(client.post("/v1/classify", data={"top": "1"}, files={}))[0] in (415, 422)
    assert refusal(client.post("/v1/classify", files=[("a", STAR)] * 4))[0] == 422
    assert refusal(client.post("/v1/heatmap", files=[("a", STAR)] * 2)) == (422, "2 pictures; one is expected")
    large = {"preprocess": "x" * 5000}
    expected = "preprocess: more than 1024 bytes; a picture is sent with a filename"
    assert refusal(client.post("/v1/classify", files={"a": STAR}, data=large)) == (422, expected)
    form = {"content-type": "multipart/form-data; boundary=x"}
    assert refusal(client.post("/v1/classify", content=b"--y\r\n", headers=form))[0] == 422


def post_form(client, charset, *parts, end=b"--x--\r\n"):
    """Send a raw form: the heads of its parts, each with its content."""
    body = b"".join(b"--x\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % part for part in parts)
    head = {"content-type": f"multipart/form-data; boundary=x; charset={charset}"}
    return client.post("/v1/classify", content=body + end, headers=head)


def test_a_form_that_breaks_off_is_not_answered_in_part(client):
    parts = (b'name="a"; filename="a.png"', STAR), (b'name="b"; filename="b.png"', STAR)
    assert len(post_form(client, "utf-8", *parts).json()["results"]) == 2
    for end in (b"", b"--x\r\n", b"--"):
        expected = "not a form that can be read: Its last boundary is missing."
        assert refusal(post_form(client, "utf-8", *parts, end=end)) == (422, expected)


def test_charsets_of_forms_are_no_faults_of_the_service(client):
    picture, bad = b'name="a"; filename="%s"', (b'name="b"; filename="b"', b"x")
    status, text = refusal(post_form(client, "undefined", (picture % b"a", STAR)))
    assert (status, text.partition(":")[0]) == (422, "not a form that can be read")
    for charset, name in (("utf-7", b"+2AA-"), ("raw_unicode_escape", b"\\\\ud800")):
        results = post_form(client, charset, (picture % name, STAR), bad).json()["results"]
        assert [result["file"] for result in results] == ["?", "b"]
        assert refusal(post_form(client, charset, (b'name="%s"' % name, b"1")))[0] == 422
        assert refusal(post_form(client, charset, (b'name="%s"' % name, bytes(5000))))[0] == 422
    assert post_form(client, "bogus", (picture % b"\xe9", STAR)).json()["results"][0]["file"] == "\xe9"


def test_where_all_pictures_fail_the_first_one_says_why(client):
    answer = client.post("/v1/classify", files=[("a", ("a\x1b[31m.png", b"x")), ("b", ("b.png", CUT))])
    status, text = refusal(answer)
    assert status == 415
    assert text.endswith("not a picture in any format known here")
    assert "\x1b" not in text


def test_other_methods_other_paths_and_pages_of_other_sites(client):
    assert refusal(client.get("/v1/classify"))[0] == 405
    assert refusal(client.post("/nix")) == (404, "POST /nix: Not Found")
    assert refusal(client.post(f"/{'x' * 1000}")) == (404, f"POST /{'x' * 51}...: Not Found")
    assert refusal(client.post("/v1/classify", content=STAR, headers={"sec-fetch-site": "cross-site"}))[0] == 403


def test_a_full_queue_is_told_at_once_and_empties(network, monkeypatch):
    with asking(network, queue=3) as (client, service), ThreadPoolExecutor() as pool:
        with stuck(network, monkeypatch):
            waiting = pool.submit(client.post, "/v1/classify", files=[("a", STAR)] * 2)
            while service._queue.taken < 2:
                time.sleep(0.001)
            answer = client.post("/v1/classify", files=[("a", STAR)] * 2)
            assert refusal(answer) == (429, "busy: 3 of 3 pictures in the queue are taken; try again")
            assert answer.headers["retry-after"] == "1"
        assert waiting.result().status_code == 200
        assert client.post("/v1/classify", files=[("a", STAR)] * 3).status_code == 200


def test_bytes_and_heatmaps_are_limited_too(network, monkeypatch):
    with asking(network, body=len(STAR) + 10, held=0, heatmaps=1) as (client, service), ThreadPoolExecutor() as pool:
        with stuck(network, monkeypatch) as asked:
            waiting = pool.submit(client.post, "/v1/heatmap", content=STAR)
            assert asked.wait(60)
            assert refusal(client.post("/v1/classify", content=STAR))[0] == 429
            service._held.size = 1 << 20
            status, text = refusal(client.post("/v1/heatmap", content=STAR))
            assert (status, "heat maps" in text) == (429, True)
        assert waiting.result().status_code == 200


def test_no_request_is_told_to_come_again_that_can_never_be_taken(network):
    with asking(network, body=1 << 20, held=1 << 10, queue=2) as (client, _):
        assert client.post("/v1/classify", content=iter([STAR])).status_code == 200  # whose size is not declared
        status, text = refusal(client.post("/v1/classify", files=[("a", STAR)] * 3))
        assert (status, "Maximum number of files is 2" in text) == (422, True)


def test_an_answer_that_does_not_come_in_time(network, monkeypatch):
    with asking(network, seconds=0.2) as (client, service):
        with stuck(network, monkeypatch):
            assert refusal(client.post("/v1/classify", content=STAR)) == (504, "no answer within 0.2 seconds")
        assert service._queue.taken == service._held.taken == 0
        service.limits = type(service.limits)()
        assert client.post("/v1/classify", content=STAR).status_code == 200


def test_a_service_that_stops_says_so(network):
    with asking(network) as (client, service):
        service.stopping = True
        assert refusal(client.post("/v1/classify", content=STAR)) == (503, "the service is stopping")
        assert refusal(client.get("/healthz"))[0] == 503


@pytest.mark.parametrize(
    ("error", "status"),
    [(WeightsError("gives NaN", file=str(ROOT)), 500), (ValueError(str(ROOT)), 500), (MemoryError(), 503)],
)
def test_faults_of_the_service_tell_nothing_of_it_and_end_the_connection(network, monkeypatch, error, status):
    def fail(batch):
        raise error

    monkeypatch.setattr(network, "probabilities", fail)
    with asking(network) as (client, _):
        answer = client.post("/v1/classify", content=STAR)
        assert refusal(answer)[0] == status
        assert (answer.headers.get("connection") == "close") == (status == 500)


@pytest.mark.parametrize(("path", "status"), [("/v1/classify", 413), ("/nix", 404)])
@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_who_still_sends_hears_why_nobody_wants_it(network, path, status, connection):
    from darknet_py.serving.app import Service
    from darknet_py.serving.limits import Limits

    with running(Service({"shapes": network}, Limits(body=4 << 20))) as (url, _):
        client = http.client.HTTPConnection(url.removeprefix("http://"))
        # More than fits into the buffers between the two: unless it is read, the client cannot send all of it.
        client.request("POST", path, bytes(15 << 20), {"Connection": connection})
        assert client.getresponse().status == status
        client.close()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("192.168.1.2", 200),
        ("LocalHost", 200),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ],
)
def test_a_name_that_is_not_the_services_is_refused(network, host, status):
    from starlette.testclient import TestClient

    from darknet_py.serving.app import Service
    from darknet_py.serving.server import known_hosts, listen

    with listen("127.0.0.1", 0) as listener:
        service = Service({"shapes": network}, hosts=known_hosts(listener, "127.0.0.1"))
    try:
        answer = TestClient(service.app()).get("/healthz", headers={"host": host})
    finally:
        service.close()
    assert answer.status_code == status
    if status == 421:
        expected = "an address or 127.0.0.1 or localhost is expected"
        assert refusal(answer) == (421, f"Host: {host}: {expected}")


def test_a_service_for_others_is_asked_by_any_name():
    from darknet_py.serving.server import known_hosts, listen

    with listen("0.0.0.0", 0) as listener:
        assert known_hosts(listener, "0.0.0.0") is None
