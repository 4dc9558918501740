"""A whole answer in memory: what the application said to a request that the Edge made."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Scope

_OK: Final = 200
_JSON: Final = b"application/json"
_OF_BODY: Final = frozenset({b"content-type", b"content-length"})
_OF_FAILURE: Final = frozenset({b"www-authenticate", b"retry-after"})
# What is refused to the one who asks may be there for the next.
_OF_CALLER: Final = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class RenderedResponse:
    """Status, headers (raw, lower-case names) and body."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    @property
    def plain(self) -> bool:
        """Whether it is JSON and nothing but its body: no other header would be lost."""
        return (b"content-type", _JSON) in self.headers and self._has_only(_OF_BODY)

    @property
    def storable(self) -> bool:
        """Whether it is a plain success."""
        return self.status == _OK and self.plain

    @property
    def shareable(self) -> bool:
        """Whether it may go to all who wait for it: no cookie, and nothing said to one caller."""
        return self.status not in _OF_CALLER and self._has_only(_OF_BODY | _OF_FAILURE)

    def _has_only(self, names: frozenset[bytes]) -> bool:
        return all(name in names for name, _ in self.headers)


async def render(app: ASGIApp, scope: Scope) -> RenderedResponse:
    """Return what the application answers to a request without a body.

    It waits for no client: nobody's going away ends it. Raises what the application raises.
    """
    status, headers, parts = 0, [], []

    requests = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Message:
        for request in requests:
            return request
        gone: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        return await gone  # never: an answer that is streamed waits for that beside its work

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message["headers"])
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return RenderedResponse(status, headers, b"".join(parts))
