"""The Edge: the steps of every request."""

import logging
import time
from dataclasses import replace
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from kernel.cache.cached import Audience
from kernel.cache.reads import Load
from kernel.cache.stored import Kind, RenderedResponse, etag_of, render
from kernel.core.caller import ANONYMOUS, Caller
from kernel.core.request_id import request_id
from kernel.edge.admission import Admission, CacheLookup
from kernel.edge.body import looked_at_again
from kernel.edge.client_address import ClientAddresses
from kernel.edge.deadline import within
from kernel.edge.headers import StandingHeaders
from kernel.edge.hosts import Hosts
from kernel.edge.policies import PolicyTable
from kernel.edge.recorder import RequestRecorder
from kernel.edge.request_head import RequestHead
from kernel.edge.response_writer import PRIVATE, SHARED, ResponseWriter
from kernel.edge.routes import Route, RouteTable
from kernel.edge.services import EdgeServices
from kernel.errors import (
    ApiError,
    BodyTooLarge,
    DeadlineExceeded,
    HostNotAllowed,
    HttpsRequired,
    UriTooLong,
)
from kernel.web.call import REFUSED, SCOPE_KEY, Call
from kernel.web.failures import failure

log = logging.getLogger(__name__)

MAX_PATH_BYTES: Final = 2048

_NOT_FOUND = 404
_NO_CONTENT = 204
_MOVED = 308
_FORBIDDEN = 403
# These depend on the caller: a response for everyone may refuse what a caller may see.
_ERROR = 400
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_NOT_FOR_ALL = frozenset({401, 403, _NOT_FOUND})


