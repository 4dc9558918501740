"""Who comes in: limit, token, session and cached answer, all asked of Redis in one round trip."""

from typing import Any, NamedTuple

from starlette.types import Scope

from kernel.cache.lookup import Lookup
from kernel.cache.reads import Found
from kernel.call import ANONYMOUS, Call, Caller
from kernel.edge.head import Head
from kernel.edge.parts import Parts
from kernel.errors import ApiError, Forbidden, MethodNotAllowed, TooManyRequests, Unauthenticated
from kernel.limits.policy import PolicySet
from kernel.redis import Command, RedisAway
from kernel.routes import Route, RouteTable


class Place(NamedTuple):
    """Where the answer would lie in the cache, and what was found there."""

    lookup: Lookup
    found: Found


class _Presented(NamedTuple):
    """What a request says of its caller: None is a token that this process has not seen."""

    caller: Caller | None
    token: str = ""
    refusal: ApiError | None = None


class _Question(NamedTuple):
    """What is asked of Redis for a caller; `lookup` also where it is not asked for."""

    commands: list[Command]
    lookup: Lookup | None


class Gate:
    """Decides about a request before its body is read: 429, then 405, 401 and 403.

    A token that this process has not seen is verified once the limit has admitted the request:
    guessing tokens is not to cost us signatures. That takes a second round trip, once a token.
    """

    def __init__(self, routes: RouteTable, *, cache_enabled: bool) -> None:
        self._routes, self._cache_enabled = routes, cache_enabled

    async def admit(
        self,
        scope: Scope,
        head: Head,
        call: Call,
        *,
        route: Route | None,
        counted: tuple[str, PolicySet] | None,
        parts: Parts,
    ) -> Place | None:
        """Set the call's limits and caller; return where a cached answer would lie.

        `counted` are the subject and the policies that the request counts to. Raises ApiError.
        """
        presented = _presented(route, head, parts)
        question = self._question(scope, route, presented.caller, parts)
        commands = question.commands
        if counted is not None:
            commands = [parts.limiter.command(*counted), *commands]
        replies = await _ask(parts, commands)
        if counted is not None:
            call.limits = await parts.limiter.decide(*counted, replies.pop(0))
            if not call.limits.admitted:
                raise TooManyRequests(retry_after=call.limits.retry_after)
        if route is None:
            self._refuse_method(scope["path"])
            return None
        if presented.refusal is not None:
            raise presented.refusal
        caller = presented.caller
        if caller is None:
            caller = await parts.verifier.verify(presented.token)
            question = self._question(scope, route, caller, parts)
            replies = await _ask(parts, question.commands)
        if caller is not ANONYMOUS:
            await parts.revocations.check(caller.session_id, replies.pop(0))
            if not route.admits(caller, scope["path"]):
                raise Forbidden
            call.caller = caller
        if question.lookup is None:
            return None
        return Place(question.lookup, parts.reads.judge(replies.pop() if replies else None))

    def _refuse_method(self, path: str) -> None:
        if self._routes.methods(path):
            raise MethodNotAllowed  # FastAPI might find a route with a parameter

    def _question(
        self, scope: Scope, route: Route | None, caller: Caller | None, parts: Parts
    ) -> _Question:
        commands: list[Command] = []
        if route is None or caller is None:
            return _Question(commands, None)
        if caller.session_id is not None:
            commands.append(parts.revocations.command(caller.session_id))
        if route.cache is None:
            return _Question(commands, None)
        lookup = route.cache.find(scope["path"], scope["query_string"], caller)
        if lookup is not None and self._cache_enabled:
            commands.append(lookup.command)
        return _Question(commands, lookup)


def _presented(route: Route | None, head: Head, parts: Parts) -> _Presented:
    if route is None or route.feature.caller == "ignored":
        return _Presented(ANONYMOUS)
    try:
        token = head.token()
    except ApiError as error:
        return _Presented(ANONYMOUS, refusal=error)
    if token is not None:
        return _Presented(parts.verifier.remembered(token), token)
    if route.feature.caller == "required":
        return _Presented(ANONYMOUS, refusal=Unauthenticated())
    return _Presented(ANONYMOUS)


async def _ask(parts: Parts, commands: list[Command]) -> list[Any]:
    """Return the replies; where Redis is away, that, in the place of each."""
    if not commands:
        return []
    try:
        return await parts.redis.ask(*commands)
    except RedisAway as away:
        return [away] * len(commands)
