"""Admission of WebSockets: everything is decided before the socket is accepted."""

import logging
import time
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kernel.core.caller import ANONYMOUS, Caller
from kernel.edge.admission import ask
from kernel.edge.client_address import ClientAddress, ClientAddresses
from kernel.edge.headers import StandingHeaders
from kernel.edge.hosts import Hosts
from kernel.edge.policies import PolicyTable
from kernel.edge.recorder import RequestRecorder
from kernel.edge.request_head import RequestHead
from kernel.edge.response_writer import ResponseWriter
from kernel.edge.routes import Route, RouteTable
from kernel.edge.services import EdgeServices
from kernel.errors import (
    ApiError,
    BadRequest,
    Forbidden,
    HostNotAllowed,
    HttpsRequired,
    NotFound,
    TooManyRequests,
    Unauthenticated,
)
from kernel.identity.seen_tokens import SeenTokens
from kernel.web.call import SCOPE_KEY, Call
from kernel.web.live_socket import Admitted

log = logging.getLogger(__name__)

_ACCEPTED: Final = 101
_FAILED: Final = 1011


class OriginNotAllowed(Forbidden):
    """A page of another origin opened a WebSocket: CORS_ORIGINS does not list it."""

    code = "ORIGIN_NOT_ALLOWED"
    message = "Pages of this origin may not connect."


class QueryNotAllowed(BadRequest):
    """A WebSocket's URL has a query: URLs are logged, so a token does not belong there."""

    code = "QUERY_NOT_ALLOWED"
    message = (
        "Connect without query parameters: send the token in the header Authorization, or in the "
        "first message."
    )


class Sockets:
    """Pure ASGI: admits or refuses WebSockets of slices, and counts them as requests.

    A browser sends no preflight for a WebSocket, so its Origin is checked here: it is one of
    CORS_ORIGINS, or this host. Clients that are no browsers send none.
    """

    services: EdgeServices

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: RouteTable,
        policies: PolicyTable,
        clients: ClientAddresses,
        record: RequestRecorder,
        hosts: Hosts,
        headers: StandingHeaders,
        origins: Sequence[str],
    ) -> None:
        self._app, self._routes, self._policies, self._clients = app, routes, policies, clients
        self._record, self._hosts, self._headers = record, hosts, headers
        self._origins = frozenset(origins)

    def takes(self, path: str) -> bool:
        """Whether a slice has a WebSocket at this path."""
        return self._routes.find("GET", path) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket, until it is closed."""
        started, path = time.perf_counter(), scope["path"]
        head, client = RequestHead(scope["headers"]), self._clients.of(scope)
        if head.sent_id is not None and self._clients.through_proxy(scope):
            head.request_id, head.sent_id = head.sent_id, None
        route = self._routes.find("GET", path)
        call = Call(
            request_id=head.request_id,
            sent_id=head.sent_id,
            client_address=client.address,
            headers=scope["headers"],
            feature=route.feature_name if route else None,
        )
        out = ResponseWriter(
            _before_acceptance(send),
            head,
            call,
            method="GET",
            path=path,
            route=route,
            routes=self._routes,
            standing=self._headers.of(head.origin),
        )
        await receive()  # websocket.connect

        def recorded(status: int) -> None:
            self._record.write(call, "GET", path, status, time.perf_counter() - started)

        try:
            await self._admit(scope, head, call, client, route)
            admitted = Admitted(
                self.services.live.open(call.caller, "websocket"),
                self.services.live,
                lambda token: self._authenticated(token, call, client),
            )
        except ApiError as error:
            await out.failed(error)
            recorded(error.status)
            return
        except Exception as error:
            log.exception("An unexpected error", extra={"slice": call.feature})
            self.services.unexpected.of_request(error, slice=call.feature)
            await out.failed(ApiError())
            recorded(ApiError.status)
            return
        recorded(_ACCEPTED)
        await self._serve(admitted, {**scope, SCOPE_KEY: call}, _connected(receive), send)

    async def _serve(self, admitted: Admitted, scope: Scope, receive: Receive, send: Send) -> None:
        call: Call = scope[SCOPE_KEY]
        try:
            await self._app(admitted.put(scope), receive, send)
        except Exception as error:
            log.exception("An unexpected error", extra={"slice": call.feature})
            self.services.unexpected.of_request(error, slice=call.feature)
            await send({"type": "websocket.close", "code": _FAILED})
        finally:
            self.services.live.close(admitted.client, _FAILED)

    async def _admit(
        self, scope: Scope, head: RequestHead, call: Call, client: ClientAddress,
        route: Route | None,
    ) -> None:  # fmt: skip
        """Set the call's limits and caller. Raises ApiError."""
        if not self._hosts.any and not self._hosts.admits(head.host):
            raise HostNotAllowed
        if self._headers.https and head.plain and self._clients.through_proxy(scope):
            raise HttpsRequired
        await self._count(call, client)
        if route is None:
            raise NotFound
        if scope["query_string"]:
            raise QueryNotAllowed
        if head.origin is not None and not self._is_ours(head.origin, head.host):
            raise OriginNotAllowed
        if route.feature.caller != "ignored" and (token := head.token()) is not None:
            call.caller = await self._verified(token)
        if route.feature.caller == "required" and call.caller is ANONYMOUS:
            raise Unauthenticated
        if not route.admits(call.caller, scope["path"]):
            raise Forbidden

    async def _count(self, call: Call, client: ClientAddress) -> None:
        """Count a handshake, or a token in a message, to the limits. Raises TooManyRequests."""
        policies = self._policies.of(call.feature, client.subject)
        if policies is None:
            return
        limits = call.limits = await self.services.limiter.take(client.subject, policies)
        if not limits.admitted:
            raise TooManyRequests(retry_after=limits.retry_after)

    def _is_ours(self, origin: bytes, host: bytes) -> bool:
        text = origin.decode("latin-1")
        if "*" in self._origins or text in self._origins:
            return True
        return bool(host) and urlsplit(text).netloc.lower() == host.decode("latin-1").lower()

    async def _authenticated(self, token: str, call: Call, client: ClientAddress) -> Caller:
        """Return the caller of a token that came in a message: it counts like a request."""
        await self._count(call, client)
        return await self._verified(token)

    async def _verified(self, token: str) -> Caller:
        services = self.services
        caller = await services.verifier.verify(token)
        if caller.session_id is None:
            raise Unauthenticated
        lookup = services.revocations.command(caller.session_id)
        reply, _ = await ask(services, [lookup, SeenTokens.command(caller)])
        await services.revocations.check(caller.session_id, reply)
        return caller


def _before_acceptance(send: Send) -> Send:
    """Return a `send` that answers the handshake with an HTTP response."""

    async def sent(message: Message) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    return sent


def _connected(receive: Receive) -> Receive:
    """Return a `receive` that begins with the message `websocket.connect`, which was read."""
    begun = False

    async def received() -> Message:
        nonlocal begun
        if not begun:
            begun = True
            return {"type": "websocket.connect"}
        return await receive()

    return received
