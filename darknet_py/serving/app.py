"""The service, and how it answers each path."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeVar

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..images.fit import PREDICT_MODES
from .asked import Asked, Intake, Upload, read_asked
from .limits import Allowance, Limits
from .metrics import CONTENT_TYPE_LATEST, Metrics
from .refusal import RefusedError, explain
from .served import Served

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ..classifier import Classifier
    from ..prediction import Prediction

Result = TypeVar("Result")
FORMATS = ("png", "json")  # of a heat map
CLOSE = (b"connection", b"close")  # a header: no other answer follows on this connection
NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Service:
    """Networks that answer requests; the first answers where none is named.

    Attributes
    ----------
    stopping : bool
        Whether new requests are refused.
    networks : mapping of str to Served
    """

    def __init__(
        self,
        networks: Mapping[str, Classifier],
        limits: Limits | None = None,
        page: bytes = b"",
        hosts: Collection[str] | None = None,
    ) -> None:
        """`hosts`: the host names, in lower case, that requests may be sent to, besides addresses; any where absent."""
        self.limits = limits = limits or Limits()
        self.stopping = False
        self._page, self._hosts = page, hosts
        self._queue = Allowance(limits.queue, "pictures in the queue")
        self._held = Allowance(max(limits.held, limits.body), "bytes of requests")
        self._heatmaps = Allowance(limits.heatmaps, "heat maps in the queue")
        self._slow = ThreadPoolExecutor(1, "heat map")
        self._metrics = Metrics(lambda: self._queue.taken, lambda: self._held.taken)
        self.networks = {
            name: Served(name, network, limits, self._metrics.batches.labels(name).observe)
            for name, network in networks.items()
        }

    def close(self) -> None:
        """Answer what was accepted, and end the threads."""
        self.stopping = True
        self._slow.shutdown()
        for served in self.networks.values():
            served.close()

    def app(self) -> ASGIApp:
        """The ASGI application; once the service is stopping, each answer is the last on its connection."""
        posts = {
            "/v1/classify": (self._classify, ("network", "top", "preprocess")),
            "/v1/heatmap": (self._heatmap, ("network", "preprocess", "index", "layer", "format")),
            "/v1/input": (self._input, ("network", "preprocess")),
        }
        gets = {
            "/": self._show,
            "/healthz": self._tell_health,
            "/metrics": self._tell_metrics,
            "/v1/networks": self._list_networks,
        }
        routes = [
            *(Route(path, partial(self._post, path, *what), methods=["POST"]) for path, what in posts.items()),
            *(Route(path, answer, methods=["GET"]) for path, answer in gets.items()),
        ]
        app = Starlette(
            routes=routes,
            middleware=[] if self._hosts is None else [Middleware(_HostCheck, hosts=self._hosts)],
            exception_handlers={HTTPException: _tell_http, Exception: _tell_fault},
        )
        return _Closing(app, self)

    async def _post(
        self, path: str, work: Callable[[Asked], Awaitable[Response]], options: tuple[str, ...], request: Request
    ) -> Response:
        """The answer of `work`, or the one that says why there is none."""
        start, status = time.monotonic(), 500
        try:
            try:
                response = await self._work(work, options, request)
            except RefusedError as refused:
                response = refuse(refused)
            status = response.status_code
        finally:
            self._metrics.requests.labels(path, status).inc()
            self._metrics.seconds.labels(path).observe(time.monotonic() - start)
        return response

    async def _work(
        self,
        work: Callable[[Asked], Awaitable[Response]],
        options: tuple[str, ...],
        request: Request,
    ) -> Response:
        """Read the request and do `work`, in time, and while neither pictures nor bytes are too many."""
        if self.stopping:
            raise RefusedError(503, "the service is stopping")
        if request.headers.get("sec-fetch-site") == "cross-site":  # said by a browser, of a page that is not ours
            raise RefusedError(403, "a request from another site's page")
        end, intake = time.monotonic() + self.limits.seconds, Intake(request, self.limits)
        with ExitStack() as taken:
            taken.enter_context(self._queue.take(1))
            taken.enter_context(self._held.take(intake.declared()))
            reading = read_asked(request, intake, self.limits, options)
            asked = await self._within(end, reading, 408, "the request did not come")
            taken.enter_context(self._queue.take(len(asked.pictures) - 1))
            return await self._within(end, work(asked), 504, "no answer")

    async def _within(self, end: float, work: Awaitable[Result], status: int, what: str) -> Result:
        """The result of `work`; RefusedError, with `status`, where it is not there at the time `end`."""
        try:
            return await asyncio.wait_for(work, max(end - time.monotonic(), 0))
        except asyncio.TimeoutError:
            raise RefusedError(status, f"{what} within {self.limits.seconds:g} seconds") from None

    async def _classify(self, asked: Asked) -> Response:
        served, mode = self._find(asked), asked.choice("preprocess", PREDICT_MODES)
        top = asked.number("top", 1) or served.network.dataset.top
        answers = await asyncio.gather(*(self._answer(served, picture, mode, top) for picture in asked.pictures))
        for status, _ in answers:
            self._metrics.pictures.labels(served.name, status).inc()
        status, first = answers[0]
        if all(status != 200 for status, _ in answers):  # there is nothing to send but the reason
            return JSONResponse({"error": first["error"]}, status)
        return JSONResponse({"network": served.name, "results": [fields for _, fields in answers]})

    async def _answer(
        self, served: Served, picture: Upload, mode: str | None, top: int
    ) -> tuple[int, dict[str, object]]:
        """The status of one picture, and the fields that are sent for it."""
        start = time.monotonic()
        try:
            fitted, probabilities = await asyncio.wrap_future(served.classify(picture.content, picture.name, mode))
        except Exception as error:
            refused = explain(error, picture.name)
            return refused.status, {"file": picture.name, "error": str(refused), "predictions": []}
        height, width = fitted.view.shape[1:]
        return 200, {
            "file": picture.name,
            "width": width,
            "height": height,
            "preprocess": fitted.mode,
            "seconds": round(time.monotonic() - start, 6),
            "predictions": [_fields(guess) for guess in served.network.rank(probabilities, top)],
        }

    async def _heatmap(self, asked: Asked) -> Response:
        served, picture, mode = self._find(asked), _only(asked), asked.choice("preprocess", PREDICT_MODES)
        form = asked.choice("format", FORMATS)
        what = (picture.content, picture.name, mode, asked.number("index", 0), asked.number("layer"))
        with self._heatmaps.take(1):
            if form == "json":
                _, heatmap = await _told(self._slow.submit(served.heatmap, *what), picture.name)
                fields = {"prediction": _fields(heatmap.prediction), "layer": heatmap.layer, "area": heatmap.area}
                return JSONResponse(
                    {"network": served.name, **fields, "cells": heatmap.cells.astype(float).round(5).tolist()}
                )
            png = await _told(self._slow.submit(served.draw_heat, *what), picture.name)
        return Response(png, 200, NO_STORE, "image/png")

    async def _input(self, asked: Asked) -> Response:
        served, picture, mode = self._find(asked), _only(asked), asked.choice("preprocess", PREDICT_MODES)
        png = await _told(served.look(picture.content, picture.name, mode), picture.name)
        return Response(png, 200, NO_STORE, "image/png")

    def _find(self, asked: Asked) -> Served:
        """The network that is asked for."""
        name = asked.options.get("network", next(iter(self.networks)))
        if name not in self.networks:
            raise RefusedError(404, f"one of {', '.join(self.networks)} is expected", f"network={name}")
        return self.networks[name]

    async def _show(self, request: Request) -> Response:
        return Response(self._page, 200, NO_STORE, "text/html; charset=utf-8")

    async def _tell_health(self, request: Request) -> Response:
        if self.stopping:
            return refuse(RefusedError(503, "the service is stopping"))
        return JSONResponse({"status": "ok"})

    async def _tell_metrics(self, request: Request) -> Response:
        return Response(self._metrics.tell(), 200, NO_STORE, CONTENT_TYPE_LATEST)

    async def _list_networks(self, request: Request) -> Response:
        return JSONResponse({"networks": [_describe(served) for served in self.networks.values()]})


class _Closing:
    """Tells clients which answers are the last on their connection, as the next request there would be reset.

    These are all answers once the service is stopping, and those to faults, after which the server closes the
    connection. It is put around the whole application, as answers to faults pass no middleware within it.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start" and (self._service.stopping or message["status"] == 500):
                message["headers"] = [*message["headers"], CLOSE]
            await send(message)

        await self._app(scope, receive, tell)


