"""The table of all slices' routes, by method and path."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import params
from fastapi.routing import APIRoute, APIWebSocketRoute

from kernel.cache.cached import Cached, reads_of
from kernel.cache.canonical import parameters_of
from kernel.cache.lookup import RouteCache
from kernel.core.caller import Caller
from kernel.core.cursors import CursorKeys
from kernel.errors import ValidationFailed
from kernel.feature import Feature
from kernel.web.routing import PREFIX

_PARAMETER = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True)
class Route:
    """One route of one slice: `path` is its template, with the prefix.

    `cache` has its cached reads, None without any. `single` are the query parameters that have one
    value. `json_body` says that it reads its body as JSON.
    """

    feature_name: str
    feature: Feature
    method: str
    path: str
    cache: RouteCache | None = None
    single: frozenset[str] = frozenset()
    json_body: bool = False

    @property
    def shape(self) -> str:
        """The path with anonymous parameters: two routes with the same shape and method collide."""
        return _PARAMETER.sub("{}", self.path)

    @cached_property
    def varies(self) -> bool:
        """Whether a token is optional and changes the response."""
        return self.feature.caller == "optional"

    @property
    def reads(self) -> tuple[Cached, ...]:
        """The cached reads of this route, in the order in which they are tried."""
        return self.cache.reads if self.cache is not None else ()

    @cached_property
    def restricted(self) -> bool:
        """Whether only some users may call it."""
        return self.feature.restricted

    def admits(self, caller: Caller, path: str) -> bool:
        """Whether a user with a valid token may call it, as far as the path decides that."""
        if not self.restricted:
            return True
        feature = self.feature
        if feature.role is not None and caller.role == feature.role:
            return True
        return feature.owner is not None and self._is_own(caller, path, feature.owner)

    def refuse_doubled(self, query: bytes) -> None:
        """Raise ValidationFailed for a parameter that is sent twice: which one counts is a guess.

        Two programs that guess differently, a proxy and we, would see two requests in one.
        """
        if not query or not self.single:
            return
        sent: set[str] = set()
        for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            if name in sent and name in self.single:
                message = "This parameter may be sent once."
                raise ValidationFailed(fields=[{"field": f"query.{name}", "message": message}])
            sent.add(name)

    def _is_own(self, caller: Caller, path: str, parameter: str) -> bool:
        place = self.path.split("/").index(f"{{{parameter}}}")
        try:
            return UUID(path.split("/")[place]) == caller.user_id
        except ValueError:
            return False


class RouteTable:
    """Finds the route of a method and path: constant paths first, then one regex per method."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._constant: dict[tuple[str, str], Route] = {}
        self._constant_paths: set[str] = set()
        by_method: dict[str, list[Route]] = {}
        for route in routes:
            if "{" in route.path:
                by_method.setdefault(route.method, []).append(route)
            else:
                self._constant[route.method, route.path] = route
                self._constant_paths.add(route.path)
        self._with_parameters = {
            method: (re.compile("|".join(map(_expression, found))), found)
            for method, found in by_method.items()
        }

    def find(self, method: str, path: str) -> Route | None:
        """Return the route, or None if no slice has one.

        A constant path hides a parameter in its place, for every method, as in OpenAPI: PUT
        /users/me does not match PUT /users/{user_id}.
        """
        if path in self._constant_paths:
            return self._constant.get((method, path))
        expression, routes = self._with_parameters.get(method, (None, []))
        found = expression.fullmatch(path) if expression else None
        return routes[found.lastindex - 1] if found and found.lastindex else None

    def methods(self, path: str) -> list[str]:
        """Return the methods of this path, sorted; HEAD is there wherever GET is."""
        known = {method for method, _ in self._constant} | set(self._with_parameters)
        found = {method for method in known if self.find(method, path)}
        return sorted(found | {"HEAD"} if "GET" in found else found)


def routes_of(
    features: Mapping[str, Feature], cursor_keys: CursorKeys | None = None
) -> list[Route]:
    """Return the routes of all slices, constant path segments before parameters.

    FastAPI's router needs the same order, because it takes the first match. Without `cursor_keys`,
    requests with a cursor are not looked up in the cache. Raises ValueError for a cached read that
    does not fit its route.
    """
    routes = [
        Route(
            feature_name=name,
            feature=feature,
            method=method,
            path=PREFIX + route.path,
            cache=_cache(name, feature, route, cursor_keys),
            json_body=_reads_json(route),
            single=frozenset(one.name for one in parameters_of(route) if not one.many),
        )
        for name, feature in features.items()
        if feature.router is not None
        for route in feature.router.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    ]
    return sorted(routes, key=lambda route: _order(route.path))


def sockets_of(features: Mapping[str, Feature]) -> list[Route]:
    """Return the WebSocket routes of all slices; their method is GET, as that of a handshake."""
    routes = [
        Route(feature_name=name, feature=feature, method="GET", path=PREFIX + route.path)
        for name, feature in features.items()
        if feature.router is not None
        for route in feature.router.routes
        if isinstance(route, APIWebSocketRoute)
    ]
    return sorted(routes, key=lambda route: _order(route.path))


def _reads_json(route: APIRoute) -> bool:
    body = route.body_field
    return body is not None and not isinstance(body.field_info, params.Form)


def _cache(
    name: str, feature: Feature, route: APIRoute, cursor_keys: CursorKeys | None
) -> RouteCache | None:
    if not reads_of(route.endpoint):
        return None
    if route.methods != {"GET"}:
        raise ValueError(f"{name}: {route.path} is not a GET: only reads are cached.")
    try:
        return RouteCache(
            route,
            PREFIX + route.path,
            needs_token=feature.caller == "required",
            cursors=cursor_keys.of(name) if cursor_keys else None,
        )
    except ValueError as error:
        raise ValueError(f"{name}: {route.path} cannot be cached: {error}.") from error


def _order(path: str) -> list[tuple[bool, str]]:
    return [("{" in segment, segment) for segment in path.split("/")]


def _expression(route: Route) -> str:
    literals = _PARAMETER.split(route.path)
    return "(" + "[^/]+".join(map(re.escape, literals)) + ")"
