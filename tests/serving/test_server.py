"""The service on the loopback address: many clients at a time, and a stop while they wait."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import pytest
from conftest import ROOT
from support_cli import environment, finish, run, start
from support_serving import draw, missing, running

from darknet_py import load_network

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
CLIENTS = 200


@pytest.fixture(scope="module")
def network():
    return load_network("shapes")


def make_service(network, **limits):
    from darknet_py.serving.app import Service
    from darknet_py.serving.limits import Limits

    return Service({"shapes": network}, Limits(**limits))


def accepts(url):
    """Whether something listens there."""
    host, port = url.removeprefix("http://").split(":")
    try:
        socket.create_connection((host, int(port))).close()
    except OSError:
        return False
    return True


@pytest.mark.slow
def test_no_answer_of_200_clients_at_a_time_is_lost_or_mixed_up(network):
    import httpx2

    pictures = [draw(seed, 64 + 8 * (seed % 5), 64 + 8 * (seed % 3)) for seed in range(CLIENTS)]

    async def ask(url):
        together = asyncio.Barrier(CLIENTS) if hasattr(asyncio, "Barrier") else None

        async def post(number):
            async with httpx2.AsyncClient(trust_env=False, timeout=120) as client:
                if together:
                    await together.wait()
                content = pictures[number]
                if number % 2:
                    return await client.post(f"{url}/v1/classify?top=10", content=content)
                files = {"a": (f"{number}.png", content)}
                return await client.post(f"{url}/v1/classify", files=files, data={"top": "10"})

        return await asyncio.gather(*map(post, range(CLIENTS)))

    service = make_service(network, seconds=100)
    with running(service) as (url, _):
        answers = asyncio.run(ask(url))
        together = service._metrics.tell().decode()
    for picture, answer in zip(pictures, answers, strict=True):
        assert answer.status_code == 200
        (result,) = answer.json()["results"]
        probabilities = {guess["index"]: guess["probability"] for guess in result["predictions"]}
        expected = network.predict(network.fit(picture)[None])[0]
        assert [probabilities[index] for index in range(10)] == expected.tolist()
    batches = float(re.findall(r'^darknet_batch_pictures_count\{network="shapes"\} (.*)$', together, re.MULTILINE)[0])
    assert batches < CLIENTS  # some ran together


def test_stopping_answers_all_that_was_accepted(network, monkeypatch):
    import httpx2

    go, answer = threading.Event(), network.probabilities

    def wait(*arguments):
        go.wait()
        return answer(*arguments)

    monkeypatch.setattr(network, "probabilities", wait)
    service = make_service(network)
    with (
        ThreadPoolExecutor(40) as pool,
        httpx2.Client(trust_env=False, timeout=120, limits=httpx2.Limits(max_connections=40)) as client,
    ):
        with running(service) as (url, stop):
            try:
                answers = [pool.submit(client.post, f"{url}/v1/classify", content=draw(seed)) for seed in range(40)]
                while service._queue.taken < 40:
                    assert not any(one.done() for one in answers)
                    time.sleep(0.001)
                stop.set()
                while accepts(url):
                    time.sleep(0.01)
                time.sleep(0.5)  # a server that does not wait for answers has ended by then
                assert not any(one.done() for one in answers)
            finally:
                go.set()
        assert [one.result().status_code for one in answers] == [200] * 40
        assert {one.result().headers["connection"] for one in answers} == {"close"}
    for seed, one in enumerate(answers):
        guess = one.result().json()["results"][0]["predictions"][0]
        assert guess["probability"] == float(answer(network.fit(draw(seed))[None])[0].max())


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/healthz", 503), ("/v1/networks", 500), ("/v1/classify", 405), ("/nix", 404)]
)
def test_an_answer_that_begins_once_the_service_stops_is_the_last_on_its_connection(network, monkeypatch, path, status):
    from darknet_py.serving import app

    monkeypatch.setattr(app, "_describe", lambda _: 1 / 0)
    service = make_service(network)
    with running(service) as (url, _), closing(http.client.HTTPConnection(url.removeprefix("http://"))) as connection:
        for stopping, asked, expected in ((False, "/", (200, None)), (True, path, (status, "close"))):
            service.stopping = stopping
            connection.request("GET", asked)
            answer = connection.getresponse()
            answer.read()
            assert (answer.status, answer.headers["connection"]) == expected


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_program_serves_several_networks_until_a_signal_comes(tmp_path, cache, signum):
    import httpx2

    words = ("shapes", ROOT / "cfg" / "shapes.cfg", ROOT / "data" / "shapes.weights")
    with start(
        "serve", words[0], ROOT / "data" / "shapes.data", *words[1:], "--port", "0", "--engine", "reference", "-t", "2",
        cwd=tmp_path, env=environment(cache),
    ) as process:  # fmt: skip
        line = next(line for line in process.stderr if line.startswith("darknet: serving "))
        url = re.findall(r"^darknet: serving shapes, shapes-2 at (\S+);", line)[0]
        answer = httpx2.post(
            f"{url}/v1/classify?network=shapes-2", content=(ROOT / "data" / "star.png").read_bytes(), trust_env=False
        )
        form = {"content-type": "multipart/form-data; boundary=x"}
        assert httpx2.post(f"{url}/v1/classify", content=b"--y", headers=form, trust_env=False).status_code == 422
        process.send_signal(signum)
        ended = finish(process)
    assert [guess["label"] for guess in answer.json()["results"][0]["predictions"]] == ["star", "arrow"]
    assert ended.code == 0
    assert ended.err == "darknet: stopping, when the requests at work are answered; once more leaves at once\n"


def test_what_cannot_be_served_is_one_line(tmp_path, cache):
    from darknet_py.serving.server import listen

    def fail(*words):
        answer = run("serve", *words, "--engine", "reference", cwd=tmp_path, env=environment(cache))
        assert answer.code in (1, 2)
        (line,) = answer.complaints
        return line

    with listen("127.0.0.1", 0) as listener:
        port = str(listener.getsockname()[1])
        expected = f"--host 127.0.0.1 --port {port}: nothing can listen there: address already in use"
        assert fail("shapes", "--port", port) == expected
    assert "a port from 0 to 65535 is expected" in fail("shapes", "--port", "65536")
    assert fail("shapes", "--host", "no such host").startswith("--host no such host --port 8000: nothing can listen")
    assert "a cfg file is missing" in fail("--port", "0")
    assert "a weights file is missing after nix.cfg" in fail("shapes", "nix.cfg", "--port", "0")


WHOLE, PART = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost:"


@pytest.mark.parametrize(("whole", "part"), [(0, b""), (0, PART), (1, b""), (1, PART), (2, PART)])
@pytest.mark.parametrize("trickles", [False, True])
def test_a_connection_without_a_request_is_closed(network, monkeypatch, whole, part, trickles):
    from darknet_py.serving import server

    monkeypatch.setattr(server, "IDLE", 1)
    with running(make_service(network)) as (url, _):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(whole * WHOLE + part)
            if part and trickles:
                connection.settimeout(0.2)
            answer = b""
            for _ in range(100):  # a server whose timeout each byte restarts is not done after this many
                try:
                    received = connection.recv(1000)
                except TimeoutError:
                    with suppress(OSError):
                        connection.sendall(b"x")
                    continue
                except ConnectionResetError:  # it was closed as a byte came
                    break
                answer += received
                if not received:
                    break
            else:
                pytest.fail("the connection is open still")
    assert answer.count(b"200 OK") == whole


def test_a_connection_is_kept_while_requests_come_and_are_answered(network, monkeypatch):
    from darknet_py.serving import server

    monkeypatch.setattr(server, "IDLE", 1)
    answer = network.probabilities

    def wait(batch):
        time.sleep(1.5)
        return answer(batch)

    monkeypatch.setattr(network, "probabilities", wait)
    with running(make_service(network)) as (url, _):
        host, port = url.removeprefix("http://").split(":")
        with closing(http.client.HTTPConnection(host, int(port), timeout=30)) as connection:
            connection.connect()
            opened = connection.sock
            for pause in (0, 0.6, 0.6):
                time.sleep(pause)
                connection.request("POST", "/v1/classify", draw(1))
                reply = connection.getresponse()
                assert (reply.status, bool(reply.read())) == (200, True)
                assert connection.sock is opened


def test_a_connection_has_one_timer_however_many_requests_come_and_none_once_it_is_closed(network, monkeypatch):
    from darknet_py.serving import server

    timers = []
    expect = server._Protocol._expect

    def note(self, *arguments):
        expect(self, *arguments)
        timers.append(self._closing)

    monkeypatch.setattr(server._Protocol, "_expect", note)
    with running(make_service(network)) as (url, _):
        host, port = url.removeprefix("http://").split(":")
        with closing(http.client.HTTPConnection(host, int(port), timeout=30)) as connection:
            for requests in range(1, 5):
                connection.request("GET", "/healthz")
                assert connection.getresponse().read() == b'{"status":"ok"}'
                while len(timers) <= requests:  # the client may get the answer before
                    time.sleep(0.001)
                assert [timer.cancelled() for timer in timers] == requests * [True] + [False]
    assert all(timer.cancelled() for timer in timers)


def test_an_answer_comes_whole(network):
    with running(make_service(network)) as (url, _):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            for _ in range(20):
                connection.sendall(WHOLE)
                assert connection.recv(1 << 16).endswith(b'\r\n\r\n{"status":"ok"}')


def test_an_error_in_the_main_thread_ends_the_server_too(network):
    from darknet_py.serving.server import listen, serve

    def fail():
        raise OSError("a signal's handler, say")

    with listen("127.0.0.1", 0) as listener, pytest.raises(OSError, match="handler"):
        serve(make_service(network), listener, fail)


HEAD = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\nabc"
NONE = b"\x01\r\n\r\n"


@pytest.mark.parametrize("stops", [False, True])
@pytest.mark.parametrize(
    ("sent", "status", "words", "seconds"),
    [
        (HEAD % 1000, 408, "the request did not come within 1 seconds", 1),
        (HEAD % 10**9, 413, "a request of more than", 0),
        (NONE, 400, "not a request of HTTP/1.1", 0),
    ],
)
def test_who_sends_no_more_is_answered_in_time_and_holds_up_no_stop(
    network, caplog, sent, status, words, seconds, stops
):
    with running(make_service(network, seconds=1)) as (url, stop):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            start = time.monotonic()
            connection.sendall(sent)
            with closing(http.client.HTTPResponse(connection, method="POST")) as answer:
                if stops and seconds:
                    time.sleep(0.2)
                    stop.set()
                answer.begin()
                assert time.monotonic() - start < seconds + 0.7
                assert answer.status == status
                assert words in json.loads(answer.read())["error"]
                assert (answer.headers["connection"] == "close") == (status in (400, 408))
            stop.set()
            while accepts(url):
                time.sleep(0.01)
            start = time.monotonic()  # of the end, to which the client does nothing
    assert time.monotonic() - start < 1.8
    assert not caplog.records


@pytest.mark.parametrize("head", ["", "Connection: close\r\n"])
def test_who_never_ends_is_read_for_as_long_as_a_request_may_take(network, head):
    start = time.monotonic()
    with running(make_service(network, seconds=1)) as (url, _):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(HEAD.replace(b"\r\n\r\n", b"\r\n" + head.encode() + b"\r\n") % 10**9)
            with suppress(ConnectionError):
                while time.monotonic() - start < 30:
                    connection.sendall(bytes(1000))
                    time.sleep(0.05)
    assert 1 < time.monotonic() - start < 3


def test_who_reads_no_answer_holds_up_no_stop(network, caplog):
    service = make_service(network, seconds=1)
    service._page = bytes(32 << 20)
    with running(service) as (url, stop):
        host, port = url.removeprefix("http://").split(":")
        connection = socket.create_connection((host, int(port)), timeout=30)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(4) == b"HTTP"
        start = time.monotonic()
        stop.set()
    with closing(connection):
        assert 1 < time.monotonic() - start < 3
    assert not caplog.records


def exchange(url, sent):
    """All that comes in answer to `sent`, after which nothing more is sent, and after how many seconds."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        start, received = time.monotonic(), b""
        while part := connection.recv(1 << 16):
            received += part
    return received, time.monotonic() - start


