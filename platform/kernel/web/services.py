"""The services of one request, and the call of a handler with the services it needs."""

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar, get_type_hints, overload

import svcs
from fastapi import Depends, Request, Response

from kernel.core.caller import Caller
from kernel.core.cursors import CursorKeys
from kernel.web.call import Call, call_of
from kernel.web.cursor_pages import Cursors
from kernel.web.precondition import Precondition

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


async def _services(request: Request, response: Response) -> AsyncIterator[RequestServices]:
    call = call_of(request.scope)
    services = RequestServices(request.app.state.services)

    def cursors() -> Cursors:
        of_list = services.get(CursorKeys).of(call.feature or "")
        return Cursors(of_list, request.url.path, response.headers)

    async with services:
        services.register_local_value(Call, call)
        services.register_local_value(Caller, call.caller)
        services.register_local_factory(Precondition, lambda: Precondition(call))
        services.register_local_factory(Cursors, cursors)
        yield services


Services = Annotated[RequestServices, Depends(_services)]
"""The services of this request, closed when it is over: `await services.call(handler.get_post)`."""
