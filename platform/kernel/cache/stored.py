"""The format of a cached value in Redis: a header of fixed size, tag versions, `Link`, the body.

The header holds a format mark, a checksum of everything after it (a truncated or foreign value is
ignored), the kind, the time when the value becomes old, the number of tag versions, the length of
the Link header (RFC 8288; usually none), and the ETag. `render` runs the application for one
request and collects its whole response.
"""

import asyncio
import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from starlette.types import ASGIApp, Message, Scope

_MARK: Final = b"cached:2"
_HEADER: Final = struct.Struct("<8sIBdBH34s")
_UNCHECKED: Final = 12  # the mark, and the checksum itself
VERSION_BYTES: Final = 16


class Kind(IntEnum):
    """The kind of a cached value."""

    BODY = 1
    MISSING = 2  # the body is that of the 404
    TOO_LARGE = 3  # the response is too large to store: do not wait for its loader


_KINDS: Final = {int(kind): kind for kind in Kind}  # a lookup takes a third of the time of Kind(…)


class Stored(NamedTuple):
    """A value; `old_at` is in seconds since 1970, `link` the Link header, empty without one."""

    kind: Kind
    body: bytes
    etag: bytes
    old_at: float
    link: bytes = b""


def etag_of(body: bytes) -> bytes:
    """Return the strong ETag of a body (RFC 9110, 8.8.3): 128 bits of BLAKE2b, 34 bytes."""
    return b'"%b"' % hashlib.blake2b(body, digest_size=16).hexdigest().encode()


def pack(value: Stored, versions: tuple[bytes, ...]) -> bytes:
    """Return the bytes to store; each tag version has 16 bytes."""
    rest = (value.kind, value.old_at, len(versions), len(value.link), value.etag)
    tail = b"".join((*versions, value.link, value.body))
    check = zlib.crc32(_HEADER.pack(_MARK, 0, *rest)[_UNCHECKED:] + tail)
    return _HEADER.pack(_MARK, check, *rest) + tail


def unpack(data: bytes, versions: bytes) -> Stored | None:
    """Return the value if it was stored under exactly these tag versions (joined), else None."""
    end = _HEADER.size + len(versions)
    if len(data) < end:
        return None
    mark, check, number, old_at, count, link, etag = _HEADER.unpack_from(data)
    if mark != _MARK or zlib.crc32(data[_UNCHECKED:]) != check:
        return None
    kind = _KINDS.get(number)
    if (
        kind is None
        or count * VERSION_BYTES != len(versions)
        or data[_HEADER.size : end] != versions
    ):
        return None
    body = end + link
    return Stored(kind, data[body:], etag, old_at, data[end:body])


_OK: Final = 200
_JSON: Final = b"application/json"
_LINK: Final = b"link"
_LONGEST_LINK: Final = 2**16 - 1
_OF_BODY: Final = frozenset({b"content-type", b"content-length"})
_OF_FAILURE: Final = frozenset({b"www-authenticate", b"retry-after"})
# These depend on the caller: the next caller may be allowed.
_OF_CALLER: Final = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class RenderedResponse:
    """Status, headers (raw, lower-case names) and body."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    @property
    def plain(self) -> bool:
        """Whether it is JSON without further headers, so that storing the body loses nothing."""
        return (b"content-type", _JSON) in self.headers and self._has_only(_OF_BODY)

    @property
    def link(self) -> bytes:
        """The Link header; several are one, joined as RFC 9110, 5.3 says; empty without one."""
        return b", ".join(value for name, value in self.headers if name == _LINK)

    @property
    def storable(self) -> bool:
        """Whether it is a success of which body and `link` are all that must be stored."""
        return (
            self.status == _OK
            and (b"content-type", _JSON) in self.headers
            and self._has_only(_OF_BODY | {_LINK})
            and len(self.link) <= _LONGEST_LINK
        )

    @property
    def shareable(self) -> bool:
        """Whether all waiters may share it: no cookie, and not specific to one caller."""
        return self.status not in _OF_CALLER and self._has_only(_OF_BODY | _OF_FAILURE | {_LINK})

    def _has_only(self, names: frozenset[bytes]) -> bool:
        return all(name in names for name, _ in self.headers)


async def render(app: ASGIApp, scope: Scope) -> RenderedResponse:
    """Run the application on a request without a body, and return the response.

    It is independent of the client: a disconnect does not cancel it. Raises what the application
    raises.
    """
    status, headers, parts = 0, [], []

    requests = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Message:
        for request in requests:
            return request
        gone: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        return await gone  # never: a stream waits for a disconnect meanwhile

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message["headers"])
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return RenderedResponse(status, headers, b"".join(parts))