def test_who_ends_behind_whole_requests_has_all_answers_and_is_closed(network, monkeypatch):
    from darknet_py.serving import server

    monkeypatch.setattr(server, "IDLE", 100)
    picture, answer = draw(1), network.probabilities

    def wait(batch):
        time.sleep(0.2)
        return answer(batch)

    monkeypatch.setattr(network, "probabilities", wait)
    post = HEAD.removesuffix(b"abc") % len(picture) + picture
    with running(make_service(network)) as (url, _):
        for sent in (20 * [WHOLE], [post], [WHOLE, post, post, WHOLE], [post, HEAD % 1000], [post, PART], [post, NONE]):
            whole = [one for one in sent if one in (WHOLE, post)]
            answers, _ = exchange(url, b"".join(sent))
            assert answers.count(b"HTTP/1.1 200 OK") == len(whole)
            assert answers.count(b'{"status":"ok"}') == whole.count(WHOLE)
            assert answers.count(b'"results":') == whole.count(post)
        for _ in range(50):  # an answer may be made in the turn of the loop in which the end is seen
            assert exchange(url, WHOLE)[0].endswith(b'{"status":"ok"}')


@pytest.mark.parametrize("sent", [b"", PART, HEAD % 1000, HEAD % 10**9, WHOLE + PART, WHOLE + HEAD % 1000])
def test_who_ends_amid_a_request_is_closed_at_once(network, monkeypatch, sent):
    from darknet_py.serving import server

    monkeypatch.setattr(server, "IDLE", 100)
    with running(make_service(network)) as (url, _):
        answers, seconds = exchange(url, sent)
    assert answers.count(b"200 OK") == sent.count(WHOLE)
    assert seconds < 1
