"""The span of a request, around the Edge; it is there only where traces are on."""

from collections.abc import Collection
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kernel.core.traces import OFF, Traces
from kernel.edge.client_address import ClientAddresses
from kernel.edge.routes import RouteTable
from kernel.web.call import SCOPE_KEY, Call

_FAILED: Final = 500


class Traced:
    """Pure ASGI: one span for each request of a slice, named by the slice.

    `traces` is set while the application runs: their thread must not start before a fork.
    The caller's `traceparent` is continued only where X-Request-ID is believed, too: behind
    TRUSTED_PROXIES. Probes and metrics have no span.
    """

    def __init__(
        self,
        edge: ASGIApp,
        *,
        routes: RouteTable,
        clients: ClientAddresses,
        untraced: Collection[str],
    ) -> None:
        self.traces: Traces = OFF
        self._edge = edge
        self._routes, self._clients, self._untraced = routes, clients, untraced

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; other protocols pass unchanged."""
        if scope["type"] != "http":
            await self._edge(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        route = self._routes.find("GET" if method == "HEAD" else method, path)
        if path in self._untraced or (route is not None and not route.feature.limited):
            await self._edge(scope, receive, send)
            return
        name = route.feature_name if route is not None else "no slice"
        with self.traces.span(name, "server", self._parent(scope)) as span:
            span.note(http__request__method=method if method.isalpha() else "_OTHER")
            if route is not None:
                span.note(slice=name, http__route=route.path)

            async def answer(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    span.note(http__response__status_code=status)
                    if status >= _FAILED:
                        span.failed(str(status))
                await send(message)

            try:
                await self._edge(scope, receive, answer)
            finally:
                call: Call | None = scope.get(SCOPE_KEY)
                if call is not None:
                    span.note(request_id=call.request_id)
                    if call.cache is not None:
                        span.note(cache=call.cache)

    def _parent(self, scope: Scope) -> str | None:
        if not self._clients.through_proxy(scope):
            return None
        sent = (value for name, value in scope["headers"] if name == b"traceparent")
        return next((value.decode("latin-1") for value in sent), None)
