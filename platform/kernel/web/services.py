"""The services of one request, and the call of a handler with the services it needs."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any, Concatenate, Final, ParamSpec, TypeVar, get_type_hints, overload

import svcs
from fastapi import Depends, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.types import Scope

from kernel.core.caller import Caller
from kernel.core.cursors import CursorKeys
from kernel.live import LiveClient, LiveClients
from kernel.web.call import Call, call_of
from kernel.web.cursor_pages import Cursors
from kernel.web.precondition import Precondition

_LEFT: Final = 1001  # the close code of a client that leaves
_OPEN: Final = "kernel.services"

Own = ParamSpec("Own")
Result = TypeVar("Result")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")
G = TypeVar("G")
H = TypeVar("H")


@functools.cache
def services_of(handler: Callable[..., Any]) -> tuple[tuple[str, Any], ...]:
    """Return the names and types of a handler's services, in order.

    They are its parameters before the `*`; those after it are its own arguments. A parameter
    without an annotation has the type None.
    """
    hints = get_type_hints(handler)
    return tuple(
        (one.name, hints.get(one.name))
        for one in inspect.signature(handler).parameters.values()
        if one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}
    )


class RequestServices(svcs.Container):
    """The services of a request: `call` passes them to a handler, `aget` returns one."""

    request_call: Call
    path: str
    response_headers: MutableHeaders

    # One for each number of services: only so do type checkers compare the own arguments, too.
    @overload
    async def call(
        self,
        handler: Callable[Own, Awaitable[Result]],
        /,
        *args: Own.args,
        **own: Own.kwargs,
    ) -> Result: ...
    @overload
    async def call(
        self,
        handler: Callable[Concatenate[A, Own], Awaitable[Result]],
        /,
        *args: Own.args,
        **own: Own.kwargs,
    ) -> Result: ...
    @overload
    async def call(
        self,
        handler: Callable[Concatenate[A, B, Own], Awaitable[Result]],
        /,
        *args: Own.args,
        **own: Own.kwargs,
    ) -> Result: ...
    @overload
    async def call(
        self,
        handler: Callable[Concatenate[A, B, C, Own], Awaitable[Result]],
        /,
        *args: Own.args,
        **own: Own.kwargs,
    ) -> Result: ...
    @overload
    async def call(
        self,
        handler: Callable[Concatenate[A, B, C, D, Own], Awaitable[Result]],
        /,
        *args: Own.args,
        **own: Own.kwargs,
    ) -> Result: ...
    @overload
    async def call(
        self,
        handler: Callable[Concatenate[A, B, C, D, E, Own], Awaitable[Result]],
        /,
        *args: Own.args,
        **own: Own.kwargs,
    ) -> Result: ...
    @overload
    async def call(
        self,
        handler: Callable[Concatenate[A, B, C, D, E, F, Own], Awaitable[Result]],
        /,
        *args: Own.args,
        **own: Own.kwargs,
    ) -> Result: ...
    @overload
    async def call(
        self,
        handler: Callable[Concatenate[A, B, C, D, E, F, G, Own], Awaitable[Result]],
        /,
        *args: Own.args,
        **own: Own.kwargs,
    ) -> Result: ...
    @overload
    async def call(
        self,
        handler: Callable[Concatenate[A, B, C, D, E, F, G, H, Own], Awaitable[Result]],
        /,
        *args: Own.args,
        **own: Own.kwargs,
    ) -> Result: ...
    async def call(self, handler: Callable[..., Awaitable[Any]], /, *args: Any, **own: Any) -> Any:
        """Call a handler with its services, and with these arguments of its own.

        `await services.call(handler.get_post, post_id=post_id)` for a handler `async def
        get_post(db: AsCaller, *, post_id: UUID) -> Post`. The start checks the services and the
        names of the own arguments; type checkers check the types.
        """
        services = [await self.aget(kind) for _, kind in services_of(handler)]
        return await handler(*services, *args, **own)


def register_request_services(registry: svcs.Registry) -> None:
    """Register what only a request has.

    Once for all requests: a container's own registry would inspect its factories each time.
    """
    registry.register_factory(Call, lambda svcs_container: svcs_container.request_call)
    registry.register_factory(Caller, lambda svcs_container: svcs_container.request_call.caller)
    registry.register_factory(Precondition, _precondition)
    registry.register_factory(Cursors, _cursors)
    registry.register_factory(LiveClient, _live_client)


def _precondition(svcs_container: RequestServices) -> Precondition:
    return Precondition(svcs_container.request_call)


def _cursors(svcs_container: RequestServices) -> Cursors:
    of_list = svcs_container.get(CursorKeys).of(svcs_container.request_call.feature or "")
    return Cursors(of_list, svcs_container.path, svcs_container.response_headers)


async def _services(request: Request, response: Response) -> RequestServices:
    scope = request.scope
    services = RequestServices(request.app.state.services)
    services.request_call, services.path = call_of(scope), scope["path"]
    services.response_headers = response.headers
    scope[_OPEN] = services
    return services


def _live_client(svcs_container: RequestServices) -> Iterator[LiveClient]:
    live = svcs_container.get(LiveClients)
    client = live.open(svcs_container.request_call.caller, "sse")
    yield client
    live.close(client, _LEFT)


async def close_services(scope: Scope) -> None:
    """Close the services of a request that is over, if it had any."""
    services: RequestServices | None = scope.get(_OPEN)
    if services is not None:
        await services.aclose()


Services = Annotated[RequestServices, Depends(_services)]
"""The services of this request, closed when it is over: `await services.call(handler.get_post)`."""
