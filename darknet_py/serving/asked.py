"""What a request asks for: its pictures and its options."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from ..cfg import parse_integer
from .limits import Limits
from .refusal import RefusedError

if TYPE_CHECKING:
    from starlette.types import Message

logging.getLogger("python_multipart").addHandler(logging.NullHandler())  # else it logs bad forms on standard error
FIELDS = 16  # of a form, besides pictures
FIELD_BYTES = 1 << 10
MAX_NAME = 255  # characters of a picture's name that are repeated to the client


class Upload(NamedTuple):
    """A picture as it was sent: what it was called, and its file's content."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Asked:
    """The pictures of a request, and its options by their names, from the query and from a form."""

    pictures: list[Upload]
    options: dict[str, str]

    def number(self, name: str, least: int | None = None) -> int | None:
        """The option `name` as a whole number; None where it was not sent."""
        text = self.options.get(name)
        if text is None:
            return None
        try:
            return parse_integer(text, least)
        except ValueError as reason:
            raise RefusedError(422, str(reason), f"{name}={text}") from None

    def choice(self, name: str, known: Collection[str]) -> str | None:
        """The option `name`, which must be one of `known`; None where it was not sent."""
        text = self.options.get(name)
        if text is not None and text not in known:
            raise RefusedError(422, f"one of {', '.join(known)} is expected", f"{name}={text}")
        return text


class Intake:
    """The body of a request as it comes, which is refused where it is too large."""

    def __init__(self, request: Request, limits: Limits) -> None:
        self._request, self._limits, self._size = request, limits, 0

    def declared(self) -> int:
        """Its declared bytes, or the most that it may have where none are; RefusedError, with 413, where more are."""
        text = self._request.headers.get("content-length", "")
        size = int(text) if text.isascii() and text.isdigit() else self._limits.body
        self._check(size)
        return size

    async def receive(self) -> Message:
        """The next part; RefusedError, with 413, as soon as all parts together are too large."""
        message = await self._request.receive()
        self._size += len(message.get("body", b""))
        self._check(self._size)
        return message

    def _check(self, size: int) -> None:
        if size > self._limits.body:
            raise RefusedError(413, f"a request of more than {self._limits.body} bytes")


async def read_asked(request: Request, intake: Intake, limits: Limits, known: Collection[str]) -> Asked:
    """Read the request's pictures and options, which must be among the `known`.

    A form's files are pictures, and its other fields options; any other body is one picture, whatever its type says.
    """
    limited = Request(request.scope, intake.receive)
    options = dict(request.query_params)
    try:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/form-data":
            pictures = await _read_form(limited, limits, options)
        else:
            content = await limited.body()
            pictures = [Upload("image", content)] if content else []
    except ClientDisconnect:
        raise RefusedError(400, "the connection was closed amid the request") from None
    for name in options.keys() - set(known):
        reason = f"an unknown option; one of {', '.join(known)} is expected"
        raise RefusedError(422, reason, f"{name}={options[name]}")
    if not pictures:
        raise RefusedError(422, "no picture: one as the body, or several as files of a form (multipart/form-data)")
    return Asked(pictures, options)


class _FormParser(MultiPartParser):
    """Starlette's, but it refuses a form that breaks off, and where a field is too long, says how to send a picture."""

    _ended = False

    def on_end(self) -> None:
        self._ended = True

    async def whole(self, stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Pass `stream` on; MultiPartException at its end where the form is cut off, as parts of it may be missing."""
        async for part in stream:
            yield part
        if not self._ended:
            raise MultiPartException("Its last boundary is missing.")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        try:
            super().on_part_data(data, start, end)
        except MultiPartException:
            reason = f"more than {FIELD_BYTES} bytes; a picture is sent with a filename"
            raise RefusedError(422, reason, _encodable(self._current_part.field_name)) from None


async def _read_form(request: Request, limits: Limits, options: dict[str, str]) -> list[Upload]:
    """The pictures of a form; its other fields become `options`."""
    pictures = []
    async with aclosing(request.stream()) as stream:
        most = min(limits.pictures, limits.queue)
        parser = _FormParser(request.headers, stream, max_files=most, max_fields=FIELDS, max_part_size=FIELD_BYTES)
        parser.spool_max_size = limits.body  # no picture becomes a file: there may be no folder to write one to
        try:
            async with aclosing(parser.whole(stream)) as parser.stream:
                form = await parser.parse()
        except MultiPartException as error:
            raise RefusedError(422, f"not a form that can be read: {error.message}") from None
        except UnicodeError:
            raise RefusedError(422, "not a form that can be read: what is named there is not of its charset") from None
    for name, field in form.multi_items():
        if isinstance(field, UploadFile):
            pictures.append(Upload(_encodable(field.filename or "image")[:MAX_NAME], await field.read()))
            await field.close()
        else:
            options[_encodable(name)] = _encodable(field)
    return pictures


def _encodable(text: str) -> str:
    """`text` without surrogates, which some charsets have, and which no answer can contain."""
    return text.encode("utf-8", "replace").decode()
