"""Writes responses: common headers, ETags, and 304."""

from collections.abc import Iterable
from typing import Final

import orjson
from starlette.types import Message, Send

from kernel.cache.stored import RenderedResponse, etag_of
from kernel.core.caller import ANONYMOUS
from kernel.edge.headers import Block, added
from kernel.edge.request_head import RequestHead
from kernel.edge.routes import Route, RouteTable
from kernel.errors import ApiError, MethodNotAllowed, NotAcceptable, PreconditionFailed
from kernel.observe.metrics import CacheResult
from kernel.web.call import Call
from kernel.web.failures import failure
from kernel.web.idempotency import REPLAYED

Headers = list[tuple[bytes, bytes]]

SHARED: Final = b"no-cache"
PRIVATE: Final = b"private, no-cache"
_NO_STORE: Final = b"no-store"
_OK, _REDIRECT, _NOT_MODIFIED, _ERROR = 200, 300, 304, 400
_JSON: Final = (b"content-type", b"application/json")
_X_CACHE: Final[dict[CacheResult, bytes]] = {
    "hit": b"HIT",
    "miss": b"MISS",
    "stale": b"STALE",
    "bypass": b"BYPASS",
}
_VARY: Final = (b"vary", b"Authorization")
_REPLAYED: Final = (REPLAYED.lower().encode(), b"true")
# A 304 has no content: these headers of the 200 are omitted.
_OF_CONTENT: Final = frozenset({b"content-length", b"content-type"})


class ResponseWriter:
    """Writes one response; `status` is 0 until it starts, `whole` is set at its end."""

    __slots__ = (
        "_call",
        "_head",
        "_held",
        "_method",
        "_path",
        "_route",
        "_routes",
        "_send",
        "_standing",
        "status",
        "whole",
    )

    def __init__(
        self, send: Send, head: RequestHead, call: Call, *, method: str, path: str,
        route: Route | None, routes: RouteTable, standing: Block,
    ) -> None:  # fmt: skip
        self._send, self._head, self._call, self._standing = send, head, call, standing
        self._method, self._path, self._route, self._routes = method, path, route, routes
        self._held: Message | None = None
        self.status, self.whole = 0, False

    async def body(self, body: bytes, etag: bytes, link: bytes, control: bytes) -> None:
        """Send a JSON body whose ETag is known, or 304 if the client has it."""
        if (refusal := self._refusal(etag)) is not None:
            await self.failed(refusal)
            return
        headers = self._common()
        headers += self._standing
        headers.append((b"cache-control", control))
        headers.append((b"etag", etag))
        if link:
            headers.append((b"link", link))
        if self._route is not None and self._route.varies:
            headers.append(_VARY)
        if self._head.if_none_match is not None and self._head.has(etag):
            await self._whole(_NOT_MODIFIED, headers, b"")
            return
        headers.append(_JSON)
        headers.append((b"content-length", b"%d" % len(body)))
        await self._whole(_OK, headers, body)

    async def failed(self, error: ApiError) -> None:
        """Send the error response of this request."""
        await self.unchanged(failure(error))

    async def unchanged(self, answer: RenderedResponse) -> None:
        """Send a response with the common headers, and without an ETag."""
        await self._whole(
            answer.status, self._completed(answer.status, answer.headers), answer.body
        )

    async def rendered(self, answer: RenderedResponse) -> None:
        """Send a response that another request may have loaded; errors get this request's id."""
        body = answer.body
        if answer.status >= _ERROR and _JSON in answer.headers:
            body = _named(body, self._call.request_id)
        headers = [one for one in answer.headers if one[0] != b"content-length"]
        headers.append((b"content-length", b"%d" % len(body)))
        headers = self._completed(answer.status, headers)
        if answer.status == _OK and not _is(headers, _NO_STORE):
            await self._tagged(headers, body)
        else:
            await self._whole(answer.status, headers, body)

    async def relay(self, message: Message) -> None:
        """Pass on a message of the application, with the common headers."""
        if message["type"] == "http.response.start":
            headers = self._completed(message["status"], message["headers"])
            status = message["status"]
            message, self._held = {**message, "headers": headers}, None
            if self._method == "GET" and status == _OK and not _is(headers, _NO_STORE):
                self._held = message  # until it is known whether the body has one part
                return
            self.status = status
        elif self._held is not None:
            start, self._held = self._held, None
            if not message.get("more_body"):
                await self._tagged(start["headers"], message.get("body", b""))
                return
            self.status = start["status"]
            await self._send(start)
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.whole = True

    async def _tagged(self, headers: Headers, body: bytes) -> None:
        etag = next((value for name, value in headers if name == b"etag"), None)
        if etag is None:
            etag = etag_of(body)
            headers.append((b"etag", etag))
        if (refusal := self._refusal(etag, json=_JSON in headers)) is not None:
            await self.failed(refusal)
        elif self._head.has(etag):
            kept = [one for one in headers if one[0] not in _OF_CONTENT]
            await self._whole(_NOT_MODIFIED, kept, b"")
        else:
            await self._whole(_OK, headers, body)

    def _refusal(self, etag: bytes, *, json: bool = True) -> ApiError | None:
        """Return why the client does not take a successful read."""
        head = self._head
        if head.if_match is not None and not head.matches(etag):
            return PreconditionFailed()
        return None if not json or head.takes_json() else NotAcceptable()

    async def _whole(self, status: int, headers: Headers, body: bytes) -> None:
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})
        self.whole = True

    def _common(self) -> Headers:
        call = self._call
        headers = [(b"x-request-id", call.request_id.encode())]
        if (limits := call.limits) is not None:
            headers.append((b"ratelimit-policy", limits.policies.raw_field))
            headers.append((b"ratelimit", limits.field.encode()))
        if call.cache is not None:
            headers.append((b"x-cache", _X_CACHE[call.cache]))
        if call.idempotency is not None and call.idempotency.replayed:
            headers.append(_REPLAYED)
        return headers

    def _completed(self, status: int, sent: Iterable[tuple[bytes, bytes]]) -> Headers:
        """Return the headers with the common ones, and Cache-Control (RFC 9111) if not set."""
        headers: Headers = list(sent)
        headers += added(headers, self._standing)
        headers += self._common()
        route = self._route
        if status == MethodNotAllowed.status:
            # FastAPI names the methods of one route only.
            allowed = ", ".join(self._routes.methods(self._path)).encode()
            headers = [one for one in headers if one[0] != b"allow"]
            headers.append((b"allow", allowed))
        if route is not None and route.varies:
            headers.append(_VARY)
        if any(name == b"cache-control" for name, _ in headers):
            return headers
        if status >= _REDIRECT or (route is not None and (status < _OK or self._method != "GET")):
            headers.append((b"cache-control", _NO_STORE))
        elif route is not None:
            control = SHARED if self._call.caller is ANONYMOUS else PRIVATE
            headers.append((b"cache-control", control))
        return headers


def _is(headers: Headers, control: bytes) -> bool:
    return (b"cache-control", control) in headers


def _named(body: bytes, request_id: str) -> bytes:
    """Return an error body with this request's id in its details."""
    try:
        content = orjson.loads(body)
        content["error"]["details"]["request_id"] = request_id
    except (ValueError, KeyError, TypeError):
        return body  # the slice's own format
    return orjson.dumps(content)
