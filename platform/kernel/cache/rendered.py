"""A complete response in memory, rendered by the application for the Edge."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Scope

_OK: Final = 200
_JSON: Final = b"application/json"
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
    def storable(self) -> bool:
        """Whether it is a plain success."""
        return self.status == _OK and self.plain

    @property
    def shareable(self) -> bool:
        """Whether all waiters may share it: no cookie, and not specific to one caller."""
        return self.status not in _OF_CALLER and self._has_only(_OF_BODY | _OF_FAILURE)

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
