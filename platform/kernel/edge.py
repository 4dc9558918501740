"""The Edge: the one layer that every request passes first, and where the caller is decided."""

import logging
import re
import time
from typing import Final
from uuid import uuid4

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kernel.access_log import AccessLog
from kernel.call import ANONYMOUS, SCOPE_KEY, Call, Caller, request_id
from kernel.client_address import ClientAddress, ClientAddresses
from kernel.errors import (
    ApiError,
    BodyTooLarge,
    Forbidden,
    MethodNotAllowed,
    TooManyRequests,
    Unauthenticated,
)
from kernel.failures import failure_response
from kernel.limits.limiter import Limiter
from kernel.limits.table import PolicyTable
from kernel.metrics import Metrics
from kernel.revocation import Revocations
from kernel.routes import Route, RouteTable
from kernel.tokens import InvalidToken, TokenVerifier

log = logging.getLogger(__name__)

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,128}")
_OK: Final = 200
_REDIRECT: Final = 300


class Edge:
    """Pure ASGI: request id, route, limits, caller, caching headers, access line, the last resort.

    Who may call is decided here, before the body is read: 429, 401, then 403, and only then does
    FastAPI look at the rest. Nothing counts calls of the paths in `unlimited`, which are no
    feature's. Limiter and verifier are taken from the running application's state.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: RouteTable,
        policies: PolicyTable,
        clients: ClientAddresses,
        unlimited: frozenset[str],
        max_body_bytes: int,
        metrics: Metrics,
        access_log: AccessLog,
    ) -> None:
        self._app, self._routes, self._policies = app, routes, policies
        self._clients, self._unlimited = clients, unlimited
        self._max_body_bytes = max_body_bytes
        self._metrics, self._access_log = metrics, access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; anything but HTTP passes untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        connection = HTTPConnection(scope)
        route = self._routes.find(scope["method"], scope["path"])
        client = self._clients.of(scope)
        call = Call(
            request_id=_request_id(scope),
            client_address=client.address,
            feature=route.feature_name if route else None,
        )
        scope[SCOPE_KEY] = call
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._complete(message, scope, route, call)
            await send(message)

        current = request_id.set(call.request_id)
        try:
            await self._limit(connection, client, call)
            call.caller = await self._caller(connection, route)
            self._refuse_long_body(connection)
            await self._app(scope, receive, answer)
        except ApiError as error:
            await failure_response(error)(scope, receive, answer)
        except Exception:
            log.exception("An unexpected error", extra={"slice": call.feature})
            if status:  # the answer has begun: breaking it off is all that is left
                raise
            await failure_response(ApiError())(scope, receive, answer)
        finally:
            self._finished(scope, call, status, time.perf_counter() - started)
            request_id.reset(current)

    def _finished(self, scope: Scope, call: Call, status: int, seconds: float) -> None:
        method: str = scope["method"]
        self._metrics.request(call.feature, method, status, seconds)
        self._access_log.write(
            feature=call.feature,
            method=method,
            path=scope["path"],
            status=status,
            seconds=seconds,
            cache=None,
            request_id=call.request_id,
        )

    async def _caller(self, connection: HTTPConnection, route: Route | None) -> Caller:
        if route is not None:
            return await _admit(connection, route)
        if self._routes.methods(connection.scope["path"]):
            raise MethodNotAllowed  # FastAPI might find a route with a parameter
        return ANONYMOUS

    async def _limit(self, connection: HTTPConnection, client: ClientAddress, call: Call) -> None:
        """Count the request. Raises TooManyRequests where a policy has nothing left for it."""
        policies = self._policies.of(call.feature)
        if policies is None or (call.feature is None and connection["path"] in self._unlimited):
            return
        limiter: Limiter = connection.app.state.limiter
        call.limits = decision = await limiter.take(client.subject, policies)
        self._metrics.limited(decision.scarcest.policy.name, admitted=decision.admitted)
        if not call.limits.admitted:
            raise TooManyRequests(retry_after=call.limits.retry_after)

    def _refuse_long_body(self, connection: HTTPConnection) -> None:
        # FastAPI counts what arrives; a length that is declared is refused without reading.
        if int(connection.headers.get("content-length") or 0) > self._max_body_bytes:
            raise BodyTooLarge

    def _complete(self, message: Message, scope: Scope, route: Route | None, call: Call) -> None:
        """Add the headers that every answer has to the start of this one."""
        headers, status = MutableHeaders(scope=message), message["status"]
        headers["X-Request-ID"] = call.request_id
        if call.limits is not None:
            headers["RateLimit-Policy"] = call.limits.policies.field
            headers["RateLimit"] = call.limits.field
        if route:
            _caching_headers(headers, route, call, status)
        elif status >= _REDIRECT:
            headers["Cache-Control"] = "no-store"
        if status == MethodNotAllowed.status:
            # FastAPI names the methods of one feature only.
            headers["Allow"] = ", ".join(self._routes.methods(scope["path"]))


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return uuid4().hex


async def _admit(connection: HTTPConnection, route: Route) -> Caller:
    """Return the caller; raises Unauthenticated, InvalidToken, Forbidden or Unavailable."""
    feature = route.feature
    if feature.caller == "ignored":
        return ANONYMOUS
    sent = connection.headers.getlist("authorization")
    if not sent:
        if feature.caller == "required":
            raise Unauthenticated
        return ANONYMOUS
    scheme, _, token = sent[0].partition(" ")
    if len(sent) > 1 or scheme.lower() != "bearer":
        raise InvalidToken
    application: FastAPI = connection.app
    verifier: TokenVerifier = application.state.verifier
    caller = await verifier.verify(token.strip())
    revocations: Revocations = application.state.revocations
    await revocations.check(caller.session_id)
    if not route.admits(caller, connection.scope["path"]):
        raise Forbidden
    return caller


def _caching_headers(headers: MutableHeaders, route: Route, call: Call, status: int) -> None:
    """Say who may keep an answer (RFC 9111): shared ones everyone, private ones their owner."""
    if route.feature.caller == "optional":
        headers.add_vary_header("Authorization")
    if "cache-control" in headers:
        return
    if status >= _REDIRECT or status < _OK or route.method not in {"GET", "HEAD"}:
        headers["Cache-Control"] = "no-store"
    elif call.caller is ANONYMOUS:
        headers["Cache-Control"] = "no-cache"
    else:
        headers["Cache-Control"] = "private, no-cache"