class _HostCheck:
    """Refuses requests to host names that are not this service's: a page can have its own name lead here."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: ASGIApp = self._app
        if scope["type"] == "http":
            host = Headers(scope=scope).get("host", "localhost")
            if not self._is_ours(host):
                expected = f"an address or {' or '.join(sorted(self._hosts))} is expected"
                answer = refuse(RefusedError(421, expected, f"Host: {host}"))
        await answer(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        name = re.sub(r":\d*$", "", host).lower()
        try:
            ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return name in self._hosts
        return True


def _describe(served: Served) -> dict[str, object]:
    network = served.network
    return {
        "name": served.name,
        "classes": network.outputs,
        "input": list(network.input_shape),
        "resizable": network.resizable,
        "layers": len(network.layers),
        "engine": network.engine,
        "precision": network.precision,
        "top": network.dataset.top,
        "preprocess": network.dataset.preprocess or ("shorter" if network.resizable else "letterbox"),
    }


def _fields(guess: Prediction) -> dict[str, object]:
    fields = asdict(guess)
    if guess.parent is None:
        del fields["parent"]
    return fields


def _only(asked: Asked) -> Upload:
    if len(asked.pictures) > 1:
        raise RefusedError(422, f"{len(asked.pictures)} pictures; one is expected")
    return asked.pictures[0]


async def _told(future: Future[Result], name: str) -> Result:
    """The result for the picture `name`; its error becomes a RefusedError."""
    try:
        return await asyncio.wrap_future(future)
    except Exception as error:
        raise explain(error, name) from None


def refuse(refused: RefusedError) -> Response:
    """The response that says why a request is refused."""
    return JSONResponse({"error": str(refused)}, refused.status, refused.headers)


async def _tell_http(request: Request, error: Exception) -> Response:
    """The response where Starlette refuses: to an unknown path or method."""
    assert isinstance(error, HTTPException)
    refused = RefusedError(error.status_code, error.detail, f"{request.method} {request.url.path}")
    return JSONResponse({"error": str(refused)}, refused.status, error.headers)


async def _tell_fault(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "a fault of the service; its log tells more"}, 500)
