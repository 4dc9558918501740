"""The file that a request carries: its body, or the first file of a form; read as a stream."""

import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from devstack.gateway.storage.errors import invalid_request, too_large

_MAX_FIELD: Final = 1024 * 1024
_MAX_FIELDS: Final = 10


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """A file on its way in; `size` is unknown for a form, `declared` is the Content-Length."""

    chunks: AsyncIterator[bytes]
    mime: str
    cache_control: str
    size: int | None
    declared: int | None
    user_metadata: dict[str, Any] | None

    def facts(self) -> dict[str, Any]:
        """Return what policies see of it before it is here."""
        return declared_facts(self.mime, self.declared)


async def read_file(request: Request) -> Incoming:
    """Return the file of a request; its bytes are read later.

    Raises StorageError (400) for a form without a file.
    """
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("multipart/form-data"):
        return await _of_form(request, content_type)
    return Incoming(
        chunks=request.stream(),
        mime=content_type or "application/octet-stream",
        cache_control=request.headers.get("cache-control", "no-cache"),
        size=content_length(request),
        declared=content_length(request),
        user_metadata=metadata_header(request),
    )


def content_length(request: Request) -> int | None:
    """Return the Content-Length; None without one."""
    value = request.headers.get("content-length", "")
    return int(value) if value.isascii() and value.isdigit() else None


def declared_facts(mime: str | None, length: int | None) -> dict[str, Any]:
    """Return the column `metadata` of a row that is only tried."""
    return {"mimetype": mime} | ({} if length is None else {"contentLength": length})


def metadata_header(request: Request) -> dict[str, Any] | None:
    """Return the JSON object of `x-metadata`, in base64; None if there is none to read."""
    try:
        return parse_metadata(base64.b64decode(request.headers.get("x-metadata", "")))
    except binascii.Error:
        return None


def parse_metadata(raw: bytes) -> dict[str, Any] | None:
    """Return a JSON object; None for anything else, as the real server ignores it."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


@dataclass(frozen=True)
class _Part:
    """The beginning of a part of a form; `filename` is None for a field."""

    name: str
    filename: str | None
    mime: str


class _End:
    """The end of a part."""


_Event: TypeAlias = _Part | bytes | _End


class _Form:
    """Reads a form piece by piece; never more than a chunk is in memory."""

    def __init__(self, request: Request, boundary: bytes) -> None:
        self._request = request
        self._events: list[_Event] = []
        self._headers: dict[str, str] = {}
        self._field = self._value = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._headers.clear,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": lambda: self._events.append(_End()),
            },
        )

    async def events(self) -> AsyncIterator[_Event]:
        """Return the beginnings, contents and ends of the parts, in order."""
        async for chunk in self._request.stream():
            try:
                self._parser.write(chunk)
            except FormParserError:
                raise invalid_request("Malformed part header") from None
            found, self._events = self._events, []
            for event in found:
                yield event

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._field.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._field = self._value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition"))
        filename = options.get(b"filename")
        self._events.append(
            _Part(
                options.get(b"name", b"").decode("latin-1"),
                None if filename is None else filename.decode("latin-1"),
                self._headers.get("content-type", "application/octet-stream"),
            )
        )

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])


async def _of_form(request: Request, content_type: str) -> Incoming:
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise invalid_request("Multipart: Boundary not found")
    try:
        events = _Form(request, boundary).events()
    except FormParserError:
        raise invalid_request("Multipart: Boundary not found") from None
    fields: dict[str, bytes] = {}
    name = ""
    async for event in events:
        match event:
            case _Part(filename=None):
                name = event.name
                if len(fields) == _MAX_FIELDS:
                    raise invalid_request("reach fields limit")
                fields[name] = b""
            case _Part():
                return _file_of_form(request, event, fields, _rest(events))
            case bytes():
                fields[name] += event
                if len(fields[name]) > _MAX_FIELD:
                    raise too_large("user_metadata" if name == "metadata" else "object")
            case _End():
                pass
    raise invalid_request("No content provided")


def _file_of_form(
    request: Request, part: _Part, fields: Mapping[str, bytes], chunks: AsyncIterator[bytes]
) -> Incoming:
    seconds = fields.get("cacheControl", b"").decode(errors="replace")
    metadata = fields.get("metadata") or fields.get("userMetadata")
    return Incoming(
        chunks=chunks,
        mime=fields.get("contentType", b"").decode(errors="replace") or part.mime,
        cache_control=f"max-age={seconds}" if seconds else "no-cache",
        size=None,
        declared=content_length(request),
        user_metadata=parse_metadata(metadata) if metadata else None,
    )


async def _rest(events: AsyncIterator[_Event]) -> AsyncIterator[bytes]:
    """Return the contents of the file that has begun; what follows it in the form is ignored."""
    ended = False
    async for event in events:
        if isinstance(event, _End):
            ended = True
        elif isinstance(event, bytes) and not ended:
            yield event
    if not ended:
        raise invalid_request("Unexpected end of form")
