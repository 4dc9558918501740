"""Both halves of the gateway behind one address, as Supabase's own API gateway has them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from devstack.gateway.auth import AuthApi
from devstack.gateway.config import GatewayConfig
from devstack.gateway.rest import RestApi


def create_app(config: GatewayConfig) -> Starlette:
    """Return the gateway: /auth/v1 and /rest/v1, and a line at / that says what this is."""
    auth, rest = AuthApi(config), RestApi(config)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with auth, rest:
            yield

    return Starlette(
        routes=[
            Route("/", _about),
            Mount("/auth/v1", app=auth),
            Mount("/rest/v1", app=rest),
        ],
        lifespan=lifespan,
        # Browsers may call it from any origin, as they may call Supabase: keys decide, not cookies.
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=["Content-Range", "X-Supabase-Api-Version", "X-Sb-Error-Code"],
            )
        ],
    )


async def _about(_: Request) -> PlainTextResponse:
    return PlainTextResponse(
        "A local, Supabase-compatible gateway for development: /auth/v1 and /rest/v1.\n"
    )
