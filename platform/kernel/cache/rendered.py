"""A whole answer in memory: what the application said to a request that the Edge made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Scope

_OK: Final = 200
_JSON: Final = b"application/json"
_NOT_SHARED: Final = frozenset({b"set-cookie", b"cache-control", b"location"})


@dataclass(frozen=True, slots=True)
class Rendered:
    """Status, headers (raw, lower-case names) and body."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    @property
    def storable(self) -> bool:
        """Whether it is JSON, a success, and nothing but its body."""
        return (
            self.status == _OK
            and _NOT_SHARED.isdisjoint(name for name, _ in self.headers)
            and (b"content-type", _JSON) in self.headers
        )


async def render(app: ASGIApp, scope: Scope) -> Rendered:
    """Return what the application answers to a request without a body.

    It waits for no client: nobody's going away ends it. Raises what the application raises.
    """
    status, headers, parts = 0, [], []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message["headers"])
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return Rendered(status, headers, b"".join(parts))
