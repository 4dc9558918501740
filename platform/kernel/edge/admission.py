"""Admission: rate limit, session and cached response, in one round trip to Redis."""

from typing import Any, NamedTuple

from starlette.types import Scope

from kernel.cache.lookup import Lookup
from kernel.cache.reads import Found
from kernel.core.caller import ANONYMOUS, Caller
from kernel.edge.policies import UserPolicies
from kernel.edge.request_head import RequestHead
from kernel.edge.routes import Route, RouteTable
from kernel.edge.services import EdgeServices
from kernel.errors import ApiError, Forbidden, MethodNotAllowed, TooManyRequests, Unauthenticated
from kernel.identity.seen_tokens import SeenTokens
from kernel.limits.policy import PolicySet
from kernel.redis import Command, RedisAway
from kernel.web.call import Call


class CacheLookup(NamedTuple):
    """Where the response would lie in the cache, and what was found there."""

    lookup: Lookup
    found: Found


class Admission:
    """Decides about a request before its body is read: 429, then 405, 401 and 403.

    A token that this process has not seen is verified only after the rate limit has admitted the
    request, so that guessed tokens cost no signature checks. This takes a second round trip, once
    for each token.
    """

    def __init__(self, routes: RouteTable, *, cache_enabled: bool) -> None:
        self._routes, self._cache_enabled = routes, cache_enabled

    async def admit(  # noqa: C901 - a step is a branch, and each call would cost
        self,
        scope: Scope,
        head: RequestHead,
        call: Call,
        *,
        route: Route | None,
        subject: str,
        policies: PolicySet | None,
        by_user: UserPolicies | None,
        services: EdgeServices,
    ) -> CacheLookup | None:
        """Set the call's limits and caller; return where a cached response would lie.

        `policies` are those that count this request for this subject. Raises ApiError.
        """
        caller, token, refusal = _presented(route, head, services)
        commands, lookup = self._question(scope, route, caller, services)
        weight = _weight(route, caller, lookup)
        if policies is not None:
            commands.insert(0, services.limiter.command(subject, policies, weight))
        replies = await ask(services, commands)
        if policies is not None:
            limits = call.limits = await services.limiter.decide(
                subject, policies, replies.pop(0), weight
            )
            if not limits.admitted:
                raise TooManyRequests(retry_after=limits.retry_after)
        if route is None:
            self._refuse_method(scope["path"])
            return None
        if refusal is not None:
            raise refusal
        if caller is None:
            caller = await services.verifier.verify(token)
            commands, lookup = self._question(scope, route, caller, services)
            # The first use of this token here: `refresh` wants to know of it.
            *replies, _ = await ask(services, [*commands, SeenTokens.command(caller)])
        if caller is not ANONYMOUS:
            await services.revocations.check(caller.session_id, replies.pop(0))
            call.caller = caller
            if not route.admits(caller, scope["path"]):
                raise Forbidden
            if by_user is not None:
                await self._count_user(call, by_user, services)
        if lookup is None:
            return None
        return CacheLookup(lookup, services.reads.judge(replies.pop() if replies else None))

    async def _count_user(self, call: Call, by_user: UserPolicies, services: EdgeServices) -> None:
        """Count a call to the user's own limit: it takes a round trip of its own."""
        before = call.limits
        decision = await services.limiter.take(f"user:{call.caller.user_id}", by_user.own)
        if before is not None and before.policies in by_user.together:
            together = by_user.together[before.policies]
            call.limits = before.with_more(decision, together)
        else:
            call.limits = decision
        if not decision.admitted:
            raise TooManyRequests(retry_after=decision.retry_after)

    def _refuse_method(self, path: str) -> None:
        if self._routes.methods(path):
            raise MethodNotAllowed  # FastAPI might match a route with a parameter

    def _question(
        self, scope: Scope, route: Route | None, caller: Caller | None, services: EdgeServices
    ) -> tuple[list[Command], Lookup | None]:
        """Return the commands for a caller, and the lookup, even if the cache is disabled."""
        commands: list[Command] = []
        if route is None or caller is None:
            return commands, None
        if caller.session_id is not None:
            commands.append(services.revocations.command(caller.session_id))
        if route.cache is None:
            return commands, None
        lookup = route.cache.find(scope["path"], scope["query_string"], caller)
        if lookup is not None and self._cache_enabled:
            commands.append(lookup.command)
        return commands, lookup


def _presented(
    route: Route | None, head: RequestHead, services: EdgeServices
) -> tuple[Caller | None, str, ApiError | None]:
    """Return the caller, None for a token not seen before; the token; the refusal, if any."""
    if route is None or route.feature.caller == "ignored":
        return ANONYMOUS, "", None
    try:
        token = head.token()
    except ApiError as error:
        return ANONYMOUS, "", error
    if token is not None:
        return services.verifier.remembered(token), token, None
    if route.feature.caller == "required":
        return ANONYMOUS, "", Unauthenticated()
    return ANONYMOUS, "", None


def _weight(route: Route | None, caller: Caller | None, lookup: Lookup | None) -> int:
    """Return how often a call counts to the default limit: more if the cache cannot answer it."""
    if route is None or caller is None or lookup is not None:
        return 1
    return route.feature.weight


async def ask(services: EdgeServices, commands: list[Command]) -> list[Any]:
    """Return the replies; if Redis is unavailable, the RedisAway in place of each."""
    if not commands:
        return []
    try:
        return await services.redis.ask(*commands)
    except RedisAway as away:
        return [away] * len(commands)
