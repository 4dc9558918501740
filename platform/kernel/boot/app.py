"""Builds the application from the slices."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import svcs
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from kernel.boot.adapters import own_settings
from kernel.boot.connections import Bounds, Connections
from kernel.boot.discovery import discover, version
from kernel.boot.documentation import OPENAPI, add_pages
from kernel.boot.openapi import INTRODUCTION, common_errors, describe
from kernel.boot.services import register_services
from kernel.cache.reads import Reads
from kernel.cache.warmer import CacheWarmer
from kernel.config.production import refuse_unsafe
from kernel.config.settings import Settings, load_settings
from kernel.core.cursors import CursorKeys
from kernel.core.traces import Traces
from kernel.edge.cache_warmer import RouteWarmer
from kernel.edge.client_address import ClientAddresses
from kernel.edge.edge import Edge
from kernel.edge.headers import StandingHeaders
from kernel.edge.hosts import Hosts
from kernel.edge.policies import PolicyTable
from kernel.edge.recorder import RequestRecorder
from kernel.edge.routes import RouteTable, routes_of, sockets_of
from kernel.edge.services import EdgeServices
from kernel.edge.sockets import Sockets
from kernel.edge.traced import Traced
from kernel.errors import NotFound
from kernel.feature import Feature
from kernel.identity.denials import Denials
from kernel.identity.revocation import Revocations
from kernel.identity.tokens import TokenVerifier
from kernel.limits.limiter import Limiter
from kernel.live import LiveClients
from kernel.observe.endpoint import metrics_endpoint
from kernel.observe.listener import PATH as METRICS
from kernel.observe.listener import collectors
from kernel.observe.logs import configure_logging
from kernel.observe.metrics import Metrics
from kernel.observe.operations import Operations
from kernel.observe.readiness import Readiness, drained_on_sigterm
from kernel.observe.request_log import ConsoleRequestLog, RequestLog
from kernel.observe.unexpected import UnexpectedErrors
from kernel.redis import Pipeline, WakeUps
from kernel.web import failures
from kernel.web.call import SCOPE_KEY, Call, call_of
from kernel.web.idempotency import read_idempotency_key
from kernel.web.routing import PREFIX, raises
from kernel.web.services import close_services, register_request_services


def create_app(
    settings: Settings | None = None, features: Mapping[str, Feature] | None = None
) -> "Application":
    """Return the application.

    By default the settings come from the environment and the slices from their folder. Raises
    SettingsError or BootError; their messages are for people.
    """
    features = discover() if features is None else features
    if settings is None:
        settings = load_settings(own=own_settings(features))
        refuse_unsafe(settings)
    policies = PolicyTable(features, settings)
    configure_logging(settings.level, for_people=settings.console_logs)
    metrics = Metrics(features)
    record = RequestRecorder(
        metrics, ConsoleRequestLog() if settings.console_logs else RequestLog()
    )

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        async with svcs.Registry() as registry:
            register_services(registry, settings, features)
            register_request_services(registry)
            with svcs.Container(registry) as container:
                if isinstance(app.front, Traced):
                    app.front.traces = container.get(Traces)
                edge.services = EdgeServices(
                    *container.get(Pipeline, Limiter, TokenVerifier, Revocations, Reads),
                    *container.get(Denials, UnexpectedErrors, WakeUps, LiveClients),
                )
                sockets.services = edge.services
                readiness, app.state.operations = container.get(Readiness, Operations)
                registry.register_value(CacheWarmer, RouteWarmer(app.behind, routes, edge.services))
            app.state.services = registry
            with drained_on_sigterm(readiness, seconds=settings.api_drain_seconds):
                yield
        record.flush()

    app = Application(
        title=settings.app_name,
        version=version(),
        description=INTRODUCTION,
        lifespan=running,
        docs_url=None,  # kernel.boot.documentation has its own
        redoc_url=None,
        openapi_url=OPENAPI if settings.docs else None,
        redirect_slashes=False,
        servers=[{"url": "/", "description": "The server of this document"}],
        license_info={"name": "MIT", "identifier": "MIT"},
    )
    failures.install(app, refused=metrics.auth_refused)
    routes = routes_of(features, CursorKeys(*settings.cursor_secrets))
    slices, live = {}, sockets_of(features)
    for name in dict.fromkeys(route.feature_name for route in (*routes, *live)):
        _include(app, name, features[name], settings)
        slices[name] = app.routes[-1]
    describe(app, routes)
    unlimited = add_pages(app, documented=settings.docs)
    if settings.api_serves_metrics:
        measured = (metrics.registry, *collectors("api", version()))
        app.add_route(METRICS, metrics_endpoint(*measured), include_in_schema=False)
        unlimited |= {METRICS}
    app.routes.insert(0, FoundSlice(slices))
    clients, table = ClientAddresses(settings.trusted_proxies), RouteTable(routes)
    hosts, headers = (
        Hosts(settings.allowed_hosts),
        StandingHeaders(https=settings.app_env == "production", origins=settings.cors_origins),
    )
    app.sockets = sockets = Sockets(
        app.behind,
        routes=RouteTable(live),
        policies=policies,
        clients=clients,
        record=record,
        hosts=hosts,
        headers=headers,
        origins=settings.cors_origins,
    )
    edge = Edge(
        app.behind,
        routes=table,
        policies=policies,
        clients=clients,
        unlimited=unlimited,
        max_body_bytes=settings.max_body_bytes,
        cache_enabled=settings.cache_enabled,
        deadline_seconds=settings.request_timeout_seconds,
        record=record,
        hosts=hosts,
        headers=headers,
        sockets=sockets,
    )
    app.front, app.metrics, app.settings = edge, metrics, settings
    if settings.traces_endpoint is not None:
        app.front = Traced(edge, routes=table, clients=clients, untraced=unlimited)
    app.connections = Connections(Bounds.of(settings), clients)
    return app


class Application(FastAPI):
    """FastAPI with the Edge in front: a response of the Edge passes no other layer."""

    front: ASGIApp
    metrics: Metrics
    settings: Settings
    connections: Connections
    sockets: Sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or serve a socket, or run the lifespan."""
        if scope["type"] != "lifespan":
            await self.front(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def behind(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that the Edge let through."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await close_services(scope)


class FoundSlice(BaseRoute):
    """Leads a request to the routes of the slice that the Edge has found for it.

    FastAPI would try the routes of all slices before, one after the other.
    """

    def __init__(self, slices: Mapping[str, BaseRoute]) -> None:
        self._slices = slices

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match each request that the Edge admitted for a slice."""
        call: Call | None = scope.get(SCOPE_KEY)
        known = call is not None and call.feature in self._slices
        return (Match.FULL if known else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer it; 404 or 405 if the slice has no such route."""
        await self._slices[call_of(scope).feature or ""].handle(scope, receive, send)


def _operation_id(name: str, router: APIRouter) -> Callable[[APIRoute], str]:
    """Return how operations are called in the document, and functions of generated clients.

    Like the slice or, if it has several, with the function's name behind it.
    """
    alone = len(router.routes) == 1

    def name_of(route: APIRoute) -> str:
        return name if alone or route.name == name else f"{name}_{route.name}"

    return name_of


def _include(app: FastAPI, name: str, feature: Feature, settings: Settings) -> None:
    async def admitted(connection: HTTPConnection) -> None:
        # The Edge and FastAPI each match the path, and must never disagree about the rules: FastAPI
        # answers 404 to a request that the Edge did not admit for this slice.
        if call_of(connection.scope).feature != name:
            raise NotFound

    dependencies = [Depends(admitted)]
    if feature.idempotent:
        dependencies.append(Depends(read_idempotency_key))
    assert feature.router is not None  # it has routes
    app.include_router(
        feature.router,
        prefix=PREFIX,
        dependencies=dependencies,
        generate_unique_id_function=_operation_id(name, feature.router),
        responses=raises(*common_errors(feature)),
        max_body_size=settings.max_body_bytes,
    )