class Edge:
    """Pure ASGI: request id, limits, caller, cached reads, headers, request log, unhandled errors.

    The Edge authenticates the caller before the body is read, and answers cached reads itself;
    FastAPI handles the rest. Calls of the paths in `unlimited`, which belong to no slice, are not
    counted. `services` is set while the application runs.
    """

    services: EdgeServices

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: RouteTable,
        policies: PolicyTable,
        clients: ClientAddresses,
        unlimited: frozenset[str],
        max_body_bytes: int,
        cache_enabled: bool,
        record: RequestRecorder,
        hosts: Hosts,
        headers: StandingHeaders,
        deadline_seconds: float,
        sockets: ASGIApp,
    ) -> None:
        self._sockets = sockets
        self._app, self._routes, self._policies = app, routes, policies
        self._clients, self._unlimited = clients, unlimited
        self._max_body_bytes, self._cache_enabled = max_body_bytes, cache_enabled
        self._record, self._hosts, self._headers = record, hosts, headers
        self._deadline_seconds = deadline_seconds
        self._gate = Admission(routes, cache_enabled=cache_enabled)

    async def __call__(  # noqa: C901, PLR0912, PLR0915 - a step is a branch, and each call would cost
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer one HTTP request; sockets have their own steps, and the lifespan passes."""
        if scope["type"] != "http":
            app = self._sockets if scope["type"] == "websocket" else self._app
            await app(scope, receive, send)
            return
        started = time.perf_counter()
        asked, path = scope["method"], scope["path"]
        method = asked
        if method == "HEAD":  # a GET in all but the body, which the server leaves out
            method, scope = "GET", {**scope, "method": "GET"}
        head = RequestHead(scope["headers"])
        if head.sent_id is not None and self._clients.through_proxy(scope):
            head.request_id, head.sent_id = head.sent_id, None
        refusal = scope.get(REFUSED)
        if len(scope.get("raw_path") or path) > MAX_PATH_BYTES:
            refusal = UriTooLong()
        route = self._routes.find(method, path) if refusal is None else None
        client = self._clients.of(scope)
        call = Call(
            request_id=head.request_id,
            sent_id=head.sent_id,
            client_address=client.address,
            headers=scope["headers"],
            feature=route.feature_name if route else None,
        )
        scope[SCOPE_KEY] = call
        out = ResponseWriter(
            send,
            head,
            call,
            method=method,
            path=path,
            route=route,
            routes=self._routes,
            standing=self._headers.of(head.origin),
        )
        current = request_id.set(call.request_id)
        try:
            self._refuse_unread(refusal, head, route, scope)
            if method == "OPTIONS" and (answer := self._options(scope, head)):
                await out.unchanged(answer)
                return
            cached = None
            if path not in self._unlimited:
                cached = await self._gate.admit(
                    scope,
                    head,
                    call,
                    route=route,
                    subject=client.subject,
                    policies=self._policies.of(call.feature, client.subject),
                    by_user=self._policies.by_user.get(call.feature) if call.feature else None,
                    services=self.services,
                )
            self._refuse_long_body(head)
            if route is None and (answer := self._without_slash(scope)):
                await out.unchanged(answer)
            elif cached is not None:
                await self._read(scope, call, route, cached, out)
            else:
                body = self._uncached(route, head, scope, call, receive)
                await within(
                    self._seconds(route),
                    self._app,
                    scope,
                    body,
                    out.relay,
                    feature=call.feature,
                )
        except ApiError as error:
            if out.status:  # too late for an error response: the connection ends in its middle
                raise
            await out.failed(error)
        except Exception as error:
            log.exception("An unexpected error", extra={"slice": call.feature})
            self.services.unexpected.of_request(error, slice=call.feature)
            if not out.status:
                await out.failed(ApiError())
            elif not out.whole:  # too late for an error response
                raise
        finally:
            if out.status == _FORBIDDEN:
                self.services.denials.note(call)
            elif asked in _WRITES and 0 < out.status < _ERROR:
                self.services.wake_ups.send_soon()  # after the commit: for its jobs
            ended = call.streams_since or time.perf_counter()
            self._record.write(call, asked, path, out.status, ended - started)
            request_id.reset(current)

    async def _read(
        self,
        scope: Scope,
        call: Call,
        route: Route | None,
        cached: CacheLookup,
        out: ResponseWriter,
    ) -> None:
        """Answer a cached read: from Redis, or from one load shared by all waiting callers."""
        lookup, found = cached
        reads, value = self.services.reads, found.value
        shared = lookup.cached.audience is Audience.EVERYONE
        control = SHARED if shared else PRIVATE
        if value is not None and value.kind is Kind.BODY and not reads.is_old(value):
            call.cache = "hit"
            await out.body(value.body, value.etag, value.link, control)
            return
        retry_as_caller = shared and call.caller is not ANONYMOUS
        load = self._loading(scope, call, route, ANONYMOUS if shared else call.caller)
        if value is not None and value.kind is Kind.BODY:
            call.cache = "stale"
            reads.renew(lookup, found, load)
            await out.body(value.body, value.etag, value.link, control)
            return
        if value is not None and value.kind is Kind.MISSING and not reads.is_old(value):
            call.cache = "bypass" if retry_as_caller else "hit"
            rendered = RenderedResponse(
                _NOT_FOUND, [(b"content-type", b"application/json")], value.body
            )
        else:
            call.cache = "miss" if found.versions is not None else "bypass"
            if self._cache_enabled:
                rendered = await reads.load(lookup, found, load)
            else:
                rendered = await load()
        if retry_as_caller and rendered.status in _NOT_FOR_ALL:
            # This caller may be allowed to see it: run the handler again, and do not cache.
            call.cache = "bypass"
            rendered = await self._loading(scope, call, route, call.caller)()
            control = PRIVATE
        if rendered.storable:
            await out.body(rendered.body, etag_of(rendered.body), rendered.link, control)
        else:
            await out.rendered(rendered)

    def _uncached(
        self, route: Route | None, head: RequestHead, scope: Scope, call: Call, receive: Receive
    ) -> Receive:
        """Look at a request that the cache was not asked for; return how its body is received."""
        if route is not None:
            route.refuse_doubled(scope["query_string"])
            if route.json_body:
                head.refuse_other_bodies()
            if route.cache is not None:
                call.cache = "bypass"
            if route.feature.conditional:
                call.current = self._reading(scope, call)
        if call.caller is ANONYMOUS:
            return receive
        return looked_at_again(receive, call.caller, self.services)

    def _refuse_unread(
        self, refusal: ApiError | None, head: RequestHead, route: Route | None, scope: Scope
    ) -> None:
        """Refuse a request for reasons that need neither limits nor caller."""
        if refusal is not None:
            raise refusal
        if route is not None and not route.feature.limited:
            return  # probes of an orchestrator call health by the address of a container
        if not self._hosts.any and not self._hosts.admits(head.host):
            raise HostNotAllowed
        if self._headers.https and head.plain and self._clients.through_proxy(scope):
            raise HttpsRequired

    def _options(self, scope: Scope, head: RequestHead) -> RenderedResponse | None:
        """Return the response to OPTIONS: a preflight's, or the methods of a path of ours."""
        if answer := self._headers.preflight(scope, head.origin):
            return answer
        methods = self._routes.methods(scope["path"])
        if not methods:
            return None
        allowed = ", ".join([*methods, "OPTIONS"]).encode()
        return RenderedResponse(_NO_CONTENT, [(b"allow", allowed)], b"")

    def _without_slash(self, scope: Scope) -> RenderedResponse | None:
        """Return a redirect to the same path without slashes at its end, if that is one of ours.

        308 keeps method and body (RFC 9110, 15.4.9).
        """
        path = scope["path"].rstrip("/")
        if path == scope["path"] or self._routes.find(scope["method"], path) is None:
            return None
        location = (scope.get("raw_path") or path.encode()).rstrip(b"/")
        if query := scope["query_string"]:
            location += b"?" + query
        headers = [(b"location", location), (b"content-length", b"0")]
        return RenderedResponse(_MOVED, headers, b"")

    def _refuse_long_body(self, head: RequestHead) -> None:
        # FastAPI counts the received bytes; a declared length is refused here, without reading.
        if head.length > self._max_body_bytes:
            raise BodyTooLarge

    def _seconds(self, route: Route | None) -> float:
        """Return how long a call may take."""
        own = route.feature.deadline if route is not None else None
        return self._deadline_seconds if own is None else own.total_seconds()

    def _reading(self, scope: Scope, call: Call) -> Load | None:
        """Return a loader of what a GET of this path answers the same caller; None without GET."""
        route = self._routes.find("GET", scope["path"])
        if route is None:
            return None
        asked = {**scope, "method": "GET", "query_string": b""}
        return self._loading(asked, replace(call, feature=route.feature_name), route, call.caller)

    def _loading(self, scope: Scope, call: Call, route: Route | None, caller: Caller) -> Load:
        """Return a loader that replays this request as `caller`; several waiters can share it."""

        async def bounded(scope: Scope, receive: Receive, send: Send) -> None:
            seconds = self._seconds(route)
            await within(seconds, self._app, scope, receive, send, feature=call.feature)

        async def load() -> RenderedResponse:
            own = {**scope, SCOPE_KEY: replace(call, caller=caller)}
            try:
                return await render(bounded, own)
            except DeadlineExceeded as error:
                return failure(error)
            except Exception as error:
                log.exception("An unexpected error", extra={"slice": call.feature})
                self.services.unexpected.of_request(error, slice=call.feature)
                return failure(ApiError())

        return load
